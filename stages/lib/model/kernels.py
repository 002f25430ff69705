"""Check that the CPU supports a dtype: some virtual machines announce instructions they forbid."""

import signal
import subprocess
import sys

import torch

from stages.lib.io.cli import UserError

# The operations of a forward, in sizes for which a library may choose each of the CPU's units.
WORK = """
import sys
import torch
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu
dtype = getattr(torch, sys.argv[1])
for n in (4, 64, 256):
    x = torch.ones(2, n, 256, dtype=dtype)
    y = torch.nn.Linear(256, 512, dtype=dtype)(silu(rms_norm(x, (256,))))
    q = y.unflatten(-1, (8, 64)).transpose(1, 2)
    scaled_dot_product_attention(q, q, q, is_causal=True).float().softmax(-1).sum().item()
"""


def require(dtype: str) -> None:
    """Refuse a dtype that this CPU cannot compute in, as tried in a child process.

    Parameters
    ----------
    dtype : str
        Name of the weights' dtype. float32 is not tried, nor is any dtype where there is a GPU.

    Raises
    ------
    UserError
        If the child process was killed or failed.
    """
    if dtype == "float32" or torch.cuda.is_available():
        return
    child = subprocess.run(
        [sys.executable, "-c", WORK, dtype],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if child.returncode == 0:
        return
    last = (child.stderr.strip().splitlines() or ["no message"])[-1]
    failure = f"a trial failed: {last}"
    if child.returncode < 0:
        failure = f"a trial was killed by {signal.Signals(-child.returncode).name}"
    raise UserError(
        f"params.yaml: model.dtype: found {dtype}, which this CPU cannot compute ({failure}); "
        "expected float32"
    )
