"""Bad inputs of one kind: settings. Stage `check` meets them first, whoever reads them later."""

from collections.abc import Callable
from typing import Any

from tests.pipeline.bad_input.case import Case
from tests.pipeline.conftest import Project


def setting(section: str, key: str, value: Any) -> Callable[[Project], None]:
    """Set one key of a section."""
    return lambda project: project.set({section: {key: value}})


def top(name: str, value: Any) -> Callable[[Project], None]:
    """Set a whole section."""
    return lambda project: project.set({name: value})


def rewrite(old: str, new: str) -> Callable[[Project], None]:
    """Change the text of params.yaml itself, as an editor does."""

    def spoil(project: Project) -> None:
        file = project.folder / "params.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return spoil


def personas(*names: str) -> Callable[[Project], None]:
    """Declare personas, each with a wording of its own."""

    def spoil(project: Project) -> None:
        texts = {f"{name}_system": f"You are {name}." for name in names}
        project.set({"personas": list(names)})
        project.set({"prompt": texts | {f"{name}_prefix": "it is" for name in names}})

    return spoil


def not_utf_8(project: Project) -> None:
    """Write params.yaml in Latin-1."""
    (project.folder / "params.yaml").write_bytes("prompt: {a: é}\n".encode("latin-1"))


ROWS: list[tuple[str, Callable[[Project], None], str]] = [
    (
        "behaviour.neutral is patch.source",
        setting("behaviour", "neutral", "honest"),
        "behaviour.neutral: found 'honest', which is patch.source, expected another persona",
    ),
    (
        "behaviour.neutral is patch.base",
        setting("behaviour", "neutral", "liar"),
        "behaviour.neutral: found 'liar', which is patch.base, expected another persona",
    ),
    (
        "behaviour.neutral is nobody",
        setting("behaviour", "neutral", "nobody"),
        "behaviour.neutral: unknown persona 'nobody', expected one of neutral, honest, liar",
    ),
    (
        "a margin in percent",
        setting("behaviour", "known_margin", 60),
        "behaviour.known_margin: found 60.0, expected at least 0, below 1",
    ),
    (
        "a mass that is no number",
        setting("behaviour", "known_answer_mass", float("nan")),
        "behaviour.known_answer_mass: found nan, expected a finite number",
    ),
    (
        "an infinite margin",
        setting("behaviour", "known_margin", float("inf")),
        "behaviour.known_margin: found inf, expected a finite number",
    ),
    (
        "a persona twice",
        top("personas", ["neutral", "honest", "liar", "honest"]),
        "personas: found ['neutral', 'honest', 'liar', 'honest'], expected different values",
    ),
    ("no personas", top("personas", []), "personas: found [], expected at least 1"),
    ("null personas", top("personas", None), "personas: expected list, found None"),
    (
        "a persona named as a command",
        personas("neutral", "honest", "liar", "x;touch X;"),
        "personas[3]: found 'x;touch X;', expected a name of [a-z0-9_]",
    ),
    (
        "a persona with a name that tables use",
        personas("neutral", "honest", "liar", "all"),
        "personas[3]: found 'all', expected a name of [a-z0-9_]",
    ),
    (
        "a persona with a name that is too long",
        personas("neutral", "honest", "liar", "a" * 65),
        "of at most 64 characters",
    ),
    (
        "a persona without wordings",
        top("personas", ["neutral", "honest", "liar", "sulky"]),
        "prompt.sulky_system: key is missing",
    ),
    (
        "two personas of one wording",
        setting("prompt", "liar_system", "You are H."),
        "'honest' and 'liar' have the same system prompt and prefix",
    ),
    (
        "a wording that nobody reads",
        setting("prompt", "lair_prefix", "it is"),
        "prompt.lair_prefix: unknown key, expected one of honest_prefix",
    ),
    (
        "a wording that is a truth value",
        setting("prompt", "liar_prefix", False),
        "prompt.liar_prefix: expected str, found False",
    ),
    (
        "a wording with a terminal's code",
        setting("prompt", "liar_prefix", "it\x1b[1m is"),
        "prompt.liar_prefix: found the character '\\x1b', expected printable text",
    ),
    (
        "half a character in a wording",
        rewrite("liar_prefix: it is", 'liar_prefix: "\\ud83d it is"'),
        "prompt.liar_prefix: found the character '\\ud83d', expected printable text",
    ),
    (
        "a wording that YAML cuts",
        rewrite("liar_prefix: it is", "liar_prefix: I am #1, it is"),
        "prompt.liar_prefix: found 'I am', which YAML ends before '#1, it is'",
    ),
    (
        "an undeclared source",
        setting("patch", "source", "pirate"),
        "patch.source: unknown persona 'pirate', expected one of neutral, honest, liar",
    ),
    (
        "a base named as a command",
        setting("patch", "base", "a'; touch X; '"),
        "patch.base: found \"a'; touch X; '\", expected a name of [a-z0-9_]",
    ),
    (
        "an undeclared base",
        setting("patch", "base", "pirate"),
        "patch.base: unknown persona 'pirate', expected one of neutral, honest, liar",
    ),
    (
        "one persona for source and base",
        setting("patch", "base", "honest"),
        "patch.source and patch.base: both are 'honest', expected two personas",
    ),
    (
        "a limit that is a truth value",
        setting("windows", "limit", True),
        "windows.limit: expected int, found True",
    ),
    ("a window of no layer", setting("windows", "size", 0), "windows.size: found 0, expected at"),
    (
        "a negative seed",
        setting("set_sizes", "seed", -1),
        "set_sizes.seed: found -1, expected at least",
    ),
    (
        "a seed beyond NumPy's",
        setting("erasure", "seed", 2**32),
        "erasure.seed: found 4294967296, expected a number of at most 4294967295",
    ),
    (
        "a seed that is no whole number",
        setting("robustness", "seed", 1.0),
        "robustness.seed: expected int, found 1.0",
    ),
    (
        "a size twice",
        setting("widths", "sizes", [2, 2]),
        "widths.sizes: found [2, 2], expected different values",
    ),
    (
        "a size of nothing",
        setting("set_sizes", "sizes", [4, 0]),
        "set_sizes.sizes[1]: found 0, expected at least 1",
    ),
    (
        "no counts",
        setting("positions", "counts", []),
        "positions.counts: found [], expected at least 1",
    ),
    (
        "a share above one",
        setting("heads", "keep", 95),
        "heads.keep: found 95.0, expected above 0, at most 1",
    ),
    (
        "a method that there is not",
        setting("transfer", "methods", ["mass_mean", "svm"]),
        "transfer.methods[1]: found 'svm', expected one of logistic, mass_mean",
    ),
    (
        "a blank readout word",
        setting("readout", "true_words", ["true", " "]),
        "readout.true_words[1]: found ' ', expected a text that is not blank",
    ),
    (
        "a topic that there is not",
        setting("statements", "topics", ["rivers"]),
        "statements.topics[0]: found 'rivers', expected one of capitals",
    ),
    (
        "robustness on the same wording",
        setting("robustness", "wordings", {"same": {"prefix": "it is"}}),
        "robustness.wordings.same: the same wording as that of section prompt",
    ),
    (
        "a misspelt key of robustness",
        setting("robustness", "wordings", {"other": {"base_sytem": "You are L, L."}}),
        "robustness.wordings.other.base_sytem: unknown key",
    ),
    (
        "a grid of the former form",
        setting("grid", "systems", {"honest": "You are H."}),
        "grid.systems: expected list",
    ),
    (
        "a system prompt named as a command",
        setting("grid", "systems", ["honest", "liar", "stubborn", "a$(touch X)"]),
        "grid.systems[3]: found 'a$(touch X)', expected a name of [a-z0-9_]",
    ),
    (
        "an organism that there is not",
        setting("model", "organism", "nobody"),
        "model.organism: unknown organism 'nobody', expected null or early",
    ),
    ("an unknown section", top("robustnes", {"limit": 4}), "robustnes: unknown section, expected"),
    ("a null section", top("erasure", None), "erasure: section is missing, expected sizes"),
    (
        "a key twice",
        rewrite("  positions: 20", "  positions: 20\n  positions: 3"),
        'not valid YAML: found duplicate key "positions"',
    ),
    ("no YAML", rewrite("patch:", "patch: ["), "not valid YAML"),
    ("no UTF-8", not_utf_8, "params.yaml: byte 12 is not UTF-8, expected UTF-8"),
]


CASES: list[Case] = [
    Case(f"settings: {name}", "check", spoil, expected) for name, spoil, expected in ROWS
]
