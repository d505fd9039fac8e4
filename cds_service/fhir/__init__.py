"""Reading from the EHR's FHIR server: bounded in time, size and number, and never silent about what failed."""
