"""Errors (C1-C6, P2): the right status, an OperationOutcome that names the field, and nothing of the patient in it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import orjson
import pytest
from werkzeug.exceptions import HTTPException, ImATeapot
from werkzeug.routing import RequestRedirect

from cds_service import errors, telemetry
from cds_service.errors import CdsError
from cds_service.main import create
from cds_service.settings import Settings
from cds_service.web import app as app_module
from cds_service.web.app import create_app
from tests.cases import TODAY, own_settings
from tests.charts import condition, request

URL = "/cds-services/dry-needling-order-select"
SECRET = "Marigold-Secret-778"


def post(client, body, **headers):
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return client.post(URL, data=data, headers={"Content-Type": "application/json", **headers})


def diagnostics(response):
    outcome = response.json
    assert outcome["resourceType"] == "OperationOutcome"
    return [issue["diagnostics"] for issue in outcome["issue"]]


def changed(path, value):
    sent = request(condition("M54.2"))
    node = sent
    *parents, last = path.split(".")
    for key in parents:
        node = node[key]
    if value is KeyError:
        del node[last]
    else:
        node[last] = value
    return sent


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("hook", KeyError, "hook is required"),
        ("hook", "order-sign", "hook must be order-select for this service"),
        ("hook", "", "hook must not be empty"),
        ("hookInstance", KeyError, "hookInstance is required"),
        ("hookInstance", SECRET, "hookInstance must be a UUID"),
        ("hookInstance", 7, "hookInstance must be a string"),
        ("context", KeyError, "context is required"),
        ("context", [], "context must be an object"),
        ("context.userId", KeyError, "context.userId is required"),
        ("context.patientId", KeyError, "context.patientId is required"),
        ("context.patientId", 12, "context.patientId must be a string"),
        ("context.patientId", "x" * 300, "context.patientId is too long"),
        ("context.selections", KeyError, "context.selections is required"),
        ("context.selections", [], "context.selections must not be empty"),
        ("context.selections", [SECRET, 5], "context.selections.1 must be a string"),
        ("context.selections", "x", "context.selections must be an array"),
        ("context.draftOrders", KeyError, "context.draftOrders is required"),
        ("context.draftOrders", {"resourceType": SECRET}, "context.draftOrders must be a Bundle"),
        (
            "context.draftOrders",
            {"resourceType": "Bundle", "entry": SECRET},
            "context.draftOrders must be a Bundle whose entry is an array",
        ),
        ("prefetch", SECRET, "prefetch must be an object"),
        ("fhirServer", SECRET, "fhirServer must be an absolute http(s) URL"),
        ("fhirServer", 7, "fhirServer must be a string"),
        ("fhirAuthorization", SECRET, "fhirAuthorization must be an object"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(path, value, said, client):
    """C2, C3, C6: 400, the path and what is wrong, never what was sent."""
    response = post(client, changed(path, value))
    assert response.status_code == 400
    assert said in diagnostics(response)
    assert SECRET not in response.text


TOKEN = {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "s", "subject": "c"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"access_token": ""}, "fhirAuthorization.access_token must not be empty"),
        ({"access_token": None}, "fhirAuthorization.access_token must be a string"),
        ({"token_type": "Basic"}, "fhirAuthorization.token_type must be Bearer"),
    ],
)
def test_a_wrong_authorization_is_named(change, said, client):
    """C4."""
    sent = {**request(condition("M54.2")), "fhirServer": "https://ehr.example.org/fhir"}
    sent["fhirAuthorization"] = {**TOKEN, **change}
    response = post(client, sent)
    assert response.status_code == 400
    assert diagnostics(response) == [said]


def test_an_authorization_needs_a_server(client):
    """C3."""
    response = post(client, {**request(condition("M54.2")), "fhirAuthorization": TOKEN})
    assert diagnostics(response) == ["fhirServer is required when fhirAuthorization is present"]


def test_what_the_standard_allows_is_accepted(client):
    """C2, C4, C5: any case and a urn:uuid: prefix, bearer in any case, unknown fields, null for optional ones."""
    sent = {
        **request(condition("M54.2")),
        "hookInstance": "URN:UUID:D1577C69-DFBE-44AD-BA6D-3E05E953B2EA",
        "fhirServer": "https://ehr.example.org/fhir",
        "fhirAuthorization": {**TOKEN, "token_type": "bearer", "patient": "p1", "more": 1},
        "extension": {"org.example": {}},
        "unknown": [1],
    }
    sent["context"]["encounterId"] = None
    sent["context"]["more"] = True
    same = request(condition("M54.2"))
    assert post(client, sent).json["cards"] == post(client, same).json["cards"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "application/fhir+json", "text/json"])
def test_other_content_types_get_415(content_type, client):
    """C1."""
    response = client.post(URL, data=b"{}", headers={"Content-Type": content_type})
    assert response.status_code == 415
    assert diagnostics(response) == ["Content-Type must be application/json"]


def test_a_charset_is_accepted_and_a_compressed_body_is_not(client):
    """C1."""
    sent = request(condition("M54.2"))
    assert post(client, sent, **{"Content-Type": "application/json; charset=UTF-8"}).status_code == 200
    response = post(client, sent, **{"Content-Encoding": "gzip"})
    assert (response.status_code, diagnostics(response)) == (415, ["Content-Encoding, such as gzip, is not supported"])


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_other_methods_get_405_with_allow(method, client):
    """C1."""
    response = getattr(client, method)(URL)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert diagnostics(response)


def test_an_unknown_service_is_told_before_its_body_is_read(client):
    """C1: 404."""
    response = client.post("/cds-services/nobody", data=b"{", content_type="application/json")
    assert response.status_code == 404
    assert "No CDS service has this id" in diagnostics(response)[0]


def test_an_unknown_path_gets_404(client):
    response = client.get("/nowhere")
    assert (response.status_code, diagnostics(response)) == (404, ["Nothing is served at this path"])


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": NaN}', b"\xff", b"[]"])
def test_malformed_json_gets_400(body, client):
    """C1."""
    response = post(client, body)
    assert response.status_code == 400
    assert response.json["issue"][0]["code"] == "structure"


def test_deep_nesting_gets_400(client):
    """C1: 101 levels."""
    response = post(client, b'{"a":' + b"[" * 100 + b"]" * 100 + b"}")
    assert response.status_code == 400
    assert response.json["issue"][0]["code"] == "too-costly"


def test_a_body_that_was_cut_off_is_told_as_such(client):
    """The client went away, or a proxy did; a shorter body that happens to be JSON must not be answered."""
    body = orjson.dumps(request(condition("M54.2")))
    answered = client.post(
        URL, data=body, content_type="application/json", environ_overrides={"CONTENT_LENGTH": "99999"}
    )
    assert answered.status_code == 400
    assert diagnostics(answered) == ["The body is shorter than Content-Length says"]


def test_a_large_body_gets_413_and_one_below_the_limit_does_not():
    """C1: 10 MiB by default."""
    limit = 2048
    client = create(own_settings(max_body_bytes=limit)).test_client()
    for length in (limit + 1, limit + 2, limit * 10):
        response = post(client, b" " * length)
        assert response.status_code == 413
        assert diagnostics(response) == ["The body is larger than this service accepts"]
    assert post(client, b" " * limit).status_code == 400
    assert Settings().max_body_bytes == 10 * 1024 * 1024


def test_duplicate_keys_are_tolerated(client):
    """C1."""
    sent = orjson.dumps(request(condition("M54.2")))
    assert post(client, b'{"hook": "other", ' + sent[1:]).status_code == 200


def test_missing_conditions_get_412_that_names_the_key(client):
    """P2."""
    sent = request()
    del sent["prefetch"]["conditions"]
    response = post(client, sent)
    assert response.status_code == 412
    (issue,) = response.json["issue"]
    assert issue["code"] == "required"
    assert issue["expression"] == ["prefetch.conditions"]
    assert issue["diagnostics"] == "prefetch.conditions is required for this order and was not sent"


def test_a_defect_is_a_500_with_an_incident_and_no_detail_and_never_an_empty_card_list(capsys, registry):
    """A failed rule answered as an empty card list would say: no guidance."""

    def broken(*_):
        raise RuntimeError(SECRET)

    telemetry.configure("error")
    service = registry.services[0]
    defective = replace(service, guideline=replace(service.guideline, assess=broken))
    app = create_app(own_settings(), [defective], clock=lambda: TODAY)
    response = post(app.test_client(), request(condition("M54.2")))
    assert response.status_code == 500
    (said,) = diagnostics(response)
    assert said.startswith("This service failed; incident ")
    logged = capsys.readouterr().err
    assert said.rsplit(" ", 1)[1] in logged
    assert "RuntimeError" in logged
    assert SECRET not in response.text + logged


def test_every_error_of_the_tree_has_a_status_and_stands_in_the_docstring():
    """One table: the docstring of errors.py."""

    def subclasses(kind):
        for sub in kind.__subclasses__():
            yield sub
            yield from subclasses(sub)

    for kind in subclasses(CdsError):
        assert 400 <= kind.status <= 599
        assert kind.__name__ in errors.__doc__


def test_redirects_and_odd_http_errors_are_answered_too():
    app = create(own_settings())
    with app.app_context():
        assert app_module._answer_http_exception(ImATeapot()).status_code == 400
        assert app_module._answer_http_exception(RequestRedirect("/x")).status_code == 308
        assert app_module._answer_http_exception(HTTPException()).status_code == 308


def test_no_log_line_of_a_call_holds_anything_of_the_patient(capsys):
    """Never leak patient data into logs: names, ids, text, tokens."""
    client = create(own_settings(log_level="debug"), clock=lambda: TODAY).test_client()
    sent = copy.deepcopy(request(condition("M54.2", id=SECRET, code={"text": SECRET})))
    sent["context"]["userId"] = f"Practitioner/{SECRET}"
    sent["context"]["patientId"] = SECRET
    sent["context"]["selections"].append(f"ServiceRequest/{SECRET}")
    sent["fhirServer"] = f"https://{SECRET}.example.org"
    sent["fhirAuthorization"] = {**TOKEN, "access_token": SECRET, "subject": SECRET}
    sent["prefetch"][SECRET] = {"resourceType": "Condition", "id": SECRET, "onsetDateTime": SECRET}
    assert post(client, sent).status_code == 200
    for path in ("context", "context.userId", "context.draftOrders", "hookInstance"):
        bad = copy.deepcopy(sent)
        node = bad
        *parents, last = path.split(".")
        for key in parents:
            node = node[key]
        node[last] = {"x": SECRET}
        assert post(client, bad).status_code == 400
    logged = capsys.readouterr().err
    lines = [json.loads(line) for line in logged.splitlines()]
    assert lines[0]["event"] == "call"
    assert lines[0]["foreign_entries"] == 1
    assert lines[0]["unmatched_selections"] == 1
    assert SECRET not in logged
    assert SECRET.lower() not in logged.lower()
