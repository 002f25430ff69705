"""Direct logit attribution: the share of each component in the answers' logits at the last token.

The residual stream at the last position is the sum of the embedding, of the outputs of each layer's
attention heads, and of each layer's MLP output. With the scale of the final norm fixed at its
actual value on a prompt, a logit is linear in that sum: each part contributes a share, and the
shares add up to the logit. The scale of a norm after attention or MLP is fixed likewise.

This is the direct effect of a part. It leaves out effects through later parts, such as those of a
head whose output a later MLP turns into the answer.

References
----------
nostalgebraist, interpreting GPT: the logit lens (2020). N. Elhage and others, A mathematical
framework for transformer circuits (2021).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import batches, budget, unembed
from stages.lib.forward.sublayers import Frozen, Sublayers, Unfit
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers, log_probabilities

UNITS = 1024  # unit vectors that a linear map is applied to at once


@dataclass(frozen=True)
class Parts:
    """Contribution of each part to the logit of every answer token, before any scale or soft cap.

    Attributes
    ----------
    ids : tuple of int, length n_ids
        The answer tokens: the true ones, then the false ones.
    embedding : ndarray of shape (n_prompts, n_ids)
        Contribution of the last token's embedding.
    heads : ndarray of shape (n_prompts, n_layers, n_heads, n_ids)
        Contribution of each head, through its slice of the output projection.
    attention : ndarray of shape (n_prompts, n_layers, n_ids)
        Contribution of a layer's attention: its heads plus the bias of its output projection.
    mlp : ndarray of shape (n_prompts, n_layers, n_ids)
        Contribution of everything else that the layer adds.
    constant : ndarray of shape (n_ids,)
        Contribution of the biases of the final norm and the unembedding.
    raw, logits : ndarray of shape (n_prompts, n_ids)
        Output of the unembedding, and the model's logits, after any scale or soft cap.
    log_p : ndarray of shape (n_prompts, n_ids)
        Log-probability of each answer token.
    lens : ndarray of shape (n_prompts, n_layers + 1, 2)
        Logit lens: log P(true) and log P(false), with the final norm and the unembedding applied
        to the embedding, then to the output of each layer. The last entry is the model's answer.
    heads_error : float
        Largest difference between `attention` and the sum of a layer's heads and the bias.
    """

    ids: tuple[int, ...]
    embedding: np.ndarray
    heads: np.ndarray
    attention: np.ndarray
    mlp: np.ndarray
    constant: np.ndarray
    raw: np.ndarray
    logits: np.ndarray
    log_p: np.ndarray
    lens: np.ndarray
    heads_error: float


class Splitter:
    """Splits the answers' logits of one model's runs into parts.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    prompts : list of list of int
        Token ids of one or two prompts, on which the split is checked against the model.

    Raises
    ------
    Unfit
        If the check fails, in every process.
    """

    def __init__(self, lm: LanguageModel, answers: Answers, prompts: list[list[int]]) -> None:
        self.lm, self.answers = lm, answers
        self.ids = (*answers.true_ids, *answers.false_ids)
        self.layers = Sublayers(lm, prompts)
        self.norm = self.layers.final()
        self.unembedding, self.bias = self._unembedding()
        self.directions = self.norm.back(self.unembedding)  # (d_model, n_ids), before the norm

    @torch.no_grad()
    def __call__(
        self,
        residual: Callable[[int], np.ndarray],
        z: Callable[[int], np.ndarray],
        title: str,
    ) -> Parts:
        """Split the logits of runs, given the activations at the last position.

        Parameters
        ----------
        residual : callable
            Maps a layer to its input residual stream, (n_prompts, d_model), and `n_layers` to the
            output of the last layer.
        z : callable
            Maps a layer to the input of its output projection, (n_prompts, n_heads, d_head).
        title : str
            Shown beside the progress bar.

        Returns
        -------
        Parts

        Raises
        ------
        Unfit
            If a norm does more than scale, the heads do not add up to the attention, or the parts
            do not add up to the logits.
        """
        n_layers = self.lm.n_layers
        results: list[tuple[int, dict[str, np.ndarray]]] = []
        last = torch.as_tensor(residual(n_layers)).double()
        scale, error = self.norm.scale(last, self.layers.normed(last).cpu().double())
        with batches.progress(title, n_layers + 1) as bar:
            for layer in batches.share(list(range(n_layers + 1))):
                x = torch.as_tensor(residual(layer)).double()
                shares = self._lens(x, layer == n_layers)
                if layer == 0:
                    shares["embedding"] = _by_row(x @ self.directions, scale)
                if layer < n_layers:
                    after = torch.as_tensor(residual(layer + 1)).double()
                    shares |= self._layer(layer, torch.as_tensor(z(layer)), after - x, scale)
                results.append((layer, shares))
                bar.update(1)
        gathered = dict(batches.gather(results))
        errors = [error, *(float(gathered[i]["error"]) for i in range(n_layers))]
        if max(errors) > self.layers.tolerance:
            raise Unfit(f"a norm does more than scale (a difference of {max(errors):.2g})")
        parts = self._collect(gathered)
        self._check(parts)
        return parts

    def _check(self, parts: Parts) -> None:
        """Raise Unfit if the parts do not add up to the logits, or the heads to the attention."""
        layers = parts.attention + parts.mlp
        total = parts.embedding + layers.sum(axis=1) + parts.constant
        error = np.abs(total - parts.raw).max()
        if error > self.layers.tolerance * max(np.abs(layers).max(), np.abs(parts.raw).max()):
            raise Unfit(f"the parts do not add up to the logits (off by {error:.2g} nats)")
        if parts.heads_error > self.layers.tolerance * np.abs(parts.attention).max():
            raise Unfit(f"heads do not add up to attention (off by {parts.heads_error:.2g} nats)")

    def _collect(self, gathered: dict[int, dict[str, np.ndarray]]) -> Parts:
        """Stack the layers' results."""

        def stack(name: str, n: int) -> np.ndarray:
            return np.stack([gathered[i][name] for i in range(n)], axis=1)

        n_layers = self.lm.n_layers
        return Parts(
            ids=self.ids,
            embedding=gathered[0]["embedding"],
            heads=stack("heads", n_layers),
            attention=stack("attention", n_layers),
            mlp=stack("mlp", n_layers),
            constant=(self.norm.bias @ self.unembedding + self.bias).numpy(),
            raw=gathered[n_layers]["raw"],
            logits=gathered[n_layers]["logits"],
            log_p=gathered[n_layers]["log_p"],
            lens=stack("lens", n_layers + 1),
            heads_error=max(float(gathered[i]["heads_error"]) for i in range(n_layers)),
        )

    def _layer(self, layer: int, z: Tensor, added: Tensor, scale: Tensor) -> dict[str, np.ndarray]:
        """Split what one layer adds; `scale` is the scale of the final norm, per row."""
        lm, projection = self.lm, self.lm.output_projections[layer]
        inputs = z.flatten(1)[:, None].to(lm.device, lm.model.dtype)
        output = projection(inputs)[:, 0]
        branch = self.layers.branch(layer)
        attention = self.layers.added(layer, output)
        own_scale, error = branch.scale(output.cpu().double(), attention)
        directions = branch.back(self.directions)
        weights = [rows @ directions.to(rows.device) for rows in _rows(projection, inputs)]
        weights = torch.unflatten(torch.cat(weights).cpu(), 0, (lm.n_heads, lm.d_head))
        heads = torch.einsum("nhd,hdi->nhi", z.double(), weights)
        heads = heads * (own_scale * scale)[:, None, None]
        bias = projection(inputs[:1] * 0)[0, 0].cpu().double() @ directions
        direct = _by_row((attention - branch.bias) @ self.directions, scale)
        sums = heads.sum(dim=1).numpy() + _by_row(bias[None], own_scale * scale)
        return {
            "heads": heads.numpy(),
            "attention": direct,
            "mlp": _by_row(added @ self.directions, scale) - direct,
            "error": np.array(error),
            "heads_error": np.abs(sums - direct).max(),
        }

    def _lens(self, x: Tensor, last: bool) -> dict[str, np.ndarray]:
        """Apply the logit lens to the residual stream; at the last layer, add token logits."""
        lens: dict[str, list[Tensor]] = {}
        head, ids = self.lm.model.get_output_embeddings(), list(self.ids)
        for rows in torch.split(x, budget.rows_to_unembed(self.lm)):
            normed = self.layers.normed(rows)
            logits = unembed.logits(self.lm, normed).float()
            new = {"lens": log_probabilities(logits, self.answers)}
            if last:
                raw = head(normed[:, None])[:, 0, ids]
                log_p = torch.log_softmax(logits, dim=-1)[:, ids]
                new |= {"raw": raw, "logits": logits[:, ids], "log_p": log_p}
            for name, values in new.items():
                lens.setdefault(name, []).append(values.double().cpu())
        return {name: torch.cat(values).numpy() for name, values in lens.items()}

    @torch.no_grad()
    def _unembedding(self) -> tuple[Tensor, Tensor]:
        """Return the unembedding of the answer tokens, (d_model, n_ids), and its bias, (n_ids,)."""
        lm, head, ids = self.lm, self.lm.model.get_output_embeddings(), list(self.ids)
        like = torch.zeros(1, 1, lm.d_model, device=lm.device, dtype=lm.model.dtype)
        rows = _rows(head, like, ids, budget.rows_to_unembed(lm))
        return torch.cat([some.cpu() for some in rows]), head(like)[0, 0, ids].cpu().double()


def _rows(
    module: Callable[[Tensor], Tensor],
    like: Tensor,
    columns: list[int] | slice = slice(None),
    at_once: int = UNITS,
) -> Iterator[Tensor]:
    """Yield the rows of a linear map's matrix, (n_rows, n_columns), float64, block by block.

    The map is applied to unit vectors, as its weights may be packed (quantised). `like` has the
    width, dtype and device of the map's input.
    """
    width = like.shape[-1]
    zero = module(like.new_zeros(1, 1, width))[0][:, columns].double()
    for start in range(0, width, at_once):
        n = min(at_once, width - start)
        units = like.new_zeros(1, n, width)
        units[0, torch.arange(n), torch.arange(start, start + n)] = 1
        yield module(units)[0][:, columns].double() - zero


def _by_row(values: Tensor, scale: Tensor) -> np.ndarray:
    """Multiply values, (n_rows or 1, n_ids), by the scale of each row."""
    return (values * scale[:, None]).numpy()


__all__ = ["Frozen", "Parts", "Splitter", "Unfit"]
