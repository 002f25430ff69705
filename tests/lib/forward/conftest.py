"""The answers that the tests of the forward pass read."""

import pytest

from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from tests import tiny


@pytest.fixture(scope="session")
def answers():
    return readout.answers(tiny.chatml_tokenizer(), ReadoutConfig(("true",), ("false",)))
