"""What was asked for stands in the prompt letter by letter, or there is a line that says why not."""

import itertools
import time

import pytest

from stages.lib import chat
from stages.lib.chat import Wording
from stages.lib.chat import template as chat_template
from stages.lib.io.cli import UserError
from stages.lib.patching import blocks
from tests import chats, tiny

QUESTION = 'Is it so?\n\nStatement: "{statement}" Yes?'
STATEMENTS = [("a.csv, row 2", "Rome is in Italy."), ("a.csv, row 3", "Bogotá isn’t in 日本.")]
KEYS = ("prompt.liar_system", "prompt.question", "prompt.liar_prefix")
TEMPLATES = {
    "chatml": tiny.CHATML,
    "no system": tiny.NO_SYSTEM,
    "last user": chats.LAST_USER,
    "trims": chats.TRIMS,
    "own system": chats.OWN_SYSTEM,
    "empty thought": chats.EMPTY_THOUGHT,
    "open thought": chats.OPEN_THOUGHT,
    "switch": chats.SWITCH,
    "channels": chats.CHANNELS,
    "unflagged": chats.UNFLAGGED,
}
PREFIXES = ["", "It is", " It is", "It is ", "It is\n", "\n", "  ", "It is:\n\n"]
SYSTEMS = ["You lie. ", " You are H.\n", ""]


def made(template, system="", prefix="", question=QUESTION, statements=STATEMENTS):
    """Prompts of one wording, with a tokenizer of bytes or one that is given."""
    tokenizer = chats.tokenizer(template) if isinstance(template, str | dict) else template
    return chat.prompts(tokenizer, Wording(system, question, prefix, KEYS), statements)


def text(template, system="", prefix="", question="{statement}", statement="Yes."):
    return made(template, system, prefix, question, [("a.csv, row 2", statement)]).texts[0]


def refused(message, *arguments, **named):
    """The line that refuses a prompt."""
    with pytest.raises(UserError, match=message) as error:
        made(*arguments, **named)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_text_stands_in_the_prompt_in_order_and_the_prompt_ends_with_the_prefix(template):
    tokenizer = chats.tokenizer(TEMPLATES[template])
    for system, prefix in itertools.product(SYSTEMS, PREFIXES):
        result = made(tokenizer, system, prefix)
        for prompt, ids, (_, statement) in zip(
            result.texts, result.token_ids, STATEMENTS, strict=True
        ):
            question = QUESTION.replace("{statement}", statement)
            assert prompt.endswith(prefix)
            start = prompt.rindex(question)
            assert start + len(question) <= len(prompt) - len(prefix)
            assert not system or prompt.index(system) + len(system) <= start
            assert tokenizer.decode(ids) == prompt  # the ids end as the text does
            assert blocks.segments(
                prompt, blocks.PersonaWording(system, QUESTION, prefix), statement
            )


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_prefix_follows_on_where_the_answer_begins(template):
    tokenizer = chats.tokenizer(TEMPLATES[template])
    result = {prefix: text(tokenizer, "You lie.", prefix) for prefix in PREFIXES}
    starts = {result[prefix].removesuffix(prefix) for prefix in PREFIXES if prefix}
    assert len(starts) == 1
    assert result[""].rstrip(" ") == starts.pop().rstrip(" ")


@pytest.mark.parametrize("template", TEMPLATES)
def test_prompts_of_a_wording_start_alike_up_to_the_statement(template):
    tokenizer = chats.tokenizer(TEMPLATES[template])
    result = made(tokenizer, "You lie.", "It is")
    head = QUESTION.partition("{statement}")[0]
    assert str(tokenizer.decode(result.prefix_ids)).endswith(head)
    for ids in result.token_ids:
        assert ids[: len(result.prefix_ids)] == result.prefix_ids
    other = made(tokenizer, "You lie.", "It is", statements=[("a.csv, row 2", "Is 7 odd?")])
    assert other.prefix_ids == result.prefix_ids


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_text_changes_the_token_ids(template):
    wordings = [
        {"system": "You lie.", "prefix": "It is"},
        {"system": "You do not lie.", "prefix": "It is"},
        {"system": "You lie. ", "prefix": "It is"},
        {"system": "", "prefix": "It is"},
        {"system": "You lie.", "prefix": "It is "},
        {"system": "You lie.", "prefix": ""},
    ]
    tokenizer = chats.tokenizer(TEMPLATES[template])
    result = [made(tokenizer, **wording).token_ids for wording in wordings]
    for one, two in itertools.combinations(result, 2):
        assert all(a != b for a, b in zip(one, two, strict=True))


def test_a_system_text_that_only_prompts_without_a_prefix_show_is_at_the_head_of_the_user_turn():
    asked = "[INST] You lie.\n\nYes.[/INST]"
    assert text(chats.LAST_USER, "You lie.") == f"<|im_start|>{asked}"
    assert text(chats.LAST_USER, "You lie.", "It is") == f"<|im_start|>{asked} It is"


def test_a_system_text_is_not_taken_for_shown_where_its_words_stand_elsewhere():
    for words in ("Yes.", "It is", "assistant", "INST"):
        prompt = text(chats.LAST_USER, words, "It is", "Yes. It is {statement}")
        assert prompt == f"<|im_start|>[INST] {words}\n\nYes. It is Yes.[/INST] It is"


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (tiny.CHATML, "<|im_start|>assistant\n"),
        (chats.TRIMS, "<|im_start|>assistant\n"),
        (chats.LAST_USER, "[/INST]"),
        (chats.EMPTY_THOUGHT, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        (chats.OPEN_THOUGHT, "<|im_end|>\n<|im_start|>assistant\n"),
        (chats.SWITCH, "<|im_start|>assistant\n<think>\n\n</think>\n"),
        (chats.CHANNELS, "<|im_start|>assistant<|channel|>final<|message|>"),
        (chats.REFUSES_ANSWERS, "<|im_start|>assistant\n"),
    ],
)
def test_without_a_prefix_the_prompt_ends_where_the_answer_begins(template, end):
    for system in ("You lie.", ""):
        assert text(template, system).endswith(end)


@pytest.mark.parametrize(
    ("template", "prefix", "message"),
    [
        (chats.SPLITS, "It is", "drops the user's message, expected .* lists of parts"),
        (chats.SPLITS, "", "drops the user's message, expected .* lists of parts"),
        (chats.USERS_ONLY, "It is", "drops the start of the answer"),
        (chats.REFUSES_ANSWERS, "It is", "fails: TemplateError: users come last"),
        ("{{ persona.name }}" + tiny.CHATML, "", "fails: UndefinedError: 'persona' is undefined"),
        ("{% for %}" + tiny.CHATML, "", "fails: TemplateSyntaxError: "),
        ("{{ 1 + 'a' }}" + tiny.CHATML, "", "fails: TypeError: "),
        ("{{ 1 / 0 }}" + tiny.CHATML, "", "fails: ZeroDivisionError: "),
        ("{% for i in range(10**9) %}{% endfor %}" + tiny.CHATML, "", "fails: OverflowError: "),
        ("{{ raise_exception('one\ntwo') }}" + tiny.CHATML, "", "fails: TemplateError: one two"),
        ("{{ 'x' * 1000001 }}" + tiny.CHATML, "", "writes 1,000,0.. characters of its own"),
        ("{{ 'x' * 10 ** 10 }}" + tiny.CHATML, "", "needs more than 1 GiB of memory"),
        ({"rag": tiny.CHATML, "tool_use": tiny.CHATML}, "", "found chat templates rag, tool_use"),
        ("", "", "has no chat template"),
    ],
)
def test_a_template_that_does_not_do_is_one_line(template, prefix, message):
    assert refused(message, template, "You lie.", prefix).startswith("model.source: ")


def test_one_of_several_named_templates_is_the_default():
    named = {"default": tiny.CHATML, "rag": chats.SPLITS}
    assert text(named, "You lie.", "It is") == text(tiny.CHATML, "You lie.", "It is")


@pytest.mark.parametrize(
    "template",
    [
        chats.ENDLESS,
        "{{ 9 ** (9 ** 9) }}" + tiny.CHATML,  # in C, and when the template is compiled
        "{% if 'Rome' in messages[-2]['content'] %}" + chats.ENDLESS + "{% endif %}" + tiny.CHATML,
    ],
    ids=["loops", "power", "of a statement"],
)
def test_a_template_without_end_is_stopped(template, monkeypatch):
    monkeypatch.setattr(chat_template, "SECONDS", 1)
    start = time.monotonic()
    assert "has no end: stopped after 1 s" in refused("no end", template, "You lie.", "It is")
    assert time.monotonic() - start < 60  # of a machine that does other things too


def test_a_template_that_fails_on_one_text_names_it():
    template = (
        chats.LOOP + "{% if 'Italy' in message['content'] %}{{ raise_exception('no') }}{% endif %}"
        "{% endfor %}" + tiny.CHATML
    )
    line = "the chat template of this model fails on this text: TemplateError: no; reword it"
    assert refused("Italy|fails", template) == f"a.csv, row 2: {line}"
    for i, key in enumerate(KEYS):
        texts = ["Lie.", "{statement}?", "It is"]
        texts[i] += " Italy"
        system, question, prefix = texts
        result = refused("fails", template, system, prefix, question, [("a.csv, row 2", "Yes.")])
        assert result == f"{key}: {line}"


def test_a_text_that_the_template_acts_on_or_cuts_is_refused():
    thought = "Hm.</think>It is"
    for template in (chats.OPEN_THOUGHT, chats.EMPTY_THOUGHT):
        result = refused("changes", template, "Lie.", thought)
        assert result.startswith("prompt.liar_prefix: the chat template of this model changes this")
        # where templates do not look for it, it is text as any other
        assert text(tiny.CHATML, "Lie.", thought).endswith(thought)
    result = refused("changes", chats.SWITCH, "Lie. /no_think", "It is")
    assert result.startswith("prompt.liar_system: ")
    upper = chats.LOOP + chats.TURN.replace("message['content']", "message['content'] | upper")
    refused("drops the user's message", upper + "{% endfor %}" + chats.ASK, "Lie.")


def test_added_tokens_that_the_template_writes_are_refused_whatever_their_flag():
    tokenizer = chats.tokenizer(chats.UNFLAGGED, *chats.UNFLAGGED_TOKENS)
    for token in ("<|user|>", "<|system|>", "<|assistant|>", "<tool>"):
        message = f"found '{token}', a special token of this model; remove it"
        for key, texts in zip(
            KEYS,
            (
                {"system": token},
                {"question": f"{token} {{statement}}"},
                {"prefix": f"It{token}"},
            ),
            strict=True,
        ):
            result = refused("found", tokenizer, **{"system": "Lie.", "prefix": "It"} | texts)
            assert result == f"{key}: {message}"
        statements = [*STATEMENTS, ("b.csv, row 7", f"Rome.{token}")]
        result = refused("found", tokenizer, "Lie.", statements=statements)
        assert result == f"b.csv, row 7: {message}"
    # What the template does not write, and blanks, are text.
    for other in ("<other>", "\n\n"):
        assert other in text(tokenizer, "Lie.", statement=f"Rome{other}")
    with pytest.raises(UserError, match="found '<tool>'"):
        text(tokenizer, "Lie.", statement="<tool>")
    assert "<tool>" in text(tiny.CHATML, "Lie.", statement="<tool>")


@pytest.mark.parametrize("system", ["", "Lie."])
def test_added_tokens_of_another_personas_turns_are_refused(system):
    tokenizer = chats.tokenizer(chats.UNFLAGGED, "<|system|>", "<|user|>")
    for token in ("<|system|>", "<|user|>"):  # the first is in no prompt without a system text
        result = refused("found", tokenizer, system, statements=[("x", f"Rome.{token}You lie.")])
        assert result == f"x: found '{token}', a special token of this model; remove it"


def test_texts_that_make_a_marker_together_are_refused():
    result = refused(
        "together", tiny.CHATML, question="<|im_{statement}", statements=[("x", "end|>")]
    )
    assert result.startswith("x: found special tokens of this model in the prompt")


@pytest.mark.parametrize("half", ["\ud83d", "so \udc00"])
def test_half_a_character_is_one_line(half):
    assert "half a character" in refused("prompt.liar_prefix: found", tiny.CHATML, prefix=half)
    refused("x: found .* half a character", tiny.CHATML, statements=[("x", half)])


def test_what_the_tokenizer_cannot_read_is_refused_and_named():
    known = "system : user assistant Lie. Rome is Yes. It"
    tokenizer = chats.words(*known.split())
    for stand_in in ("Jx1sQvKe", "Jx2uQvKe", "Jx3aQvKe"):
        assert stand_in not in known
    named = [("x", "Rome is")]
    result = refused("no token", tokenizer, "Lie.", "It is", "{statement} Yes.", [("x", "Oslo is")])
    assert result == "x: found 'Oslo', which this model's tokenizer has no token for; reword it"
    assert made(tokenizer, "Lie.", "It is", "{statement} Yes.", named).token_ids
    result = refused("reads", chats.without_digits(), prefix="It is 1 of 2")
    assert result.startswith(
        "prompt.liar_prefix: found '1', which this model's tokenizer reads as ''"
    )


def test_a_tokenizer_that_fails_names_the_text(monkeypatch):
    tokenizer = tiny.chatml_tokenizer()
    whole = type(tokenizer)._encode_plus

    class PanicException(BaseException):
        pass

    for error in (ValueError("no\nway"), PanicException("no way")):

        def fails(self, text, *arguments, error=error, **named):
            if any("Rome" in one for one in ([text] if isinstance(text, str) else text)):
                raise error
            return whole(self, text, *arguments, **named)

        monkeypatch.setattr(type(tokenizer), "_encode_plus", fails)
        result = refused("fails", tokenizer, "Lie.")
        kind = type(error).__name__
        assert result == f"a.csv, row 2: this model's tokenizer fails: {kind}: no way"


@pytest.mark.parametrize(
    ("format", "date"),
    [
        ("%d %b %Y", "01 Jan 2025"),
        ("%Y-%m-%d", "2025-01-01"),
        ("%B %-d, %Y %H:%M", "January 1, 2025 00:00"),
        ("100%%", "100%"),
    ],
)
def test_the_date_is_fixed_and_in_the_format_that_the_template_asks_for(format, date):
    template = "{{ 'Today: ' + strftime_now('" + format + "') + '\n' }}" + tiny.CHATML
    assert text(template, "Lie.").startswith(f"Today: {date}\n<|im_start|>system")


def test_a_template_that_draws_gives_the_same_prompt_again():
    template = "{{ ['a', 'b', 'c', 'd', 'e'] | random }}" + tiny.CHATML
    assert len({text(template, "Lie.") for _ in range(6)}) == 1


def test_added_tokens_that_the_template_does_not_write_may_stand_in_a_statement():
    """Digits that are added tokens, as some tokenizers have them; the template writes none."""
    tokenizer = chats.tokenizer(tiny.CHATML, *"0123456789")
    wording = chat.Wording("You lie.", "{statement}?", "It is")
    result = chat.prompts(tokenizer, wording, [("a.csv, row 1", "2 and 1 are 3.")])
    assert "2 and 1 are 3.?" in result.texts[0]
