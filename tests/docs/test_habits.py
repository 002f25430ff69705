"""What checks a change: the same commands before a commit, on GitHub and by hand, all of them pinned."""

import re

from ruamel.yaml import YAML

from tests.pipeline.closure import ROOT

YAML_ = YAML(typ="safe")
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.y*ml"))


def recipe(target: str) -> list[str]:
    """Commands of a target of the Makefile."""
    lines = re.findall(
        rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )[0]
    return [line.strip() for line in lines.splitlines()]


def test_a_commit_is_checked_as_make_lint_checks():
    hooks = YAML_.load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in hooks] == recipe("lint")


def test_actions_are_pinned_by_commit_and_the_lowest_python_is_among_those_that_run():
    (file,) = WORKFLOWS
    jobs = YAML_.load(file.read_text())["jobs"].values()
    steps = [step for job in jobs for step in job["steps"]]
    uses = [step["uses"] for step in steps if "uses" in step]
    assert len(uses) >= 2
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in uses)
    assert ".ci/run" in [step.get("run") for step in steps]
    lowest = re.findall(r'requires-python = ">=([\d.]+)', (ROOT / "pyproject.toml").read_text())
    (job,) = jobs
    assert lowest[0] in job["strategy"]["matrix"]["python"]


def test_dvc_yaml_can_be_read():
    """At most 600 lines for the 39 stages that there are, and 15 for each that is added."""
    text = (ROOT / "dvc.yaml").read_text()
    added = len(YAML(typ="safe").load(text)["stages"]) - 39
    assert len(text.splitlines()) <= 600 + 15 * max(0, added)
