"""The processes that a launcher started; one where nobody did."""

import os
from dataclasses import dataclass
from typing import Any, Protocol, cast

# What a launcher tells a process: torch's own, Open MPI, MPICH and Intel MPI, MVAPICH.
LAUNCHED = ("LOCAL_RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


class Processes(Protocol):
    """What accelerate knows of them."""

    is_main_process: bool
    process_index: int
    num_processes: int
    device: Any


@dataclass(frozen=True)
class Alone:
    """The only process."""

    is_main_process: bool = True
    process_index: int = 0
    num_processes: int = 1
    device: Any = None


def processes() -> Processes:
    """Look at them; on CPUs where there is no GPU."""
    if not any(name in os.environ for name in LAUNCHED):
        return cast(Processes, Alone())
    # Takes seconds to import.
    import torch
    from accelerate import PartialState  # pyright: ignore[reportMissingTypeStubs]

    return cast(Processes, PartialState(cpu=not torch.cuda.is_available()))


def gather(results: list[Any]) -> list[Any]:
    """Collect every process's results in every process."""
    if processes().num_processes == 1:
        return results
    from accelerate.utils import gather_object  # pyright: ignore[reportMissingTypeStubs]

    return cast(list[Any], gather_object(results))
