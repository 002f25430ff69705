"""Bad inputs of one kind: statements."""

from tests.pipeline.bad_input.case import Case

CASES: list[Case] = []
