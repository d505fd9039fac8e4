"""The service as an EHR meets it: protocol, errors, logs, and a real server."""
