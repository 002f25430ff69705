"""Names of the runs of single heads."""

import pytest

from stages.lib.patching import head_effects
from stages.lib.patching.patch import Head


@pytest.mark.parametrize("kind", [head_effects.ALONE, head_effects.LEFT_OUT])
def test_the_head_of_a_run_is_read_back_from_its_name(kind):
    for head in (Head(0, 0), Head(1, 11), Head(22, 3)):
        assert head_effects.head_of(head_effects.name(kind, [head])) == head


def test_a_name_has_its_kind_and_every_head_in_order():
    assert head_effects.name("alone", [Head(22, 0)]) == "alone 22.0"
    assert head_effects.name("set", [Head(1, 2), Head(3, 4)]) == "set 1.2 3.4"
    assert head_effects.name("none", []) == "none"
