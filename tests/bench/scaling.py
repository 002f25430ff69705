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
READ = 2e9  # bytes per second from disk


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
    own, random = KNOWN // 2, 2 * TOPICS * 200  # sets in the same layers and in others
    operations = own * (2 * middle + pairs) + random * middle
    yield Job("Tables 2 to 4: other topics", "transplant", 4 * own + random, operations)
    sets = TOPICS + 2 * 4  # one per topic; of all topics, four, in both directions
    robust = [of("", "", 3 * 4 * TOPICS, n, middle) for n in (in_window, sets)]
    n, operations = sum(job.n_runs for job in robust), sum(job.operations for job in robust)
    yield Job("Tables 2 to 4: other prompts", "robustness", n, operations)
    n = 4 * sum((sizes.n_layers - size) // 5 + 1 for size in (5, 10))
    n += 2 * 19  # more draws of both controls, in one window
    yield of("concept erasure", "erasure", 2 * 32, n, windows(sizes, prompt, 5))
    n = sizes.n_layers * sizes.n_heads
    yield of("*not in it:* each head alone", "single_heads", 16, n, head)
    yield Job("*not in it:* each head by gradient", "attribution_patching", 3 * 16, 16 * 3 * run)


def minutes(operations: float, gpu: str) -> float:
    """Minutes that one GPU computes."""
    return operations / PEAK[gpu] / SHARE_OF_PEAK / 60


def dollars(minutes: float) -> float:
    """Price of all GPUs, one of which computes at a time."""
    return minutes / 60 * N_GPUS * DOLLARS


def costs() -> Iterator[str]:
    """The table of time and money."""
    gpus = " | ".join(f"{gpu}, min" for gpu in PEAK)
    yield f"| in the paper | stage | runs | PFLOP | {gpus} | {N_GPUS} A100, $ |"
    yield "|---|---|---|---|---|---|---|"
    every = list(jobs(LLAMA, LONG))
    for job in every:
        times = [minutes(job.operations, gpu) for gpu in PEAK]
        yield _row(job.name, f"`{job.stages}`", f"{job.n_runs:,}", job.operations, times)
    loads = len(every) + 2  # by each stage; `activations` runs once per persona
    loading = loads * 2 * LLAMA.n_weights / READ / 60
    yield _row(f"weights read from disk, {loads} times", "all", "", 0.0, [loading] * len(PEAK))
    n, operations = sum(job.n_runs for job in every), sum(job.operations for job in every)
    times = [minutes(operations, gpu) + loading for gpu in PEAK]
    yield _row("**all of the above**", "", f"{n:,}", operations, times)


def _row(name: str, stage: str, runs: str, operations: float, times: list[float]) -> str:
    """A row of the table."""
    told = " | ".join(f"{time:,.1f}" for time in times)
    work = f"{operations / 1e15:,.1f}" if operations else ""
    return f"| {name} | {stage} | {runs} | {work} | {told} | {dollars(times[0]):,.2f} |"


def memory() -> Iterator[str]:
    """The table of memory and disk, in GB."""
    sizes, prompt = LLAMA, LONG
    kept = 2 * sizes.n_heads * sizes.d_head + sizes.d_model  # z twice: the base's and the source's
    per_prompt = 2 * sizes.n_layers * POSITIONS * kept
    keys = 2 * 2 * sizes.n_layers * sizes.n_kv_heads * sizes.d_head
    stored = 4 * (sizes.n_layers * sizes.n_heads * sizes.d_head)
    stored += 4 * (sizes.n_layers + 1) * sizes.d_model
    rows = {
        "weights in bfloat16, in GPU memory and on disk": 2 * sizes.n_weights,
        "what patched runs of one statement start from": per_prompt,
        "keys and values of the tokens that all prompts share": keys * (prompt.whole - prompt.own),
        "`data/activations`, on disk": 3 * KNOWN * stored,
    }
    yield "| what | GB |"
    yield "|---|---|"
    yield from (f"| {what} | {size / 1e9:.3g} |" for what, size in rows.items())


if __name__ == "__main__":
    print("\n".join([*costs(), "", *memory()]))
