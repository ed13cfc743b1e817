"""make bench: the steps of a call one by one, in this process, and the whole.

Collected only when named, because its name does not begin with test.
"""

from __future__ import annotations

import orjson
import pytest

from cds_service.call import answer
from cds_service.fhir import scan
from cds_service.fhir.prefetch import gather
from cds_service.guideline import cards
from cds_service.guideline.guidance import decide_orders
from cds_service.guideline.guideline import Sources
from cds_service.main import create, load_registry
from cds_service.protocol.request import read_request
from cds_service.settings import Settings
from tests.bench.bodies import real_request, small_request
from tests.cases import TODAY, own_settings

BODIES = {"small": small_request(0), "real": real_request()}
DAY = TODAY.date()
ROUNDS = 200


class Call:
    """One request with what each step of its answer takes."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.registry = load_registry(Settings())
        (self.service, _) = self.registry.services
        self.knowledge = self.service.knowledge
        self.guideline = self.service.guideline
        self.request = self.read()
        self.decided = decide_orders(self.guideline, self.afresh()[0][0])

    def read(self):
        return read_request(scan.read(self.body), "order-select")

    def afresh(self):
        """Return the sources of a new call as pytest-benchmark wants arguments: nothing of its chart was read."""
        request = self.read()
        return (Sources(self.service.drafts(request), self.gather(request), self.knowledge, DAY),), {}

    def gather(self, request):
        return gather(request.context.patient_id, request.prefetch, self.service.queries, request.draft_orders)


@pytest.fixture(scope="module", params=BODIES)
def call(request):
    return Call(BODIES[request.param])


def test_scan(benchmark, call):
    assert benchmark(lambda: scan.read(call.body))["hook"] == "order-select"


def test_gather(benchmark, call):
    assert benchmark(lambda: call.gather(call.request)).obtained("conditions")


def test_drafts(benchmark, call):
    assert benchmark(lambda: call.service.drafts(call.request)).orders


def test_findings(benchmark, call):
    assert benchmark.pedantic(call.guideline.read, setup=call.afresh, rounds=ROUNDS).problems


def test_decide(benchmark, call):
    """Findings and what follows from them."""

    def decide(sources):
        return decide_orders(call.guideline, sources)

    assert not benchmark.pedantic(decide, setup=call.afresh, rounds=ROUNDS)[0].decision.rule.silent


def test_compose(benchmark, call):
    assert benchmark(lambda: cards.compose(call.request, call.decided, call.knowledge, DAY))


def test_whole_call(benchmark, call):
    assert orjson.loads(benchmark(lambda: answer(call.registry, "", call.body, DAY)).body)["cards"]


def test_whole_call_over_wsgi(benchmark, call):
    client = create(own_settings(), lambda: TODAY).test_client()
    sent = {"data": call.body, "content_type": "application/json"}
    assert benchmark(lambda: client.post(f"/cds-services/{call.service.id}", **sent)).status_code == 200
