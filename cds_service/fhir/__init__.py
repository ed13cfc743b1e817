"""The only room that knows FHIR data: charts, dates, value sets, prefetch."""
