"""Calls for made-up patients, which `cds-service smoke` sends: each is complete, and fires its rule."""

from __future__ import annotations

import orjson
import pytest

from cds_service.call import answer
from cds_service.guideline.examples import read
from hooks.dry_needling import GUIDELINE
from tests.cases import EXTENSION, TODAY

DAY = TODAY.date()
EXAMPLES = read(GUIDELINE.folder.parent / "examples.toml")


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.rule)
def test_each_example_fires_its_rule(registry, example, hook):
    sent = example.request(hook, DAY)
    answered = answer(registry, "", orjson.dumps(sent), DAY)
    (card,) = orjson.loads(answered.body)["cards"]
    assert card["extension"][EXTENSION]["rule"] == example.rule
    assert not {"patient", "conditions", "procedures"} & set(answered.missing)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.rule)
def test_every_resource_of_an_example_says_whose_it_is_and_has_an_id(example):
    sent = example.request("order-sign", DAY)
    patient = sent["prefetch"]["patient"]["id"]
    assert sent["context"]["patientId"] == patient
    bundles = [sent["context"]["draftOrders"], sent["prefetch"]["conditions"], sent["prefetch"]["procedures"]]
    resources = [entry["resource"] for sent_bundle in bundles for entry in sent_bundle["entry"]]
    for resource in resources:
        assert resource["subject"] == {"reference": f"Patient/{patient}"}
        assert resource["code"]["coding"][0]["system"].startswith("http")
    assert len({resource["id"] for resource in resources}) == len(resources)
    for problem in (resource for resource in resources if resource["resourceType"] == "Condition"):
        assert problem["clinicalStatus"]["coding"][0]["code"] == "active"
    for session in (resource for resource in resources if resource["resourceType"] == "Procedure"):
        assert session["status"] == "completed"
        assert session["performedDateTime"] < DAY.isoformat()
