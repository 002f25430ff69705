"""What `--help` says of each command of dvc.yaml."""

import importlib
import re

import pytest

from stages.lib.io import cli
from tests.pipeline.closure import ROOT, declared

COMMANDS = [
    (module, set(re.findall(r"--(\w+)", stage["cmd"])))
    for stage in declared().values()
    for module in re.findall(r"-m stages\.([\w.]+)", stage["cmd"])
]


@pytest.mark.parametrize(("module", "options"), COMMANDS)
def test_every_option_is_explained_under_the_commands_own_name(module, options):
    parser = cli.parser(entrypoint(module).main)
    own = [action for action in parser._actions if action.dest != "help"]
    assert {action.dest for action in own} == options
    assert all(action.required and action.help for action in own)
    assert parser.format_usage().startswith(f"usage: python -m stages.{module} ")
    assert "--" not in str(parser.description)  # said of the options, and only there
    parser.format_help()  # refuses a lone % in a text


def entrypoint(module):
    """Import what `python -m stages.MODULE` runs."""
    folder = (ROOT / "stages").joinpath(*module.split(".")).is_dir()
    return importlib.import_module(f"stages.{module}" + ".__main__" * folder)
