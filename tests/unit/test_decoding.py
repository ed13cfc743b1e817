"""Decoding of bodies (C1): what is refused, what is tolerated, and nesting counted exactly."""

from __future__ import annotations

import gzip
import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import MalformedJson, NestedTooDeeply, TooManyResources
from cds_service.limits import MOST_CONTAINERS, MOST_VALUES
from cds_service.protocol.decoding import MAX_NESTING, decode, nesting_exceeds

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='{}[]"\\ab,:', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('{}[]"\\a', max_size=4), inner, max_size=3),
    max_leaves=12,
)


def depth(value) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(JSON, st.integers(0, 8))
def test_nesting_is_counted_exactly_whatever_strings_hold(value, limit):
    assert nesting_exceeds(orjson.dumps(value), limit) == (depth(value) > limit)


def nested(levels: int, opening: bytes, closing: bytes) -> bytes:
    return opening * levels + b"1" + closing * levels


@pytest.mark.parametrize("form", [(b"[", b"]"), (b'{"a":', b"}")])
def test_100_levels_are_accepted_and_101_are_not(form):
    inner = nested(MAX_NESTING - 1, *form)
    assert decode(b'{"a":' + inner + b"}")
    with pytest.raises(NestedTooDeeply, match="more than 100 levels"):
        decode(b'{"a":' + nested(MAX_NESTING, *form) + b"}")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'a': 1}", b"\xff\xfe", b'{"a": "\xe9"}', b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}',
     b"[" * 5000 + b"]" * 5000, b'{"a": "\\ud800"}', b'{"a": 1e999}', '{"a": "é"}'.encode("latin-1")],
)  # fmt: skip
def test_what_is_no_json_in_utf_8_is_refused(body):
    with pytest.raises((MalformedJson, NestedTooDeeply)):
        decode(body)


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_what_is_no_object_is_refused(body):
    with pytest.raises(MalformedJson, match="must be a JSON object"):
        decode(body)


def test_duplicate_keys_are_tolerated_and_the_last_wins():
    assert decode(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize("piece", [b"[],", b"{},", b'{"a":1},', b"1,", b'"",', b'"ab",', b"1.5,"])
def test_more_values_than_any_real_request_has_are_refused_before_they_are_decoded(piece):
    """10 MB of brackets would take a worker to 577 MB."""
    body = b'{"a":[' + piece * (10_000_000 // len(piece)) + b"1]}"
    tracemalloc.start()
    try:
        with pytest.raises(TooManyResources, match="more than 500,000 objects or 1,000,000 values"):
            decode(body)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


def test_what_is_just_within_the_bounds_is_decoded():
    assert decode(b'{"a":[' + b"[]," * (MOST_CONTAINERS - 3) + b"[]]}")
    assert decode(b'{"a":[' + b"1," * MOST_VALUES + b"1]}")
    assert decode(b'{"a":"' + b"[{" * MOST_CONTAINERS + b'"}'), "brackets within a text are none"


def test_a_byte_order_mark_is_skipped():
    """C10."""
    assert decode(b"\xef\xbb\xbf" + b'{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (gzip.compress(b"{}"), "gzip"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        ('{"a": 1}'.encode("utf-16-le"), "UTF-16"),
        ('{"a": 1}'.encode("utf-16-be"), "UTF-16"),
        ('{"a": 1}'.encode("utf-32"), "UTF-32"),
        (b"\xff", "UTF-8"),
    ],
)
def test_what_is_no_json_in_utf_8_is_named(body, word):
    """C10."""
    with pytest.raises(MalformedJson, match=word):
        decode(body)
