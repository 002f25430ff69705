"""What the page says of each statement."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from stages.explorer.numbers import percents, short
from stages.explorer.prompt_tokens import Tokens, block_numbers
from stages.lib.inspection import ROLES, Inspection
from stages.lib.patching.blocks import Wording

Shown = dict[str, Any]


@dataclass(frozen=True)
class Persona:
    """Prompts and answers of one persona, statement by statement.

    Attributes
    ----------
    tokens : list of list of int
        Numbers of the texts of each prompt's tokens.
    blocks : list of str or None
        The block of each token, one digit each; None where the wording is not in the prompt.
    p : list of list of float
        P(true) and P(false).
    """

    tokens: list[list[int]]
    blocks: list[str | None]
    p: list[list[float]]


def about(pairs: pl.DataFrame, looked: Inspection) -> pl.DataFrame:
    """The inspected statements, in the order of the arrays."""
    order = pl.DataFrame({"statement_id": looked.statement_ids})
    return order.join(pairs, on="statement_id", how="left", maintain_order="left")


def persona(
    prompts: pl.DataFrame, readouts: pl.DataFrame, about: pl.DataFrame, wording: Wording, of: Tokens
) -> Persona:
    """Read one persona's prompts and answers.

    Parameters
    ----------
    prompts, readouts : DataFrame
        Of all statements, as the stages `prompts` and `activations` wrote them.
    about : DataFrame
        The statements to show.
    wording : Wording
        What the prompts were rendered from.
    of : Tokens
        Numbers the texts of tokens.

    Returns
    -------
    Persona
    """
    own = about.select("statement_id", "statement")
    for table in (prompts, readouts):
        own = own.join(table, on="statement_id", how="left", maintain_order="left")
    tokens = [of.numbers(ids) for ids in own["token_ids"].to_list()]
    found = [
        block_numbers([of.texts[number] for number in numbers], wording, statement)
        for numbers, statement in zip(tokens, own["statement"].to_list(), strict=True)
    ]
    return Persona(tokens, found, short(own.select("p_true", "p_false").to_numpy()))


def prefix_attention(looked: Inspection) -> dict[str, list[list[list[int]]]]:
    """Attention of the set's heads within what all prompts of a role begin with.

    Returns
    -------
    dict of str to list
        By role, of each head and each token, as `percents`.
    """
    return {
        role: [[percents(token) for token in head] for head in of_role]
        for role, of_role in zip(ROLES, looked.prefix, strict=True)
    }


def rows(
    about: pl.DataFrame,
    personas: dict[str, Persona],
    looked: Inspection,
    measured: pl.DataFrame,
    maps: dict[str, Shown],
) -> list[Shown]:
    """Collect what the page shows of each statement.

    Parameters
    ----------
    about : DataFrame
        The statements.
    personas : dict of str to Persona
        Prompts and answers, by name.
    looked : Inspection
        Their runs.
    measured : DataFrame
        With the columns of `head_effects.EFFECTS`: of some statements.
    maps : dict of str to dict
        Of some statements, from `trace_maps.read`.

    Returns
    -------
    list of dict
        For JSON. All log-odds and effects are toward the right answer, in nats.
    """
    sign = np.where(about["label"].to_numpy(), 1.0, -1.0)
    lens = (looked.lens[..., 0] - looked.lens[..., 1]) * sign[:, None]
    estimated = looked.effects.reshape(len(about), -1) * sign[:, None]
    truly = _measured(measured)
    shown: list[Shown] = []
    for row, one in enumerate(about.iter_rows(named=True)):
        effects = truly.get(one["statement_id"])
        shown.append(
            {
                "id": one["statement_id"],
                "text": one["statement"],
                **{key: one[key] for key in ("topic", "label", "known", "split")},
                "prompts": {
                    name: {"tokens": of.tokens[row], "blocks": of.blocks[row], "p": of.p[row]}
                    for name, of in personas.items()
                },
                "runs": short(np.exp(looked.answers[:, row])),
                "lens": short(lens[:, row]),
                "effects": short(estimated[row] if effects is None else effects),
                "measured": effects is not None,
                "attention": {
                    role: [percents(head) for head in looked.last[i, row]]
                    for i, role in enumerate(ROLES)
                },
                "trace": maps.get(one["statement_id"]),
            }
        )
    return shown


def _measured(effects: pl.DataFrame) -> dict[str, np.ndarray]:
    """Measured effects of every head, layer by layer, by statement."""
    ordered = effects.sort("statement_id", "layer", "head")
    return {
        str(name): own["effect"].to_numpy() for (name,), own in ordered.group_by("statement_id")
    }
