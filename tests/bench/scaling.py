"""Operations, time, memory and money for a large model, by calculation.

`python -m tests.bench.scaling` prints the tables of stages/SCALING.md; a test compares both, and the
operations per run with those that were counted on the default model.
"""

from collections.abc import Iterator
from dataclasses import dataclass

POSITIONS = 25  # last positions that are patched
SHARE_OF_PEAK = 0.4
DOLLARS = 2.5  # per GPU and hour
N_GPUS = 4
PEAK = {"A100": 312e12, "H100": 989e12}  # operations per second, dense, bfloat16
PER_TOPIC, TOPICS = 40, 12
KNOWN = PER_TOPIC * TOPICS  # statements, all of them known
SET = 46  # heads of the paper's set
TRIED = 10  # sets that the search tries for each head that it adds


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model of Llama's architecture."""

    n_layers: int
    d_model: int
    d_ff: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    n_tokens: int  # vocabulary
    tied: bool = False

    @property
    def made(self) -> int:
        """Weights that make queries, keys and values of a layer."""
        return self.d_model * self.d_head * (self.n_heads + 2 * self.n_kv_heads)

    @property
    def rest(self) -> int:
        """Weights of a layer's output projection and MLP."""
        return self.d_model * (self.n_heads * self.d_head + 3 * self.d_ff)

    @property
    def n_weights(self) -> int:
        """Weights of all matrices."""
        embeddings = (1 if self.tied else 2) * self.n_tokens * self.d_model
        return self.n_layers * (self.made + self.rest) + embeddings


@dataclass(frozen=True)
class Prompt:
    """Tokens of a prompt: in all, and of its own, which are run for each statement."""

    whole: int
    own: int


LLAMA = Sizes(80, 8192, 28672, 64, 8, 128, 32000)
SMOL = Sizes(30, 576, 1536, 9, 3, 64, 49152, tied=True)
LONG = Prompt(180, 40)


def layer(sizes: Sizes, n: int, whole: int) -> float:
    """Operations of a layer on so many tokens of a prompt."""
    return 2 * n * (sizes.made + sizes.rest) + 4 * n * sizes.n_heads * sizes.d_head * whole


def last_layer(sizes: Sizes, n: int, whole: int) -> float:
    """Operations of the last layer, all but keys and values of which run on the last token alone."""
    keys = 2 * sizes.d_model * sizes.d_head * sizes.n_kv_heads
    return layer(sizes, 1, whole) + 2 * (n - 1) * keys


def unpatched(sizes: Sizes, prompt: Prompt, shared_by: float = float("inf")) -> float:
    """Operations of a run, with the prompt's shared tokens, which so many runs have in common."""
    own = max(prompt.own, 1)
    shared = sizes.n_layers * layer(sizes, prompt.whole - own, prompt.whole) / shared_by
    below = (sizes.n_layers - 1) * layer(sizes, own, prompt.whole)
    answer = 2 * sizes.d_model * sizes.n_tokens
    return shared + below + last_layer(sizes, own, prompt.whole) + answer


def patched(sizes: Sizes, prompt: Prompt, first: int, n_whole: int = 0) -> float:
    """Operations of a run that is patched from layer `first` on.

    Of the first layer, and of `n_whole` layers all of whose heads are patched, attention is not run.
    """
    total = 2.0 * sizes.d_model * sizes.n_tokens
    for number in range(first, sizes.n_layers):
        whole = number < first + max(n_whole, 1)
        if number == sizes.n_layers - 1:
            skipped = 2 * POSITIONS * sizes.made if whole else 0
            total += max(last_layer(sizes, POSITIONS, prompt.whole) - skipped, 2 * sizes.rest)
        elif whole:
            total += 2 * POSITIONS * sizes.rest
        else:
            total += layer(sizes, POSITIONS, prompt.whole)
    return total


def windows(sizes: Sizes, prompt: Prompt, size: int) -> float:
    """Mean operations of a run with a window of layers patched, over all windows."""
    firsts = range(sizes.n_layers - size + 1)
    return sum(patched(sizes, prompt, first, size) for first in firsts) / len(firsts)


@dataclass(frozen=True)
class Job:
    """Runs of one part of the paper: how many, and operations of them all."""

    name: str
    stages: str
    n_runs: int
    operations: float


def jobs(sizes: Sizes, prompt: Prompt) -> Iterator[Job]:
    """Runs of every table and figure of the paper, and of what it lacks, with params.yaml as it is.

    All statements are known. Heads of a set are in a window in the middle of the model.
    """
    run, head = unpatched(sizes, prompt), windows(sizes, prompt, 1)
    middle = patched(sizes, prompt, sizes.n_layers // 2)
    pairs = 2 * run  # base and source
    in_window = 5 * sizes.n_heads

    def of(name: str, stages: str, statements: int, n: int, each: float) -> Job:
        """Runs of some statements, with those that they are made from."""
        return Job(name, stages, statements * (n + 2), statements * (n * each + pairs))

    cells = 10 * 6 * 3 * KNOWN  # wordings as in the paper
    yield Job("Table 1, Fig. 1: 180 wordings", "wordings", cells, cells * run)
    yield Job("probes of truth", "activations", 3 * KNOWN, 3 * KNOWN * run)
    one = windows(sizes, prompt, 5)
    yield of("Fig. 3: windows of five layers", "windows", 128, sizes.n_layers - 4, one)
    counts = {size: 2 * (sizes.n_layers - size + 1) for size in (1, 3, 5, 10)}
    total = sum(n * windows(sizes, prompt, size) for size, n in counts.items())
    n = sum(counts.values())
    yield of("Fig. 7: windows of other sizes", "widths", 12, n, total / n)
    yield of("appendix B.5: positions", "positions", 32, 41, middle)
    n = 2 * in_window + SET * TRIED
    yield of("Fig. 4: heads left out; the set", "heads", 64, n, middle)
    transplant = of("", "", KNOWN // 2, 2, middle)
    n = 2 * TOPICS * 200
    yield Job(
        "Tables 2 to 4: other topics",
        "transplant",
        transplant.n_runs + n,
        transplant.operations + n * middle,
    )
    robust = of("Tables 2 to 4: other prompts", "robustness", 3 * 4 * TOPICS, in_window, middle)
    yield robust
    n = 4 * sum((sizes.n_layers - size) // 5 + 1 for size in (5, 10))
    yield of("concept erasure", "erasure", 2 * 32, n, windows(sizes, prompt, 5))
    n = sizes.n_layers * sizes.n_heads
    yield of("*not in it:* each head alone", "single_heads", 16, n, head)
    yield Job("*not in it:* each head by gradient", "attribution_patching", 3 * 16, 16 * 3 * run)


def hours(operations: float, gpu: str) -> float:
    """Hours that one GPU computes."""
    return operations / PEAK[gpu] / SHARE_OF_PEAK / 3600


def money(operations: float, gpu: str) -> float:
    """Dollars of all GPUs, one of which computes at a time."""
    return hours(operations, gpu) * N_GPUS * DOLLARS


def costs() -> Iterator[str]:
    """The table of time and money."""
    yield "| in the paper | stage | runs | PFLOP | A100, hours | H100, hours | A100, $ |"
    yield "|---|---|---|---|---|---|---|"
    every = list(jobs(LLAMA, LONG))
    total = Job("**all**", "", sum(j.n_runs for j in every), sum(j.operations for j in every))
    for job in [*every, total]:
        a100, h100 = (hours(job.operations, gpu) for gpu in PEAK)
        dollars = money(job.operations, "A100")
        stage = f"`{job.stages}`" if job.stages else ""
        yield (
            f"| {job.name} | {stage} | {job.n_runs:,} | {job.operations / 1e15:,.0f} | {a100:.1f} | "
            f"{h100:.1f} | {dollars:,.0f} |"
        )


def memory() -> Iterator[str]:
    """The table of memory and disk, in GB."""
    sizes, prompt = LLAMA, LONG
    kept = 2 * sizes.n_heads * sizes.d_head + sizes.d_model  # z twice: the base's and the source's
    per_prompt = 2 * sizes.n_layers * POSITIONS * kept
    keys = 2 * 2 * sizes.n_layers * sizes.n_kv_heads * sizes.d_head
    stored = 4 * (sizes.n_layers * sizes.n_heads * sizes.d_head)
    stored += 4 * (sizes.n_layers + 1) * sizes.d_model
    yield "| what | GB |"
    yield "|---|---|"
    yield f"| weights in bfloat16, spread over all GPUs; as much disk | {2 * sizes.n_weights / 1e9:.0f} |"
    yield f"| *z* and residual stream that patched runs of one statement start from | {per_prompt / 1e9:.3f} |"
    yield f"| keys and values of the {prompt.whole - prompt.own} tokens that all prompts share | {keys * (prompt.whole - prompt.own) / 1e9:.3f} |"
    yield f"| `data/activations`: {KNOWN} statements of three personas, float32, on disk | {3 * KNOWN * stored / 1e9:.1f} |"


if __name__ == "__main__":
    print("\n".join([*costs(), "", *memory()]))
