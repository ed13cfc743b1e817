"""Scans a request in place: its prefetched entries become objects only when they are read."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson
from msgspec import Raw

from cds_service.errors import MalformedJson, NestedTooDeeply
from cds_service.limits import MOST_CONTAINERS, MOST_VALUES
from cds_service.protocol.decoding import MAX_NESTING, decode, nesting_exceeds

_ABSENT: Final = Raw()
SMALL = 8192
"""Bytes of a request that is decoded at once: to look at its few entries first would take longer."""

_LEVELS_ABOVE: Final = 5
"""Objects and arrays around an entry's resource: the request, its prefetch, a Bundle, its entries and one of them."""

_UNUSUAL: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)


class SentResource(msgspec.Struct, gc=False, eq=False, rename="camel"):
    """A resource of a Bundle as sent: the elements that show whether it is relevant, each still JSON, and the whole.

    It can be read like the dictionary that `whole` makes of it; only the elements that are fields are cheap.
    """

    resource_type: str
    id: Raw = _ABSENT
    status: Raw = _ABSENT
    clinical_status: Raw = _ABSENT
    verification_status: Raw = _ABSENT
    category: Raw = _ABSENT
    code: Raw = _ABSENT
    subject: Raw = _ABSENT
    effective_date_time: Raw = msgspec.field(default=_ABSENT, name="effectiveDateTime")
    component: Raw = _ABSENT
    performed_date_time: Raw = msgspec.field(default=_ABSENT, name="performedDateTime")
    performed_period: Raw = _ABSENT
    sent: Any = msgspec.field(default=None, name="")

    def get(self, name: str) -> Any:
        """Return an element as decoded JSON; None if it does not exist."""
        field = _FIELDS.get(name)
        if field is None or isinstance(self.sent, dict):
            return self.whole().get(name)
        part: Raw = getattr(self, field)
        return _decoded(part, _LEVELS_ABOVE + 1) if part else None

    def __getitem__(self, name: str) -> Any:
        """Return an existing element."""
        return self.resource_type if name == "resourceType" else self.whole()[name]

    def __contains__(self, name: str) -> bool:
        """Return whether an element exists, even as null."""
        field = _FIELDS.get(name)
        return bool(getattr(self, field)) if field else name in self.whole()

    def whole(self) -> dict[str, Any]:
        """Return the resource as decoded JSON.

        Raises:
            MalformedJson, NestedTooDeeply: as for the whole request, had it been decoded at once.
        """
        if isinstance(self.sent, Raw):
            self.sent = _decoded(self.sent, _LEVELS_ABOVE)
        found: dict[str, Any] = self.sent
        return found


_FIELDS: Final[Mapping[str, str]] = {
    sent: field
    for field, sent in zip(SentResource.__struct_fields__, SentResource.__struct_encode_fields__, strict=True)
    if field not in ("resource_type", "sent")
}
"""The fields of a resource that were looked at, by the names of their elements."""

AsSent = dict[str, Any] | SentResource
"""A resource as raw JSON, or not even decoded."""

_Value = dict[str, list[dict[str, Raw]] | dict[str, Raw] | str | int | float | bool | None]
"""A value of the prefetch. Every Bundle and resource of FHIR has this shape, but for lists of texts."""


class _Request(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    hook: Raw = _ABSENT
    hook_instance: Raw = _ABSENT
    fhir_server: Raw = _ABSENT
    fhir_authorization: Raw = _ABSENT
    context: Raw = _ABSENT
    extension: Raw = _ABSENT
    prefetch: dict[str, _Value | None] | None = None


_READER: Final = msgspec.json.Decoder(_Request)
_RESOURCE_READER: Final = msgspec.json.Decoder(SentResource)


def read(body: bytes) -> dict[str, Any]:
    """Read a request body as `decode` does, but for what stands in entries of prefetched Bundles.

    What has another shape than requests have is decoded whole, and refused as `decode` says. Only what is wrong within
    an entry that nobody reads, and is JSON all the same, goes unnoticed: a number that no double holds, and more than
    MAX_NESTING levels.

    Raises:
        CdsError: as `decode` says.
    """
    content = body.removeprefix(codecs.BOM_UTF8)
    if len(content) < SMALL or (len(content) > MOST_VALUES and _may_hold_too_much(content)):
        return decode(body)
    try:
        content.decode()  # skipped texts are not checked
        request = _READER.decode(content)
        prefetch = request.prefetch and {key: value and _value(value) for key, value in request.prefetch.items()}
    except _UNUSUAL:
        return decode(body)
    parts = zip(_Request.__struct_encode_fields__, _Request.__struct_fields__, strict=True)
    found = {sent: getattr(request, field) for sent, field in parts if field != "prefetch"}
    return {name: _decoded(part, 1) for name, part in found.items() if part} | {"prefetch": prefetch}


def plain(value: Any) -> Any:
    """Return what was sent, decoded."""
    if isinstance(value, SentResource):
        return value.whole()
    return _decoded(value, _LEVELS_ABOVE) if isinstance(value, Raw) else value


def _may_hold_too_much(body: bytes) -> bool:
    """Return whether a body may hold more than is decoded; brackets and commas in texts count as well."""
    return body.count(b"{") + body.count(b"[") > MOST_CONTAINERS or body.count(b",") > MOST_VALUES


def _value(value: _Value) -> dict[str, Any]:
    """Return a value of the prefetch, with the resources of its entries as they were sent if it is a Bundle."""
    entries = value.get("entry")
    if value.get("resourceType") != "Bundle" or not isinstance(entries, list):
        return {name: _decoded_part(part) for name, part in value.items()}
    read_resource = _RESOURCE_READER.decode
    for entry in entries:
        sent = entry.get("resource")
        if sent:
            try:
                resource = read_resource(sent)
            except msgspec.ValidationError:  # no resource: without a type, null or something else
                entry["resource"] = _decoded(sent, _LEVELS_ABOVE)
            else:
                resource.sent = sent
                entry["resource"] = resource  # type: ignore[assignment]  # from here on the shape of decoded JSON
    return {name: part if name == "entry" else _decoded_part(part) for name, part in value.items()}


def _decoded_part(part: Any) -> Any:
    if isinstance(part, list):
        return [{name: _decoded(inner, 5) for name, inner in item.items()} for item in part]
    if isinstance(part, dict):
        return {name: _decoded(inner, 4) for name, inner in part.items()}
    if type(part) is int and not -(2**63) <= part < 2**64:
        return float(part)
    return part


def _decoded(part: Raw, above: int) -> Any:
    """Decode a part of a request that has so many levels above it."""
    text = bytes(part)
    deepest = MAX_NESTING - above
    # A level has two brackets at least, so that hardly anything needs a closer look.
    if len(text) > 2 * deepest and text.count(b"{") + text.count(b"[") > deepest and nesting_exceeds(text, deepest):
        raise NestedTooDeeply(f"The body has more than {MAX_NESTING} levels of objects and arrays")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # a number that no double holds
        raise MalformedJson("The body is not JSON in UTF-8") from None
