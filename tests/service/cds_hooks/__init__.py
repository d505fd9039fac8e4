"""The conformance tests: one for each assertion of the checklist, named after its id; tests/README.md has the table."""
