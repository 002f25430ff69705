"""The files that take longest come first, so that pytest's workers end together.

Each worker has one thread: two that have two each wait for each other by spinning.
"""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

HERE = Path(__file__).parent
LONGEST = (
    "pipeline/test_repro.py",
    "figures/test_figures.py",
    "pipeline/test_bad_input_table.py",
    "pipeline/test_organism.py",
    "pipeline/test_docs.py",
    "lib/forward/test_company.py",
    "lib/chat/test_chat.py",
    "pipeline/test_names.py",
    "pipeline/test_new_sweep.py",
    "lib/drawing/test_plots_page.py",
    "organism/test_organism.py",
    "check/test_check.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by file; pytest-xdist keeps the order with `--no-loadscope-reorder`."""
    ranks = {file: rank for rank, file in enumerate(LONGEST)}

    def rank(item: pytest.Item) -> int:
        return ranks.get(item.path.relative_to(HERE).as_posix(), len(ranks))

    items.sort(key=rank)
