"""Each token of a prompt is in one block, and blocks of two prompts are paired from their ends."""

from pathlib import Path

import numpy as np
import pytest

from stages.lib import chat
from stages.lib.model import lm
from stages.lib.patching import blocks
from stages.lib.patching.blocks import BLOCKS, NotFoundError, PersonaWording
from tests import tiny

MODEL = Path("data/model")
QUESTION = 'Is it true?\n\nStatement: "{statement}" Yes or no?'
STATEMENTS = ("Rome is in Italy.", "Bogotá isn’t in 日本.", "true")


def tokenizers():
    result = {"chatml": tiny.chatml_tokenizer, "no system": tiny.no_system_tokenizer}
    if (MODEL / lm.MANIFEST).is_file():
        result["data/model"] = lambda: lm.load_tokenizer(MODEL)
    return result


@pytest.fixture(params=tokenizers(), scope="module")
def tokenizer(request):
    return tokenizers()[request.param]()


def cut(tokenizer, wording, statement):
    """Token ids, blocks of the pieces, and the piece of each token."""
    splits = (wording.system, wording.question, wording.prefix, statement)
    text = chat.render(tokenizer, *splits)
    ids = chat.encode(tokenizer, text)
    names, starts = zip(*blocks.segments(text, wording, statement), strict=True)
    return ids, list(names), blocks.of_tokens(tokenizer.decode, ids, text, list(starts))


def said(tokenizer, wording, statement):
    """What the tokens of each block decode to."""
    ids, names, of = cut(tokenizer, wording, statement)
    assert len(of) == len(ids)
    assert (np.diff(of) >= 0).all()
    return {
        block: "".join(
            tokenizer.decode([i for i, piece in zip(ids, of, strict=True) if piece == number])
            for number, name in enumerate(names)
            if name == block
        )
        for block in BLOCKS
    }


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("prefix", ["It is", "  Sure. It is ", ""])
@pytest.mark.parametrize("system", ["You are H.", ""])
def test_blocks_hold_their_wordings_and_every_token_is_in_one(tokenizer, system, prefix, statement):
    result = said(tokenizer, PersonaWording(system, QUESTION, prefix), statement)
    ids, names, of = cut(tokenizer, PersonaWording(system, QUESTION, prefix), statement)
    counts = [np.sum(of == number) for number in range(len(names))]
    assert sum(counts) == len(ids)  # a partition
    assert statement in result["statement"]
    assert result["question"].startswith("Is it true?")
    assert result["question"].endswith("Yes or no?")
    assert result["prefix"].strip() == prefix.strip()
    assert result["system"].endswith(system)
    assert result["user turn"] or system  # markers before the question
    assert result["assistant turn"].strip()


def test_a_question_that_ends_in_the_statement_or_holds_it_twice(tokenizer):
    result = said(tokenizer, PersonaWording("", "{statement}", "It is"), "Rome")
    assert (result["statement"], result["question"]) == ("Rome", "")
    twice = said(tokenizer, PersonaWording("", "{statement}? I say {statement}", "It is"), "Rome")
    assert twice["statement"].replace(" ", "") == "RomeRome"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("be good. Is A so? it IS", "the prefix"),
        ("be good. Is B so? it is", "the question"),
        ("be bad. Is A so? it is", "the system prompt"),
    ],
)
def test_a_wording_that_is_not_there_is_named(text, message):
    wording = PersonaWording("be good.", "Is {statement} so?", "it is")
    assert blocks.segments("be good. Is A so? it is", wording, "A")
    with pytest.raises(NotFoundError, match=message):
        blocks.segments(text, wording, "A")


def test_tokens_of_another_text_are_refused(tokenizer):
    ids = chat.encode(tokenizer, "one text")
    assert len(blocks.of_tokens(tokenizer.decode, ids, "one text", [0]))
    with pytest.raises(NotFoundError, match="another text"):
        blocks.of_tokens(tokenizer.decode, ids, "two texts", [0])


def pairs(tokenizer, base, source, statement="Rome is in Italy."):
    (mine, names, of), (other, _, other_of) = (
        cut(tokenizer, wording, statement) for wording in (base, source)
    )
    return mine, other, blocks.align(mine, other, names, [of, other_of])


def test_blocks_of_two_lengths_are_paired_from_their_ends(tokenizer):
    base = PersonaWording("You lie, always.", QUESTION, "Well, it is")
    source = PersonaWording("You are good.", QUESTION, "it is")
    mine, other, result = pairs(tokenizer, base, source)
    for number, block in enumerate(BLOCKS):
        of = result.block == number
        assert len(set(result.base[of])) == of.sum()
        if block in ("user turn", "question", "statement", "assistant turn"):
            assert [mine[i] for i in result.base[of]] == [other[i] for i in result.source[of]]
    prefix = result.block == BLOCKS.index("prefix")
    assert result.base[prefix].tolist() == result.source[prefix].tolist()  # both end at -1
    assert result.base.max() == -1
    statement = result.block == BLOCKS.index("statement")
    # The longer prefix pushes all that stands before it: z must be moved.
    assert (result.base[statement] < result.source[statement]).all()
    assert result.reach <= min(len(mine), len(other))


def test_no_position_is_further_from_the_end_than_the_shorter_prompt_is_long(tokenizer):
    """A patch covers the last positions of both, as many as the shorter one has at most."""
    short = PersonaWording("You are H.", QUESTION, "it is")
    long = PersonaWording(
        "You are L.", QUESTION, "Sure, with pleasure, as you ask me so kindly. It is"
    )
    for base, source in ((short, long), (long, short)):
        mine, other, result = pairs(tokenizer, base, source)
        assert abs(len(mine) - len(other)) > len("You are ")  # more than what both start with
        assert result.reach == min(len(mine), len(other))


def test_what_both_prompts_start_with_is_not_written(tokenizer):
    base, source = (PersonaWording(f"You are {x}.", QUESTION, "it is") for x in "LH")
    mine, other, result = pairs(tokenizer, base, source)
    first = next(i for i, (a, b) in enumerate(zip(mine, other, strict=True)) if a != b)
    assert result.base.min() == first - len(mine)
    assert len(result.base) == len(mine) - first
    same = pairs(tokenizer, base, base)[2]
    assert (len(same.base), same.reach) == (0, 1)


def test_a_persona_without_a_system_prompt_has_its_markers_paired(tokenizer):
    result = pairs(
        tokenizer,
        PersonaWording("You lie.", QUESTION, "It is"),
        PersonaWording("", QUESTION, "It is"),
    )
    assert not (result[2].block == BLOCKS.index("system")).any()
    assert (result[2].block == BLOCKS.index("question")).any()
