"""Other values written into a head set than the source's z of the statement itself."""

import numpy as np

from stages.controls import average, controls_tables, donors
from stages.controls.controls_tables import Run
from stages.lib.patching import patch
from stages.lib.patching.cases import Cases
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.patch import Head


def runs(
    setting: Experiment, chosen: list[Head], window: dict[str, int] | None, averaged: Cases
) -> list[Run]:
    """Patch the set as it is meant, then the rest instead of it, then with other values.

    Parameters
    ----------
    setting : Experiment
        Over statements of the report part.
    chosen : list of Head
        The set.
    window : dict, or None
        ``first_layer`` and ``last_layer`` of the window that the set was chosen in.
    averaged : Cases
        Statements of the selection part, to average z over.

    Returns
    -------
    list of Run
        Of every kind that controls_tables.py names; without a set, or without statements, the
        unpatched ones alone.
    """
    found, config, names = setting.cases, setting.config, controls_tables
    pair, back = (config.source, config.base), (config.base, config.source)
    patcher = setting.patcher(keep=True)
    own, rest_of_layers, rest_of_window = patches = _patches(setting, chosen, window)
    if not chosen or not len(found.table):
        return names.unpatched(patcher(patches[:0], "unpatched"), *pair)
    into = patcher(patches, "set and the rest")
    source, base = names.unpatched(into, *pair)
    made = [
        source,
        Run(names.PATCHED, *pair, chosen, into.patched[0]),
        base,
        Run(names.REST_OF_LAYERS, *pair, patch.heads_of(rest_of_layers), into.patched[1]),
        Run(names.REST_OF_WINDOW, *pair, patch.heads_of(rest_of_window), into.patched[2]),
    ]
    lied = setting.reverse()(patches[[0, 2]], "the reverse").patched
    made += [
        Run(names.REVERSE, *back, chosen, lied[0]),
        Run(names.REVERSE_REST, *back, patch.heads_of(rest_of_window), lied[1]),
    ]
    base_z, source_z = patcher.z("z of both runs")
    n_positions = config.positions
    mean = average.mean_z(setting.lm, setting.answers, averaged.source, n_positions, "mean z")
    for name, z in (
        (names.MEAN_SELECTION, mean),
        (names.MEAN_REPORT, source_z.mean(dim=1, keepdim=True)),
    ):
        z = z.expand_as(source_z)
        made.append(Run(name, *pair, chosen, patcher(own[None], name, z=z).patched[0]))
    for name, z, persona, same in (
        (names.SAME_LABEL, source_z, config.source, True),
        (names.OTHER_LABEL, source_z, config.source, False),
        (names.BASE_OTHER_LABEL, base_z, config.base, False),
    ):
        donor = donors.partners(found.table, same)
        lent = z[:, np.where(donor >= 0, donor, 0)]  # what has no donor does not count
        p = patcher(own[None], name, z=lent).patched[0]
        made.append(Run(name, persona, config.base, chosen, p, donor))
    return made


def _patches(setting: Experiment, chosen: list[Head], window: dict[str, int] | None) -> np.ndarray:
    """The set, the other heads of its layers, the other heads of the window."""
    own = patch.of_heads([chosen], *setting.shape)[0]
    layers = np.broadcast_to(own.any(axis=1, keepdims=True), own.shape)
    whole = patch.of_heads([patch.of_window(window, setting.lm.n_heads)], *setting.shape)[0]
    return np.stack([own, layers & ~own, whole & ~own])
