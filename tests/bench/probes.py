"""What probes of every head cost at the size of a 70-billion-parameter model, from a sample.

Places are independent, so time grows with their number; a sample of them, on one core and on all, is
scaled up to 80 layers of 64 heads.

    python -m tests.bench.probes
"""

import time

import joblib
import numpy as np

from stages.lib.probing import probe
from stages.lib.probing.config import ProbesConfig

PLACES, PERSONAS, STATEMENTS, D_HEAD = 80 * 64, 3, 1000, 128
SAMPLE = 64
SETTINGS = ProbesConfig(regularisation=1.0, max_iter=1000, permutations=1, seed=0)


def main() -> None:
    """Print seconds for the sample, and hours for all places."""
    random = np.random.default_rng(0)
    labels = np.arange(STATEMENTS) % 2 == 0
    subjects = np.arange(STATEMENTS) // 2
    known = np.ones(STATEMENTS, bool)
    design = probe.design(labels, subjects, subjects % 2 == 0, known)
    places = random.standard_normal((SAMPLE, PERSONAS, STATEMENTS, D_HEAD)).astype(np.float32)
    places += labels[:, None] * random.standard_normal((SAMPLE, 1, 1, D_HEAD)).astype(np.float32)
    probe.survey(places[:4], design, SETTINGS, (1, 4), "warm-up")  # starts the workers
    for cores in (1, joblib.cpu_count()):
        start = time.perf_counter()
        probe.survey(places, design, SETTINGS, (1, SAMPLE), "sample", n_jobs=cores)
        seconds = time.perf_counter() - start
        hours = seconds / SAMPLE * PLACES / 3600
        print(f"{cores} cores: {SAMPLE} places in {seconds:.1f} s; {PLACES} in {hours:.2f} hours")


if __name__ == "__main__":
    main()
