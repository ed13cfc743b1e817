"""The OpenAPI description holds for the application: whatever is sent, the answer is one that it names."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, settings

from cds_service.main import create
from cds_service.protocol.cards import CARDS_RESPONSE
from tests.cases import TODAY, all_cases, own_settings

APP = create(own_settings(), clock=lambda: TODAY)
SCHEMA = schemathesis.openapi.from_wsgi("/openapi.json", APP)


@SCHEMA.parametrize()
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_description_names(case):
    # Whether an order can be decided is no matter of the schema: a valid request may well be answered with 412.
    case.call_and_validate(excluded_checks=[schemathesis.checks.CHECKS.get_one("positive_data_acceptance")])


def test_the_description_names_every_service_and_status(client):
    described = client.get("/openapi.json").json
    ids = [service["id"] for service in client.get("/cds-services").json["services"]]
    assert described["paths"]["/cds-services/{id}"]["parameters"][0]["schema"]["enum"] == sorted(ids)
    assert described["openapi"] == "3.1.0"
    statuses = set(described["paths"]["/cds-services/{id}"]["post"]["responses"])
    assert {"200", "400", "401", "403", "404", "405", "412", "413", "415", "429", "503"} == statuses


def test_recorded_answers_fit_the_model_that_the_description_is_made_of():
    for case in all_cases()[::20]:
        if case.told["status"] == 200:
            CARDS_RESPONSE.validate_json(case.expected_path.read_bytes())
