"""Write a method's scores as a circuit in MIB's format, which MIB's and EAP-IG's tools read."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl

from stages.benchmark.schema import SCORES, first
from stages.benchmark.scores_doses import order
from stages.lib.io import cli, tables
from stages.lib.io.atomic import atomic
from stages.lib.io.cli import UserError
from stages.lib.model import lm


def main(
    scores: Annotated[Path, "scores per method and head (Parquet)"],
    method: Annotated[str, "name of the method, as in the table"],
    heads: Annotated[int, "number of the method's top-scoring heads in the circuit"],
    model: cli.Model,
    out: Annotated[Path, "writes a circuit of nodes with scores (JSON)"],
) -> None:
    """Write the scores of one method."""
    table = tables.read(scores, SCORES).filter(dose=1.0)
    methods = table["method"].unique().sort().to_list()
    if method not in methods:
        raise UserError(f"{scores}: method: found {method!r}, expected one of {', '.join(methods)}")
    sizes = tables.read_json(model / lm.MANIFEST)["sizes"]
    with atomic(out) as partial:
        partial.write_text(json.dumps(circuit(table.filter(method=method), heads, sizes), indent=1))


def circuit(table: pl.DataFrame, heads: int, sizes: dict[str, int]) -> dict[str, Any]:
    """Make the JSON of a circuit of nodes.

    Parameters
    ----------
    table : DataFrame
        With the columns of `SCORES`, of one method at one dose.
    heads : int
        Number of top-scoring heads in the circuit. Nodes without a score are all in it.
    sizes : dict of str to int
        ``n_layers``, ``n_heads`` and ``d_model`` of the model.

    Returns
    -------
    dict
        Configuration, nodes with their scores, and no edges.

    References
    ----------
    Mueller et al., MIB, arXiv:2504.13151: circuits as JSON, read by `Graph.from_json` of EAP-IG.
    """
    shape = (sizes["n_layers"], sizes["n_heads"])
    values = order(table, shape)
    members = first(values, heads)
    nodes: dict[str, dict[str, Any]] = {"input": {"in_graph": True}}
    for layer, head in np.ndindex(*shape):
        nodes[f"a{layer}.h{head}"] = {
            "in_graph": bool(members[layer, head]),
            "score": float(values[layer, head]),
        }
    nodes |= {f"m{layer}": {"in_graph": True} for layer in range(shape[0])}
    config = {"n_layers": shape[0], "n_heads": shape[1], "d_model": sizes["d_model"]}
    return {
        "cfg": config | {"parallel_attn_mlp": False},
        "nodes": nodes | {"logits": {"in_graph": True}},
        "edges": {},
    }


if __name__ == "__main__":
    cli.run(main)
