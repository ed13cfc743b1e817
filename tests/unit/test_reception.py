"""Requests as bytes, in whatever pieces they come: what is well formed, and which of our errors a fault is (H1)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from waitress.adjustments import Adjustments
from waitress.utilities import Error

from cds_service.errors import InvalidRequest
from cds_service.web.reception import LONGEST_HEADER, LONGEST_LINE, Late, Reception, refusal

ADJUSTMENTS = Adjustments(max_request_header_size=LONGEST_HEADER, max_request_body_size=100_001)
START = b"POST /a HTTP/1.1\r\nHost: a\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = CHUNKED + b'5;a="b c"\r\nhello\r\n6 ;a\r\n world\r\n0\r\nTrailing: yes\r\n\r\n'

NO_TARGETS = (
    b"a",
    b"?a",
    b"#a",
    b"/a#b",
    b"*a",
    b"a:5",
    b"http:a",
    b"http:///a",
    b"http://",
    b"http://[a/b",
    b"ftp://a/b",
)


def receive(sent: bytes, cuts: tuple[int, ...] = ()) -> tuple[Reception, bytes]:
    """Return what is made of bytes that come in pieces, and what is left of them."""
    reception = Reception(ADJUSTMENTS)
    places = sorted({min(cut, len(sent)) for cut in cuts} | {0, len(sent)})
    rest = b""
    for first, last in pairwise(places):
        piece = sent[first:last]
        while piece and (taken := reception.received(piece)):
            piece = piece[taken:]
        rest += piece
    return reception, rest


def status(reception: Reception) -> int | None:
    """Return what a request is refused with; None when it is not."""
    return refusal(reception.error).status if reception.error else None


@given(st.lists(st.integers(0, len(WHOLE) + 5)))
def test_a_chunked_body_is_the_same_in_whatever_pieces_it_comes(cuts):
    reception, rest = receive(WHOLE + b"GET /", tuple(cuts))
    assert reception.completed
    assert reception.error is None
    assert reception.get_body_stream().read() == b"hello world"
    assert reception.headers["CONTENT_LENGTH"] == "11"
    assert rest == b"GET /"


MALFORMED = {
    "a size that is no number": b"zz\r\nhello\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "an empty size": b"\r\nhello\r\n0\r\n\r\n",
    "a size that ends in a bare line feed": b"5\nhello\r\n0\r\n\r\n",
    "a size with a line feed before its end": b"5\n\r\nhello\r\n0\r\n\r\n",
    "a chunk that is longer than its size": b"3\r\nhello\r\n0\r\n\r\n",
    "a chunk without an end": b"5\r\nhello0\r\n\r\n",
    "an extension that is none": b"5;=\r\nhello\r\n0\r\n\r\n",
    "an extension with a carriage return": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a size line without an end": b"5;" + b"a" * (LONGEST_LINE + 10),
    "a trailer that is no header": b"5\r\nhello\r\n0\r\nno header\r\n\r\n",
    "trailers without an end": b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * LONGEST_LINE,
}


@pytest.mark.parametrize("kind", MALFORMED)
@pytest.mark.parametrize("step", [1, 7, 1_000_000])
def test_a_malformed_chunked_body_is_refused_as_soon_as_it_shows(kind, step):
    sent = CHUNKED + MALFORMED[kind]
    reception, _ = receive(sent, tuple(range(0, len(sent), step)) if len(sent) / step < 20_000 else ())
    assert reception.completed
    assert status(reception) == 400


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (START + b"Content-Length: 200000\r\n\r\n", 413),
        (CHUNKED + b"ffffff\r\n", 413),
        (CHUNKED + b"fffffffffffffffffffffff\r\n", 413),
        (CHUNKED + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 5, 413),
        (b"POST /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"POST /" + b"a" * 9000, 414),
        (START + b"A: " + b"a" * 40_000, 431),
        (START + b"A: b\r\n" * 9000 + b"\r\n", 431),
        (START + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (START + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (START + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
        (b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (START + b"Content-Length: -5\r\n\r\n", 400),
        (START + b"Content-Length: five\r\n\r\n", 400),
        (START + b"No header\r\n\r\n", 400),
        (START + b"Folded: a\nb\r\n\r\n", 400),
        (START + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n", 400),
        (START + b"Content-Length: " + b"5" * 5000 + b"\r\n\r\n", 400),
        (START + b"Host: b\r\n\r\n", 400),
        (START + b"A: b\r\n Content-Length: 5\r\n\r\n", 400),
        (b"POST /a HTTP/3.0\r\n\r\n", 400),
        *((b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400) for target in NO_TARGETS),
        (b"POST /a\r\n\r\n", 400),
        (b"post /a HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
    ],
)
def test_a_fault_is_one_of_our_errors(head, expected):
    reception, _ = receive(head, (5, 30))
    assert reception.completed
    assert status(reception) == expected


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_whatever_is_sent_is_whole_refused_or_not_yet_there(sent, cuts):
    reception, _ = receive(CHUNKED + sent, tuple(cuts))
    assert reception.error is None or status(reception) in (400, 413)


PIECES = st.lists(
    st.sampled_from(
        [b"/", b"*", b"http://", b"[", b"a", b"@", b"#", b"?", b"%", b":", b"5", b"5" * 5000, b"chunked", b"close",
         b",", b" ", b"\t", b"\n", b"\r", b"\0", b"\xff", b"\xc2\xb2"]
    ),
    max_size=3,
).map(b"".join)  # fmt: skip
NAMES = st.sampled_from([b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b" A", b"A_B"])


@settings(max_examples=500)
@example(b"http://[", [])
@given(PIECES, st.lists(st.tuples(NAMES, PIECES), max_size=3))
def test_whatever_stands_in_a_head_is_taken_or_refused(target, headers):
    """Nothing is raised: that would close the connection without a word."""
    lines = [b"GET " + target + b" HTTP/1.1", *(name + b": " + value for name, value in headers)]
    reception, _ = receive(b"\r\n".join(lines) + b"\r\n\r\n")
    assert status(reception) in (None, 400, 413, 414, 431, 501)


def test_what_is_refused_holds_no_body():
    reception, _ = receive(START + b"Content-Length: 5000\r\n\r\n" + b" " * 2000)
    assert reception.body_bytes_received == 2000
    reception.refuse(Late(""))
    assert (reception.completed, reception.body_bytes_received, status(reception)) == (True, 0, 408)


def test_a_status_that_nobody_thought_of_is_a_bad_request():
    fault = Error("")
    fault.code = 499
    assert isinstance(refusal(fault), InvalidRequest)


@pytest.mark.parametrize("target", [b"/", b"/a?b", b"http://b", b"HTTPS://b:5/a?b", b"*"])
def test_a_target_is_a_path_or_a_whole_address_or_an_asterisk(target):
    assert status(receive(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")[0]) is None


@pytest.mark.parametrize(("said", "closes"), [("close", True), ("TE, Close", True), ("closed", False), ("", False)])
def test_a_connection_ends_when_that_is_among_what_is_said_of_it(said, closes):
    reception, _ = receive(START + f"Connection: {said}\r\n\r\n".encode())
    assert reception.connection_close is closes
    assert (reception.headers["CONNECTION"].lower() == "close") is closes
