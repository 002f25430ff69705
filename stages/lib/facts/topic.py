"""Data types of built-in topics: subjects, and templates for claims about pairs of subjects."""

from collections.abc import Callable
from dataclasses import dataclass

Claim = tuple[str, str, bool]
"""Subject, object, and whether the claim is true."""


@dataclass(frozen=True)
class Template:
    """A sentence with places for subject and object, and the claims made with it.

    Parameters
    ----------
    affirmed, negated : str
        Texts with ``{subject}`` and ``{object}``; one is true exactly when the other is false.
    claims : callable
        From two subjects to as many true as false claims about them; to no claims if one of the
        false claims would be true or doubtful.
    """

    affirmed: str
    negated: str
    claims: Callable[[str, str], list[Claim]]


@dataclass(frozen=True)
class Topic:
    """Subjects, and the templates for claims about them."""

    subjects: tuple[str, ...]
    templates: tuple[Template, ...]


def swapped(
    objects: dict[str, str], doubtful: frozenset[tuple[str, str]] = frozenset()
) -> Callable[[str, str], list[Claim]]:
    """Make the function that claims, of two subjects, both their own and the other's object.

    Each subject and each object is in one true and one false claim, so neither predicts the label.

    Parameters
    ----------
    objects : dict of str to str
        Object of each subject.
    doubtful : frozenset of (subject, object)
        Further pairs that are true, or that a reader could take for true; never stated.

    Returns
    -------
    callable
        From two subjects to their claims.
    """

    def claims(first: str, second: str) -> list[Claim]:
        first_object, second_object = objects[first], objects[second]
        if first_object == second_object or doubtful & {
            (first, second_object),
            (second, first_object),
        }:
            return []
        return [
            (first, first_object, True),
            (first, second_object, False),
            (second, first_object, False),
            (second, second_object, True),
        ]

    return claims
