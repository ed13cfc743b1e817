"""Flask views to measure against, with a canned card: one decodes the JSON, one parses every resource."""

import orjson
from fhir.resources.R4B import get_fhir_model_class
from flask import Flask, Response, request
from pydantic import ValidationError

from tests.bench.floor import CANNED

app = Flask("floor")
parsing = Flask("parsing")


@app.post("/cds-services/<service_id>")
def call(service_id: str) -> Response:
    """Decode what was posted, and answer always the same."""
    orjson.loads(request.get_data())
    return Response(CANNED, mimetype="application/json")


@parsing.post("/cds-services/<service_id>")
def parse(service_id: str) -> Response:
    """Parse each prefetched resource as the documentation of fhir.resources shows it, and answer always the same."""
    for value in orjson.loads(request.get_data())["prefetch"].values():
        for entry in value.get("entry", [{"resource": value}]) if value else ():
            try:
                get_fhir_model_class(entry["resource"]["resourceType"]).model_validate(entry["resource"])
            except ValidationError:
                continue
    return Response(CANNED, mimetype="application/json")


@parsing.get("/cds-services")
@app.get("/cds-services")
def ready() -> Response:
    """Tell that it is there."""
    return Response("{}", mimetype="application/json")
