"""The floor behind Flask: what a view costs that decodes the same JSON and returns the same canned card."""

import orjson
from flask import Flask, Response, request

from tests.bench.floor import CANNED

app = Flask("floor")


@app.post("/cds-services/<service_id>")
def call(service_id: str) -> Response:
    """Decode what was posted, and answer always the same."""
    orjson.loads(request.get_data())
    return Response(CANNED, mimetype="application/json")


@app.get("/cds-services")
def ready() -> Response:
    """Tell that it is there."""
    return Response("{}", mimetype="application/json")
