"""A byte that changed on the disk is found by whoever reads the file next."""

import contextlib
import random

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save

from stages.lib import inspection
from stages.lib.inspection import Inspection
from stages.lib.io import seal, tables
from stages.lib.io.cli import UserError
from stages.logit_attribution import schema as logit_attribution

N = 60
ROWS = pl.DataFrame(
    {
        "statement_id": [f"s{i:03}" for i in range(N)],
        "p_true": np.linspace(0.1, 0.9, N),
        "p_false": np.linspace(0.05, 0.1, N),
        "answer_mass": np.linspace(0.2, 1, N),
    },
    schema=tables.READOUTS,
)
ARRAYS = {name: np.ones((2, 3), np.float32) for name in inspection.ARRAYS}


def parquet(file):
    tables.write(file, ROWS, tables.READOUTS, ["statement_id"])
    return lambda: tables.read(file, tables.READOUTS)


def inspected(file):
    inspection.write(file, Inspection(statement_ids=["a"], heads=[[0, 1]], reasons={}, **ARRAYS))
    return lambda: inspection.read(file)


def attributed(file):
    facts = logit_attribution.Facts(["a"], [1, 2], ["true", "false"], 1, 0.5, reason=None)
    logit_attribution.write(file, {}, facts)
    return lambda: logit_attribution.read(file)


FORMS = [parquet, inspected, attributed]


@pytest.mark.parametrize("form", FORMS)
def test_any_bit_that_is_flipped_is_found_and_named_in_one_line(form, tmp_path):
    file = tmp_path / "table"
    read = form(file)
    read()
    whole, chance = file.read_bytes(), random.Random(0)
    for place in sorted(chance.sample(range(len(whole)), min(200, len(whole)))):
        data = bytearray(whole)
        data[place] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        start = whole.rindex(seal.MARK.encode())
        if start <= place < start + len(seal.MARK):  # the rest is as it was
            continue
        with pytest.raises(UserError) as error:
            read()
        assert str(error.value).startswith(f"{file}: cut or changed since it was written (")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_table_has_the_same_bytes(form, tmp_path):
    form(tmp_path / "a")
    form(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_without_a_seal_parquet_reads_other_values_and_says_nothing(tmp_path):
    """The opposite: why there is one."""
    file = tmp_path / "table"
    ROWS.write_parquet(file, compression="zstd")
    whole, chance, other = file.read_bytes(), random.Random(0), 0
    for _ in range(40):
        data = bytearray(whole)
        data[chance.randrange(4, len(data) // 2)] ^= 1
        file.write_bytes(data)
        with contextlib.suppress(UserError):
            other += not tables.read(file, tables.READOUTS).equals(ROWS)
    assert other > 10


def test_a_table_of_another_program_is_read(tmp_path):
    ROWS.write_parquet(tmp_path / "table")
    assert tables.read(tmp_path / "table", tables.READOUTS).equals(ROWS)


def test_a_text_that_looks_like_a_seal_is_none():
    """What stands last in the file is the seal, whatever a statement says."""
    forged = {"text": seal.MARK + "1" * seal.LENGTH}
    content = save({}, forged) + seal.OPEN.encode()
    assert seal.fault(seal.seal(content)) is None
    with pytest.raises(ValueError, match="not found"):
        seal.seal(b"no place for it")
