"""What `tests.bench.gpu` measures, on tiny models; on a GPU too, where there is one."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from tests import tiny
from tests.bench import common, gpu, hf, jobs, ours, rounding

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]
ROUNDING = 1e-5  # of sums in float32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny.save(tiny.random_model(num_hidden_layers=6), folder)  # a window of five layers, and one
    return folder


@pytest.fixture(scope="module")
def job() -> jobs.Job:
    """Prompts that are long enough for what the benchmark writes."""
    base, source = rounding.tiny_prompts(4)
    return jobs.Job(base, source, *jobs.patches(6, 4), rounding.ANSWERS)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("architecture", rounding.ARCHITECTURES)
def test_shortcut_and_plain_forwards_agree(architecture, device):
    single = rounding.exactness(architecture, device, torch.float32)
    half = rounding.exactness(architecture, device, torch.bfloat16)

    assert single["difference"] < ROUNDING
    assert single["rounding"] == 0
    assert half["rounding"] > 10 * ROUNDING
    assert half["difference"] < 3 * half["rounding"]


@pytest.mark.parametrize("device", DEVICES)
def test_exactness_sees_a_shortcut_that_is_wrong(device, monkeypatch):
    from stages.lib.forward import attention

    monkeypatch.setattr(attention, "BLOCKED", 0.0)  # tokens see those after them

    assert rounding.exactness("llama", device, torch.float32)["difference"] > 1e-3


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("architecture", ["llama", "mistral"])
def test_batches_change_nothing_on_a_cpu_and_little_on_a_gpu(architecture, device):
    peer = ours.Peer(rounding.tiny_model(architecture, device, torch.float32), rounding.ANSWERS)

    result = rounding.company(
        peer, rounding.tiny_prompts(), rounding.tiny_patches(peer), rounding.TAIL
    )

    assert len(result) == 5
    assert max(result.values()) <= (0 if device == "cpu" else ROUNDING)


@pytest.mark.parametrize("device", DEVICES)
def test_dtypes_are_compared_with_float32_on_a_cpu(folder, job, device):
    labels = np.array([True, False, True, False])

    first, *rows = rounding.dtypes(folder, job, labels, device)

    assert first["difference"] == first["changed_answers"] == first["accuracy_difference"] == 0
    assert [(row["contender"], row["dtype"]) for row in rows] == [
        (name, dtype) for dtype in ("float32", "bfloat16", "float16") for name in ("ours", "hf_32")
    ]
    for row in rows:
        assert row["runs"] == 8
        low, high = (0, ROUNDING) if row["dtype"] == "float32" else (ROUNDING, 0.1)
        assert low <= row["difference"] < high


def test_what_became_of_the_answers():
    labels = np.array([True, False])
    expected = np.array([[[0.75, 0.25], [0.5, 0.25]], [[0.25, 0.5], [0.25, 0.75]]])
    p = expected.copy()
    p[0, 1] = [0.25, 0.5]  # from wrong to right

    result = rounding.compare(p, expected, labels)

    assert result == {
        "runs": 4,
        "difference": 0.25,
        "mean_difference": 0.0625,
        "changed_answers": 1,
        "best_window": 0,
        "best_accuracy": 1.0,
        "accuracy_difference": 0.5,
        "p_correct_difference": 0.125,
    }


@pytest.mark.parametrize("device", DEVICES)
def test_contenders_are_timed_on_the_same_runs(folder, job, device):
    model = common.load(folder, device)

    rows = list(gpu.speed(model, job, 2, "tiny", long=False))

    assert {(row["contender"], row["task"]) for row in rows} == {
        (name, task) for name in gpu.CONTENDERS for task in gpu.TASKS
    }
    assert len(rows) == 3 * (2 * len(gpu.CONTENDERS) - len(gpu.ONCE))
    for row in rows:
        n_runs = {"cache": 4, "window": 8, "heads": 96}[row["task"]]
        assert row["units"] == min(n_runs, 64 if row["contender"] == "hf_1" else n_runs) or (
            row["contender"] != "ours"
        )
        assert row["seconds"] > 0
        assert row["difference"] < ROUNDING
        assert row["log_difference"] < 10 * ROUNDING
        assert (row["peak_mb"] > 0) == (device == "cuda")


def test_a_table_has_medians_of_each_contender():
    about = {"model": "tiny", "dtype": "float32", "long": True, "units": 6, "peak_mb": 5}
    rows = [
        about | {"contender": name, "task": task, "seconds": seconds}
        for name in ("ours", "hf_1")
        for task in gpu.TASKS
        for seconds in ((1.0, 2.0, 3.0) if name == "ours" else (6.0,))
    ]

    assert list(gpu.tables(rows)) == [
        "\ntiny, float32, long prompts\n",
        "| | CACHE, statements/s | WINDOW, runs/s | HEADS, runs/s | peak memory, MB |",
        "|-----|".replace("-----", "---|" * 4 + "---"),
        "| ours | 3 | 3 | 3 | 5 |",
        "| hf_1 | 1 | 1 | 1 | 5 |",
    ]


def test_a_random_llama_runs_prompts_of_another_vocabulary(job):
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 4, "num_hidden_layers": 6, "vocab_size": 50}
    model = gpu.random_llama("cpu", torch.bfloat16, **sizes)

    fitted = gpu.fitted(job, model)

    assert max(map(max, fitted.base)) < 50
    assert [token % 50 for token in job.source[1]] == fitted.source[1]
    assert fitted.windows.shape == (2, 6, 4)
    assert fitted.heads.shape == (24, 6, 4)
    assert model.dtype == torch.bfloat16
    rows = list(gpu.speed(model, fitted, 1, "tiny", long=False, names=("ours", "hf_32")))
    assert max(row["difference"] for row in rows) < 0.05


def test_known_statements_are_half_true(folder, tmp_path):
    labels = [True, True, False, False, True, False]
    ids = [[i] for i in range(6)]
    known = [True, True, True, False, True, True]
    columns = {"label": labels, "known": known, "base_ids": ids, "source_ids": ids[::-1]}
    pl.DataFrame(columns).write_parquet(tmp_path / "pairs.parquet")

    result, of = jobs.known(folder, tmp_path / "pairs.parquet", 4)

    assert of.tolist() == [True, True, False, False]
    assert result.base == [[0], [1], [2], [5]]
    assert result.source == [[5], [4], [3], [0]]


def test_a_model_is_loaded_in_a_dtype_and_a_loaded_one_is_taken(folder):
    model = common.load(folder, dtype=torch.bfloat16)

    assert model.dtype == torch.bfloat16
    assert hf.Peer(model, rounding.ANSWERS).model is model


def test_without_a_gpu_there_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no GPU that torch can use was found, expected one"):
        gpu.main(Path("data/model"), Path("data"), tmp_path)
