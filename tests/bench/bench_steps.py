"""make bench: the steps of a call one by one, in this process: decode, gather, findings, decide, compose; the whole.

Collected only when named, because its name does not begin with test.
"""

from __future__ import annotations

import orjson
import pytest

from cds_service.call import answer
from cds_service.decoding import decode
from cds_service.fhir.prefetch import gather
from cds_service.hook_request import read_request
from cds_service.main import create, load_registry
from cds_service.settings import Settings
from hooks.dry_needling import cards, guideline, orders
from hooks.dry_needling.decision import decide
from hooks.dry_needling.findings import Findings
from hooks.dry_needling.service import _chart_findings, _decided
from tests.bench.bodies import real_request, small_request
from tests.cases import TODAY, own_settings

BODIES = {"small": small_request(0), "real": real_request()}
DAY = TODAY.date()


class Call:
    """One request with what each step of its answer takes."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.loaded = guideline.load()
        self.registry = load_registry(Settings())
        (self.service, _) = self.registry.services
        self.request = read_request(decode(body), "order-select")
        self.queries = {template.key: template.query for template in self.service.templates}
        self.chart = self.gather()
        self.read = self.orders()
        self.findings = [Findings(order.findings, self.chart_findings()) for order in self.read.needling]
        self.decided = _decided(self.read, self.chart, self.loaded, DAY)

    def gather(self):
        context = self.request.context
        return gather(context.patient_id, self.request.prefetch, self.queries, context.draft_orders)

    def orders(self):
        context = self.request.context
        return orders.read(context.draft_orders, self.request.selections, self.chart, self.loaded, DAY)

    def chart_findings(self):
        return _chart_findings(self.read, self.chart, self.loaded, DAY)


@pytest.fixture(scope="module", params=BODIES)
def call(request):
    return Call(BODIES[request.param])


def test_decode(benchmark, call):
    assert benchmark(lambda: decode(call.body))["hook"] == "order-select"


def test_gather(benchmark, call):
    assert benchmark(call.gather).obtained("conditions")


def test_findings(benchmark, call):
    order, found = benchmark(lambda: (call.orders(), call.chart_findings()))
    assert order.needling
    assert found.problems


def test_decide(benchmark, call):
    decided = benchmark(lambda: [decide(found, DAY, call.loaded.knowledge.table) for found in call.findings])
    assert decided[0][1].rule.id != "R0"


def test_compose(benchmark, call):
    assert benchmark(lambda: cards.compose(call.request, call.decided, call.loaded, DAY))


def test_whole_call(benchmark, call):
    assert orjson.loads(benchmark(lambda: answer(call.registry, "", call.body, DAY)).body)["cards"]


def test_whole_call_over_wsgi(benchmark, call):
    client = create(own_settings(), lambda: TODAY).test_client()
    sent = {"data": call.body, "content_type": "application/json"}
    assert benchmark(lambda: client.post(f"/cds-services/{call.service.id}", **sent)).status_code == 200
