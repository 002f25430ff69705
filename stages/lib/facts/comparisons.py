"""The topic `comparisons`: which of two numbers is the larger one."""

import operator
from collections.abc import Callable

from stages.lib.facts.topic import Claim, Template, Topic

# Three digits, and pairs of similar size, so that a number by itself says little about whether it
# is the larger one.
NUMBERS = range(101, 1000, 9)
NEAREST, FARTHEST = 10, 100


def comparisons() -> Topic:
    """Make the topic; the subject of a statement is the number named first."""
    larger, smaller = _ordered(operator.gt), _ordered(operator.lt)
    return Topic(
        tuple(str(number) for number in NUMBERS),
        (
            Template(
                "{subject} is larger than {object}.",
                "{subject} is not larger than {object}.",
                larger,
            ),
            Template(
                "{subject} is smaller than {object}.",
                "{subject} is not smaller than {object}.",
                smaller,
            ),
            Template(
                "The number {subject} is greater than the number {object}.",
                "The number {subject} is not greater than the number {object}.",
                larger,
            ),
            Template(
                "The number {subject} is less than the number {object}.",
                "The number {subject} is not less than the number {object}.",
                smaller,
            ),
        ),
    )


def _ordered(holds: Callable[[int, int], bool]) -> Callable[[str, str], list[Claim]]:
    """Make the function that claims a relation of two numbers, in both orders."""

    def claims(first: str, second: str) -> list[Claim]:
        a, b = int(first), int(second)
        if not NEAREST <= abs(a - b) <= FARTHEST:
            return []
        return [(first, second, holds(a, b)), (second, first, holds(b, a))]

    return claims
