"""Data of the page, statement by statement."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from stages.explorer.numbers import answers, percents, short
from stages.explorer.prompt_tokens import Tokens, block_numbers
from stages.lib.inspection import ROLES, Inspection
from stages.lib.patching import patch
from stages.lib.patching.blocks import PersonaWording
from stages.lib.patching.patch import Head

Record = dict[str, Any]


@dataclass(frozen=True)
class PersonaTokens:
    """Prompts and answers of one persona, statement by statement.

    Attributes
    ----------
    tokens : list of list of int
        Numbers of the token texts of each prompt.
    blocks : list of str or None
        Block of each token of a prompt, one digit per token; None if the wording is not in the
        prompt.
    p : list of list of float
        P(true) and P(false) of each prompt.
    """

    tokens: list[list[int]]
    blocks: list[str | None]
    p: list[list[float]]


def inspected_statements(pairs: pl.DataFrame, inspected_runs: Inspection) -> pl.DataFrame:
    """Select the inspected statements, in the order of the arrays of `Inspection`."""
    order = pl.DataFrame({"statement_id": inspected_runs.statement_ids})
    return order.join(pairs, on="statement_id", how="left", maintain_order="left")


def persona(
    prompts: pl.DataFrame,
    readouts: pl.DataFrame,
    inspected_statements: pl.DataFrame,
    wording: PersonaWording,
    of: Tokens,
) -> PersonaTokens:
    """Read one persona's prompts and answers.

    Parameters
    ----------
    prompts, readouts : DataFrame
        Rows of all statements, as the stages `prompts` and `activations` wrote them.
    inspected_statements : DataFrame
        The statements to show.
    wording : PersonaWording
        Texts that the prompts were rendered from.
    of : Tokens
        Numbered texts of tokens; new texts are added.

    Returns
    -------
    PersonaTokens
    """
    own_rows = inspected_statements.select("statement_id", "statement")
    for table in (prompts, readouts):
        own_rows = own_rows.join(table, on="statement_id", how="left", maintain_order="left")
    prompt_ids = own_rows["token_ids"].to_list()
    tokens = [of.numbers(ids) for ids in prompt_ids]
    block_digits = [
        block_numbers(of, ids, wording, statement)
        for ids, statement in zip(prompt_ids, own_rows["statement"].to_list(), strict=True)
    ]
    p = answers(own_rows.select("p_true", "p_false").to_numpy())
    return PersonaTokens(tokens, block_digits, p)


def prefix_attention(inspected_runs: Inspection) -> dict[str, list[list[list[int]]]]:
    """Return the attention of each inspected head within the common prefix of a role's prompts.

    Returns
    -------
    dict of str to list
        By role: of each head and each attending token, a list from `percents`.
    """
    return {
        role: [[percents(token) for token in head] for head in of_role]
        for role, of_role in zip(ROLES, inspected_runs.prefix, strict=True)
    }


def rows(
    inspected_statements: pl.DataFrame,
    personas: dict[str, PersonaTokens],
    inspected_runs: Inspection,
    measured: pl.DataFrame,
    maps: dict[str, Record],
) -> list[Record]:
    """Collect what the page shows of each statement.

    Parameters
    ----------
    inspected_statements : DataFrame
        From `inspected_statements`.
    personas : dict of str to PersonaTokens
        Prompts and answers, by name.
    inspected_runs : Inspection
        Runs of the statements.
    measured : DataFrame
        Measured effects of heads, on some of the statements; columns of `head_effects.EFFECTS`.
    maps : dict of str to dict
        Maps of some of the statements, from `trace_maps.read`.

    Returns
    -------
    list of dict
        One record per statement, for JSON. All log-odds and effects are toward the right answer, in
        nats.
    """
    label = inspected_statements["label"].to_numpy()
    log_p = inspected_runs.lens
    lens = np.stack([patch.toward_right(run[..., 0] - run[..., 1], label) for run in log_p])
    flat_effects = inspected_runs.effects.reshape(len(inspected_statements), -1)
    estimated = patch.toward_right(flat_effects, label)
    measured_effects = _measured(measured)
    records: list[Record] = []
    for row, record in enumerate(inspected_statements.iter_rows(named=True)):
        effects = measured_effects.get(record["statement_id"])
        records.append(
            {
                "id": record["statement_id"],
                "text": record["statement"],
                **{key: record[key] for key in ("topic", "label", "known", "split")},
                "prompts": {
                    name: {"tokens": of.tokens[row], "blocks": of.blocks[row], "p": of.p[row]}
                    for name, of in personas.items()
                },
                "runs": answers(np.exp(inspected_runs.answers[:, row])),
                "lens": short(lens[:, row]),
                "effects": short(estimated[row] if effects is None else effects),
                "measured": effects is not None,
                "attention": {
                    role: [percents(head) for head in inspected_runs.last[i, row]]
                    for i, role in enumerate(ROLES)
                },
                "trace": maps.get(record["statement_id"]),
            }
        )
    return records


def mean_effects(measured: pl.DataFrame, heads: list[Head]) -> list[list[float | None]]:
    """Return the mean estimate and the mean measured effect of each head, None if not measured.

    Parameters
    ----------
    measured : DataFrame
        Columns of `head_effects.EFFECTS`, toward the right answer.
    heads : list of Head
        Heads to look up.
    """
    means = measured.group_by("layer", "head").agg(pl.mean("estimate", "effect"))
    by_head = {(layer, head): both for layer, head, *both in means.iter_rows()}
    none = [np.nan, np.nan]
    return [short(np.array(by_head.get((head.layer, head.head), none))) for head in heads]


def _measured(effects: pl.DataFrame) -> dict[str, np.ndarray]:
    """Collect the measured effects of all heads, in the order of layers, by statement."""
    ordered = effects.sort("statement_id", "layer", "head")
    return {
        str(name): own_rows["effect"].to_numpy()
        for (name,), own_rows in ordered.group_by("statement_id")
    }
