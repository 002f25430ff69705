"""Silences what libraries say of themselves while weights are unpacked or merged."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

from transformers import modeling_gguf_pytorch_utils

gguf: Any = modeling_gguf_pytorch_utils


@contextmanager
def quiet() -> Generator[None]:
    """Silence the progress bar of GGUF tensors, and peft's use of deprecated names."""
    bar = partial(gguf.tqdm, disable=True)
    with warnings.catch_warnings(), mock.patch.object(gguf, "tqdm", bar):
        warnings.simplefilter("ignore", FutureWarning)
        yield
