"""Bad inputs of one kind: model."""

from tests.pipeline.bad_input.case import Case

CASES: list[Case] = []
