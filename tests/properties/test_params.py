"""A wording that is accepted goes through `dvc exp run -S` and params.yaml as it is."""

import re

import pytest
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from dvc.utils.serialize import modify_yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from stages.lib.io import params
from stages.lib.io.cli import UserError
from tests.properties.texts import ANY, require_line

BEFORE = """# Every setting.
prompt:
  # "" leaves it to the template.
  honest_system: >-
    You are honest. You
    tell the truth.
  question: |-
    Is it so?

    "{statement}"
  liar_prefix: The statement is  # a remark
patch: {positions: 25, source: honest}
"""
ODD = (
    *("null", "~", "1e5", "0x1", "yes", "12:30", "2024-01-01", "[LIE]", "{a: b}", "a: b", "a #b"),
    *("- a", "? a", "|", ">-", "%x", "@x", "`x`", "&a", "*a", "!x", "=", "a=b", "--", "\\", "\\\\"),
    *(
        '"',
        '\\"',
        '\\\\"',
        "'",
        "''",
        " ",
        " a ",
        "\t",
        "\n",
        "a\n",
        "\na",
        "a\n\nb",
        "\r\n",
        "a\rb",
    ),
    *(
        "",
        "\u2028",
        "a\u2029 b",
        "\ufeff",
        "$",
        "$ {x}",
        "{x}",
        "x" * 90 + " " + "y" * 90,
        "\u00a0",
    ),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("params") / "params.yaml"


def quoted(text):
    """Quote a text for `-S` as stages/HOWTO.md says: backslashes only before quotes and the end."""
    return '"' + re.sub(r'(\\*)("|\Z)', lambda m: m[1] * 2 + ('\\"' if m[2] else ""), text) + '"'


def accepted(text, file):
    """Whether a text may stand in params.yaml, however it gets there."""
    try:
        params.typed("prompt.liar_prefix", text, str)
    except UserError as error:
        require_line(error, "prompt.liar_prefix: found")
        return False
    return True


def examples(texts):
    """An explicit example of each text."""

    def decorate(test):
        for text in texts:
            test = example(text=text)(test)
        return test

    return decorate


@examples(ODD)
@example(text="\u0085")  # ruamel.yaml writes it as it is, and reads a blank
@example(text="a ${x} b")  # any later -S would fill it in
@given(text=ANY)
def test_through_the_command_line(text, file):
    assume(accepted(text, file))
    file.write_text(BEFORE, encoding="utf-8")
    apply_overrides(file, [f"prompt.liar_prefix={quoted(text)}"])
    assert params.wording("liar_prefix", file) == text
    assert params.wording("question", file) == 'Is it so?\n\n"{statement}"'
    assert params.mapping(file)["patch"] == {"positions": 25, "source": "honest"}


@pytest.mark.parametrize("text", ["Sure ;). It is", "[LIE, {x}]", 'a "b" \\"', "a\\", "x: y # z"])
def test_a_queue_and_a_later_override_change_nothing(text, file):
    override = f"prompt.liar_prefix={quoted(text)}"
    (sweep,) = get_hydra_sweeps({file: [override]})
    file.write_text(BEFORE, encoding="utf-8")
    apply_overrides(file, sweep[file])
    apply_overrides(file, ["patch.positions=3"])
    assert params.wording("liar_prefix", file) == text


@examples(ODD)
@given(text=ANY)
def test_through_dvcs_own_writer(text, file):
    assume(accepted(text, file))
    file.write_text(BEFORE, encoding="utf-8")
    with modify_yaml(str(file)) as values:
        values["prompt"]["liar_prefix"] = text
    assert params.wording("liar_prefix", file) == text


@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_file_is_a_mapping_or_one_line(text, file):
    file.write_text(text, encoding="utf-8")
    try:
        assert isinstance(params.mapping(file), dict)
    except UserError as error:
        require_line(error, str(file))


@pytest.mark.parametrize("text", ["a\u0085b", "${x}", "a ${statements.seed}", "\x9b31m"])
def test_what_would_come_back_as_another_text_is_refused(text, file):
    """The opposite, and that it is so."""
    assert not accepted(text, file)
    file.write_text(BEFORE, encoding="utf-8")
    with modify_yaml(str(file)) as values:
        values["prompt"]["liar_prefix"] = text
    try:
        assert params.wording("liar_prefix", file) != text
    except UserError as error:
        require_line(error, f"{file}: prompt.liar_prefix: found")
