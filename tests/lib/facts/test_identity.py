"""Identity of texts: spellings that no reader can tell apart are one, all others are two."""

import unicodedata

import pytest

from stages.lib.facts import identity
from stages.lib.facts.draw import Draw

DRAW = Draw(seed=0, report_share=0.5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bogotá", unicodedata.normalize("NFD", "Bogotá")),
        ("10 Å", "10 \u212b"),  # the letter, and the sign for a unit
        ("한글", unicodedata.normalize("NFD", "한글")),
        ("Water is wet.", "Water  is\u00a0wet. "),
        ("Water is wet.", "Water\r\nis\twet."),
        ("Water is wet.", "\ufeffWa\u200bter is\u2060 wet.\u200e"),
        ("Zürich", "Zu\u200b\u0308rich"),
        ("日本 一", "日本\u3000一"),
    ],
)
def test_spellings_of_one_text_have_one_identity_part_and_name(one: str, other: str) -> None:
    assert one != other
    assert identity.of(one) == identity.of(other) == one
    assert DRAW.split(one) == DRAW.split(other)
    assert DRAW.place(one) == DRAW.place(other)
    row = {"topic": "own", "label": True, "object": "", "template": "", "origin": ""}
    table = DRAW.table([row | {"statement": t, "subject": t} for t in (one, other)])
    assert table["statement_id"].n_unique() == 1
    assert table["statement"].to_list() == [one, other]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2² is 4.", "22 is 4."),
        ("polish", "Polish"),
        ("ﬁve", "five"),
        ("It’s wet.", "It's wet."),
        ("Ａ", "A"),
        ("می\u200cخواهم", "میخواهم"),
        ("an ice cream", "a nice cream"),
        ("mas", "más"),
    ],
)
def test_texts_that_look_different_stay_two(one: str, other: str) -> None:
    assert identity.of(one) != identity.of(other)


def test_the_name_of_a_plain_statement_is_what_it_was() -> None:
    row = {"topic": "own", "label": True, "object": "", "template": "", "origin": ""}
    texts = {"Water is wet.": "9231b8d9f6a62c82", "Bogotá isn’t in 日本.": "e2d0119be445307b"}
    table = DRAW.table([row | {"statement": text, "subject": text} for text in texts])
    assert dict(table.select("statement", "statement_id").iter_rows()) == texts
