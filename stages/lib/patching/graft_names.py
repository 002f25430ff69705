"""What names a graft in tables: a part of a change of weights, and what is done with it."""

LAYER, HEAD, GROUP, MAP, ALL, SET, REST = "layer", "head", "group", "map", "all", "set", "rest"
UNITS = (LAYER, HEAD, GROUP, MAP, ALL, SET, REST)
"""Parts: a layer, a head, a key/value group, a map, all of it, a set of heads, all other heads."""
WITHOUT, ALONE = "without", "alone"
"""All of the change but the part, or the part alone."""
