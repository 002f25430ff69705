"""Bad inputs of one kind: prompts."""

from tests.pipeline.bad_input.case import Case

CASES: list[Case] = []
