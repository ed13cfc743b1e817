"""The only package that reads FHIR data: charts, dates, value sets, prefetch."""
