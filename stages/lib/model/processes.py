"""The processes that a launcher started; a single process without a launcher."""

import os
from dataclasses import dataclass
from typing import Any, Protocol, cast

# Environment variables that launchers set: torch's own, Open MPI, MPICH and Intel MPI, MVAPICH.
LAUNCHED = ("LOCAL_RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


class Processes(Protocol):
    """The state of the processes, as accelerate gives it."""

    is_main_process: bool
    process_index: int
    num_processes: int
    device: Any


@dataclass(frozen=True)
class Alone:
    """State of a single process."""

    is_main_process: bool = True
    process_index: int = 0
    num_processes: int = 1
    device: Any = None


def processes() -> Processes:
    """Return the state of the processes; on CPUs where there is no GPU."""
    if not any(name in os.environ for name in LAUNCHED):
        return cast(Processes, Alone())
    # The import takes seconds.
    import torch
    from accelerate import PartialState  # pyright: ignore[reportMissingTypeStubs]

    return cast(Processes, PartialState(cpu=not torch.cuda.is_available()))


def gather(results: list[Any]) -> list[Any]:
    """Collect every process's results in every process."""
    if processes().num_processes == 1:
        return results
    from accelerate.utils import gather_object  # pyright: ignore[reportMissingTypeStubs]

    return cast(list[Any], gather_object(results))
