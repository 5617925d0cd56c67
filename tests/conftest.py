"""How Hypothesis searches: the same examples in every run, so that a red run is red again.

RATESTREAM_TEST_PROFILE=long (`make test-long`) searches each law for as many examples as RATESTREAM_TEST_EXAMPLES says,
10,000 by default; `explore` searches new ground in each run and prints how to repeat what it finds. No deadline in any:
a busy machine is not a failure.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", max_examples=2_000, deadline=None, print_blob=True)
settings.register_profile(
    "long",
    parent=settings.get_profile("steady"),
    max_examples=int(os.environ.get("RATESTREAM_TEST_EXAMPLES", "10000")),
)
settings.load_profile(os.environ.get("RATESTREAM_TEST_PROFILE", "steady"))
