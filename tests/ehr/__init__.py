"""FHIR servers for tests, on loopback with real sockets: one that serves charts, and some that misbehave."""
