"""All probes that stage `transfer` fitted, for its tables and metrics."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from stages.lib.probing.probe import cosines
from stages.lib.stats import Interval, shares
from stages.lib.stats.answer_rates import ALL
from stages.transfer import bag_of_words
from stages.transfer.best import Best
from stages.transfer.layers import DRAWN, Layers
from stages.transfer.sample import Sample


@dataclass(frozen=True)
class Fits:
    """All fitted probes, and the statements of the fits.

    Attributes
    ----------
    layers : Layers
        Every method at every layer.
    best : dict
        From `best.examine`.
    sample : Sample
    personas : tuple of str
    """

    layers: Layers
    best: dict[tuple[str, int], Best]
    sample: Sample
    personas: tuple[str, ...]

    def probe_keys(self) -> Iterator[tuple[int, str, int, str]]:
        """Yield every method with every persona: index and name of each."""
        for m, method in enumerate(self.sample.methods):
            for p, persona in enumerate(self.personas):
                yield m, method, p, persona

    def rate(self, right: ArrayLike, rows: NDArray[np.bool_] | None = None) -> Interval:
        """Estimate the accuracy on the report rows, or on some of them."""
        values = np.asarray(right, np.float64)
        subjects = self.sample.design.subjects[self.sample.design.report]
        if rows is not None:
            values, subjects = values[rows], subjects[rows]
        return shares.right(values, subjects)

    def topics(self) -> list[str]:
        """List all topics, each beside its negated form."""
        return [topic for _, _, topic in self.sample.forms.topic_names()]


def words(fits: Fits, statements: pl.DataFrame) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """Yield topic fitted, topic scored, and whether the bag of words is correct, (n_report,)."""
    design, forms = fits.sample.design, fits.sample.selection_forms
    text = statements["statement"].to_numpy().astype(str)
    fit_on_all = bag_of_words.right(text, design.labels, design.selection, design.report)
    yield ALL, ALL, fit_on_all
    for topic in fits.topics():
        yield ALL, topic, fit_on_all
        own = design.selection[forms.topic == topic]
        yield topic, topic, bag_of_words.right(text, design.labels, own, design.report)


def pairs(
    fits: Fits,
) -> Iterator[tuple[str, str, str, NDArray[np.float64], NDArray[np.float64] | None]]:
    """Yield the cosine of every two personas' directions, for every method.

    Yields
    ------
    tuple
        Method, first persona, second persona, cosine by layer, (n_layers,), and the same in draws
        of subjects, (n_layers, n_draws), or None without draws.
    """
    for m, method in enumerate(fits.sample.methods):
        between = cosines(fits.layers.directions[:, m])  # (n_layers, n_personas, n_personas)
        draws = None
        if method in DRAWN:
            draws = fits.layers.cosines[:, list(DRAWN).index(method), :, 1:].astype(np.float64)
        for pair, (i, j) in enumerate(combinations(range(len(fits.personas)), 2)):
            own = None if draws is None or not draws.shape[-1] else draws[:, pair]
            yield method, fits.personas[i], fits.personas[j], between[:, i, j], own
