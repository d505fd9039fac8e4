"""The CDS Hooks service: the only package that speaks HTTP, reads the clock, and touches disk."""

__version__ = "0.1.0"
