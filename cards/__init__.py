"""Treatment history in, CDS Hooks cards out: pure functions, no I/O after start."""
