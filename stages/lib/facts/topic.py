"""What a built-in topic is: subjects, and templates that make claims about a pair of them."""

from collections.abc import Callable
from dataclasses import dataclass

Claim = tuple[str, str, bool]
"""Subject, object, and whether it is true of the world."""


@dataclass(frozen=True)
class Template:
    """One way to say something, and the claims that can be said with it.

    Parameters
    ----------
    affirmed, negated : str
        Texts with ``{subject}`` and ``{object}``; one is true exactly where the other is false.
    claims : callable
        From two subjects to as many true as false claims about them, or to none where one of the
        false ones would be true or open to doubt.
    """

    affirmed: str
    negated: str
    claims: Callable[[str, str], list[Claim]]


@dataclass(frozen=True)
class Topic:
    """Subjects, and the templates that are true or false of them."""

    subjects: tuple[str, ...]
    templates: tuple[Template, ...]


def swapped(
    objects: dict[str, str], doubtful: frozenset[tuple[str, str]] = frozenset()
) -> Callable[[str, str], list[Claim]]:
    """Claims in which two subjects exchange their objects.

    Each subject and each object is in one true and in one false claim, so that neither gives the
    label away.

    Parameters
    ----------
    objects : dict of str to str
        Every subject's own object.
    doubtful : frozenset of (subject, object)
        Further pairs that are true, or that a reader could take for true. They are never stated.

    Returns
    -------
    callable
        From two subjects to their claims.
    """

    def claims(first: str, second: str) -> list[Claim]:
        own, other = objects[first], objects[second]
        if own == other or doubtful & {(first, other), (second, own)}:
            return []
        return [
            (first, own, True),
            (first, other, False),
            (second, own, False),
            (second, other, True),
        ]

    return claims
