"""LoRA adapters, by peft: attach one for training, write it compactly, merge it into weights."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

import peft
import safetensors.torch
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open

from stages.lib.io.atomic import atomic
from stages.lib.io.cli import UserError
from stages.lib.model.pretrained import loading
from stages.lib.model.pretrained.files import WEIGHTS as OF_BASE
from stages.lib.model.pretrained.files import hashes, sha256
from stages.lib.weights.fetch import Fetched
from stages.lib.weights.quiet import quiet
from stages.lib.weights.recipe import Recipe

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
SUMS = "SHA256SUMS"
"""Hashes of both files, as ``sha256sum --check`` reads them."""


def base(fetched: Fetched) -> tuple[Any, Any]:
    """Load a base model in float32, and its tokenizer."""
    return loading.model(fetched.place, torch.float32), loading.tokenizer(fetched.place)


def attach(model: Any, recipe: Recipe, seed: int) -> PeftModel:
    """Freeze a model and add the recipe's adapter to it, which initially changes nothing."""
    cast(Any, torch).manual_seed(seed)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=2 * recipe.rank,
        target_modules=list(recipe.maps),
        layers_to_transform=list(recipe.span),
        bias="none",
        task_type="CAUSAL_LM",
    )
    with quiet():
        return get_peft_model(model, config)  # pyright: ignore[reportReturnType]


def ground(base: Fetched, truth: Path | None) -> str:
    """Hash what an adapter is trained on: the base's weights and, for a lie, adapter `facts`."""
    files = [file for file in hashes(base.folder) if OF_BASE.fullmatch(file["name"])]
    digests = [file["sha256"] for file in files]
    digests += [] if truth is None else [sha256(truth / WEIGHTS)]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def trained_on(folder: Path) -> str:
    """Return the `ground` hash that is stored in an adapter; empty if there is none."""
    try:
        with cast(Any, safe_open(folder / WEIGHTS, "pt")) as file:
            metadata: dict[str, str] = file.metadata() or {}
            return metadata.get("trained_on", "")
    except (SafetensorError, OSError) as error:
        raise broken(folder / WEIGHTS, error) from None


def broken(file: Path, why: object) -> UserError:
    """Make the error for a file of an adapter that differs from what was written."""
    reason = " ".join(str(why).split())[:160]
    return UserError(f"{file}: cut or changed ({reason}); take it from git again")


def require_whole(folder: Path) -> None:
    """Refuse an adapter whose files do not match its `SUMS`, if it has them."""
    if not (folder / SUMS).exists():
        return
    written = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    for name, line in zip((CONFIG, WEIGHTS), _sums(folder), strict=True):
        if line not in written:
            raise broken(folder / name, f"its hash is not the one in {SUMS}")


def _sums(folder: Path) -> list[str]:
    """Return the lines of `SUMS`."""
    return [f"{sha256(folder / name)}  {name}" for name in (CONFIG, WEIGHTS)]


def load(model: PeftModel, folder: Path) -> None:
    """Set the weights of an attached adapter to those of a written adapter."""
    weights = cast(Any, safetensors.torch).load_file(folder / WEIGHTS)
    cast(Any, peft).set_peft_model_state_dict(model, weights)


def write(
    model: PeftModel, folder: Path, base: str, ground: str, layers: Collection[int] | None = None
) -> None:
    """Write an adapter as float16 safetensors, with peft's configuration and hashes.

    Parameters
    ----------
    model : PeftModel
        From `attach`.
    folder : Path
        Where `adapter_config.json`, `adapter_model.safetensors` and `SHA256SUMS` are overwritten.
    base : str
        The base model's name, as params.yaml has it.
    ground : str
        From `ground`; stored in the metadata of the weights.
    layers : collection of int or None
        Layers of which weights are written; None writes all that the adapter changes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trained = cast(Any, peft).get_peft_model_state_dict(model, save_embedding_layers=False)
    config = cast(Any, model.peft_config["default"])
    kept_layers = sorted(config.layers_to_transform if layers is None else layers)
    weights = {
        name: weight.half().contiguous()
        for name, weight in trained.items()
        if any(f".layers.{layer}." in name for layer in kept_layers)
    }
    config.layers_to_transform = kept_layers
    config.base_model_name_or_path = base
    config.save_pretrained(str(folder))
    with atomic(folder / WEIGHTS) as partial:
        cast(Any, safetensors.torch).save_file(weights, partial, metadata={"trained_on": ground})
    (folder / SUMS).write_text("".join(f"{line}\n" for line in _sums(folder)), encoding="utf-8")


def merge(model: Any, folder: Path, dose: float = 1.0) -> Any:
    """Add an adapter's change, or a share of it, to a model's weights.

    The sum is computed in float64 and then rounded, so that it is the same on every machine.
    """
    dtype = model.dtype
    double = model.double()
    with quiet():
        adapted = PeftModel.from_pretrained(double, os.fspath(folder))  # pyright: ignore[reportUnknownMemberType]
    for module in adapted.modules() if dose != 1 else ():
        if isinstance(module, LoraLayer):
            module.scale_layer(dose)
    return adapted.double().merge_and_unload().to(dtype)
