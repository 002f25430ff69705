"""What a template adds and a tokenizer changes is told."""

from stages.lib import chat
from stages.lib.chat import Wording
from tests import chats, tiny

QUESTION = 'Is it so?\n\nStatement: "{statement}" Yes?'
STATEMENTS = [("a.csv, row 2", "Rome is in Italy."), ("a.csv, row 3", "Bogotá isn’t in 日本.")]
KEYS = ("prompt.liar_system", "prompt.question", "prompt.liar_prefix")


def remarks(tokenizer, **texts):
    wording = Wording(**{"system": "", "question": QUESTION, "prefix": "It is"} | texts, keys=KEYS)
    return chat.remarks(tokenizer, wording, chat.prompts(tokenizer, wording, STATEMENTS))


def test_a_system_prompt_of_the_templates_own_is_told():
    tokenizer = chats.tokenizer(chats.OWN_SYSTEM)
    for prefix in ("It is", ""):
        (line,) = remarks(tokenizer, prefix=prefix)
        assert line.startswith(
            "the chat template adds a system prompt of its own, 15 tokens: 'Be kind to all.'; "
        )
        assert KEYS[0] in line
    for system in ("You lie.", " "):  # and how to have none
        assert remarks(tokenizer, system=system) == []
        prompt = chat.render(tokenizer, system, "{statement}", "It is", "Yes.")
        assert "kind" not in prompt
    for template in (tiny.CHATML, tiny.NO_SYSTEM, chats.LAST_USER, chats.SWITCH, chats.CHANNELS):
        assert remarks(chats.tokenizer(template)) == []
        assert remarks(chats.tokenizer(template), prefix="") == []
    both = "{{ 'Knowledge until 2023.\n' }}" + tiny.CHATML  # in the prompts of all personas
    assert remarks(chats.tokenizer(both)) == []
    long = chats.OWN_SYSTEM.replace("Be kind", "Be kind " * 100)
    (line,) = remarks(chats.tokenizer(long))
    assert len(line) < 300
    assert "\n" not in line


def test_what_the_tokenizer_changes_is_told():
    (line,) = remarks(chats.lower_case())
    assert "reads other characters in 2 of 2 prompts" in line
    (line,) = remarks(chats.stripping(), prefix="It is ")
    assert line == "this model's tokenizer drops the blanks at the end of prompt.liar_prefix"
    for prefix in ("It is", ""):
        assert remarks(chats.tokenizer(tiny.CHATML), prefix=prefix) == []
