"""params.yaml: each mistake gives one line that names the key."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from dvc.utils.serialize import load_yaml, modify_yaml

from stages.lib.io import params
from stages.lib.io.cli import UserError
from stages.lib.io.ranges import Limit, Range, Seed, Slug, Some, Text


@dataclass(frozen=True)
class Schema:
    size: int
    share: float
    names: tuple[str, ...]
    limit: int | None


GOOD = "patch: {size: 5, share: 1, names: [a, b], limit: null}\n"


def write(tmp_path, text):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    return file


def test_a_section_becomes_a_dataclass(tmp_path):
    config = params.section("patch", Schema, write(tmp_path, GOOD))
    assert config == Schema(size=5, share=1.0, names=("a", "b"), limit=None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size: 5", "size: five", "patch.size: expected int, found 'five'"),
        ("size: 5", "size: true", "patch.size: expected int, found True"),
        ("size: 5", "size: 5.0", "patch.size: expected int, found 5.0"),
        ("size: 5", f"size: {2**32}", "patch.size: found 4294967296, expected a number of at most"),
        ("size: 5", f"size: 0x1{'0' * 5000}", "patch.size: found one with more than 20 digits"),
        ("size: 5", f"size: 1{'0' * 5000}", "not valid YAML: Exceeds the limit"),
        ("share: 1", f"share: 1{'0' * 400}", "patch.share: found one with more than 20 digits"),
        ("share: 1", "share: .nan", "patch.share: found nan, expected a finite number"),
        ("share: 1", "share: -.inf", "patch.share: found -inf, expected a finite number"),
        ("share: 1", "share: '1'", "patch.share: expected float, found '1'"),
        ("[a, b]", "[a, 3]", r"patch.names\[1\]: expected str, found 3"),
        ("[a, b]", "[a, 2024-01-01]", r"patch.names\[1\]: expected str, found datetime.date"),
        ("[a, b]", '[a, "\\a"]', r"patch.names\[1\]: found the character '.x07', expected"),
        ("[a, b]", '[a, "\\ud83d"]', r"patch.names\[1\]: found the character '.ud83d', expected"),
        ("[a, b]", "ab", "patch.names: expected list, found 'ab'"),
        ("limit: null", "limit: few", "patch.limit: expected int, found 'few'"),
        ("size: 5", "size: 5, windw: 3", "patch.windw: unknown key, expected one of size, share"),
        ("size: 5", "size: 5, size: 6", 'line 1: not valid YAML: found duplicate key "size"'),
        ("size: 5, ", "", "patch.size: key is missing"),
        ("patch:", "patches:", "patch: section is missing"),
        (GOOD, "patch: null\n", "patch: section is missing"),
        (GOOD, "- a\n", "expected sections at the top level, found list"),
        (GOOD, "", "expected sections at the top level, found NoneType"),
        (GOOD, "a: [\n", "line 2: not valid YAML"),
        (GOOD, "a: 2024-13-45\n", "not valid YAML"),
        (GOOD, "a: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        (GOOD, "a: " + "[" * 5000, "not valid YAML: nested too deeply"),
    ],
)
def test_mistakes(tmp_path, old, new, message):
    with pytest.raises(UserError, match=message) as error:
        params.section("patch", Schema, write(tmp_path, GOOD.replace(old, new)))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        params.section("patch", Schema, tmp_path / "params.yaml")


def test_a_file_that_is_not_utf_8(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_bytes("a: é\n".encode("latin-1"))
    with pytest.raises(UserError, match="byte 3 is not UTF-8"):
        params.mapping(file)


@pytest.mark.parametrize(
    "text", ["Yes", "No", "yes", "On", "off", "y", "12:30", "1_000", "010", "~x"]
)
def test_texts_that_yaml_1_1_takes_for_others_are_what_dvc_means(tmp_path, text):
    """DVC writes a text without quotes where YAML 1.2 reads it back."""
    file = write(tmp_path, "readout: {words: []} # a remark\nprompt:\n  liar_prefix: it\n")
    with modify_yaml(str(file)) as values:
        values["prompt"]["liar_prefix"] = text
        values["readout"]["words"] = [text, "yes"]
    assert load_yaml(str(file))["prompt"]["liar_prefix"] == text
    assert params.wording("liar_prefix", file) == text
    assert params.mapping(file)["readout"]["words"] == [text, "yes"]
    assert "# a remark" in file.read_text()


def test_numbers_are_what_dvc_means(tmp_path):
    file = write(tmp_path, "a: 1e-5\nb: 0o17\nc: 017\nd: 1E3\ne: No\nf: true\n")
    assert params.mapping(file) == load_yaml(str(file))
    result = {"a": 1e-5, "b": 15, "c": 17, "d": 1000.0, "e": "No", "f": True}
    assert params.mapping(file) == result


@dataclass(frozen=True)
class Ruled:
    limit: Limit = None
    seed: Seed = 0
    share: Annotated[float, Range(above=0, most=1)] = 1.0
    sizes: Some[Annotated[int, Range(least=1)]] = (1,)
    words: Some[Annotated[str, Text()]] = ("a",)
    name: Annotated[str, Slug("none")] = "a"


FINE = {"limit": None, "seed": 0, "share": 1, "sizes": [1], "words": ["a"], "name": "a"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("limit", 0, "found 0, expected at least 1, or null"),
        ("seed", -1, "found -1, expected at least 0, at most 4294967295"),
        ("seed", None, "expected int, found None"),
        ("share", 0, "found 0.0, expected above 0, at most 1"),
        ("share", 1.5, "found 1.5, expected above 0, at most 1"),
        ("share", float("nan"), "found nan, expected a finite number"),
        ("sizes", [], "found [], expected at least 1"),
        ("sizes", [2, 2], "found [2, 2], expected different values"),
        ("sizes", None, "expected list, found None"),
        ("sizes", [1, 0], "[1]: found 0, expected at least 1"),
        ("words", [" \t"], "[0]: found ' \\t', expected a text that is not blank"),
        ("words", [True], "[0]: expected str, found True"),
        ("name", "none", "found 'none', expected a name of [a-z0-9_], of at most 64 characters"),
        ("name", "all", "found 'all', expected a name"),
        ("name", "a" * 65, "expected a name"),
        ("name", "a\n", "expected a name"),
    ],
)
def test_values_out_of_their_range(tmp_path, key, value, message):
    file = write(tmp_path, "")
    with modify_yaml(str(file)) as values:
        values["x"] = FINE
    assert params.section("x", Ruled, file) == Ruled()
    with modify_yaml(str(file)) as values:
        values["x"][key] = value
    with pytest.raises(UserError) as error:
        params.section("x", Ruled, file)
    assert message in str(error.value)
    assert f"x.{key}" in str(error.value)


WORDINGS = """
personas: [honest, liar]
prompt: {question: "{statement}?", honest_system: "", honest_prefix: It is, liar_system: Lie., liar_prefix: It is}
"""


def test_wordings(tmp_path):
    file = write(tmp_path, WORDINGS)
    assert params.wording("question", file) == "{statement}?"
    assert params.wording("liar_system", file) == "Lie."
    params.require_persona("liar", file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("liar_system: Lie., ", "", "prompt.liar_system: key is missing"),
        ("Lie.", "[LIE]", r"prompt.liar_system: expected str, found \['LIE'\]"),
        ("Lie.", "null", r"prompt.liar_system: expected str, found None"),
    ],
)
def test_wrong_wordings(tmp_path, old, new, message):
    with pytest.raises(UserError, match=message):
        params.wording("liar_system", write(tmp_path, WORDINGS.replace(old, new)))


def test_unknown_persona(tmp_path):
    with pytest.raises(UserError, match="unknown persona 'lair', expected one of honest, liar"):
        params.require_persona("lair", write(tmp_path, WORDINGS))


@pytest.mark.parametrize("name", ["a-b", "Liar", "all", "a.b", "probe", "x;touch X;"])
def test_persona_names_that_would_meet_others(tmp_path, name):
    with pytest.raises(UserError, match=rf"personas\[0\]: found '{name}', expected a name"):
        params.personas(write(tmp_path, WORDINGS.replace("honest,", f"{name},", 1)))


@pytest.mark.parametrize(
    ("personas", "message"),
    [
        ("[]", "personas: found [], expected at least 1"),
        ("null", "personas: expected list, found None"),
        ("[liar, liar]", "personas: found ['liar', 'liar'], expected different values"),
        ("liar", "personas: expected list, found 'liar'"),
        ("[1]", "personas[0]: expected str, found 1"),
    ],
)
def test_no_list_of_personas(tmp_path, personas, message):
    with pytest.raises(UserError) as error:
        params.personas(write(tmp_path, f"personas: {personas}\n"))
    assert message in str(error.value)
