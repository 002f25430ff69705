"""Metrics of every stage, which the report is written from."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

from stages.attribution_patching.metrics import AttributionPatchingMetrics
from stages.behaviour.metrics import BehaviourMetrics, WithFirstTokens
from stages.confidence.metrics import ConfidenceMetrics
from stages.controls.metrics import ControlsMetrics
from stages.erasure.metrics import ErasureMetrics
from stages.grafts import metrics as grafts
from stages.ground_truth import metrics as ground_truth
from stages.heads.metrics import SetSize
from stages.lib.io import records
from stages.logit_attribution.metrics import LogitAttributionMetrics
from stages.positions.metrics import PositionsMetrics
from stages.probes.metrics import ProbesMetrics
from stages.robustness.metrics import RobustnessMetrics
from stages.set_sizes.metrics import SetSizesMetrics
from stages.trace.metrics import TraceMetrics
from stages.transfer.metrics import TransferMetrics
from stages.transplant.metrics import TransplantMetrics
from stages.widths.metrics import WidthsMetrics
from stages.windows.metrics import WindowsMetrics
from stages.wordings.metrics import GridMetrics


@dataclass(frozen=True)
class Results:
    """Metrics by stage; a field is read from the file of its name."""

    logit_attribution: LogitAttributionMetrics
    behaviour: WithFirstTokens | BehaviourMetrics
    confidence: ConfidenceMetrics
    controls: ControlsMetrics
    set_sizes: SetSizesMetrics
    erasure: ErasureMetrics
    attribution_patching: AttributionPatchingMetrics
    grid: GridMetrics
    heads: SetSize
    grafts: grafts.Metrics
    ground_truth: ground_truth.Metrics
    positions: PositionsMetrics
    probes: ProbesMetrics
    robustness: RobustnessMetrics
    trace: TraceMetrics
    transfer: TransferMetrics
    transplant: TransplantMetrics
    widths: WidthsMetrics
    windows: WindowsMetrics


def read(folder: Path) -> Results:
    """Read the metrics of every stage."""
    schemas = get_type_hints(Results)
    return Results(
        **{stage: records.read(folder / f"{stage}.json", schemas[stage]) for stage in schemas}
    )
