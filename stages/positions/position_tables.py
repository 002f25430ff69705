"""Table rows of the runs with z patched in at some positions."""

import numpy as np
import polars as pl

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.positions.position_runs import Blocks, CountRuns
from stages.positions.schema import SCHEMA, UNPATCHED, UNPATCHED_BLOCKS


def rows(
    counts: CountRuns, blocks: Blocks, patches: dict[str, np.ndarray], config: PatchConfig
) -> pl.DataFrame:
    """Make one row per statement and run.

    Parameters
    ----------
    counts, blocks : CountRuns and Blocks
        The runs.
    patches : dict of str to ndarray of shape (n_layers, n_heads), bool
        Heads that each named patch overwrites.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    DataFrame
        With the columns of `SCHEMA`. Unpatched runs have 0 positions; the unpatched runs beside the
        blocks are over the statements whose blocks were found.
    """
    source, base = config.source, config.base
    parts = []
    for runs, patch_id in ((counts, UNPATCHED), (blocks, UNPATCHED_BLOCKS)):
        parts.append(
            patched_runs.unpatched(
                runs.pairs,
                runs.readouts.source,
                runs.readouts.base,
                config,
                patch_id,
                SCHEMA,
                positions=0,
            )
        )
    heads = {name: patch.heads_of(patch_mask) for name, patch_mask in patches.items()}
    for count, count_answers in zip(counts.counts, counts.readouts.patched, strict=True):
        for patched, p in zip(counts.patched, count_answers, strict=True):
            columns = {"patched": patched, "run": "last", "positions": count}
            patch_id = f"{patched}_last_{count}"
            parts.append(
                patched_runs.rows(
                    counts.pairs, p, source, base, patch_id, heads[patched], SCHEMA, **columns
                )
            )
    for (name, n), p in zip(blocks.n_patched.items(), blocks.readouts.patched, strict=True):
        patch_id = f"window_{name.run}_{name.block.replace(' ', '_')}_{name.draw}"
        columns = {"patched": "window", **name._asdict(), "positions": pl.Series(n)}
        parts.append(
            patched_runs.rows(
                blocks.pairs, p, source, base, patch_id, heads["window"], SCHEMA, **columns
            )
        )
    return pl.concat(parts)
