"""How many examples a property is tried on: HYPOTHESIS_PROFILE is `few`, as in every run, or `many`.

The examples are the same each time, and no clock decides: a test that passed passes again.
"""

import os

from hypothesis import HealthCheck, settings

EVER = {"derandomize": True, "deadline": None, "database": None, "print_blob": False}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("few", max_examples=30, suppress_health_check=SLOW, **EVER)
settings.register_profile("many", max_examples=2500, suppress_health_check=SLOW, **EVER)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "few"))
