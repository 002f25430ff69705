"""All that stage `transfer` fitted, as its tables and metrics read it."""

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
    """All that was fitted.

    Attributes
    ----------
    layers : Layers
        Every method at every layer.
    best : dict
        From `transfer.examine`.
    sample : Sample
    personas : tuple of str
    """

    layers: Layers
    best: dict[tuple[str, int], Best]
    sample: Sample
    personas: tuple[str, ...]

    def every(self) -> Iterator[tuple[int, str, int, str]]:
        """Each method and persona: number and name of both."""
        for m, method in enumerate(self.sample.methods):
            for p, persona in enumerate(self.personas):
                yield m, method, p, persona

    def rate(self, right: ArrayLike, rows: NDArray[np.bool_] | None = None) -> Interval:
        """Interval of the share right on report rows, or on some of them."""
        values = np.asarray(right, np.float64)
        subjects = self.sample.design.subjects[self.sample.design.report]
        if rows is not None:
            values, subjects = values[rows], subjects[rows]
        return shares.right(values, subjects)

    def topics(self) -> list[str]:
        """All topics, each beside its negation."""
        return [topic for _, _, topic in self.sample.forms.named()]


def words(fits: Fits, statements: pl.DataFrame) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """What was fitted on, what is scored, and whether words alone are right on report rows."""
    design, forms = fits.sample.design, fits.sample.chosen
    text = statements["statement"].to_numpy().astype(str)
    everything = bag_of_words.right(text, design.labels, design.selection, design.report)
    yield ALL, ALL, everything
    for topic in fits.topics():
        yield ALL, topic, everything
        own = design.selection[forms.topic == topic]
        yield topic, topic, bag_of_words.right(text, design.labels, own, design.report)


def pairs(
    fits: Fits,
) -> Iterator[tuple[str, str, str, NDArray[np.float64], NDArray[np.float64] | None]]:
    """Method, two personas, their cosine by layer (n_layers,), and draws (n_layers, n_draws)."""
    for m, method in enumerate(fits.sample.methods):
        between = cosines(fits.layers.directions[:, m])  # (n_layers, n_personas, n_personas)
        drawn = None
        if method in DRAWN:
            drawn = fits.layers.cosines[:, list(DRAWN).index(method), :, 1:].astype(np.float64)
        for pair, (i, j) in enumerate(combinations(range(len(fits.personas)), 2)):
            own = None if drawn is None or not drawn.shape[-1] else drawn[:, pair]
            yield method, fits.personas[i], fits.personas[j], between[:, i, j], own
