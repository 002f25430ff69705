"""Bad inputs of one kind: prompts."""

import shutil
from collections.abc import Callable

from tests import chats, tiny
from tests.pipeline.bad_input.case import Case
from tests.pipeline.conftest import Project

Spoil = Callable[[Project], None]
TINY = "models/tiny"


def _wording(**texts: str) -> Spoil:
    """Texts of section `prompt`."""
    return lambda project: project.set({"prompt": texts})


def _statement(text: str) -> Spoil:
    """A statement in row 8 of the user's file."""

    def spoil(project: Project) -> None:
        csv = project.folder / "data/raw/letters.csv"
        csv.write_text(csv.read_text().replace("T 3 is a letter", text), encoding="utf-8")

    return spoil


def _template(template: str, **texts: str) -> Spoil:
    """A model with another chat template, and texts of section `prompt`."""

    def spoil(project: Project) -> None:
        shutil.rmtree(project.folder / "data/model")
        (project.folder / TINY / "chat_template.jinja").write_text(template, encoding="utf-8")
        project.set({"prompt": texts})

    return spoil


def _several(project: Project) -> None:
    """Two named templates, and none that is the default."""
    shutil.rmtree(project.folder / "data/model")
    folder = project.folder / TINY / "additional_chat_templates"
    folder.mkdir()
    (project.folder / TINY / "chat_template.jinja").unlink()
    for name in ("rag", "tool_use"):
        (folder / f"{name}.jinja").write_text(tiny.CHATML)


def _unflagged(spoil: Spoil) -> Spoil:
    """A token that the template writes and that is not flagged as special."""

    def spoils(project: Project) -> None:
        shutil.rmtree(project.folder / "data/model")
        template = "{{ 'false' }}" + tiny.CHATML
        chats.tokenizer(template, "false").save_pretrained(project.folder / TINY)
        spoil(project)

    return spoils


def _row(name: str, spoil: Spoil, expected: str, *before: str) -> Case:
    """A case of stage `prompts`."""
    return Case(name, "prompts", spoil, expected, before=before)


WORDINGS = [
    (
        "special token in a system prompt",
        _wording(liar_system="Lie.<|im_end|>"),
        "params.yaml: prompt.liar_system: found '<|im_end|>', a special token of this model",
    ),
    (
        "special token in a prefix",
        _wording(liar_prefix="<|endoftext|>It is"),
        "params.yaml: prompt.liar_prefix: found '<|endoftext|>', a special token of this model",
    ),
    (
        "special token in a question",
        _wording(question="{statement}<|im_start|>"),
        "params.yaml: prompt.question: found '<|im_start|>', a special token of this model",
    ),
    (
        "half a character in a prefix",
        _wording(liar_prefix="It is \ud83d"),
        "params.yaml: prompt.liar_prefix: found the character '\\ud83d', expected printable text",
    ),
    (
        "question without its statement",
        _wording(question="Is it {statment}?"),
        "params.yaml: prompt.question: expected {statement} in it",
    ),
]
STATEMENTS = [
    (
        "special token in a statement",
        _statement("T 3<|im_start|> is"),
        "data/raw/letters.csv, row 8: found '<|im_start|>', a special token of this model",
    ),
]
TEMPLATES = [
    (
        "template of parts",
        _template(chats.SPLITS),
        "model.source: the chat template of this model drops the user's message",
    ),
    (
        "template without answers",
        _template(chats.USERS_ONLY),
        "model.source: the chat template of this model drops the start of the answer",
    ),
    (
        "template that refuses answers",
        _template(chats.REFUSES_ANSWERS),
        "model.source: the chat template of this model fails: TemplateError: users come last",
    ),
    (
        "template with a variable of its own",
        _template("{{ persona.name }}" + tiny.CHATML),
        "model.source: the chat template of this model fails: UndefinedError: 'persona' is",
    ),
    (
        "template that is no template",
        _template("{% for %}" + tiny.CHATML),
        "model.source: the chat template of this model fails: TemplateSyntaxError",
    ),
    (
        "template with a mistake",
        _template("{{ 1 / 0 }}" + tiny.CHATML),
        "model.source: the chat template of this model fails: ZeroDivisionError",
    ),
    (
        "template of upper case",
        _template(
            chats.LOOP
            + chats.TURN.replace("message['content']", "message['content'] | upper")
            + "{% endfor %}"
        ),
        "model.source: the chat template of this model drops the user's message",
    ),
    (
        "template without end",
        _template(chats.ENDLESS),
        "model.source: the chat template of this model has no end: stopped after 5 s",
    ),
    (
        "template with an endless number",
        _template("{{ 9 ** (9 ** 9) }}" + tiny.CHATML),
        "model.source: the chat template of this model has no end: stopped after 5 s",
    ),
    (
        "template of a long range",
        _template("{% for i in range(10 ** 9) %}x{% endfor %}" + tiny.CHATML),
        "model.source: the chat template of this model fails: OverflowError",
    ),
    (
        "template that writes a million characters",
        _template("{{ 'x' * 1000001 }}" + tiny.CHATML),
        "the chat template of this model fails: it writes 1,000,",
    ),
    (
        "template that fills the memory",
        _template("{{ 'x' * 10 ** 11 }}" + tiny.CHATML),
        "the chat template of this model fails: it needs more than 1 GiB of memory",
    ),
    (
        "template that cuts the prefix at a thought",
        _template(chats.OPEN_THOUGHT, liar_prefix="Hm.</think>It is"),
        "params.yaml: prompt.liar_prefix: the chat template of this model changes this text",
    ),
    (
        "template that takes a word out of the system prompt",
        _template(chats.SWITCH, liar_system="Lie. /no_think"),
        "params.yaml: prompt.liar_system: the chat template of this model changes this text",
    ),
    (
        "template that fails on the question",
        _template(
            "{% if '?' in messages[-1]['content'] + messages[-2]['content'] %}"
            "{{ raise_exception('no questions') }}{% endif %}" + tiny.CHATML
        ),
        "params.yaml: prompt.question: the chat template of this model fails on this text",
    ),
    ("several templates", _several, "model.source: found chat templates rag, tool_use and none"),
    (
        "marker without a flag in a system prompt",
        _unflagged(_wording(liar_system="Say false things.")),
        "params.yaml: prompt.liar_system: found 'false', a special token of this model",
    ),
    (
        "marker without a flag in a question",
        _unflagged(_wording(question="{statement} true or false?")),
        "params.yaml: prompt.question: found 'false', a special token of this model",
    ),
]
CASES: list[Case] = [
    *(_row(*row) for row in WORDINGS),
    *(_row(*row, "statements") for row in STATEMENTS),
    *(_row(*row, "model") for row in TEMPLATES),
]
