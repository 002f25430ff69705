"""Every method at every layer, and at its best layer what it reads elsewhere.

Pure maths on arrays. One *place* is a residual layer, where all personas' activations come
together; what is fitted sees selection rows alone, what is scored are report rows.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import joblib
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from stages.lib import parting, probe
from stages.lib.cli import UserError
from stages.lib.estimators import METHODS, make
from stages.lib.estimators.linear import A_SPLIT, Linear
from stages.lib.forms import Forms
from stages.lib.params import at_least

PLAIN, NEGATED, BOTH = "plain", "negated", "both"
NEEDED = "mass_mean"  # its directions are compared between layers, its fits are cheapest
DRAWN = {NEEDED: False, "mass_mean_corrected": True}  # refitted in draws; with the correction?

Place = NDArray[np.float32]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Config:
    """Section `transfer` of params.yaml."""

    methods: tuple[str, ...]
    permutations: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse methods that there are not."""
        at_least("transfer.permutations", self.permutations, 0)
        for name in self.methods:
            if name not in METHODS:
                known = ", ".join(METHODS)
                raise UserError(
                    f"params.yaml: transfer.methods: found {name!r}, expected some of {known}"
                )
        if NEEDED not in self.methods or len(set(self.methods)) < len(self.methods):
            raise UserError(
                f"params.yaml: transfer.methods: found {', '.join(self.methods) or 'none'}, "
                f"expected each once, and {NEEDED} among them"
            )


@dataclass(frozen=True)
class Sample:
    """What is fitted and scored: the same statements for every persona, layer and method.

    Attributes
    ----------
    design : Design
        Labels, subjects, selection and report rows, folds.
    forms : Forms
        Of all statements.
    permuted : tuple of ndarray of shape (n_permutations, n_selection) and (…, n_report), bool
        Labels of both parts permuted within each split, the same draws everywhere.
    methods : dict of str to Linear
        Estimators that are not fitted, by name.
    draws : ndarray of shape (n_draws + 1, n_subjects), int
        How often each subject of the selection is taken; the first row is 1 everywhere.
    """

    design: probe.Design
    forms: Forms
    permuted: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    methods: dict[str, Linear]
    draws: NDArray[np.int64]

    @property
    def y(self) -> NDArray[np.bool_]:
        """Labels of the selection."""
        return self.design.labels[self.design.selection]

    @property
    def truth(self) -> NDArray[np.bool_]:
        """Labels of the report part."""
        return self.design.labels[self.design.report]

    @property
    def chosen(self) -> Forms:
        """Forms of the selection."""
        return self.forms[self.design.selection]

    @property
    def scored(self) -> Forms:
        """Forms of the report part."""
        return self.forms[self.design.report]


@dataclass(frozen=True)
class Layers:
    """All methods at one layer, or, stacked along a first axis, at all of them.

    NaN where a method cannot be fitted.

    Attributes
    ----------
    directions : ndarray of shape (n_methods, n_personas, d), float32
        Unit vectors; 0 where activations do not vary.
    held_out : ndarray of shape (n_methods, n_personas, n_selection), float32
        Whether the probe fitted in the other folds of the selection is right.
    right : ndarray of shape (n_methods, n_personas, n_report), float32
        Whether the probe is right on its own persona's report rows.
    permuted : ndarray of shape (n_personas, n_permutations), float32
        Accuracy of mass-mean probes fitted and scored on permuted labels.
    cosines : ndarray of shape (n_drawn, n_pairs, n_draws + 1), float32
        Between two personas' directions, on the selection and in draws of subjects, for the
        methods of `DRAWN` in their order.
    """

    directions: NDArray[np.float32]
    held_out: NDArray[np.float32]
    right: NDArray[np.float32]
    permuted: NDArray[np.float32]
    cosines: NDArray[np.float32]


@dataclass(frozen=True)
class Fit:
    """One probe that was fitted on some of the selection.

    Attributes
    ----------
    direction : ndarray of shape (d,), float64
        Unit vector.
    right : ndarray of shape (n_report,), float32
        Whether it is right on the report rows of the persona that it was fitted on.
    """

    direction: NDArray[np.float64]
    right: NDArray[np.float32]


@dataclass(frozen=True)
class Best:
    """One method of one persona at its best layer.

    Attributes
    ----------
    layer : int
    transfer : ndarray of shape (n_personas, n_report), float32
        Whether the probe is right on every persona's report rows.
    permuted : ndarray of shape (2, n_permutations), float64
        Accuracy on its own persona after a fit on permuted labels: on permuted labels, and on
        true ones. No draws where only the sign depends on labels.
    polarity : dict of str to Fit
        By what it was fitted on: plain, negated, both.
    splits : dict of str to Fit
        By the split, or the splits of one topic, that it was fitted on.
    """

    layer: int
    transfer: NDArray[np.float32]
    permuted: NDArray[np.float64]
    polarity: dict[str, Fit]
    splits: dict[str, Fit]


def sample(design: probe.Design, forms: Forms, settings: Config, logistic: probe.Config) -> Sample:
    """Draw what is drawn once for all places.

    Parameters
    ----------
    design : Design
    forms : Forms
        Of all statements.
    settings : Config
    logistic : probe.Config
        Of logistic regressions, wherever a method has one.
    """
    rng = np.random.default_rng(settings.seed)
    permuted = tuple(
        _permutations(design.labels[rows], forms.split[rows], settings.permutations, rng)
        for rows in (design.selection, design.report)
    )
    given = {"regularisation": logistic.regularisation, "max_iter": logistic.max_iter}
    methods = {name: make(name, **given, seed=settings.seed) for name in settings.methods}
    draws = parting.draws(design.subjects[design.selection], rng)
    return Sample(design, forms, permuted, methods, draws)


def sweep(places: Iterable[Place], sample: Sample, n_layers: int, n_jobs: int = -1) -> Layers:
    """Fit every method at every layer, in parallel; numbers do not depend on `n_jobs`.

    Parameters
    ----------
    places : iterable of ndarray of shape (n_personas, n_statements, d), float32
        Raw activations, layer by layer.
    sample : Sample
    n_layers : int
        How many places come.
    n_jobs : int
        Processes; -1 is all cores.

    Returns
    -------
    Layers
        Every array has an axis of n_layers in front.
    """
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator", max_nbytes=None)
    results = parallel(joblib.delayed(fit_layer)(place, sample) for place in places)
    done = list(tqdm(results, total=n_layers, desc="methods by layer", disable=None))
    return Layers(**{key: np.stack([getattr(one, key) for one in done]) for key in vars(done[0])})


def fit_layer(place: Place, sample: Sample) -> Layers:
    """Fit every method on each persona at one layer.

    Parameters
    ----------
    place : ndarray of shape (n_personas, n_statements, d), float32
    sample : Sample
    """
    design, n_personas, d = sample.design, len(place), place.shape[-1]
    x, y, forms = place[:, design.selection].astype(np.float64), sample.y, sample.chosen
    report = place[:, design.report].astype(np.float64)
    size = (len(sample.methods), n_personas)
    directions = np.full((*size, d), np.nan, np.float32)
    held_out = np.full((*size, len(y)), np.nan, np.float32)
    right = np.full((*size, len(design.report)), np.nan, np.float32)
    permuted = np.full((n_personas, len(sample.permuted[0])), np.nan, np.float32)
    with threadpool_limits(1):  # sums in BLAS depend on its threads
        for m, (name, method) in enumerate(sample.methods.items()):
            for p in range(n_personas):
                if not method.can_fit(y, forms):
                    continue
                method.fit(x[p], y, forms)
                directions[m, p] = _unit(method.coef_)
                right[m, p] = method.predict(report[p], sample.scored.negated) == sample.truth
                held_out[m, p] = _held_out(method, x[p], sample)
                if name == NEEDED:
                    permuted[p] = _permuted(method, x[p], report[p], sample)[0]
        subjects = design.subjects[design.selection]
        drawn = [parting.cosines(x, y, subjects, sample.draws, how) for how in DRAWN.values()]
    return Layers(directions, held_out, right, permuted, np.stack(drawn))


def best_layers(layers: Layers) -> NDArray[np.intp]:
    """Layer of each method and persona, (n_methods, n_personas), that reads the held-out best.

    The first of equally good ones; -1 where there were no folds, or a method cannot be fitted.
    """
    if not layers.held_out.shape[-1]:
        return np.full(layers.held_out.shape[1:3], -1, np.intp)
    share = layers.held_out.mean(axis=-1)  # (n_layers, n_methods, n_personas)
    missing = np.isnan(share).any(axis=0)
    return np.where(missing, -1, np.where(np.isnan(share), -1, share).argmax(axis=0))


def examine(
    place: Callable[[int], Place], sample: Sample, at: NDArray[np.intp], n_jobs: int = -1
) -> dict[tuple[str, int], Best]:
    """What each method reads at its best layer: other personas, splits and polarities.

    Parameters
    ----------
    place : callable
        Gives the activations of a layer, (n_personas, n_statements, d).
    sample : Sample
    at : ndarray of shape (n_methods, n_personas), int
        From `best_layers`; nothing is done where it is -1.
    n_jobs : int
        Processes; -1 is all cores.

    Returns
    -------
    dict
        By method and number of the persona.
    """
    wanted = [
        (name, p, int(at[m, p]))
        for m, name in enumerate(sample.methods)
        for p in range(at.shape[1])
        if at[m, p] >= 0
    ]
    wanted.sort(key=lambda one: one[2])  # a layer that was just read is in memory
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator", max_nbytes=None)
    jobs = (joblib.delayed(examine_one)(place(at), sample, name, p, at) for name, p, at in wanted)
    done = tqdm(parallel(jobs), total=len(wanted), desc="transfer", disable=None)
    found = {(name, p): one for (name, p, _), one in zip(wanted, done, strict=True)}
    return {(name, p): found[name, p] for name in sample.methods for p in range(at.shape[1])
            if (name, p) in found}  # fmt: skip


def examine_one(place: Place, sample: Sample, name: str, p: int, layer: int) -> Best:
    """One method of one persona at one layer; parameters as in `examine`."""
    design, method = sample.design, sample.methods[name]
    x = place[p, design.selection].astype(np.float64)
    report = place[:, design.report].astype(np.float64)
    forms, scored = sample.chosen, sample.scored
    polarity = {BOTH: np.ones_like(forms.negated)}
    if method.needs == A_SPLIT:
        polarity = {PLAIN: ~forms.negated, NEGATED: forms.negated} | polarity
    with threadpool_limits(1):
        method.fit(x, sample.y, forms)
        transfer = np.stack([method.predict(r, scored.negated) == sample.truth for r in report])
        permuted = np.empty((2, 0))
        if method.supervised:
            permuted = _permuted(method, x, report[p], sample)
        return Best(
            layer,
            transfer.astype(np.float32),
            permuted,
            {key: _fit(method, x, report[p], sample, rows) for key, rows in polarity.items()},
            {
                key: _fit(method, x, report[p], sample, np.isin(forms.split, names))
                for key, names in groups(method, sample.forms).items()
            },
        )


def groups(method: Linear, forms: Forms) -> dict[str, list[str]]:
    """Splits, by name, that a method is fitted on one by one: alone, or with their negation."""
    named = forms.named()
    if method.needs == A_SPLIT:
        return {split: [split] for _, _, split in named}
    result: dict[str, list[str]] = {}
    for topic in dict.fromkeys(topic for topic, _, _ in named):
        splits = [split for other, _, split in named if other == topic]
        result[" + ".join(splits)] = splits
    return result


def _permutations(
    labels: NDArray[np.bool_], splits: NDArray[np.str_], n: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Labels permuted within each split, (n, n_statements)."""
    permuted = np.tile(labels, (n, 1))
    for row in permuted:
        for split in np.unique(splits):
            row[splits == split] = rng.permutation(row[splits == split])
    return permuted


def _fit(
    method: Linear, x: NDArray[np.float64], report: NDArray[np.float64], sample: Sample,
    rows: NDArray[np.bool_],
) -> Fit:  # fmt: skip
    """Fit on some rows of the selection; NaN where the method cannot be."""
    y, forms = sample.y[rows], sample.chosen[rows]
    if not method.can_fit(y, forms):
        return Fit(np.full(x.shape[1], np.nan), np.full(len(report), np.nan, np.float32))
    method.fit(x[rows], y, forms)
    right = method.predict(report, sample.scored.negated) == sample.truth
    return Fit(_unit(method.coef_), right.astype(np.float32))


def _held_out(method: Linear, x: NDArray[np.float64], sample: Sample) -> NDArray[np.float32]:
    """Whether probes of the other folds are right, (n_selection,); NaN without complete folds."""
    y, forms = sample.y, sample.chosen
    right = np.full(len(y), np.nan, np.float32)
    for train, test in sample.design.folds:
        if not method.can_fit(y[train], forms[train]):
            return np.full(len(y), np.nan, np.float32)
        method.fit(x[train], y[train], forms[train])
        right[test] = method.predict(x[test], forms.negated[test]) == y[test]
    return right


def _permuted(
    method: Linear, x: NDArray[np.float64], report: NDArray[np.float64], sample: Sample
) -> NDArray[np.float64]:
    """Accuracy after a fit on permuted labels, on permuted and on true ones of the report part.

    (2, n_permutations).
    """
    forms, negated = sample.chosen, sample.scored.negated
    right = np.empty((2, len(sample.permuted[0])))
    for draw, (fitted, scored) in enumerate(zip(*sample.permuted, strict=True)):
        said = method.fit(x, fitted, forms).predict(report, negated)
        right[:, draw] = np.mean(said == scored), np.mean(said == sample.truth)
    return right


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vector at length 1; 0 stays 0."""
    return vector / (np.linalg.norm(vector) or 1.0)
