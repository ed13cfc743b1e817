"""CDS Hooks requests as specified: envelope and contexts typed, FHIR parts as raw JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from cds_service.errors import InvalidFields, Issue, TooManyResources, WrongHook
from cds_service.limits import MOST_DRAFTS, MOST_ISSUES, MOST_PREFETCHED, MOST_SELECTIONS

_UUID = re.compile(r"(?:urn:uuid:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_URN = "urn:uuid:"
_ABSOLUTE_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)


class Received(BaseModel):
    """What clients send: unknown fields are accepted and ignored (C5), types are not converted."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", strict=True, frozen=True)


NonEmpty = Annotated[str, StringConstraints(min_length=1)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256)]


def uuid_in(text: str) -> str:
    """Return the UUID that a text is, in any case and with or without `urn:uuid:`; "" when it is none."""
    return text.lower().removeprefix("urn:uuid:") if _UUID.fullmatch(text) else ""


def _uuid(text: str) -> str:
    if not (found := uuid_in(text)):
        raise ValueError("must be a UUID")
    return found


def _url(text: str) -> str:
    if text and not _ABSOLUTE_URL.fullmatch(text):
        raise ValueError("must be an absolute http(s) URL")
    return text


def _patient(text: str) -> str:
    """Return the patient's id, however it was written: `Patient/p1`, a URL, `urn:uuid:`, with a version (C8)."""
    identifier = text.split("/_history", 1)[0].strip().rstrip("/").rpartition("/")[2]
    if identifier[: len(_URN)].lower() == _URN:
        identifier = identifier[len(_URN) :]
    if identifier in ("", "Patient"):
        raise ValueError("must name a patient")
    return identifier


def _bearer(text: str) -> str:
    if text.lower() != "bearer":
        raise ValueError("must be Bearer")
    return text


def _bundle(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("resourceType") != "Bundle":
        raise ValueError("must be a Bundle")
    if not isinstance(value.get("entry"), list | None):
        raise ValueError("must be a Bundle whose entry is an array")
    return value


class FhirAuthorization(Received):
    """The client's token for its FHIR server: transient, never stored, never logged (C4).

    The only fields of the specification that are written with underscores, as in OAuth. What only says how the token
    was granted refuses no call (C9); see `unusable`.
    """

    model_config = ConfigDict(alias_generator=None, extra="ignore", strict=True, frozen=True)

    access_token: NonEmpty = Field(repr=False)
    token_type: Annotated[str, AfterValidator(_bearer)]
    expires_in: Any = None
    scope: Any = None
    subject: Any = None
    patient: Any = None

    @property
    def unusable(self) -> str:
        """Return the field that keeps the token from being used, or ""."""
        if type(self.expires_in) is not int or self.expires_in <= 0:
            return "expires_in"
        if not isinstance(self.patient, str | None):
            return "patient"
        return next((name for name in ("scope", "subject") if not isinstance(getattr(self, name), str)), "")


class HookContext(Received):
    """What the contexts of all hooks have: a patient, and mostly a user and an encounter."""

    user_id: str = ""
    patient_id: Annotated[Identifier, AfterValidator(_patient)]
    encounter_id: str | None = None


class OrderSelectContext(HookContext):
    """The context of order-select (C6): only the selected draft orders are meant."""

    user_id: NonEmpty
    selections: Annotated[list[str], Field(min_length=1)]
    draft_orders: Annotated[dict[str, Any], AfterValidator(_bundle)]


class OrderSignContext(HookContext):
    """The context of order-sign (C6): all draft orders are meant."""

    user_id: NonEmpty
    draft_orders: Annotated[dict[str, Any], AfterValidator(_bundle)]


_CONTEXTS: Mapping[str, type[HookContext]] = {
    "order-select": OrderSelectContext,
    "order-sign": OrderSignContext,
}


class Envelope(Received):
    """What every request has around its context (C2-C4)."""

    hook: NonEmpty
    hook_instance: Annotated[str, AfterValidator(_uuid)]
    context: dict[str, Any]
    prefetch: dict[str, Any] | None = None
    fhir_server: Annotated[str, AfterValidator(_url)] | None = None
    fhir_authorization: FhirAuthorization | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _authorization_needs_a_server(self) -> Envelope:
        if self.fhir_authorization is not None and self.fhir_server is None:
            raise ValueError("fhirServer is required when fhirAuthorization is present")
        return self


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A CDS Hooks request: envelope and context typed, FHIR parts still raw JSON.

    Attributes:
        fhir_server: where what is missing may be fetched; None when nowhere.
        unusable: path of the field that keeps this service from fetching, or "" (C9).
    """

    hook: str
    hook_instance: str
    context: HookContext
    prefetch: dict[str, Any]
    fhir_server: str | None = None
    fhir_authorization: FhirAuthorization | None = field(default=None, repr=False)
    unusable: str = ""

    @property
    def selections(self) -> tuple[str, ...] | None:
        """Return the selected orders of order-select; None where every draft order is meant."""
        return tuple(self.context.selections) if isinstance(self.context, OrderSelectContext) else None

    @property
    def draft_orders(self) -> dict[str, Any] | None:
        """Return the Bundle of draft orders; None where the hook is not about any."""
        return self.context.draft_orders if isinstance(self.context, OrderSelectContext | OrderSignContext) else None


def hook_of(document: Mapping[str, Any]) -> str:
    """Return the hook a decoded request names, or "" when it names none."""
    hook = document.get("hook")
    return hook if isinstance(hook, str) else ""


def read_request(document: Mapping[str, Any], hook: str) -> HookRequest:
    """Validate a decoded request for a service of `hook`.

    Raises:
        InvalidFields: fields are missing or wrong; each is named by its path.
        WrongHook: the request is for another hook.
        TooManyResources: there are more draft orders, selections or prefetched values than one call may bring.
    """
    try:
        envelope = Envelope.model_validate(document)
    except ValidationError as fault:
        raise InvalidFields(*issues_of(fault)) from None
    if envelope.hook != hook:
        raise WrongHook(Issue(f"hook must be {hook} for this service", "hook"))
    prefetch = envelope.prefetch or {}
    _check_bounds(envelope.context, prefetch)
    try:
        context = _CONTEXTS.get(hook, HookContext).model_validate(envelope.context)
    except ValidationError as fault:
        raise InvalidFields(*issues_of(fault, "context")) from None
    return HookRequest(
        hook=envelope.hook,
        hook_instance=envelope.hook_instance,
        context=context,
        prefetch=prefetch,
        fhir_server=envelope.fhir_server,
        fhir_authorization=envelope.fhir_authorization,
        unusable=_unusable(envelope),
    )


def _unusable(envelope: Envelope) -> str:
    if envelope.fhir_server == "":
        return "fhirServer"
    field_name = envelope.fhir_authorization.unusable if envelope.fhir_authorization else ""
    return f"fhirAuthorization.{field_name}" if field_name else ""


def _check_bounds(context: Mapping[str, Any], prefetch: Mapping[str, Any]) -> None:
    """Refuse too many draft orders, selections or prefetched values, before anything is said of each.

    Raises:
        TooManyResources: there are.
    """
    drafts = context.get("draftOrders")
    for path, found, most in (
        ("context.selections", context.get("selections"), MOST_SELECTIONS),
        ("context.draftOrders.entry", drafts.get("entry") if isinstance(drafts, dict) else None, MOST_DRAFTS),
        ("prefetch", prefetch, MOST_PREFETCHED),
    ):
        if isinstance(found, list | dict) and len(found) > most:
            raise TooManyResources(Issue(f"{path} must not have more than {most} items", path))


_WORDS = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "is too long",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "too_short": "must not be empty",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def issues_of(fault: ValidationError, prefix: str = "") -> list[Issue]:
    """Write the first errors ourselves, because pydantic's messages quote the data."""
    issues = []
    for error in fault.errors(include_url=False, include_input=False)[:MOST_ISSUES]:
        path = ".".join(str(part) for part in ((prefix,) if prefix else ()) + error["loc"])
        if error["type"] == "value_error":
            words = str(error["ctx"]["error"])
        else:
            words = _WORDS.get(error["type"], "is not valid")
        issues.append(Issue(f"{path} {words}".strip(), path))
    return issues
