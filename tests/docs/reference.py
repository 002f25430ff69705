"""Write stages/REFERENCE.md from dvc.yaml, params.yaml, the schemas of sections and of tables.

python -m tests.docs.reference
"""

import importlib
import io
import json
import re
import typing
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from ruamel.yaml import YAML

from stages.check.schemas import schemas
from stages.lib.results.markdown import code
from tests.pipeline.closure import ROOT, declared

FILE = ROOT / "stages/REFERENCE.md"
HEAD = """# Reference

<!-- Written by `make reference`. Edit dvc.yaml, params.yaml or the code instead. -->

Every stage, every setting and every table. How to read the numbers of `metrics/` is in
[metrics/README.md](../metrics/README.md). `python -m stages.NAME --help` says what each option of a
stage's command is.
"""
TYPES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    dict: "mapping",
    list: "list",
}
LIST = "list; of each: "
FAULTY = (float("nan"), "", [], ["a", "a"], [1, 0])
"""One of these passes no rule: a rule then says what it expects."""
MANY = 9
"""Of more files than these only folders are named."""
SHOWN = 60
"""Longest default that is shown."""
TABLES = {
    "data/statements.parquet": "lib.io.tables.STATEMENTS",
    "data/prompts/PERSONA.parquet": "lib.io.tables.PROMPTS",
    "data/readouts/PERSONA.parquet": "lib.io.tables.READOUTS",
    "data/known.parquet": "lib.io.tables.KNOWN",
    "data/pairs.parquet": "lib.io.tables.PAIRS",
    "data/probes/layers.parquet": "lib.probing.probe_files.LAYERS",
    "data/probes/falls.parquet": "lib.probing.probe_files.FALLS",
    "data/windows.parquet": "lib.patching.best_window.SCHEMA",
    "data/widths.parquet": "widths.window_runs.SCHEMA",
    "data/attribution_patching.parquet": "lib.patching.head_effects.EFFECTS",
    "data/trace/runs.parquet": "trace.schema.RUNS",
    "data/trace/paths.parquet": "trace.schema.PATHS",
    "data/trace/estimates.parquet": "trace.schema.ESTIMATES",
    "data/benchmark/ORGANISM/scores.parquet": "benchmark.schema.SCORES",
    "data/benchmark/ORGANISM/resampled.parquet": "benchmark.schema.SCORES",
    "data/benchmark/ORGANISM/curves.parquet": "benchmark.schema.CURVES",
    "data/benchmark/ORGANISM/costs.parquet": "benchmark.schema.COSTS",
    "data/benchmark/ORGANISM/truth.parquet": "benchmark.schema.TRUTH",
    "data/set_sizes/runs.parquet": "set_sizes.schema.SCHEMA",
    "data/set_sizes/orders.parquet": "set_sizes.schema.ORDERS",
    "data/erasure/runs.parquet": "erasure.schema.RUNS",
    "data/erasure/probes.parquet": "erasure.schema.PROBED",
    "data/wordings.parquet": "wordings.grid.CELLS",
}
"""Tables of data/ whose schema is not `NAME.schema.SCHEMA` of the node that writes `NAME.parquet`."""
RUNS = "lib.patching.patched_runs.SCHEMA"
"""Of the table of a sweep without columns of its own."""
COLUMNS = {
    "statement_id": "hash of topic and statement; names it in every table",
    "topic": "such as `capitals` or `neg_capitals`",
    "statement": "the sentence",
    "label": "whether it is true",
    "subject": "what it is about; all statements on it are in one split",
    "object": "what the statement says of it",
    "template": "the sentence with {subject} and {object} in it",
    "split": "`selection` or `report`",
    "origin": "file that it comes from, or `built-in`",
    "persona": "of the prompt",
    "text": "the rendered prompt",
    "token_ids": "the prompt's tokens",
    "prefix_ids": "tokens of the forced start of the answer",
    "n_tokens": "length of the prompt",
    "p_true": "probability of all tokens that say true, at the last prompt token",
    "p_false": "likewise, false",
    "answer_mass": "`p_true + p_false`",
    "known": "whether the model knows it: right and clear under the neutral persona",
    "source_text": "prompt of the source persona",
    "base_text": "prompt of the base persona",
    "source_ids": "its tokens",
    "base_ids": "its tokens",
    "source_prefix_ids": "tokens of its prefix",
    "base_prefix_ids": "tokens of its prefix",
    "source": "persona whose activation is patched in",
    "base": "persona whose run is patched",
    "patch_id": "name of the patch; unpatched runs: `none`, or with `none` at its head",
    "heads": "patched heads, layer and head from 0",
    "first_layer": "first patched layer",
    "last_layer": "last patched layer",
    "layer": "from 0; in the residual stream, the layer that it enters",
    "head": "from 0",
    "site": "where the activation is read",
    "labels": "`true`, or `permuted` as a control",
    "fit": "persona that the probe was fitted on",
    "scored": "persona that it was scored on",
    "accuracy": "fraction classified correctly",
    "low": "end of the 95 % interval",
    "high": "end of the 95 % interval",
    "n": "statements",
    "first": "persona of one direction",
    "second": "persona of the other direction",
    "falls_below_half": "first layer at which their cosine is below 0.5",
    "layers": "layers that were compared",
    "dose": "share of the lying adapter's change of weights that is merged in",
    "method": "method of localisation",
    "score": "the larger, the more the method points at the head",
    "n_heads": "heads of the set",
    "log_odds": "log P(right answer) - log P(wrong answer), in nats",
    "forwards": "forward passes, of one prompt each",
    "backwards": "backward passes, of one prompt each",
    "seconds": "time that the method took",
    "estimate": "effect of the patch by gradient, in nats of log-odds",
    "effect": "effect of the patch as measured, in nats of log-odds",
    "size": "layers of the window, or heads of the set; of a part of a weight change, its Frobenius norm",
    "patched": "what is patched in: `window` or `set`",
    "run": "name of the run, as in `metrics/`",
    "block": "part of the prompt that is patched",
    "draw": "number of the random draw",
    "positions": "positions that are patched",
    "step": "heads taken so far by the search",
    "model_heads": "heads of the model",
    "rule": "how heads were ordered",
    "direction": "`up`: the first heads patched; `down`: all but the first",
    "rank": "place in the order, from 1",
    "own": "whether the rule itself ranked the head",
    "on_curve": "whether a set of that size was run",
    "wording": "of the prompts that were run",
    "chosen_on": "what the set was chosen on: `topic`, `wording`, or all (`search`)",
    "set": "which topic or wording",
    "donor": "statement whose z is patched in",
    "eraser": "what erased, or a control",
    "probe": "how the probe was fitted and scored",
    "z": "`unerased`, `erased`, or with labels `permuted`",
    "correct": "whether the probe is right",
    "system": "name of the system prompt",
    "question": "name of the question",
    "prefix": "name of the prefix",
    "top_id": "most probable token",
    "index": "head, or group of heads that share keys and values",
    "map": "linear map, by its name in transformers",
    "unit": "what part of the change of weights it is: a layer, a head, …",
    "reader_block": "place of the prompt at which the reader is patched",
    "reader_layer": "layer of the reader",
    "writer_block": "place of the prompt at which the writer is patched",
    "writer_layer": "layer of the writer",
    "top_token": "the same, as text",
    "top_is_answer": "whether it is one of the answers",
}
"""What each column is, in whichever table it is."""


def main() -> None:
    """Write the page."""
    FILE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_stages(), *_settings(), *_tables()])


def schema(name: str) -> dict[str, Any]:
    """The columns of a table, by the name of its schema."""
    module, attribute = name.rsplit(".", 1)
    return getattr(importlib.import_module(f"stages.{module}"), attribute)


def expected(kind: Any) -> str:
    """A type and its rules in words."""
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind) or kind
    if origin is Annotated:
        inner, *rules = arguments
        null = ", or null" if type(None) in typing.get_args(inner) else ""
        what, said = expected(inner).removesuffix(null), list(filter(None, map(_rule, rules)))
        if what == TYPES[str] and said:  # a rule of a text says what text it is
            return ", ".join(said) + null
        return ("; of the list: " if what.startswith(LIST) else ", ").join([what, *said]) + null
    if origin is tuple:
        return LIST + expected(arguments[0])
    if type(None) in arguments:
        return expected(arguments[0]) + ", or null"
    return TYPES[origin]


def _rule(rule: Any) -> str | None:
    """What a rule says of a value that it refuses."""
    for value in FAULTY:
        try:
            fault = rule.fault(value)
        except (TypeError, AttributeError):  # the rule is about another type
            continue
        if fault:
            return fault
    return None


def _stages() -> Iterator[str]:
    """A table of the stages, in the order of dvc.yaml."""
    yield "## Stages\n"
    yield "| stage | what it does | settings | reads | writes |\n|---|---|---|---|---|"
    for name, stage in _one_row_each().items():
        reads = [d for d in stage["deps"] if not d.startswith(("stages", "requirements"))]
        writes = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
        names = [out if isinstance(out, str) else next(iter(out)) for out in writes]
        cells = [f"`{name}`", stage["desc"], _codes(_sections(stage)), *map(_files, (reads, names))]
        yield f"| {' | '.join(map(_plain, cells))} |"
    yield ""


def _files(names: list[str]) -> str:
    """Names of files in code; of many, how many there are of each folder."""
    if len(names) <= MANY:
        return _codes(names)
    folders = Counter(name.split("/")[0] for name in names)
    return ", ".join(f"{n} of `{folder}/`" for folder, n in folders.items())


def _one_row_each() -> dict[str, Any]:
    """Stages by name; those of a matrix or a list once, with what they are made for in capitals."""
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    rows = {}
    for name, stage in stages.items():
        of = next(iter(stage.get("matrix", {})), "name" if "foreach" in stage else None)
        row = json.dumps(stage.get("do", stage))
        row = re.sub(r"\$\{(?:item\.)?(?:persona|sweep|key)\}", (of or "").upper(), row)
        row = row.replace("${item.needs}", "data/organisms/START")
        row = row.replace("${item.organism}", "ORGANISM")
        row = row.replace("${item.runs}", "data/NAME").replace('"${item.settings}"', '"erasure"')
        rows[f"{name}@{of.upper()}" if of else name] = json.loads(row)
    return rows


def _sections(stage: dict[str, Any]) -> list[str]:
    """Sections of params.yaml that a stage reads."""
    params = [p if isinstance(p, str) else "all" for p in stage.get("params", [])]
    return list(dict.fromkeys(p.split(".")[0] for p in params))


def _settings() -> Iterator[str]:
    """A table of each section of params.yaml."""
    values = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    known = schemas()
    yield "## Settings of params.yaml\n"
    yield "A default is the value of the committed run.\n"
    for section, content in values.items():
        yield f"### `{section}`\n"
        if not isinstance(content, dict):
            yield f"Default: {_default(content)}\n"
            continue
        types = (
            typing.get_type_hints(known[section], include_extras=True) if section in known else {}
        )
        yield "| key | expected | default | |\n|---|---|---|---|"
        for key, value in content.items():
            kind = expected(types[key]) if key in types else _unnamed(value)
            cells = [f"`{key}`", kind, _default(value), _remarks(section, key)]
            yield f"| {' | '.join(map(_plain, cells))} |"
        yield ""


def _unnamed(value: Any) -> str:
    """What a key is that users name, or that another schema has: as its default."""
    return TYPES[type(value)]


def _default(value: Any) -> str:
    """A value as params.yaml has it, on one line."""
    if isinstance(value, dict) and len(str(value)) > SHOWN:
        return f"keys {_codes(list(value))}"
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style, yaml.width = True, 10_000
    yaml.dump([value], stream)
    text = stream.getvalue().strip()[1:-1].replace("\n", " ")
    return code(text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…")


def _remarks(section: str, key: str) -> str:
    """What params.yaml remarks on a key: in the lines above it, and behind its value."""
    above: list[str] = []
    inside = False
    for line in (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines():
        if re.match(r"\w+:", line):
            inside = line.startswith(f"{section}:")
        if inside and line.startswith(f"  {key}:"):
            behind = re.findall(r" # (.*)$", line)
            return " ".join([*above, *behind])
        stripped = line.strip()
        above = [*above, stripped.removeprefix("# ")] if stripped.startswith("#") else []
    return ""


def tables() -> dict[str, str]:
    """Every table of data/, and the schema that it is written with."""
    outs = [
        out.replace("${item.persona}", "PERSONA")
        for stage in declared().values()
        for out in stage.get("outs", [])
        if isinstance(out, str) and out.endswith(".parquet")
    ]
    return TABLES | {out: _schema_of(out) for out in outs if out not in TABLES}


def _schema_of(out: str) -> str:
    """The schema of a node's one table: that of its schema.py, if it has one."""
    node = Path(out).stem
    return f"{node}.schema.SCHEMA" if (ROOT / f"stages/{node}/schema.py").is_file() else RUNS


def meaning(column: str) -> str:
    """What a column is: from `COLUMNS`, or from the comment behind it in a node's schema.py."""
    remarks = (
        remark
        for file in sorted(ROOT.glob("stages/*/schema.py"))
        for remark in re.findall(rf'"{column}": [\w.]+,\s+# (.+)', file.read_text(encoding="utf-8"))
    )
    said = COLUMNS.get(column) or next(remarks, None)
    assert said, f"{column}: no comment behind this column in the schema.py of its node"
    return said


def _tables() -> Iterator[str]:
    """Columns of each table of data/."""
    yield "## Tables of data/\n"
    yield "Parquet, rows sorted by their key, no nulls but in what names a patch. Types are those of"
    yield "polars. What a column means is listed once, below.\n"
    yield "| table | columns |\n|---|---|"
    columns: dict[str, Any] = {}
    for file, name in tables().items():
        columns |= schema(name)
        yield f"| `{file}` | {_codes(list(schema(name)))} |"
    yield "\n| column | type | |\n|---|---|---|"
    for name, kind in columns.items():
        shown = getattr(kind, "__name__", kind)
        yield f"| `{name}` | {shown} | {meaning(name)} |"
    yield "\nActivations are shards of safetensors, with an `index.json` beside them that has their"
    yield "sha256: `z` of shape (rows, positions, layers, heads, d_head), `resid_post` of shape"
    yield "(rows, positions, layers + 1, d_model). `data/logit_attribution.safetensors` has, of each run"
    yield "(`source`, `base`), what each part adds to the logits of the answer tokens: `embedding`,"
    yield "`attention` and `mlp` by layer, `heads` by layer and head.\n"


def _codes(names: list[str]) -> str:
    """Names in code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def _plain(cell: str) -> str:
    """A cell of a table: no line ends, and no bars that would end it."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(cell.split()))


if __name__ == "__main__":
    main()
