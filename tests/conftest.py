"""How hard the property tests search: HYPOTHESIS_PROFILE picks one of the profiles below."""

import os

from hypothesis import settings

settings.register_profile("default", max_examples=50, derandomize=True, deadline=None, database=None)
settings.register_profile("deep", max_examples=1_000, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
