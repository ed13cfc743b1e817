"""No input of any kind gives a 500: hypothesis, and real requests with each node deleted, nulled, retyped or cut."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cds_service.main import create
from cds_service.protocol.cards import CARDS_RESPONSE
from tests.cases import FIXTURES, TODAY, all_cases, own_settings

CLIENT = create(own_settings(), clock=lambda: TODAY).test_client()
URL = "/cds-services/dry-needling-order-select"
RICH = (
    "r1-two-orders-share-one-card",
    "r4-active-care-plan",
    "r7-earlier-needling-helped",
    "r7-pain-score-in-component",
    "r7-pain-score-out-of-100",
    "r1-reason-in-contained-condition",
    "r1-reason-in-prefetch",
    "r1-onset-as-age",
    "r1-onset-as-period",
    "r2-facet-disease-after-ablation",
    "r7-site-named-keys",
    "r8-search-found-nothing",
    "r7-body-site-neck",
)
RETYPED: tuple[Any, ...] = (None, True, 0, -1.5, "", "x", [], {}, [None], {"a": []}, "9999-12-31", [[]], [{}])


def check(status: int, body: Any) -> None:
    """Every answer is a valid card response or a 4xx OperationOutcome (C1, R1-R8)."""
    if status == 200:
        CARDS_RESPONSE.validate_python(body)
        assert_nothing_empty(body["cards"])
        return
    assert 400 <= status < 500, body
    assert body["resourceType"] == "OperationOutcome"
    for issue in body["issue"]:
        assert issue["severity"] == "error"
        assert issue["code"]
        assert issue["diagnostics"]


def assert_nothing_empty(value: Any, where: str = "cards") -> None:
    """D5: no attribute is null or empty; resources in actions are the client's own and left as they were."""
    if isinstance(value, dict):
        for key, item in value.items():
            assert item not in (None, "", [], {}), f"{where}.{key}"
            if key != "resource":
                assert_nothing_empty(item, f"{where}.{key}")
    elif isinstance(value, list):
        for item in value:
            assert_nothing_empty(item, where)


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


def mutated(document: Any, path: tuple[Any, ...], change: Any) -> Any:
    result = copy.deepcopy(document)
    parent = result
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return result


def delete(parent: Any, key: Any) -> None:
    del parent[key]


def truncate(parent: Any, key: Any) -> None:
    value = parent[key]
    if isinstance(value, str | list):
        parent[key] = value[: len(value) // 2]
    elif isinstance(value, dict):
        parent[key] = dict(list(value.items())[: len(value) // 2])


def retype(value: Any) -> Any:
    def change(parent: Any, key: Any) -> None:
        parent[key] = value

    return change


@pytest.mark.parametrize("name", RICH)
def test_each_node_of_a_real_request_deleted_nulled_retyped_or_truncated(name):
    document = json.loads((FIXTURES / "calls" / name / "request.json").read_bytes())
    for path in list(paths(document)):
        for change in (delete, truncate, *(retype(value) for value in RETYPED)):
            body = orjson.dumps(mutated(document, path, change))
            response = CLIENT.post(URL, data=body, content_type="application/json")
            check(response.status_code, response.json)


@pytest.mark.parametrize("name", RICH[:3])
def test_a_real_request_cut_off_anywhere(name):
    body = (FIXTURES / "calls" / name / "request.json").read_bytes()
    for length in range(0, len(body), 17):
        response = CLIENT.post(URL, data=body[:length], content_type="application/json")
        assert response.status_code == 400
        check(response.status_code, response.json)


SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8)
WORDS = st.sampled_from(
    ["resourceType", "Bundle", "entry", "resource", "Condition", "code", "coding", "system", "id", "subject", "status",
     "http://snomed.info/sct", "278860009", "ServiceRequest", "20560", "http://www.ama-assn.org/go/cpt", "link", "url",
     "relation", "self", "next", "component", "onsetDateTime", "2026", "reasonCode", "reasonReference", "text"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=150)
@given(JSON, JSON)
def test_any_json_as_prefetch_and_drafts(prefetch, drafts):
    document = {
        "hook": "order-select",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "u", "patientId": "p1", "selections": ["order"], "draftOrders": drafts},
        "prefetch": prefetch,
    }
    response = CLIENT.post(URL, data=orjson.dumps(document), content_type="application/json")
    check(response.status_code, response.json)


NEEDLING = {"resourceType": "ServiceRequest", "id": "order", "code": {"text": "Dry needling"}}


@settings(max_examples=150)
@given(st.dictionaries(WORDS, JSON, max_size=4), st.dictionaries(WORDS, JSON, max_size=6))
def test_any_condition_and_any_needling_order(order, condition):
    document = {
        "hook": "order-select",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {
            "userId": "u",
            "patientId": "p1",
            "selections": ["order"],
            "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": {**order, **NEEDLING}}]},
        },
        "prefetch": {"conditions": {"resourceType": "Bundle", "entry": [{"resource": condition}]}},
    }
    response = CLIENT.post(URL, data=orjson.dumps(document), content_type="application/json")
    check(response.status_code, response.json)


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes(body):
    response = CLIENT.post(URL, data=body, content_type="application/json")
    check(response.status_code, response.json)


@settings(max_examples=100)
@example("POST", "/0", "application/json")  # two slashes: a request with a chart in it is not sent elsewhere
@example("GET", "/", "")
@given(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]), st.text(max_size=20), st.text(max_size=20))
def test_any_path_and_content_type(method, path, content_type):
    header = content_type.encode("ascii", "ignore").decode().replace("\r", "").replace("\n", "")
    response = CLIENT.open(f"/cds-services/{quote(path, safe='')}", method=method, headers={"Content-Type": header})
    if response.status_code < 400:
        assert (method, path) == ("GET", "")
    else:
        check(response.status_code, response.json)


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.folder.name)
def test_every_fixture_answer_is_valid(case):
    response = CLIENT.post(f"/cds-services/dry-needling-{case.request['hook']}", json=case.request)
    check(response.status_code, response.json)
