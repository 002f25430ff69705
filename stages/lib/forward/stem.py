"""The stem of a tail: its tokens in the prefix that all prompts share, run once per patch.

A patch that reaches back into the wording's own tokens changes the same tokens in all prompts, and
mostly writes the same there. So these tokens run once per patch and distinct content, and all
prompts with this content attend to the resulting keys and values.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import filled, written
from stages.lib.forward.attention import Piece

if TYPE_CHECKING:
    from stages.lib.forward.prompts import Prompts


def with_stem(
    prompts: "Prompts", rows: list[int], captured: dict[str, list[Tensor]]
) -> dict[str, list[Tensor]]:
    """Put activations of the shared prefix in front of those of the prompts' own tokens.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : list of int
        The prompts that were run.
    captured : dict of str to list of Tensor
        By name and layer: (n_rows, n_tail, width), without the stems.

    Returns
    -------
    dict of str to list of Tensor
        The same with the stems.
    """
    n_shared, position = len(prompts.prefix), torch.arange(prompts.n_tail)
    own = torch.tensor([prompts.own[row] for row in rows])[:, None]
    start = torch.tensor([prompts.starts[row] for row in rows])[:, None]
    is_own = position >= prompts.n_tail - own
    first = start + own - prompts.n_tail  # position of the tail's first token in the prompt
    index = torch.where(is_own, n_shared + position, (first + position).clamp(min=0))
    return {
        name: [
            torch.cat([shared.expand(len(rows), -1, -1), new.to(shared)], dim=1)[
                torch.arange(len(rows))[:, None], index
            ]
            for shared, new in zip(prompts.at_shared[name], layers, strict=True)
        ]
        for name, layers in captured.items()
    }


def patched(
    prompts: "Prompts", rows: list[int], z: Tensor, patches: np.ndarray, at: Tensor | None
) -> Piece | None:
    """Run the stems of patched runs.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows, z, patches, at
        As in `Prompts.patched`.

    Returns
    -------
    Piece or None
        Keys and values of the shared prefix, with an entry for each run; None if no run is patched
        there.
    """
    contents, shared = _contents(prompts, rows, z, patches, at), prompts.shared
    if contents is None or shared is None:
        return None
    n_contents, n_patches = len(contents.at), len(patches)
    new = _run(prompts, contents, patches)
    n_skipped = prompts.lm.n_layers - len(new.keys)
    ran, first = (new.positions >= 0)[:, None], torch.as_tensor(written.entries(patches))

    def joined(old: list[Tensor], changed: list[Tensor]) -> list[Tensor]:
        layers = enumerate(zip(old[n_skipped:], changed, strict=True), n_skipped)
        after = [_joined(*pair, ran & (first < layer)[:, None]) for layer, pair in layers]
        return [*old[:n_skipped], *after]

    entry = contents.of_row[:, None] * n_patches + torch.arange(n_patches)
    return Piece(
        shared.positions,
        joined(shared.keys, new.keys),
        joined(shared.values, new.values),
        entry.clamp(max=n_contents * n_patches),  # the last entry is unpatched
    )


def count(
    prompts: "Prompts", rows: list[int], z: Tensor, patches: np.ndarray, at: Tensor | None
) -> int:
    """Return how many stems run per patch; parameters as in `patched`."""
    if not any(map(prompts.has_stem, rows)):
        return 0
    contents = _contents(prompts, rows, z, patches, at)
    return 0 if contents is None else len(contents.at)


@dataclass(frozen=True)
class _Contents:
    """What is patched into the shared prefix, and where: each distinct case once.

    Attributes
    ----------
    of_row : Tensor of shape (n_rows,), int64, on the CPU
        Number of each row's content; the number after the last one if nothing is patched there.
    at : Tensor of shape (n_contents, n_shared), bool, on the CPU
        Patched positions.
    z : dict of int to Tensor of shape (n_contents, n_shared, n_units, width)
        By patched layer, what is patched in; 0 at positions that are not patched.
    """

    of_row: Tensor
    at: Tensor
    z: dict[int, Tensor]


def _contents(
    prompts: "Prompts", rows: list[int], z: Tensor, patches: np.ndarray, at: Tensor | None
) -> _Contents | None:
    """Find the distinct contents of some rows' stems; None if there are none."""
    first = torch.tensor([len(prompts.token_ids[row]) - prompts.n_tail for row in rows])[:, None]
    start = torch.tensor([prompts.starts[row] for row in rows])[:, None]
    position = torch.arange(len(prompts.prefix))
    index = (position - first).clamp(0, prompts.n_tail - 1)  # in the tail
    is_patched = (position >= first) & (position < start)
    if at is not None:
        is_patched &= at.cpu()[torch.arange(len(rows))[:, None], index]
    layers = np.flatnonzero(patches.any(axis=(0, 2))).tolist()
    distinct: list[tuple[Tensor, Tensor]] = []
    of_row: list[int | None] = []
    for row, mask in enumerate(is_patched):
        if not mask.any():
            of_row.append(None)
            continue
        new = z[layers, row][:, index[row]]
        new = torch.where(mask[:, None, None].to(new.device), new, torch.zeros_like(new))
        same = (i for i, (where, x) in enumerate(distinct) if _equal(where, mask, x, new))
        of_row.append(next(same, len(distinct)))
        if of_row[-1] == len(distinct):
            distinct.append((mask, new))
    if not distinct:
        return None
    by_layer = torch.stack([new for _, new in distinct], dim=1)
    return _Contents(
        torch.tensor([len(distinct) if number is None else number for number in of_row]),
        torch.stack([mask for mask, _ in distinct]),
        dict(zip(layers, by_layer, strict=True)),
    )


def _equal(where: Tensor, mask: Tensor, x: Tensor, new: Tensor) -> bool:
    """Return whether two contents are the same, bit by bit."""
    return torch.equal(where, mask) and torch.equal(x, new)


def _run(prompts: "Prompts", contents: _Contents, patches: np.ndarray) -> Piece:
    """Run the prefix from each content's first patched position on; return keys and values."""
    lm, n = prompts.lm, len(prompts.prefix)
    starts = [int(mask.int().argmax()) for mask in contents.at]
    multiple = max(filled.LEAST, filled.multiple(lm))
    width = -(-(n - min(starts)) // multiple) * multiple
    position = torch.arange(n - width, n).clamp(min=0)
    residual, own = (
        [x[:, position].expand(len(starts), -1, -1) for x in prompts.at_shared[name]]
        for name in ("residual", "z")
    )
    units = [torch.unflatten(x, -1, prompts.site.shape(lm)) for x in own]
    replacement = {layer: z[:, position] for layer, z in contents.z.items()}
    with prompts.overwrite(residual, units, replacement, patches, contents.at[:, position]):
        tokens, ends = [prompts.prefix[start:] for start in starts], [n] * len(starts)
        narrow = lm.n_layers - 1
        return prompts.forward(
            tokens, ends, None, len(patches), record=True, narrow=narrow, multiple=multiple
        )[1]


def _joined(old: Tensor, new: Tensor, is_patched: Tensor) -> Tensor:
    """Overwrite keys or values of the shared prefix where a patch changed them, in each run.

    `old` is (n_kv_heads, 1, n_shared, d_head), `new` is (n_kv_heads, n_contents * n_first, width,
    d_head), of the first patches alone, and `is_patched` is (n_contents, n_patches, width). Returns
    one entry per content and patch, and `old` as the last one.
    """
    n_contents, n_patches, width = is_patched.shape
    n, n_first = min(old.shape[2], width), new.shape[1] // n_contents
    joined = old.repeat(1, n_contents * n_patches + 1, 1, 1)
    place = torch.unflatten(joined[:, :-1], 1, (n_contents, n_patches))[:, :, :n_first, -n:]
    new = torch.unflatten(new, 1, (n_contents, n_first))[..., -n:, :]
    place.copy_(torch.where(is_patched[:, :n_first, -n:, None].to(new.device), new, place))
    return joined
