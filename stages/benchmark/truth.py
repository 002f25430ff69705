"""The heads whose weights a lying adapter changes, and the lie without each head's change."""

import polars as pl

from stages.benchmark import methods
from stages.benchmark.bench import Bench
from stages.benchmark.schema import TRUTH
from stages.lib.grafting.graft_runs import Graft, Grafts
from stages.lib.grafting.units import Unit
from stages.lib.model.pretrained.files import sha256
from stages.lib.patching import patch
from stages.lib.patching.graft_names import HEAD, WITHOUT
from stages.lib.weights.adapter import WEIGHTS


def run(bench: Bench) -> pl.DataFrame:
    """Take the change of each head's weights out of the liar, one head at a time.

    Parameters
    ----------
    bench : Bench
        Statements of the report split.

    Returns
    -------
    DataFrame
        With the columns of `TRUTH`; no rows where no weights lie.
    """
    tables = [pl.DataFrame(schema=TRUTH)]
    if bench.adapter is None:
        return tables[0]
    setting, about = bench.setting, bench.setting.pairs
    (sizes,) = methods.weight_change(bench)
    heads = patch.heads_of(sizes > 0)
    digest = sha256(bench.adapter / WEIGHTS)
    grafts = Grafts(
        setting.lm, setting.answers, about.base, about.base_prefix, bench.changes, digest
    )
    p = grafts([Graft(WITHOUT, Unit(HEAD, *head)) for head in heads], "grafts")
    for head, values in zip(heads, patch.log_odds(p, about.label), strict=True):
        rows = about.table.select("statement_id", "subject").with_columns(
            layer=pl.lit(head.layer),
            head=pl.lit(head.head),
            size=pl.lit(float(sizes[head])),
            log_odds=pl.Series(values),
        )
        tables.append(rows.select(pl.col(name).cast(dtype) for name, dtype in TRUTH.items()))
    return pl.concat(tables)
