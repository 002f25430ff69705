"""The topic `elements`: chemical symbols and atomic numbers."""

import periodictable

from stages.lib.facts.topic import Template, Topic, swapped

# Hydrogen to uranium, without the lanthanides, whose names are easily confused.
NUMBERS = [*range(1, 57), *range(72, 93)]


def elements() -> Topic:
    """Make the topic; the subject of a statement is the element's name."""
    table = [periodictable.elements[number] for number in NUMBERS]
    symbol = swapped({element.name: element.symbol for element in table})
    number = swapped({element.name: str(element.number) for element in table})
    return Topic(
        tuple(element.name for element in table),
        (
            Template(
                "The chemical symbol of {subject} is {object}.",
                "The chemical symbol of {subject} is not {object}.",
                symbol,
            ),
            Template(
                "The atomic number of {subject} is {object}.",
                "The atomic number of {subject} is not {object}.",
                number,
            ),
            Template(
                "{object} is the chemical symbol for {subject}.",
                "{object} is not the chemical symbol for {subject}.",
                symbol,
            ),
            Template(
                "The element with atomic number {object} is {subject}.",
                "The element with atomic number {object} is not {subject}.",
                number,
            ),
        ),
    )
