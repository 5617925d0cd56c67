"""How Hypothesis searches: the same examples in every run, so that a red run is red again.

New ground is searched with `--hypothesis-profile=explore`, which prints how to repeat what it finds. No deadline in
either: a busy machine is not a failure.
"""

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile("steady")
