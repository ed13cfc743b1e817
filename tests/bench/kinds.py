"""Requests that are full of one kind of thing, of any size: what a caller would send to take all the time there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any

import orjson

from cds_service.limits import MOST_ORDERS, MOST_REASONS, MOST_REASONS_TOGETHER, MOST_WEIGHED
from tests.charts import bundle, code, condition, needling, request, score

Make = Callable[[int], bytes]
"""Makes a request that holds so many of a thing."""


def day(number: int) -> str:
    """Return one of 80 days before the evaluation date."""
    return (date(2026, 11, 22) - timedelta(days=number % 80)).isoformat()


def _problems(entry: Callable[[int], dict[str, Any]]) -> Make:
    return lambda number: orjson.dumps(request(*(entry(n) | {"id": f"e{n}"} for n in range(number))))


def _prefetched(key: str, entry: Callable[[int], dict[str, Any]]) -> Make:
    return lambda number: orjson.dumps(
        request(condition("M54.50"), prefetch={key: bundle(*(entry(n) | {"id": f"e{n}"} for n in range(number)))})
    )


def _of_order(elements: Callable[[int], dict[str, Any]]) -> Make:
    return lambda number: orjson.dumps(request(condition("M54.50"), order=needling(**elements(number))))


def _session(number: int, value: str = "20560", **elements: Any) -> dict[str, Any]:
    performed = {"performedDateTime": day(number), "code": code("cpt", value), "status": "completed"}
    return {"resourceType": "Procedure", "subject": {"reference": "Patient/p1"}, **performed, **elements}


def _plan(*activities: str) -> dict[str, Any]:
    details = [{"detail": {"status": "in-progress", "code": code("cpt", "97110", display=it)}} for it in activities]
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/p1"},
        "activity": details,
    }


def _drafts(draft: Callable[[int], dict[str, Any]], selection: Callable[[int], str] = lambda n: f"o{n}") -> Make:
    def make(number: int) -> bytes:
        sent = request(condition("M54.50"))
        sent["context"]["draftOrders"] = bundle(*map(draft, range(number)))
        sent["context"]["selections"] = [selection(n) for n in range(number)]
        return orjson.dumps(sent)

    return make


def _many_orders(number: int) -> bytes:
    """Return as many orders as are decided, as much pain as is weighed for each, and so many other diagnoses."""
    pain = [condition("M54.50", id=f"p{n}", onsetDateTime=day(n)) for n in range(MOST_WEIGHED // MOST_ORDERS)]
    sent = request(*pain, *(condition("I10", id=f"e{n}") for n in range(number)))
    orders = [needling(id=f"o{n}", reasonCode=[code("icd", "M54.2", display=f"pain {n}")]) for n in range(MOST_ORDERS)]
    sent["context"]["draftOrders"] = bundle(*orders)
    sent["context"]["selections"] = [f"o{n}" for n in range(MOST_ORDERS)]
    return orjson.dumps(sent)


def _many_reasons(number: int) -> bytes:
    """Return orders that give as many reasons as are read, beside so many diagnoses."""
    sent = request(condition("M54.50"), *(condition("I10", id=f"e{n}") for n in range(number)))
    orders = [
        needling(id=f"o{n}", reasonCode=[code("icd", "M54.2", display=f"{n} {m}") for m in range(MOST_REASONS)])
        for n in range(MOST_REASONS_TOGETHER // MOST_REASONS)
    ]
    sent["context"]["draftOrders"] = bundle(*orders)
    sent["context"]["selections"] = [order["id"] for order in orders]
    return orjson.dumps(sent)


def _selections(number: int) -> bytes:
    sent = request(condition("M54.50"))
    sent["context"]["selections"] += [f"ServiceRequest/x{n}" for n in range(number)]
    return orjson.dumps(sent)


KINDS: Mapping[str, Make] = MappingProxyType(
    {
        # The draft orders and what is said of them.
        "selections of drafts of one id": _drafts(lambda _: needling(), lambda n: f"http://x{n}/ServiceRequest/order"),
        "orders": _drafts(lambda n: needling(id=f"o{n}", reasonCode=[code("icd", "M54.2", display=f"pain {n}")])),
        "as many orders and entries as are weighed": _many_orders,
        "as many reasons as are read": _many_reasons,
        "orders of many reasons": _drafts(
            lambda n: needling(id=f"o{n}", reasonCode=[code("icd", "M54.2", display=f"{n} {m}") for m in range(50)])
        ),
        "orders by words": _drafts(lambda n: needling(id=f"o{n}", code={"text": f"Dry needling {n}"})),
        "selections": _selections,
        "references to contained resources": _of_order(
            lambda number: {
                "contained": [condition("M54.2", id=f"c{n}") for n in range(number)],
                "reasonReference": [{"reference": f"#c{number - n}"} for n in range(number)],
            }
        ),
        "references": _of_order(lambda number: {"reasonReference": [{"reference": f"#{n}"} for n in range(number)]}),
        "reasons by code": _of_order(
            lambda number: {"reasonCode": [code("icd", "M54.2", display=f"pain {n}") for n in range(number)]}
        ),
        "reasons in words": _of_order(lambda number: {"reasonCode": [{"text": f"pain {n}"} for n in range(number)]}),
        "body sites": _of_order(lambda number: {"bodySite": [{"text": f"site {n}"} for n in range(number)]}),
        "notes": _of_order(lambda number: {"note": [{"text": f"note {n}"} for n in range(number)]}),
        "codings": _of_order(
            lambda number: {
                "code": {"coding": [*code("cpt", "20560")["coding"], *({"code": f"{n}"} for n in range(number))]}
            }
        ),
        "blanks before words": _of_order(lambda number: {"code": {"text": "dry" + " " * number + "needling"}}),
        "words": _of_order(lambda number: {"code": {"text": "needling dry " * number}}),
        # The chart.
        "low back pain": _problems(lambda n: condition("M54.50", onsetDateTime=day(n))),
        "low back pain in many words": _problems(
            lambda n: condition("M54.50", code=code("icd", "M54.50", display=f"pain {n}"))
        ),
        "other diagnoses in many words": _problems(
            lambda n: condition("I10", code=code("icd", "I10", display=f"high blood pressure {n}"))
        ),
        "onsets in many words": _problems(lambda n: condition("M54.50", onsetString=f"when {n}")),
        "chronic low back pain": _problems(lambda _: condition("M54.50", onsetDateTime="2020-01-01")),
        "chronic pain": _problems(lambda _: condition("G89.29")),
        "free text": _problems(lambda n: condition("x", code={"text": f"words {n}"})),
        "facet words": _problems(lambda n: condition("x", code={"text": f"facet joint pain {n}"})),
        "unreadable onsets": _problems(lambda n: condition("M54.50", onsetDateTime=f"2020-02-30 {n}")),
        "other people's": _problems(lambda n: condition("M54.50", subject={"reference": f"Patient/other{n}"})),
        "pain scores": _prefetched("painScores", lambda n: score(n % 10, effectiveDateTime=day(n))),
        "pain scores in many forms": _prefetched("painScores", lambda n: score(None, valueString=f"{n % 10}.{n}")),
        "components": _prefetched(
            "painScores",
            lambda n: score(None, component=[{"code": code("loinc", "72514-3"), "valueInteger": 5}] * 500) | {"n": n},
        ),
        "earlier sessions": _prefetched("procedures", _session),
        "sessions in many words": _prefetched(
            "procedures", lambda n: _session(n, code=code("cpt", "20560", display=f"session {n}"))
        ),
        "therapies": _prefetched("procedures", lambda n: _session(n, "97110")),
        "medications": _prefetched(
            "medications",
            lambda n: {
                "resourceType": "MedicationRequest",
                "status": "active",
                "intent": "order",
                "subject": {"reference": "Patient/p1"},
                "medicationCodeableConcept": {"text": f"medicine {n}"},
            },
        ),
        "care plans": _prefetched("carePlans", lambda n: _plan(f"exercise {n}")),
        "activities": _prefetched("carePlans", lambda n: _plan(*(f"exercise {a}" for a in range(500))) | {"n": n}),
        # JSON that means nothing.
        "unknown fields": lambda number: orjson.dumps({**request(), "x": {f"key {n}": n for n in range(number)}}),
        "prefetch keys": lambda number: orjson.dumps(request(prefetch={f"key {n}": None for n in range(number)})),
        "brackets": lambda number: b'{"hook":"order-select","x":[' + b"[]," * number + b"[]]}",
        "nested brackets": lambda number: (
            b'{"hook":"order-select","x":[' + (b"[" * 95 + b"]" * 95 + b",") * number + b"[]]}"
        ),
    }
)
"""Every kind by its name."""


def of_size(make: Make, size: int) -> bytes:
    """Return a request of a kind that has about so many bytes."""
    few, many = len(make(1)), len(make(11))
    return make(max(1, round((size - few) / ((many - few) / 10))))
