"""Benchmarks, not timed tests: every figure is a ratio to a floor measured in the same run."""
