"""Find the modules of a model, by names that many architectures use or that the user gives."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stages.lib.io.cli import UserError

Names = dict[str, str]
"""`model.modules` of params.yaml: ``layers``, a path from the model, and ``attention``, ``output``
and ``mlp``, paths inside a layer; a path is attribute names joined by dots."""
# Names in transformers' architectures: the projection of the heads' outputs to the residual stream,
# the MLP, and the norm of the MLP's output.
OUTPUT_PROJECTIONS = ("o_proj", "out_proj", "dense", "c_proj", "wo")
MLPS = ("mlp", "feed_forward", "ffn")
NORMS_AFTER_MLP = ("post_feedforward_layernorm", "post_mlp_layernorm", "post_norm2")


@dataclass(frozen=True)
class Finder:
    """Finds the modules of one model.

    Attributes
    ----------
    architecture : str
        Class of the model, for messages.
    names : dict
        Paths that the user gives; other modules are found by the names that are known here.
    """

    architecture: str
    names: Names

    def layers(self, model: Any, n_layers: int) -> tuple[Any, tuple[Any, ...]]:
        """Find the decoder, which takes token ids and runs the layers, and its layers."""
        if "layers" in self.names:
            children = tuple(self._named("layers", model, self.architecture).children())
            if len(children) != n_layers:
                raise self._wrong_name(
                    "layers", f"it has {len(children)} modules, expected {n_layers} layers"
                )
            above, _, _ = self.names["layers"].rpartition(".")
            return model.get_submodule(above) if above else model.get_decoder(), children
        # Some classes name another module, or themselves, where transformers asks for the decoder.
        inner = [module for module in model.children() if hasattr(module, "get_input_embeddings")]
        within = [module.get_decoder() for module in inner if hasattr(module, "get_decoder")]
        for decoder in (model.get_decoder(), *inner, *within):
            for child in decoder.children():
                if type(child).__name__ == "ModuleList" and len(child) == n_layers:
                    return decoder, tuple(child)
        raise UserError(
            f"model.source: {self.architecture} has no list of {n_layers} decoder layers where it "
            f"is looked for; expected its path in model.modules.layers; the model has "
            f"{_parts(model)}"
        )

    def attention(self, layer: Any, number: int) -> tuple[Any, Any]:
        """Find a layer's attention, and the output projection, whose input is z."""
        for attention in self._attentions(layer, number):
            if "output" in self.names:
                return attention, self._in_layer("output", layer, number)
            for projection in OUTPUT_PROJECTIONS:
                if hasattr(attention, projection):
                    return attention, getattr(attention, projection)
        raise UserError(
            f"model.source: {self.architecture}: no attention output projection found in layer "
            f"{number}, expected one of {', '.join(OUTPUT_PROJECTIONS)}, or the paths of both in "
            f"model.modules: attention and output; the layer has {_parts(layer)}"
        )

    def mlp(self, layer: Any, number: int) -> tuple[Any, ...]:
        """Find a layer's MLP, and the norm of its output; empty if no name is known."""
        if "mlp" in self.names:
            return (self._in_layer("mlp", layer, number),)
        children = dict(layer.named_children())
        mlp = [children[name] for name in MLPS if name in children][:1]
        return (*mlp, *(children[name] for name in NORMS_AFTER_MLP if mlp and name in children))

    def _attentions(self, layer: Any, number: int) -> Iterator[Any]:
        """Yield the modules of a layer that may be its attention."""
        if "attention" in self.names:
            yield self._in_layer("attention", layer, number)
            return
        for name, child in layer.named_children():
            if "attn" in name or "attention" in name:
                yield child

    def _in_layer(self, key: str, layer: Any, number: int) -> Any:
        """Return the module at the path that the user gives inside a layer."""
        return self._named(key, layer, f"layer {number} of {self.architecture}")

    def _named(self, key: str, module: Any, where: str) -> Any:
        """Return the module at the path that the user gives."""
        for step in self.names[key].split("."):
            inner = dict(module.named_children())
            if step not in inner:
                raise self._wrong_name(key, f"{where} has {_parts(module)}")
            module, where = inner[step], f"{step} in {where}"
        return module

    def _wrong_name(self, key: str, reason: str) -> UserError:
        """Make the error for a path of the user that is wrong."""
        return UserError(
            f"params.yaml: model.modules.{key}: found {self.names[key]!r}, but {reason}"
        )


def _parts(module: Any) -> str:
    """List the names of a module's children."""
    return ", ".join(name for name, _ in module.named_children()) or "no modules"
