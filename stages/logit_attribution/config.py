"""Section `logit_attribution` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Limit


@dataclass(frozen=True)
class LogitAttributionConfig:
    """Section `logit_attribution` of params.yaml."""

    SECTION = "logit_attribution"
    limit: Limit
