"""The report as one page of Markdown."""

from stages.lib.claim import HELD, Claim

MARKS = {True: "yes", False: "**no**", None: "not measured"}


def render(
    title: str, question: str, model: list[str], claims: list[Claim], lies: bool | None
) -> str:
    """Write the page.

    Parameters
    ----------
    title, question : str
        First lines.
    model : list of str
        What was run: the model, its wordings, the statements.
    claims : list of Claim
        In the order of the page.
    lies : bool or None
        Whether the model lies when it is told to; if not, or if that was not measured, claims about
        lies are not testable.

    Returns
    -------
    str
        Markdown; pictures are in the folder ``figures`` beside the page.
    """
    lines = [f"# {title}", "", question, ""]
    lines += [f"- {line}" for line in model] + [""]
    lines += ["| claim | verdict |", "|---|---|"]
    lines += [f"| {_link(claim)} | {_bold(claim.verdict(lies))} |" for claim in claims] + [""]
    lines += [
        "A claim held if each of its checks did: intervals are of 95 % and count subjects, not "
        "statements; what was chosen was chosen on the selection split, and numbers are of the "
        "report split, unless they say otherwise.",
        "",
    ]
    for claim in claims:
        lines += _section(claim, lies)
    return "\n".join(lines).rstrip() + "\n"


def _section(claim: Claim, lies: bool | None) -> list[str]:
    """One claim with its verdict, checks, notes and pictures."""
    verdict, reason = claim.verdict(lies), claim.reason(lies)
    lines = [
        f"## {claim.title}",
        "",
        f"{_bold(verdict[0].upper() + verdict[1:])}" + _because(reason),
        "",
    ]
    lines += [f"- {MARKS[check.passed]}: {check.says}" for check in claim.checks]
    lines += [f"- {note}" for note in claim.notes] + [""]
    for name in claim.figures:
        lines += [f"![{name.removesuffix('.png').replace('_', ' ')}](figures/{name})", ""]
    return lines


def _bold(verdict: str) -> str:
    """Set off what did not hold."""
    return verdict if verdict.lower() == HELD else f"**{verdict}**"


def _because(reason: str) -> str:
    """End the line of the verdict."""
    return f": {reason}" if reason else "."


def _link(claim: Claim) -> str:
    """Link to a section as Markdown viewers name it."""
    anchor = "".join(c for c in claim.title.lower() if c.isalnum() or c in " -").replace(" ", "-")
    return f"[{claim.title}](#{anchor})"
