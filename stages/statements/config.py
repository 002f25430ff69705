"""Section `statements` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Any

from stages.lib.facts import TOPICS
from stages.lib.io.cli import UserError
from stages.lib.io.ranges import Distinct, Limit, OneOf, Range, Seed


@dataclass(frozen=True)
class StatementsConfig:
    """Section `statements` of params.yaml."""

    SECTION = "statements"
    topics: Annotated[tuple[Annotated[str, OneOf(*TOPICS)], ...], Distinct(least=0)]
    negated: bool
    sources: dict[Any, Any]
    contradictions: Annotated[str, OneOf("refuse", "drop")]
    limit: Limit
    report_share: Annotated[float, Range(above=0, below=1)]
    seed: Seed

    def __post_init__(self) -> None:
        """Refuse a section without topics and sources."""
        if not self.topics and not self.sources:
            raise UserError(
                "params.yaml: statements: found no topics and no sources, expected at least one"
            )
