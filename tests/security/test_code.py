"""No code of stages can run what a file holds: no pickles, no code of models, no text as a program."""

import ast
import re
from pathlib import Path

import pytest

from stages.lib.chat import tokens
from tests import chats, tiny
from tests.lib.chat.test_chat import refused

STAGES = Path(tokens.__file__).parents[2]
ROOT = STAGES.parent
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "hickle"}
CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "runpy.run_path"),
    *("torch.load", "torch.save", "torch.hub.load", "torch.jit.load", "torch.package"),
    *("joblib.load", "joblib.dump", "np.load", "numpy.load", "np.save", "np.savez", "np.fromfile"),
    *("pd.read_pickle", "yaml.load", "yaml.unsafe_load", "jinja2.Template"),
    *("from_string", "read_pickle", "to_pickle", "loads_pickle", "pickle.load", "pickle.loads"),
}
WORDS = {"trust_remote_code": {False}, "allow_pickle": {False}, "shell": {False}}
WORDS |= {"weights_only": {True}, "autoescape": {True}, "use_safetensors": {True}}


def faults(code):
    """What in a program could run what a file or a text holds."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            yield from (name for name in names if name.split(".")[0] in MODULES)
        if isinstance(node, ast.Call):
            yield from _of_call(node)
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            named = ((k.value, v) for k, v in pairs if isinstance(k, ast.Constant))
            yield from (f"{{{word}}}" for word, value in named if _is_wrong(word, value))


def _of_call(call):
    """What is wrong with a call: what is called, or a value that is given by name."""
    name, text = ast.unparse(call.func), ast.unparse(call)
    last = name.split(".")[-1]
    if name in CALLS or last in {"from_string", "read_pickle", "to_pickle"}:
        yield name
    if last == "YAML" and "'safe'" not in text and "'rt'" not in text:
        yield name
    if last == "Environment" and "autoescape" not in text:
        yield name
    yield from (f"{name}({w.arg})" for w in call.keywords if _is_wrong(w.arg, w.value))


def _is_wrong(word, value):
    """Whether a value is another one than must stand there, or is not known."""
    return word in WORDS and getattr(value, "value", None) not in WORDS[word]


def test_no_stage_can_run_what_a_file_holds():
    result = {
        file.relative_to(ROOT).as_posix(): names
        for file in sorted(STAGES.rglob("*.py"))
        if (names := list(faults(file.read_text(encoding="utf-8"))))
    }
    # Only taken apart, and never rendered: see `tokens._literals`.
    assert result == {"stages/lib/chat/tokens.py": ["jinja2.Environment"]}
    assert "jinja2.Environment().lex(template)" in Path(tokens.__file__).read_text()


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import dill.source",
        "torch.load(file)",
        "np.load(file, allow_pickle=True)",
        "joblib.load(file)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "AutoModel.from_pretrained(x, trust_remote_code=asked)",
        "x = {'trust_remote_code': True}",
        "x = {'use_safetensors': False}",
        "jinja2.Environment(loader=x)",
        "jinja2.Environment(autoescape=False)",
        "environment.from_string(text)",
        "YAML(typ='unsafe')",
        "os.system(command)",
    ],
)
def test_the_search_finds_each_of_them(code):
    """The opposite."""
    assert list(faults(code))


def test_pages_take_nothing_for_html_that_code_does_not():
    """`Markup`, `|safe` and `innerHTML` stand only where what they mark is the project's own."""
    marked = {
        f"{file.parent.name}/{file.name}": len(result)
        for kind in ("*.py", "*.j2", "*.js")
        for file in sorted(STAGES.rglob(kind))
        if (
            result := re.findall(
                r"\bMarkup\(|\|\s*safe\b|innerHTML|outerHTML|document\.write",
                file.read_text("utf-8"),
            )
        )
    }
    # explorer: its own script, style and Vega, and JSON whose "<" are escapes; report: "" and
    # "<code>{}</code>", which escapes what it is given.
    assert marked == {"explorer/page.py": 3, "report/html.py": 2}


HOSTILE = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.system('touch ran') }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% set _ = messages.append({'role': 'system', 'content': 'x'}) %}",
)


@pytest.mark.parametrize("template", HOSTILE)
def test_a_chat_template_runs_in_the_sandbox(template, tmp_path, monkeypatch):
    """Nothing of Python can be reached from it; the line says what it tried."""
    monkeypatch.chdir(tmp_path)
    line = refused("chat template of this model", template + tiny.CHATML, "Lie.", "It is")
    assert "fails: " in line
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "{% raw %}", "{{ messages }}", "{# no #}"])
def test_a_text_is_no_template(text):
    from stages.lib import chat

    tokenizer = chats.tokenizer(tiny.CHATML)
    wording = chat.Wording(text, "{statement} " + text, text)
    (made,) = chat.prompts(tokenizer, wording, [("a.csv, row 2", text)]).texts
    assert made.count(text) == 4
