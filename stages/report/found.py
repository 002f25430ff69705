"""What the report is written from: the metrics of every stage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from stages.controls.metrics import ControlsMetrics
from stages.estimates.metrics import EstimatesMetrics
from stages.heads.metrics import SetSize
from stages.lib.io import metrics
from stages.transplant.metrics import TransplantMetrics
from stages.widths.metrics import WidthsMetrics
from stages.windows.metrics import WindowsMetrics


@dataclass(frozen=True)
class Found:
    """Metrics by stage: a field is the file of its name."""

    attribution: dict[str, Any]
    behaviour: dict[str, Any]
    confidence: dict[str, Any]
    controls: ControlsMetrics
    curves: dict[str, Any]
    erasure: dict[str, Any]
    estimates: EstimatesMetrics
    grid: dict[str, Any]
    heads: SetSize
    localisation: dict[str, Any]
    positions: dict[str, Any]
    probes: dict[str, Any]
    robustness: dict[str, Any]
    transfer: dict[str, Any]
    transplant: TransplantMetrics
    widths: WidthsMetrics
    windows: WindowsMetrics


def read(folder: Path) -> Found:
    """Read the metrics of every stage."""
    schemas = get_type_hints(Found)
    return Found(
        **{stage: metrics.read(folder / f"{stage}.json", schemas[stage]) for stage in schemas}
    )
