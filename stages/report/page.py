"""The report as data, and as one page of Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stages.lib.claim import SUPPORTED, UNTESTED, Check, Claim, Note, Table
from stages.report.behaviour import FILE as BEHAVIOUR
from stages.report.captions import caption

METRICS = "../metrics"  # from the page
PARTS = ("name", "part of the prompt", "text", "used for")


@dataclass(frozen=True)
class PromptText:
    """A part of a prompt: its name, which part it is, its text, and what the text is used for."""

    name: str
    part: str
    text: str
    use: str


@dataclass(frozen=True)
class Page:
    """All that the page says; texts are inline Markdown in which users' texts are escaped.

    Attributes
    ----------
    title, question : str
        First lines.
    model : list of str
        What was run: the model and its wordings.
    summary : list of Note
        What was measured, in a few sentences.
    sure : str
        How many claims are supported.
    claims : list of Claim
        In the order of the page, their p-values corrected.
    lies : bool or None
        Whether the model lies when it is told to; if not, or if that was not measured, claims about
        lies are not testable.
    method : list of str
        How verdicts are reached.
    limits : list of Note
        What the page cannot tell.
    about : list of str
        What the page is, in a few sentences; after the summary.
    wordings : list of PromptText
        Every wording that is run, by its name in tables and pictures.
    terms : list of tuple of str
        Words of the field that the page uses, and what they mean.
    """

    title: str
    question: str
    model: list[str]
    summary: list[Note]
    sure: str
    claims: list[Claim]
    lies: bool | None
    method: list[str]
    limits: list[Note]
    about: list[str] = field(default_factory=list[str])
    wordings: list[PromptText] = field(default_factory=list[PromptText])
    terms: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def render(page: Page) -> str:
    """Write the page.

    Parameters
    ----------
    page : Page

    Returns
    -------
    str
        Markdown; pictures are in the folder ``figures`` beside the page, metrics in `METRICS`.
    """
    lines = [f"# {page.title}", "", page.question, ""]
    lines += [_note(note) for note in page.summary] + ["", page.sure, ""]
    lines += [" ".join(page.about), ""] if page.about else []
    lines += [f"- {line}" for line in page.model] + [""]
    overview = [_row(claim, page.lies) for claim in page.claims]
    lines += _grid(("question", "verdict", "claimed", "expected", "measured"), overview)
    for claim in page.claims:
        lines += _section(claim, page.lies)
    lines += ["## How verdicts are reached", ""] + [f"- {line}" for line in page.method] + [""]
    if page.terms:
        lines += ["## Terms", "", *_grid(("term", "meaning"), page.terms)]
    if page.wordings:
        texts = [
            (wording.name, wording.part, wording.text, wording.use) for wording in page.wordings
        ]
        lines += ["## Wordings", "", *_grid(PARTS, texts)]
    lines += ["## Limits", ""] + [_note(note) for note in page.limits]
    return "\n".join(lines).rstrip() + "\n"


def anchor(heading: str) -> str:
    """Name a section as Markdown viewers do."""
    return "".join(c for c in heading.lower() if c.isalnum() or c in " -").replace(" ", "-")


def stem(file: str) -> str:
    """Write the link to a stage's metrics."""
    return f"{METRICS}/{file}.json"


def requirement(check: Check) -> str:
    """Write what is measured, and what is expected of it."""
    return f"{check.measures}: {check.expected}"


def shown(claim: Claim, lies: bool | None) -> Check:
    """Return the check that decides a claim; of a claim that needs a lie, that there is none."""
    if claim.about_lies and not lies:
        return Check("behaviour", "a model that lies", claim.says(lies), UNTESTED, BEHAVIOUR)
    return claim.deciding()


def _section(claim: Claim, lies: bool | None) -> list[str]:
    """Write one claim with its verdict, checks, notes and pictures."""
    lines = [f"## {claim.question}", "", f"Claimed: {claim.claimed}", ""]
    decides = shown(claim, lies)
    measured = _sentence(f"{decides.measures}: {_measured(decides)}")
    lines += [f"Verdict: {_verdict(claim.verdict(lies))}. {measured}", ""]
    checks = [_check(check) for check in claim.checks]
    lines += _grid(("measured quantity", "expected", "measured", "verdict"), checks)
    lines += [_note(note) for note in claim.notes] + [""] * bool(claim.notes)
    for table in claim.tables:
        lines += _table(table) if table.rows else []
    for name in claim.figures:
        lines += [f"![{caption(name)}](figures/{name})", "", f"*{caption(name)}*", ""]
    return lines


def _table(table: Table) -> list[str]:
    """Write a table of numbers under its title, with a link to the metrics."""
    source = f" ([{table.file}]({stem(table.file)}))" if table.file else ""
    return [f"{table.title}{source}:", "", *_grid(table.head, table.rows)]


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write the lines of a table, and an empty line."""
    return [_cells(*head), "|---" * len(head) + "|", *(_cells(*row) for row in rows), ""]


def _row(claim: Claim, lies: bool | None) -> tuple[str, ...]:
    """Make one row of the overview."""
    link, decides = f"[{claim.question}](#{anchor(claim.question)})", shown(claim, lies)
    verdict = _verdict(claim.verdict(lies))
    return link, verdict, claim.claimed, requirement(decides), _measured(decides)


def _check(check: Check) -> tuple[str, ...]:
    """Make one row of a claim's table."""
    return check.measures, check.expected, _measured(check), check.verdict


def _measured(check: Check) -> str:
    """Write what was measured, with a link to its metrics."""
    return f"[{check.measured}]({stem(check.file)})" if check.file else check.measured


def _cells(*texts: str) -> str:
    """Write one row of a table; every | is escaped, as it would end its cell."""
    cells = (text.replace("|", r"\|") for text in texts)
    return f"| {' | '.join(cells)} |"


def _note(note: Note) -> str:
    """Write one sentence, with a link to the metrics that its numbers are from."""
    return f"- {note.says}" + (f" ([{note.file}]({stem(note.file)}))" if note.file else "")


def _verdict(verdict: str) -> str:
    """Write a verdict, in bold unless it is `SUPPORTED`."""
    return verdict if verdict == SUPPORTED else f"**{verdict}**"


def _sentence(text: str) -> str:
    """Begin a sentence with a capital, unless it begins with code, and end it with a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
