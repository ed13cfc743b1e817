"""Requests looked at in place (C1): the same as decoding them whole, but for what stands in entries nobody reads."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.call import answer
from cds_service.errors import CdsError, MalformedJson, NestedTooDeeply, TooManyResources
from cds_service.fhir import scan
from cds_service.fhir.bundles import opened
from cds_service.fhir.scan import SentResource
from cds_service.limits import MOST_CONTAINERS, MOST_VALUES
from cds_service.protocol.decoding import MAX_NESTING, decode
from tests.cases import FIXTURES, TODAY
from tests.charts import bundle, code, condition, needling, request, score

CALLS = sorted(FIXTURES.glob("calls/*/request.json"))
DAY = TODAY.date()


@pytest.fixture(autouse=True)
def _nothing_is_small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "SMALL", 0)
        yield


def whole(value):
    """Return a document with everything in it decoded."""
    value = scan.plain(value)
    if isinstance(value, dict):
        return {name: whole(part) for name, part in value.items()}
    return [whole(part) for part in value] if isinstance(value, list) else value


def read(reader, body: bytes):
    """Return what a reader makes of a body, or the kind of error."""
    try:
        found = whole(reader(body))
    except CdsError as error:
        return type(error)
    return found | {"prefetch": found.get("prefetch")}


def answered(registry, body: bytes, monkeypatch, reader):
    """Return the answer to a call whose body is read by a reader, or what it is refused with."""
    monkeypatch.setattr(scan, "read", reader)
    try:
        got = answer(registry, "", body, DAY)
    except CdsError as error:
        return error.operation_outcome()
    return got.body, got.guidance.log, got.missing


@pytest.mark.parametrize("path", CALLS, ids=lambda path: path.parent.name)
def test_every_case_is_read_and_answered_as_if_it_were_decoded_whole(path, registry, monkeypatch):
    body = path.read_bytes()
    assert read(scan.read, body) == read(decode, body)
    assert answered(registry, body, monkeypatch, scan.read) == answered(registry, body, monkeypatch, decode)


def test_prefetched_entries_are_not_decoded_until_somebody_reads_them(registry, monkeypatch):
    """Entries that say nothing cost no object, however many there are."""
    decoded = []
    monkeypatch.setattr(scan, "_decoded", lambda part, above: decoded.append(bytes(part)) or orjson.loads(bytes(part)))
    unrelated = [condition("I10", id=f"c{number}", note=[{"text": "unread"}]) for number in range(50)]
    assert answer(registry, "", orjson.dumps(request(condition("M54.50"), *unrelated)), DAY).guidance.advice
    assert sum(b"unread" in part for part in decoded) == 1  # for its statuses, which all of them share


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "code", ""]), inner, max_size=2),
    max_leaves=6,
)
SENT = request(
    condition("M54.50", onsetDateTime="2020-01-01"),
    condition("I10", abatementDateTime="2024-01-01", clinicalStatus=None),
    condition("M54.16", subject={"reference": "Patient/other"}),
    condition("x", code={"text": "sciatica"}),
    order=needling(reasonReference=[{"reference": "Condition/c-M54.50"}]),
    prefetch={
        "patient": {"resourceType": "Patient", "id": "p1", "birthDate": "1980", "name": [{"given": ["A"]}]},
        "painScores": bundle(score(7), score(5, id="s2", effectiveDateTime="2026-01-01")),
        "procedures": bundle({"resourceType": "Procedure", "status": "completed", "code": code("cpt", "97110")}),
    },
)


def places(value, path=()):
    """Yield the path of every part of a document."""
    yield path
    if isinstance(value, dict | list):
        for step, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, (*path, step))


def replaced(value, path, odd):
    if not path:
        return odd
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], odd)
    return copy


@given(st.sampled_from(list(places(SENT))), ODD)
def test_a_mutated_request_is_read_and_answered_as_if_it_were_decoded_whole(registry, path, odd):
    body = json.dumps(replaced(SENT, path, odd)).encode()  # orjson writes no large numbers
    assert read(scan.read, body) == read(decode, body)
    with pytest.MonkeyPatch.context() as patch:
        assert answered(registry, body, patch, scan.read) == answered(registry, body, patch, decode)


@given(st.data())
def test_what_is_cut_or_overwritten_is_read_or_refused_as_if_it_were_decoded_whole(data):
    body = bytearray(orjson.dumps(SENT))
    place = data.draw(st.integers(0, len(body) - 1))
    piece = data.draw(
        st.sampled_from([b"", b'"', b"\\", b"\xff", b"\x00", b"01", b"NaN", b"-", b"{", b"]", b",", b" "])
    )
    body[place : place + data.draw(st.integers(0, 3))] = piece
    assert read(scan.read, bytes(body)) == read(decode, bytes(body))


def in_entry(element: bytes, kind: bytes = b"Condition") -> bytes:
    """Return a request with one entry that has an element, written as given."""
    resource = b'{"resourceType":"' + kind + b'","x":' + element + b"}"
    return b'{"hook":"x","prefetch":{"a":{"resourceType":"Bundle","entry":[{"resource":' + resource + b"}]}}}"


def first_entry(body: bytes):
    return scan.read(body)["prefetch"]["a"]["entry"][0]["resource"]


@pytest.mark.parametrize("element", [b"NaN", b"-Infinity", b"01", b'"\xff"', b'"\\ud800"', b'"\\q"', b'"\x01"', b"nul"])
def test_what_is_no_json_is_refused_wherever_it_stands(element):
    """C10: also in an entry that nobody reads."""
    for body in (in_entry(element), b'{"prefetch":{"a":' + element + b"}}", b'{"x":' + element + b"}"):
        with pytest.raises(MalformedJson):
            scan.read(body)


def test_of_duplicate_keys_the_last_wins():
    body = in_entry(b'1,"id":"a","id":"b","x":2')
    assert first_entry(body).get("id") == "b"
    assert first_entry(body).get("x") == 2
    twice = b'{"prefetch":{"a":1},"prefetch":{"b":{"resourceType":"Bundle","entry":[1],"entry":[{"resource":5}]}}}'
    assert read(scan.read, twice) == read(decode, twice)


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 400])
def test_a_number_that_no_double_holds_is_refused_where_it_is_read(number):
    """It goes unnoticed within an entry that nobody reads."""
    with pytest.raises(MalformedJson):
        first_entry(in_entry(number)).get("x")
    for body in (b'{"x":%b}' % number, b'{"context":{"x":%b}}' % number, b'{"prefetch":{"a":{"total":%b}}}' % number):
        with pytest.raises(MalformedJson):
            scan.read(body)


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**30])
def test_large_numbers_are_read_as_they_are_decoded(number):
    body = orjson.dumps({"prefetch": {"a": {"total": "here"}}}).replace(b'"here"', str(number).encode())
    assert repr(scan.read(body)["prefetch"]) == repr(decode(body)["prefetch"])


@pytest.mark.parametrize("form", [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize(
    ("around", "above"),
    [
        (b'{"x":%b}', 1),
        (b'{"context":%b}', 1),
        (b'{"context":{"x":%b}}', 2),
        (b'{"prefetch":{"a":%b}}', 2),
        (b'{"prefetch":{"a":{"x":%b}}}', 3),
        (b'{"prefetch":{"a":{"x":{"y":%b}}}}', 4),
        (b'{"prefetch":{"a":{"x":[{"y":%b}]}}}', 5),
        (b'{"prefetch":{"a":{"resourceType":"Bundle","entry":[{"resource":%b}]}}}', 5),
        (b'{"prefetch":{"a":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"X","id":%b}}]}}}', 6),
        (b'{"prefetch":{"a":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"X","y":%b}}]}}}', 6),
    ],
)
def test_more_than_100_levels_are_refused_where_they_are_read(form, around, above):
    def nested(levels: int) -> bytes:
        return around % (form[0] * levels + b"1" + form[1] * levels)

    def read_all(body: bytes) -> None:
        for value in (scan.read(body).get("prefetch") or {}).values():
            for resource, _ in opened(value):
                resource.get("id")
                scan.plain(resource)

    read_all(nested(MAX_NESTING - above))
    with pytest.raises(NestedTooDeeply):
        read_all(nested(MAX_NESTING - above + 1))
    with pytest.raises(NestedTooDeeply):
        scan.read(nested(100_000))


@pytest.mark.parametrize("piece", [b'{"resource":{}},', b"{},", b'{"resource":null},'])
def test_more_values_than_any_real_request_has_are_refused(piece):
    number = max(MOST_CONTAINERS, MOST_VALUES)
    body = b'{"prefetch":{"a":{"resourceType":"Bundle","entry":[' + piece * number + b"{}]}}}"
    with pytest.raises(TooManyResources):
        scan.read(body)


def test_many_brackets_within_texts_are_no_containers():
    body = orjson.dumps({"prefetch": None, "extension": {"text": "[{" * MOST_CONTAINERS}})
    assert scan.read(body) == orjson.loads(body)


def test_a_resource_is_asked_for_elements_like_a_dictionary():
    sent = first_entry(in_entry(b'[1],"id":"a","subject":null'))
    assert isinstance(sent, SentResource)
    assert [sent.get(name) for name in ("id", "x", "code", "subject", "y")] == ["a", [1], None, None, None]
    assert [name in sent for name in ("id", "x", "code", "subject", "y")] == [True, True, False, True, False]
    assert (sent["resourceType"], sent["x"]) == ("Condition", [1])
    assert sent.whole() is sent.whole()
    assert sent.get("id") == "a"


def test_the_byte_order_mark_is_skipped():
    assert first_entry(b"\xef\xbb\xbf" + in_entry(b"1")).get("x") == 1
