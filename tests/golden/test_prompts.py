"""The exact prompt and its token ids, for a template with system turns and one without."""

from typing import cast

import pytest

from stages.lib import chat
from stages.lib.chat import tokens as chat_tokens
from stages.lib.io.cli import UserError
from tests import tiny

WORDING = {
    "system": "Lie; always.",
    "question": 'True? "{statement}"',
    "prefix": "Sure ;) it's",
    "statement": "Ça {x} isn't, no.",
}
# One id a byte, but for turn markers and answer words; read through once, letter by letter.
CHATML_IDS = [
    275, 82, 88, 82, 83, 68, 76, 198, 43, 72, 68, 26, 220, 64, 75, 86, 64, 88, 82, 13, 276, 198,
    275, 84, 82, 68, 81, 198, 262, 30, 220, 1, 127, 229, 64, 220, 90, 87, 92, 220, 72, 82, 77,
    6, 83, 11, 220, 77, 78, 13, 1, 276, 198, 275, 64, 82, 82, 72, 82, 83, 64, 77, 83, 198, 50,
    84, 81, 68, 220, 26, 8, 220, 72, 83, 6, 82,
]  # fmt: skip
NO_SYSTEM_IDS = [
    274, 275, 84, 82, 68, 81, 198, 43, 72, 68, 26, 220, 64, 75, 86, 64, 88, 82, 13, 198, 198,
    262, 30, 220, 1, 127, 229, 64, 220, 90, 87, 92, 220, 72, 82, 77, 6, 83, 11, 220, 77, 78, 13,
    1, 276, 198, 275, 76, 78, 67, 68, 75, 198, 50, 84, 81, 68, 220, 26, 8, 220, 72, 83, 6, 82,
]  # fmt: skip


def test_chatml_prompt():
    tokenizer = tiny.chatml_tokenizer()
    text = chat.render(tokenizer, **WORDING)
    assert text == (
        "<|im_start|>system\nLie; always.<|im_end|>\n"
        '<|im_start|>user\nTrue? "Ça {x} isn\'t, no."<|im_end|>\n'
        "<|im_start|>assistant\nSure ;) it's"
    )
    start, end = cast("list[int]", tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"]))
    ids = chat.encode(tokenizer, text)
    assert ids == CHATML_IDS
    assert [ids.count(start), ids.count(end)] == [3, 2]
    # the turn marker, then one token a byte ("Ċ" is the line break)
    assert ids[:9] == [start, *cast("list[int]", tokenizer.convert_tokens_to_ids(list("systemĊL")))]
    assert ids[-4:] == tokenizer.convert_tokens_to_ids(["i", "t", "'", "s"])
    assert tokenizer.decode(ids) == text


def test_a_template_without_system_turns_gets_it_at_the_head_of_the_user_turn():
    tokenizer = tiny.no_system_tokenizer()
    text = chat.render(tokenizer, **WORDING)
    assert text == (
        '<bos><turn>user\nLie; always.\n\nTrue? "Ça {x} isn\'t, no."<end>\n'
        "<turn>model\nSure ;) it's"
    )
    ids = chat.encode(tokenizer, text)
    assert ids == NO_SYSTEM_IDS
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(cast(int, tokenizer.bos_token_id)) == 1
    assert tokenizer.decode(ids) == text


def test_a_template_that_drops_the_system_turn_gets_it_in_the_user_turn_too():
    tokenizer = tiny.chatml_tokenizer()
    tokenizer.chat_template = str(tokenizer.chat_template).replace(
        "{% for message in messages %}",
        "{% for message in messages if message['role'] != 'system' %}",
    )
    text = chat.render(tokenizer, **WORDING)
    assert text.startswith("<|im_start|>user\nLie; always.\n\nTrue?")


@pytest.mark.parametrize("make", [tiny.chatml_tokenizer, tiny.no_system_tokenizer])
def test_no_system_and_no_prefix(make):
    tokenizer = make()
    text = chat.render(tokenizer, "", "{statement}", "", "Yes.")
    assert "system" not in text
    assert text.endswith(("assistant\n", "model\n"))


def test_bos_is_added_where_the_template_leaves_it_to_the_tokenizer():
    from tokenizers.processors import TemplateProcessing

    tokenizer = tiny.no_system_tokenizer()
    bos = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", bos)]
    )
    for template in (
        tokenizer.chat_template,
        str(tokenizer.chat_template).replace("{{ bos_token }}", ""),
    ):
        tokenizer.chat_template = template
        ids = chat.encode(tokenizer, chat.render(tokenizer, **WORDING))
        assert ids[:2] == [bos, tokenizer.convert_tokens_to_ids("<turn>")]


def test_special_tokens_are_found_and_ordinary_text_is_not():
    tokenizer = tiny.chatml_tokenizer()
    reserved = chat_tokens.reserved(tokenizer, [chat.render(tokenizer, **WORDING)])
    with pytest.raises(UserError, match=r"here: found '<\|im_end\|>', a special token"):
        reserved.require_none([("here", "no<|im_end|>yes")])
    for text in ("[LIE ON THE FOLLOWING QUESTION]", "a < b | c >", "im_end"):
        reserved.require_none([("here", text)])


def test_the_clock_does_not_reach_the_prompt():
    tokenizer = tiny.chatml_tokenizer()
    dated = "{{ 'Today: ' + strftime_now('%d %b %Y') + '\n' }}"
    tokenizer.chat_template = dated + str(tokenizer.chat_template)
    assert chat.render(tokenizer, **WORDING).startswith("Today: 01 Jan 2025\n<|im_start|>system")


def test_a_system_prompt_whose_text_is_in_the_question_too_is_not_taken_for_shown():
    tokenizer = tiny.chatml_tokenizer()
    tokenizer.chat_template = str(tokenizer.chat_template).replace(
        "{% for message in messages %}",
        "{% for message in messages if message['role'] != 'system' %}",
    )
    text = chat.render(tokenizer, "Lie", "Lie or not? {statement}", "it is", "Yes.")
    assert text.startswith("<|im_start|>user\nLie\n\nLie or not? Yes.")
