"""Section `model` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.ranges import Matching, OneOf, Text

Named = Annotated[str, Text()]
SHA256 = Matching("[0-9a-f]{64}", "64 hex digits in lower case")


@dataclass(frozen=True)
class ModelConfig:
    """Section `model` of params.yaml."""

    source: Named
    file: Named | None
    sha256: Annotated[str | None, SHA256]
    dtype: Annotated[str, OneOf("auto", "float32", "bfloat16", "float16")]
    organism: Named | None
