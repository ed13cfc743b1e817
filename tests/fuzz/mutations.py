"""What is done to a request: to nodes of its JSON, its bytes, a token, a body in chunks; all by one generator."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from random import Random
from typing import Any

import orjson

HIDDEN = "\0\x1b[2J\x7f\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}\N{LINE SEPARATOR}"
TEXTS = (
    "", " ", "x", HIDDEN, "x" * 300, "y " * 3000, "<script>", "[a](b)", "{order}", "ü\N{SYRINGE}", "\n\n# x",
    "null", "5",
    "Dry needling", "facet joint pain", "active", "completed", "entered-in-error",
    "2026-11-01", "2026-11-01T10:00:00", "2026-11-01T10:00:00+0000", "11/01/2026", "2026-13-45", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00", "2026-11-01T10:00:00." + "1" * 19 + "Z", "2026", "-1", "1e400", "20560", "M54.50",
    "278860009",
    "#", "#x", "Condition/../Patient/1", "http://[x", "urn:uuid:x", "Patient/", "Condition/a/_history/1", "//x", "..",
    "%2e%2e",
    "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm", "urn:oid:2.16.840.1.113883.6.90", "http://loinc.org",
)  # fmt: skip
NUMBERS = (0, -0.0, 1, -1, 1.5, 10, 100, 2**31, 2**63, -(2**63), 1e308, -1e308, 5e-324)
RESOURCE_TYPES = (
    "Condition", "ServiceRequest", "Procedure", "Observation", "CarePlan", "Patient", "Bundle", "OperationOutcome",
    "MedicationRequest", "Parameters", "List", "Basilisk", "",
)  # fmt: skip


def body_of(random: Random, document: Any) -> bytes:
    """Return a request with one to four of its nodes changed, and now and then bytes of it too."""
    changed = orjson.loads(orjson.dumps(document))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        if changed:
            _change_a_node(random, changed)
    body = orjson.dumps(changed)
    return bytes_of(random, body) if random.random() < 0.1 else body


def _change_a_node(random: Random, document: Any) -> None:
    """Change a node, mostly one far from the root: a wrong envelope says little about the rest."""
    parent, key = document, None
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        inner = [key for key in keys if isinstance(parent[key], dict | list) and parent[key]]
        key = random.choice(inner if inner and random.random() < 0.9 else keys)
        if key not in inner or random.random() < 0.08:
            break
        parent = parent[key]
    random.choice(_CHANGES)(random, parent, key)


def _delete(_random: Random, parent: Any, key: Any) -> None:
    del parent[key]


def _replace(random: Random, parent: Any, key: Any) -> None:
    parent[key] = value(random)


def _wrap(random: Random, parent: Any, key: Any) -> None:
    parent[key] = random.choice(([parent[key]], {"value": parent[key]}, [parent[key], None], {str(key): parent[key]}))


def _repeat(random: Random, parent: Any, key: Any) -> None:
    if isinstance(parent, list):
        parent.extend([parent[key]] * random.choice((1, 2, 60, 200)))
    else:
        parent[f"{key}{random.choice(('', '2', ' ', HIDDEN))}"] = parent[key]


def _rename(random: Random, parent: Any, key: Any) -> None:
    if isinstance(parent, dict):
        parent[random.choice((*TEXTS, str(key).upper(), f"_{key}", "contained", "extension", "concept"))] = parent.pop(
            key
        )
    else:
        random.shuffle(parent)


def _spoil(random: Random, parent: Any, key: Any) -> None:
    found = parent[key]
    if isinstance(found, str):
        at = random.randrange(len(found) + 1)
        parent[key] = found[:at] + random.choice(TEXTS) + found[at + random.randrange(3) :]
    elif isinstance(found, int | float):
        parent[key] = random.choice((*NUMBERS, str(found), -found))
    else:
        parent[key] = value(random)


def _swap(random: Random, parent: Any, key: Any) -> None:
    other = random.choice(list(parent)) if isinstance(parent, dict) else random.randrange(len(parent))
    parent[key], parent[other] = parent[other], parent[key]


_CHANGES: tuple[Callable[[Random, Any, Any], None], ...] = (
    _delete, _replace, _replace, _wrap, _repeat, _rename, _spoil, _spoil, _swap,
)  # fmt: skip


def value(random: Random) -> Any:
    """Return a value that belongs nowhere in particular."""
    kind = random.randrange(8)
    if kind == 0:
        return random.choice((None, True, False))
    if kind == 1:
        return random.choice(NUMBERS)
    if kind < 5:
        return random.choice(TEXTS)
    if kind == 5:
        return random.choice(([], {}, [None], {"a": []}, [[]], [{}], [""], {"": ""}))
    if kind == 6:
        nested: Any = random.choice(TEXTS)
        for _ in range(random.choice((3, 30, 98, 120))):
            nested = random.choice(([nested], {"concept": nested}, {"entry": [nested]}, {"resource": nested}))
        return nested
    coding = {"system": random.choice(TEXTS), "code": random.choice(TEXTS), "display": random.choice(TEXTS)}
    return random.choice(
        (
            {"coding": [coding], "text": random.choice(TEXTS)},
            {"reference": random.choice(TEXTS), "display": random.choice(TEXTS)},
            {
                "resourceType": random.choice(RESOURCE_TYPES),
                "id": random.choice(TEXTS),
                "code": {"coding": [coding] * 3},
            },
            {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": random.choice(RESOURCE_TYPES)}}] * 3},
            {"start": random.choice(TEXTS), "end": random.choice(TEXTS)},
            {
                "value": random.choice(NUMBERS),
                "unit": random.choice(TEXTS),
                "code": random.choice(("a", "mo", "{score}")),
            },
        )
    )


def bytes_of(random: Random, body: bytes) -> bytes:
    """Return bytes that are nearly those of a request."""
    at, length = random.randrange(len(body) + 1), random.choice((1, 1, 2, 8, 200))
    return random.choice(
        (
            lambda: body[:at],
            lambda: body[:at] + body[at + length :],
            lambda: body[:at] + random.randbytes(length) + body[at:],
            lambda: body[:at] + bytes([random.choice(b'{}[]",:\\0')]) + body[at + 1 :],
            lambda: body[:at] + body[at : at + length] * random.choice((2, 50)) + body[at:],
            lambda: b"\xef\xbb\xbf" + body,
            lambda: body.decode("utf-8", "replace").encode("utf-16"),
            lambda: body + random.choice((b"\0", b" ", b"{}", b",", body)),
            lambda: b"[" * random.choice((90, 110, 2000)) + body,
        )
    )()


def token_of(random: Random, header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Return a token with odd header or claims and a true signature, or one whose text is spoiled."""
    head, said = dict(header), dict(claims)
    for _ in range(random.choice((0, 1, 1, 2))):
        part = random.choice((head, said, said))
        name = random.choice((*part, "nbf", "jku", "crit", "b64", "typ", "x5u", "sub", "tenant"))
        if random.random() < 0.25:
            part.pop(name, None)
        else:
            part[name] = random.choice(
                (value(random), value(random), [part.get(name)], 10 ** random.randrange(25), 1e400)
            )
    encoded = b".".join(_base64(_json(part)) for part in (head, said))
    token = b".".join((encoded, _base64(sign(encoded)))).decode()
    if random.random() < 0.3:
        token = bytes_of(random, token.encode())[:9000].decode("latin-1")
    return "".join(character for character in token if character.isprintable())


def _json(part: dict[str, Any]) -> bytes:
    return json.dumps(part).encode()  # orjson refuses to write infinity and huge integers


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def chunked_of(random: Random, path: str, body: bytes) -> bytes:
    """Return a request in chunks with something odd about its head, its sizes, its ends or what follows."""
    end = random.choice((*[b"\r\n"] * 12, b"\n", b"\r", b""))
    pieces = []
    for start in range(0, len(body), max(1, len(body) // 3)):
        piece = body[start : start + max(1, len(body) // 3)]
        size = len(piece) + random.choice((*[0] * 30, 1, -1, 1000))
        written = random.choice(
            (f"{size:x}", f"{size:X}", f"{size:x};a=b", f"0{size:x}", f"0x{size:x}", f"+{size:x}", f"-{size:x}",
             f" {size:x}", f"{size:x} ", "", "g", "F" * 20, "0", f"{size:x}" + ";x" * 500)
            if random.random() < 0.15 else (f"{size:x}",)
        )  # fmt: skip
        pieces.append(written.encode() + end + piece + end)
    last = random.choice(
        (b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n", b"0\r\n", b"", b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    )
    odd = ("Chunked", "xchunked", "chunked, gzip", "gzip, chunked", " chunked ")
    coding = random.choice((*["chunked"] * 10, *odd))
    head = [
        f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"Transfer-Encoding: {coding}",
        *random.choice((*[()] * 8, (f"Content-Length: {len(body)}",), ("Transfer-Encoding: chunked",), ("Expect: x",))),
    ]  # fmt: skip
    return "\r\n".join(head).encode() + b"\r\n\r\n" + b"".join(pieces) + last
