"""Logistic probes of truth: fit, score, transfer between personas, permutation control.

Pure maths on arrays. A *place* is a layer of the residual stream, or one head. The activations of
all personas at a place are passed together, because a probe fitted on one persona is scored on
every persona.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import joblib  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]
from sklearn.model_selection import GroupKFold  # pyright: ignore[reportMissingTypeStubs]
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]
from tqdm import tqdm

from stages.lib.probing import workers
from stages.lib.probing.config import ProbesConfig

ENOUGH = 50  # minimum number of known statements per label and split; with fewer, all are used
FOLDS = 5
TOLERANCE = 1e-7  # in Newton's method one step more than scikit-learn's 1e-4

Rows = NDArray[np.intp]
Fold = tuple[Rows, Rows]


@dataclass(frozen=True)
class Design:
    """The statements that probes are fitted and scored on, the same for every persona and place.

    Attributes
    ----------
    labels : ndarray of shape (n_statements,), bool
    subjects : ndarray of shape (n_statements,)
    selection, report : ndarray of int
        Rows to fit on and rows to score on; no subject is in both. `report` is empty if
        `selection` lacks a label, since no probe can then be fitted.
    folds : tuple of (train, test)
        Cross-validation folds of the selection, grouped by subject; positions in `selection`.
        Empty if some `train` would lack a label.
    statements : str
        Which statements are used: "known" or "all".
    """

    labels: NDArray[np.bool_]
    subjects: NDArray[np.generic]
    selection: Rows
    report: Rows
    folds: tuple[Fold, ...]
    statements: str

    @property
    def fittable(self) -> bool:
        """Whether the selection has both labels."""
        return len(np.unique(self.labels[self.selection])) == 2


@dataclass(frozen=True)
class Probes:
    """Probes of one place, or of all places of a site stacked along a first axis.

    Attributes
    ----------
    directions : ndarray of shape (n_personas, d), float32
        Unit vectors in the space of the raw activations. NaN if no probe could be fitted; 0 if the
        activations do not vary.
    intercepts : ndarray of shape (n_personas,), float32
        A probe says "true" if ``activation @ direction + intercept > 0``.
    held_out : ndarray of shape (n_personas, n_personas, n_selection), bool
        Cross-validation: whether the probe fitted on the first persona's other folds is right on
        the second persona. The last axis has length 0 if there are no folds.
    correct : ndarray of shape (n_personas, n_personas, n_report), bool
        Whether the probe fitted on the first persona is right on the second persona.
    permuted : ndarray of shape (n_personas, n_personas, n_report), float32
        Fraction of the probes fitted on permuted labels that are right; NaN without permutations.
    """

    directions: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    held_out: NDArray[np.bool_]
    correct: NDArray[np.bool_]
    permuted: NDArray[np.float32]


def design(
    labels: NDArray[np.bool_],
    subjects: NDArray[np.generic],
    in_selection: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> Design:
    """Choose the statements (the known ones if there are enough) and the folds.

    Known statements are used if each split has at least 50 true and 50 false known statements;
    otherwise all statements are used. A model that answers "false" to nearly everything knows
    almost no true statement, and a probe cannot learn a label that it does not see.

    Parameters
    ----------
    labels : ndarray of shape (n_statements,), bool
    subjects : ndarray of shape (n_statements,)
    in_selection : ndarray of shape (n_statements,), bool
        True in the split that probes are fitted on, false in the split that they are scored on.
    known : ndarray of shape (n_statements,), bool

    Returns
    -------
    Design
        Its `subjects` are integers in place of names.

    References
    ----------
    The code of arXiv:2311.15131 splits train and test separately for each persona, so that a
    statement can be in one persona's training set and in another persona's test set. Here all
    personas share one split by subject.
    """
    subjects = np.unique(subjects, return_inverse=True)[1]
    counts = [(known & (in_selection == s) & (labels == y)).sum() for s in (0, 1) for y in (0, 1)]
    use_known = min(counts) >= ENOUGH
    is_used = known if use_known else np.ones_like(known)
    selection, report = (
        np.flatnonzero(is_used & in_selection),
        np.flatnonzero(is_used & ~in_selection),
    )
    statements = "known" if use_known else "all"
    if len(np.unique(labels[selection])) < 2:
        return Design(labels, subjects, selection, report[:0], (), statements)
    folds = _folds(labels[selection], subjects[selection])
    return Design(labels, subjects, selection, report, folds, statements)


def survey(
    places: Iterable[NDArray[np.float32]],
    design: Design,
    settings: ProbesConfig,
    shape: tuple[int, int],
    name: str,
    n_jobs: int = -1,
) -> Probes:
    """Fit and score probes at many places in parallel; memory holds a few places at a time.

    Parameters
    ----------
    places : iterable of ndarray of shape (n_personas, n_statements, d), float32
        Activations; read only as fast as workers take them.
    design : Design
    settings : ProbesConfig
    shape : tuple of int
        (n_layers, places per layer); `places` yields layer by layer.
    name : str
        Name of the site, for the progress bar.
    n_jobs : int
        Number of processes; -1 is all cores. Results do not depend on it, to the bit.

    Returns
    -------
    Probes
        Stacked: every array has two more axes in front, of `shape`.
    """
    fit = cast(Any, joblib).delayed(fit_place)
    jobs = (fit(place, design, settings, index) for index, place in enumerate(places))
    results = workers.run_jobs(jobs, n_jobs)
    n_places = shape[0] * shape[1]
    place_probes: list[Probes] = list(tqdm(results, f"probes on {name}", n_places, disable=None))
    stacked = {
        key: np.stack([getattr(item, key) for item in place_probes])
        for key in vars(place_probes[0])
    }
    return Probes(**{key: a.reshape(*shape, *a.shape[1:]) for key, a in stacked.items()})


def fit_place(
    place: NDArray[np.float32], design: Design, settings: ProbesConfig, index: int
) -> Probes:
    """Fit a probe on each persona and score it on every persona, at one place.

    Parameters
    ----------
    place : ndarray of shape (n_personas, n_statements, d), float32
        Raw activations.
    design : Design
    settings : ProbesConfig
    index : int
        Index of the place; with the seed it determines the permutations.

    Returns
    -------
    Probes
    """
    n_personas, _, d = place.shape
    pairs = (n_personas, n_personas)
    if not design.fittable:
        no_directions = np.full((n_personas, d + 1), np.nan, dtype=np.float32)
        no_answers = np.zeros((*pairs, 0), dtype=bool)
        return Probes(
            no_directions[:, :d],
            no_directions[:, d],
            no_answers,
            no_answers,
            no_answers.astype(np.float32),
        )
    x, y = place[:, design.selection].astype(np.float64), design.labels[design.selection]
    x_report, y_report = place[:, design.report].astype(np.float64), design.labels[design.report]
    permuted = np.full((*pairs, len(y_report)), 0.0 if settings.permutations else np.nan)
    held_out = np.zeros((*pairs, len(y) if design.folds else 0), dtype=bool)
    rng = np.random.default_rng([settings.seed, index])
    with threadpool_limits(1):  # sums in BLAS depend on the number of threads
        weights, intercepts = _fit_all(x, y, settings)
        correct = _says_true(x_report, weights, intercepts) == y_report
        for _ in range(settings.permutations):
            permuted_probes = _fit_all(x, rng.permutation(y), settings)
            permuted += (_says_true(x_report, *permuted_probes) == y_report) / settings.permutations
        for train, test in design.folds:
            fold_probes = _fit_all(x[:, train], y[train], settings)
            held_out[:, :, test] = _says_true(x[:, test], *fold_probes) == y[test]
    lengths = np.linalg.norm(weights, axis=1)
    lengths[lengths == 0] = 1
    directions = (weights / lengths[:, None]).astype(np.float32)
    intercepts = (intercepts / lengths).astype(np.float32)
    return Probes(directions, intercepts, held_out, correct, permuted.astype(np.float32))


def cosines(directions: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosines between personas' directions.

    Parameters
    ----------
    directions : ndarray of shape (..., n_personas, d), float32
        Unit vectors; 0 or NaN where a persona has no direction.

    Returns
    -------
    ndarray of shape (..., n_personas, n_personas), float64
        NaN where either persona has no direction.
    """
    exact = directions.astype(np.float64)
    is_missing = ~(np.abs(exact).max(axis=-1, keepdims=True) > 0)
    exact = np.where(is_missing, np.nan, exact)
    return np.clip(exact @ np.swapaxes(exact, -1, -2), -1.0, 1.0)


def _folds(labels: NDArray[np.bool_], subjects: NDArray[np.generic]) -> tuple[Fold, ...]:
    """Make folds by subject; no folds if a training part would lack a label."""
    n_folds = min(FOLDS, len(np.unique(subjects)))
    if n_folds < 2:
        return ()
    folds: tuple[Fold, ...] = tuple(cast(Any, GroupKFold(n_folds)).split(labels, labels, subjects))
    complete = all(len(np.unique(labels[train])) == 2 for train, _ in folds)
    return folds if complete else ()


def _fit_all(
    x: NDArray[np.float64], y: NDArray[np.bool_], settings: ProbesConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit weights (n_personas, d) and intercepts (n_personas,) for raw activations."""
    fits = [_fit(item, y, settings) for item in x]
    return np.stack([weight for weight, _ in fits]), np.array([b for _, b in fits])


def _fit(
    x: NDArray[np.float64], y: NDArray[np.bool_], settings: ProbesConfig
) -> tuple[NDArray[np.float64], float]:
    """Fit on standardised activations (n, d); return weights and intercept for raw ones."""
    centre, spread = x.mean(axis=0), x.std(axis=0)
    # A variation below the resolution of float32 is rounding; division by infinity gives it weight
    # 0. (The embedding of a prompt's last token is the same for all statements.)
    resolved = spread > np.finfo(np.float32).eps * np.abs(x).max(axis=0)
    if not resolved.any():  # the intercept alone, which has a closed form
        return np.zeros(len(centre)), float(np.log(y.mean() / (1 - y.mean())))
    scale = np.where(resolved, spread, np.inf)
    features, back = (x - centre) / scale, None
    if x.shape[1] > len(x):
        # The weights lie in the span of the rows, and the penalty is invariant to rotation: the
        # same problem has n features. Newton's method then takes 13 ms, L-BFGS 70 ms.
        back, triangle = np.linalg.qr(features.T)  # (d, n), (n, n)
        features = triangle.T
    model = cast(Any, LogisticRegression)(
        C=settings.regularisation,
        max_iter=settings.max_iter,
        tol=TOLERANCE,
        solver="newton-cholesky",
    )
    model.fit(features, y)
    coefficients = np.asarray(model.coef_, np.float64).ravel()
    weights = (coefficients if back is None else back @ coefficients) / scale
    return weights, float(np.asarray(model.intercept_, np.float64).ravel()[0] - weights @ centre)


def _says_true(
    x: NDArray[np.float64], weights: NDArray[np.float64], intercepts: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether each persona's probe says "true" of each persona's rows: (fitted, scored, rows)."""
    scores = np.einsum("qnd,pd->pqn", x, weights, optimize=True)
    return scores + intercepts[:, None, None] > 0
