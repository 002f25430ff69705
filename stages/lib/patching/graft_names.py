"""Names of grafts in tables: a part of a weight change, and whether it is kept or removed."""

LAYER, HEAD, GROUP, MAP, ALL, SET, REST = "layer", "head", "group", "map", "all", "set", "rest"
"""Parts of a weight change: layer, head, key/value group, map, all, head set, all other heads."""
WITHOUT, ALONE = "without", "alone"
"""The whole change without the part, or the part alone."""
