"""Faults of the FHIR server that a chart is read from: one test, or a few, per row of the fault matrix.

Each is named `test_fm_NN_...` after its row and drives the service over HTTP against real sockets. The answers:

- full: what a sound server would have led to;
- degraded: 200 with the cards that could be decided, and card R00 that names what was not read;
- refused: 412 with an OperationOutcome that names the keys, when nothing could be read.

Never is a list that was not read taken for an empty one, never does an answer take longer than the deadline and
0.1 s, and after every fault the next ordinary request is answered in full.

| rows | where |
|---|---|
| FM-01 to FM-04, connecting | test_connecting.py |
| FM-05 to FM-11, the wire | test_wire.py |
| FM-12 to FM-16, FM-36, statuses | test_statuses.py |
| FM-17 to FM-21, bodies | test_bodies.py |
| FM-22 to FM-26, FM-33, pages | test_pages.py |
| FM-27 to FM-29, FM-31, FM-37, content | test_content.py |
| FM-38, the circuit breaker | test_breaker.py |
| FM-57, addresses that are not allowed | test_addresses.py |
| FM-58 to FM-60, token and prefetch | test_requests.py |
| FM-30, statuses of records | tests/mapping: test_medications.py, test_conditions.py, test_procedures.py |
| FM-32, drugs outside the catalogue | tests/mapping/test_medications.py, tests/rules/test_data_gap.py |
| FM-34, partial and missing dates | tests/mapping/test_dates.py, tests/rules/test_washout.py |
| FM-35, dates in the future or before birth | tests/mapping/test_medications.py, tests/mapping/test_procedures.py |
| FM-39 and the others | they concern the caller or ourselves, not the reading of FHIR data |
"""
