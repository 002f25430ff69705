"""Loads what every patching stage needs: known statements, both personas' prompts, the model."""

from dataclasses import dataclass, replace
from pathlib import Path

from stages.lib.forward import Patcher
from stages.lib.forward.site import SITES, Site
from stages.lib.io import params
from stages.lib.io.cli import UserError
from stages.lib.model import lm, readout
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers, ReadoutConfig
from stages.lib.patching import prompt_pairs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs


@dataclass(frozen=True)
class Experiment:
    """Statements, and the model whose runs on them are patched.

    Attributes
    ----------
    config : PatchConfig
        Section `patch` of params.yaml.
    pairs : PromptPairs
        Known statements, with their prompts in the source and in the base persona.
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    """

    config: PatchConfig
    pairs: PromptPairs
    lm: LanguageModel
    answers: Answers

    @property
    def site(self) -> Site:
        """Where in each layer the source run is read and the base run is patched."""
        return SITES[self.config.site]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of layers, and number of units per layer (heads where the site is z)."""
        return self.lm.n_layers, self.site.shape(self.lm)[0]

    def require_layers(self, key: str, n: int) -> None:
        """Raise a UserError that names a key of params.yaml if the model has less than n layers."""
        n_layers = self.lm.n_layers
        if n > n_layers:
            raise UserError(
                f"params.yaml: {key}: found {n}, expected 1 to {n_layers}, the model's layers"
            )

    def patcher(self, keep: bool = False) -> Patcher:
        """Patch the source's units into the base run, at the last `patch.positions` positions."""
        return Patcher(
            self.lm,
            self.answers,
            self.pairs.base,
            self.pairs.source,
            self.config.positions,
            keep,
            site=self.site,
            prefixes=(self.pairs.base_prefix, self.pairs.source_prefix),
        )

    def reverse(self) -> Patcher:
        """Patch the base's units into the source run, at the same positions."""
        return self.swapped().patcher()

    def swapped(self) -> "Experiment":
        """Swap the roles of source and base, in the prompts' token ids and in the settings."""
        about, config = self.pairs, self.config
        swapped_pairs = replace(
            about,
            source=about.base,
            base=about.source,
            source_prefix=about.base_prefix,
            base_prefix=about.source_prefix,
        )
        roles = replace(config, source=config.base, base=config.source)
        return replace(self, pairs=swapped_pairs, config=roles)


def load(
    pairs: Path, model: Path, splits: tuple[str, ...], limit: int | None, by: str = "split"
) -> Experiment:
    """Read sections `patch` and `readout`, choose the statements and load the model.

    Parameters
    ----------
    pairs, model : Path
        Outputs of the stages of these names.
    splits, limit, by
        Which statements to choose; see `prompt_pairs.read`.

    Returns
    -------
    Experiment
    """
    config = params.section("patch", PatchConfig)
    words = params.section("readout", ReadoutConfig)
    known_pairs = prompt_pairs.read(pairs, splits, limit, by)
    language_model = lm.load(model)
    answers = readout.answers_of(language_model, words)
    return Experiment(config, known_pairs, language_model, answers)
