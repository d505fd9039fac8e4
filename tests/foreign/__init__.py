"""Charts that are not ours: see `python -m tests.foreign --help`."""
