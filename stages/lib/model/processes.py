"""The processes that a launcher started; one where nobody did."""

from typing import Any, Protocol, cast


class Processes(Protocol):
    """What accelerate knows of them."""

    is_main_process: bool
    process_index: int
    num_processes: int
    device: Any


def processes(**options: bool) -> Processes:
    """Look at them; `options` are accelerate's, and those of the first call hold."""
    # Takes seconds to import.
    from accelerate import PartialState  # pyright: ignore[reportMissingTypeStubs]

    return cast(Processes, PartialState(**options))


def gather(results: list[Any]) -> list[Any]:
    """Collect every process's results in every process."""
    if processes().num_processes == 1:
        return results
    from accelerate.utils import gather_object  # pyright: ignore[reportMissingTypeStubs]

    return cast(list[Any], gather_object(results))
