"""Every draft order of the product, held against two FHIR R4 validators that know nothing of each other."""
