"""Bad inputs of one kind: settings."""

from tests.pipeline.bad_input.case import Case

CASES: list[Case] = []
