"""Stages one after the other in this process, as each would run in a process of its own.

`torchrun --nproc_per_node 3 every_stage.py COMMANDS`: the large packages are imported once per
process, not once per process and stage. COMMANDS is a file of JSON: names of modules, and arguments.
"""

import json
import os
import runpy
import sys
from pathlib import Path

from torch import distributed


def main(commands: str) -> None:
    """Run every stage of the project that is the current folder."""
    sys.path[0] = os.getcwd()
    from stages.lib.forward import memory
    from stages.lib.io import cli

    for module, *arguments in json.loads(Path(commands).read_text()):
        cli.counts.clear()
        memory._seen.clear()
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
