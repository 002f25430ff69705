"""Units of an adapter's change of weights: a layer, a head, a key/value group, or a linear map."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.lib.model.lm import LanguageModel
from stages.lib.patching.graft_names import ALL, GROUP, HEAD, LAYER, MAP
from stages.lib.patching.patch import Head

Place = tuple[int, str]
"""Layer, and name of a linear map in it."""
Changes = dict[Place, Tensor]
"""What an adapter adds to the weights of each linear map, (d_out, d_in), float64."""
QUERY, OUTPUT, KEY_VALUE = "q_proj", "o_proj", ("k_proj", "v_proj")


@dataclass(frozen=True)
class Unit:
    """Some of the weights that an adapter changes.

    Attributes
    ----------
    kind : str
        A part of `graft_names`.
    layer, index : int or None
        Layer, and number of the head or of the group in it.
    map : str or None
        Name of the linear map.
    heads : tuple of Head
        The heads, for a set of heads.
    """

    kind: str
    layer: int | None = None
    index: int | None = None
    map: str | None = None
    heads: tuple[Head, ...] = ()

    def __str__(self) -> str:
        """Return the unit's name, such as ``head_21_2``."""
        own = [self.kind, self.layer, self.index, self.map]
        heads = [f"{layer}.{head}" for layer, head in self.heads]
        return "_".join(str(part) for part in [*own, *heads] if part is not None)


def units(lm: LanguageModel, changes: Changes) -> list[Unit]:
    """List the units: all changed weights, then each layer, head, group and linear map of them.

    The weights of a head are its rows of the query projection and its columns of the output
    projection; those of a group, its rows of the key and value projections.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    changes : dict of tuple of int and str to Tensor
        From `weights.changes`.

    Returns
    -------
    list of Unit
        Empty if nothing is changed.
    """
    layers = sorted({layer for layer, _ in changes})
    of_heads = [layer for layer in layers if _has(changes, layer, (QUERY, OUTPUT))]
    of_groups = [layer for layer in layers if _has(changes, layer, KEY_VALUE)]
    return [
        *([Unit(ALL)] if changes else []),
        *(Unit(LAYER, layer) for layer in layers),
        *(Unit(HEAD, layer, head) for layer in of_heads for head in range(lm.n_heads)),
        *(Unit(GROUP, layer, group) for layer in of_groups for group in range(lm.n_kv_heads)),
        *(Unit(MAP, map=name) for name in sorted({name for _, name in changes})),
    ]


def part(lm: LanguageModel, changes: Changes, unit: Unit) -> Changes:
    """Return the unit's part of the change: 0 in other weights, without maps outside the unit."""
    if unit.kind == ALL:
        return changes
    if unit.kind in (LAYER, MAP):
        return {
            (layer, name): change
            for (layer, name), change in changes.items()
            if unit.layer in (None, layer) and unit.map in (None, name)
        }
    if unit.kind == GROUP:
        return dict(_groups(lm, changes, unit))
    heads = unit.heads or [Head(unit.layer or 0, unit.index or 0)]
    return dict(_heads(lm, changes, heads))


def size(changes: Changes) -> float:
    """Return the Frobenius norm of a change of weights."""
    return float(sum(change.square().sum() for change in changes.values())) ** 0.5


def _has(changes: Changes, layer: int, names: Iterable[str]) -> bool:
    """Return whether one of the named maps is changed in a layer."""
    return any((layer, name) in changes for name in names)


def _groups(lm: LanguageModel, changes: Changes, unit: Unit) -> Iterator[tuple[Place, Tensor]]:
    """Yield the change of one group's rows in the key and value projections."""
    rows = _span(unit.index or 0, lm.d_head)
    for name in KEY_VALUE:
        if (change := changes.get((unit.layer or 0, name))) is not None:
            mask = torch.zeros_like(change)
            mask[rows] = 1
            yield (unit.layer or 0, name), change * mask


def _heads(
    lm: LanguageModel, changes: Changes, heads: Iterable[Head]
) -> Iterator[tuple[Place, Tensor]]:
    """Yield the change of the heads' rows in query, and columns in output projections."""
    for layer, name in changes:
        own = [_span(head.head, lm.d_head) for head in heads if head.layer == layer]
        if not own or name not in (QUERY, OUTPUT):
            continue
        mask = torch.zeros_like(changes[layer, name])
        for span in own:
            if name == QUERY:
                mask[span] = 1
            else:
                mask[:, span] = 1
        yield (layer, name), changes[layer, name] * mask


def _span(number: int, width: int) -> slice:
    """Return the rows or columns of a head or group."""
    return slice(number * width, (number + 1) * width)
