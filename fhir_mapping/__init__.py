"""FHIR R4 resources in, treatment history out: pure functions, no I/O after start."""
