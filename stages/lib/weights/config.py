"""Section `model` of params.yaml."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from stages.lib.io.cli import UserError
from stages.lib.io.ranges import Matching, OneOf, Text

Named = Annotated[str, Text()]
MODULES = ("layers", "attention", "output", "mlp")
PATH = re.compile(r"\w+(\.\w+)*")
SHA256 = Matching("[0-9a-f]{64}", "64 hex digits in lower case")


@dataclass(frozen=True)
class ModelConfig:
    """Section `model` of params.yaml."""

    SECTION = "model"
    source: Named
    file: Named | None
    sha256: Annotated[str | None, SHA256]
    dtype: Annotated[str, OneOf("auto", "float32", "bfloat16", "float16")]
    organism: Named | None
    modules: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse unknown keys and malformed paths in `modules`."""
        if self.modules == {}:
            raise UserError("params.yaml: model.modules: found no module in it, expected null")
        for key, path in (self.modules or {}).items():
            if key not in MODULES:
                raise UserError(
                    f"params.yaml: model.modules.{key}: unknown key, expected one of "
                    f"{', '.join(MODULES)}"
                )
            if not isinstance(path, str) or not PATH.fullmatch(path):
                raise UserError(
                    f"params.yaml: model.modules.{key}: found {path!r}, expected names with dots "
                    "between, such as self_attn.o_proj"
                )
