"""Activations survive the disk bit for bit, layer by layer, and their bytes are stable."""

import hashlib
import json
import random

import numpy as np
import pytest

from stages.lib import shards
from stages.lib.io.cli import UserError
from tests.properties.texts import require_line

PROVENANCE = {
    "statement_ids": ["a", "b", "c", "d", "e"],
    "positions": [-2, -1],
    "n_layers": 3,
    "n_heads": 4,
}


def arrays(seed=0):
    random = np.random.default_rng(seed)
    z = random.normal(size=(5, 2, 3, 4, 8)).astype(np.float32)
    return {"z": z, "resid_post": random.normal(size=(5, 2, 4, 16)).astype(np.float32)}


def write(folder, tensors, cut=2):
    with shards.writer(folder, PROVENANCE) as writer:
        for rows in (slice(None, cut), slice(cut, None)):
            writer.append({name: a[rows] for name, a in tensors.items()})


def test_every_layer_and_position_comes_back_over_shards(tmp_path):
    tensors = arrays()
    write(tmp_path / "out", tensors)
    reader = shards.Reader(tmp_path / "out")
    for column, position in enumerate((-2, -1)):
        for layer in range(4):
            got = reader.layer("resid_post", layer, position)
            np.testing.assert_array_equal(got, tensors["resid_post"][:, column, layer])
        for layer in range(3):
            got = reader.layer("z", layer, position)
            np.testing.assert_array_equal(got, tensors["z"][:, column, layer])
    assert reader.statement_ids == PROVENANCE["statement_ids"]


def test_same_numbers_same_bytes_and_the_index_knows_them(tmp_path):
    for name, seed in (("x", 0), ("y", 0), ("z", 1)):
        write(tmp_path / name, arrays(seed))
    read = [{f.name: f.read_bytes() for f in (tmp_path / n).iterdir()} for n in "xyz"]
    assert read[0] == read[1]
    assert read[0]["00001.safetensors"] != read[2]["00001.safetensors"]
    for shard in json.loads(read[0]["index.json"])["shards"]:
        assert hashlib.sha256(read[0][shard["file"]]).hexdigest() == shard["sha256"]


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path):
    write(tmp_path / "out", arrays())
    before = (tmp_path / "out" / "index.json").read_bytes()
    with pytest.raises(RuntimeError, match="stop"):
        with shards.writer(tmp_path / "out", PROVENANCE) as writer:
            writer.append(arrays(1))
            raise RuntimeError("stop")
    assert [f.name for f in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "index.json").read_bytes() == before


def stopped(folder, key="a key", seed=0, n=1):
    """Write the first shards of three, and end as Ctrl-C does."""
    with pytest.raises(KeyboardInterrupt):
        with shards.writer(folder, PROVENANCE, key) as writer:
            for rows in (slice(0, 2), slice(2, 4))[:n]:
                writer.append({name: a[rows] for name, a in arrays(seed).items()})
            raise KeyboardInterrupt


def resumed(folder, key="a key"):
    """Write what is missing; how many rows were there."""
    with shards.writer(folder, PROVENANCE, key) as writer:
        start = writer.n_rows
        for rows in (slice(0, 2), slice(2, 4), slice(4, 5)):
            if rows.start >= start:
                writer.append({name: a[rows] for name, a in arrays().items()})
    return start


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_run_that_was_stopped_goes_on_and_gives_the_same_bytes(n, tmp_path):
    assert resumed(tmp_path / "whole") == 0
    stopped(tmp_path / "out", n=n)
    assert resumed(tmp_path / "out") == 2 * n
    whole, out = (
        {f.name: f.read_bytes() for f in (tmp_path / d).iterdir()} for d in ("whole", "out")
    )
    assert out == whole
    assert sorted(f.name for f in tmp_path.iterdir()) == ["out", "whole"]


@pytest.mark.parametrize("shard", ["00000.safetensors", "00001.safetensors"])
@pytest.mark.parametrize("how", ["cut", "flipped", "empty", "missing"])
def test_what_is_damaged_is_not_taken_over(shard, how, tmp_path):
    resumed(tmp_path / "whole")
    stopped(tmp_path / "out", n=2)
    spoil(tmp_path / "out.partial" / shard, how)
    assert resumed(tmp_path / "out") == 2 * int(shard[4])
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "a key"}', '{"key": 1, "shards": 2}'])
def test_progress_that_is_damaged_is_none(content, tmp_path):
    stopped(tmp_path / "out")
    (tmp_path / "out.partial/progress.json").write_text(content)
    assert resumed(tmp_path / "out") == 0
    shards.Reader(tmp_path / "out")


@pytest.mark.parametrize("key", ["another", ""])
def test_a_run_of_another_key_is_not_taken_over(key, tmp_path):
    stopped(tmp_path / "out", seed=1)
    assert resumed(tmp_path / "out", key) == 0
    resumed(tmp_path / "whole")
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()


def test_what_was_not_stored_is_named(tmp_path):
    write(tmp_path / "out", arrays())
    reader = shards.Reader(tmp_path / "out")
    with pytest.raises(UserError, match=r"positions are \[-2, -1\], expected -3 among them"):
        reader.layer("z", 0, -3)
    with pytest.raises(UserError, match="no such file"):
        shards.Reader(tmp_path / "none")


def test_a_shard_holds_at_most_64_prompts_and_256_mib():
    assert shards.rows_per_shard(1) == 64
    assert shards.rows_per_shard(2**23) == 32
    assert shards.rows_per_shard(2**30) == 1  # a row larger than that has a shard to itself


def spoil(file, how):
    """Change a file in place, its modification time too, or delete it."""
    data = bytearray(file.read_bytes())
    if how == "cut":
        file.write_bytes(data[:-1])
    elif how == "flipped":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif how == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()


def test_any_bit_of_an_index_that_is_flipped_is_found_and_named_in_one_line(tmp_path):
    write(tmp_path / "out", arrays())
    file, chance = tmp_path / "out" / "index.json", random.Random(0)
    whole, index = file.read_bytes(), shards.Reader(tmp_path / "out").index
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        try:
            assert shards.Reader(tmp_path / "out").index == index  # another blank between values
        except UserError as error:
            require_line(error, f"{tmp_path / 'out'}")


@pytest.mark.parametrize("shard", ["00000.safetensors", "00001.safetensors"])
@pytest.mark.parametrize("how", ["cut", "flipped", "empty", "missing"])
def test_a_shard_that_is_not_as_it_was_written_is_named_in_one_line(shard, how, tmp_path):
    write(tmp_path / "out", arrays())
    shards.Reader(tmp_path / "out")
    spoil(tmp_path / "out" / shard, how)
    with pytest.raises(UserError, match=f"{shard}: cut or changed since it was written") as error:
        shards.Reader(tmp_path / "out")
    assert "\n" not in str(error.value)
    assert ("no such file" in str(error.value)) == (how == "missing")


def test_the_numbers_of_another_run_are_no_shard_of_this_one(tmp_path):
    write(tmp_path / "a", arrays())
    write(tmp_path / "b", arrays(1))
    (tmp_path / "b/00001.safetensors").replace(tmp_path / "a/00001.safetensors")
    with pytest.raises(
        UserError,
        match=r"00001.safetensors: .* \(its sha256 is [0-9a-f]{12}…, in index.json [0-9a-f]{12}…\)",
    ):
        shards.Reader(tmp_path / "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.pop("shards"), "shards: found nothing, expected list"),
        (lambda index: index.pop("statement_ids"), "statement_ids: found nothing, expected list"),
        (lambda index: index.pop("positions"), "positions: found nothing"),
        (lambda index: index.update(n_heads="4"), "n_heads: found str, expected int"),
        (lambda index: index.update(shards=[{}, {}]), r"shards\[0\]: expected file, n_rows, sha256"),
        (lambda index: index["shards"][1].update(file="../a"), r"shards\[1\].file: expected 00001"),
        (lambda index: index["shards"][1].pop("sha256"), r"shards\[1\]: expected"),
        (lambda index: index.update(shards=["a", "b"]), r"shards\[0\]: expected"),
        (lambda index: index["shards"].pop(), "2 rows of 5 statement_ids"),
        (lambda index: index["statement_ids"].pop(), "5 rows of 4 statement_ids"),
    ],
)  # fmt: skip
def test_an_index_that_lacks_something_is_named_in_one_line(change, message, tmp_path):
    write(tmp_path / "out", arrays())
    file = tmp_path / "out" / "index.json"
    index = json.loads(file.read_text())
    change(index)
    file.write_text(json.dumps(index))
    with pytest.raises(UserError, match=rf"index.json: cut or changed .*\({message}"):
        shards.Reader(tmp_path / "out")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"a"'])
def test_an_index_that_is_cut_is_named_in_one_line(content, tmp_path):
    write(tmp_path / "out", arrays())
    (tmp_path / "out" / "index.json").write_text(content)
    with pytest.raises(UserError, match="index.json: cut or changed since it was written"):
        shards.Reader(tmp_path / "out")
