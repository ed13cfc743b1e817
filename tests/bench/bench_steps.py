"""make bench: the steps of a call one by one, in this process, and the whole.

Collected only when named, because its name does not begin with test.
"""

from __future__ import annotations

import orjson
import pytest

from cds_service.call import answer
from cds_service.fhir.prefetch import gather
from cds_service.guideline import cards
from cds_service.guideline.guidance import decide_orders
from cds_service.guideline.guideline import Sources
from cds_service.main import create, load_registry
from cds_service.protocol.decoding import decode
from cds_service.protocol.request import read_request
from cds_service.settings import Settings
from tests.bench.bodies import real_request, small_request
from tests.cases import TODAY, own_settings

BODIES = {"small": small_request(0), "real": real_request()}
DAY = TODAY.date()


class Call:
    """One request with what each step of its answer takes."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.registry = load_registry(Settings())
        (self.service, _) = self.registry.services
        self.knowledge = self.service.knowledge
        self.guideline = self.service.guideline
        self.request = read_request(decode(body), "order-select")
        self.sources = Sources(self.service.drafts(self.request), self.gather(), self.knowledge, DAY)
        self.decided = decide_orders(self.guideline, self.sources)

    @property
    def afresh(self):
        """Return the sources as those of a new call: what is read of a chart is counted for one."""
        self.sources.chart._chosen = 0
        return self.sources

    def gather(self):
        context = self.request.context
        return gather(context.patient_id, self.request.prefetch, self.service.queries, self.request.draft_orders)


@pytest.fixture(scope="module", params=BODIES)
def call(request):
    return Call(BODIES[request.param])


def test_decode(benchmark, call):
    assert benchmark(lambda: decode(call.body))["hook"] == "order-select"


def test_gather(benchmark, call):
    assert benchmark(call.gather).obtained("conditions")


def test_drafts(benchmark, call):
    assert benchmark(lambda: call.service.drafts(call.request)).orders


def test_findings(benchmark, call):
    assert benchmark(lambda: call.guideline.read(call.afresh)).problems


def test_decide(benchmark, call):
    """Findings and what follows from them."""
    assert not benchmark(lambda: decide_orders(call.guideline, call.afresh))[0].decision.rule.silent


def test_compose(benchmark, call):
    assert benchmark(lambda: cards.compose(call.request, call.decided, call.knowledge, DAY))


def test_whole_call(benchmark, call):
    assert orjson.loads(benchmark(lambda: answer(call.registry, "", call.body, DAY)).body)["cards"]


def test_whole_call_over_wsgi(benchmark, call):
    client = create(own_settings(), lambda: TODAY).test_client()
    sent = {"data": call.body, "content_type": "application/json"}
    assert benchmark(lambda: client.post(f"/cds-services/{call.service.id}", **sent)).status_code == 200
