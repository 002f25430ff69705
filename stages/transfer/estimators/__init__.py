"""Truth probes behind one interface, by their names in params.yaml.

Each probe is a scikit-learn estimator with ``fit(x, y, forms)``, ``decision_function(x, negated)``
and ``predict(x, negated)``, and is linear in the activations.
"""

from typing import Any

from stages.transfer.estimators.ccs import CCS
from stages.transfer.estimators.linear import Linear, Logistic
from stages.transfer.estimators.mass_mean import CorrectedMassMean, MassMean
from stages.transfer.estimators.ttpd import TTPD

METHODS: dict[str, type[Linear]] = {
    "logistic": Logistic,
    "mass_mean": MassMean,
    "mass_mean_corrected": CorrectedMassMean,
    "ccs": CCS,
    "ttpd": TTPD,
}


def make(name: str, **settings: Any) -> Linear:
    """Make an unfitted estimator of `METHODS`; settings that it does not have are ignored."""
    model = METHODS[name]()
    return model.set_params(**{k: v for k, v in settings.items() if k in model.get_params()})
