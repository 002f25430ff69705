"""What every patching stage begins with: known statements, both personas' prompts, the model."""

from dataclasses import dataclass
from pathlib import Path

from stages.lib.forward import Patcher
from stages.lib.io import params
from stages.lib.model import lm, readout
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers, ReadoutConfig
from stages.lib.patching import cases
from stages.lib.patching.cases import Cases
from stages.lib.patching.config import PatchConfig


@dataclass(frozen=True)
class Experiment:
    """Statements to patch, and the model to do it with.

    Attributes
    ----------
    config : PatchConfig
        Section `patch`.
    cases : Cases
        Known statements, with their prompts in the source and in the base persona.
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    """

    config: PatchConfig
    cases: Cases
    lm: LanguageModel
    answers: Answers

    @property
    def shape(self) -> tuple[int, int]:
        """Layers of the model, and heads of a layer."""
        return self.lm.n_layers, self.lm.n_heads

    def patcher(self, keep: bool = False) -> Patcher:
        """Write the source's z into the base run, at the last `patch.positions` positions."""
        found, n_positions = self.cases, self.config.positions
        return Patcher(self.lm, self.answers, found.base, found.source, n_positions, keep)

    def reverse(self) -> Patcher:
        """Write the base's z into the source run, at the same positions."""
        found, n_positions = self.cases, self.config.positions
        return Patcher(self.lm, self.answers, found.source, found.base, n_positions)


def load(
    pairs: Path, model: Path, parts: tuple[str, ...], limit: int | None, by: str = "part"
) -> Experiment:
    """Begin a sweep: read sections `patch` and `readout`, choose statements, load the model.

    Parameters
    ----------
    pairs, model : Path
        Outputs of the stages of these names.
    parts, limit, by
        Which statements; see `cases.read`.

    Returns
    -------
    Experiment
    """
    config = params.section("patch", PatchConfig)
    words = params.section("readout", ReadoutConfig)
    found = cases.read(pairs, parts, limit, by)
    language_model = lm.load(model)
    answers = readout.answers(language_model.tokenizer, words)
    return Experiment(config, found, language_model, answers)
