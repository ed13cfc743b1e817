"""CDS Hooks feedback, as specified and as clients send it: accepted and overridden cards (B1-B4, V5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from cds_service.errors import InvalidFields, Issue, TooManyResources
from cds_service.protocol.request import NonEmpty, Received, issues_of

_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class FeedbackBounds:
    """Limits of one request.

    Attributes:
        entries: feedback entries of one request.
        suggestions: accepted suggestions of one entry.
    """

    entries: int = 1000
    suggestions: int = 50


def _moment(value: object) -> datetime:
    """Return an RFC 3339 timestamp in UTC; one that falls out of the calendar there cannot be compared or stored."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if not _RFC_3339.fullmatch(value):
        raise ValueError("must be a date and time with a time zone, as in RFC 3339")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date and time that exist in UTC") from None


class AcceptedSuggestion(Received):
    """A suggestion that was accepted, by its uuid."""

    id: NonEmpty


class Reason(Received):
    """The coded reason of an override; without a code it says nothing that is kept."""

    code: str | None = None


def _first(value: Any) -> Any:
    """Return the first of several, as some clients send them where the specification has one."""
    return (value[0] if value else None) if isinstance(value, list) else value


class OverrideReason(Received):
    """Why a card was overridden: a code, words, both or neither. The words are kept only where a site says so."""

    reason: Annotated[Reason | None, BeforeValidator(_first)] = None
    user_comment: str | None = Field(default=None, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        """Accept a Coding in the place of the object that should hold it."""
        return {**value, "reason": value} if isinstance(value, dict) and "code" in value else value


class FeedbackEntry(Received):
    """The outcome of one card (B2)."""

    card: NonEmpty
    outcome: Literal["accepted", "overridden"]
    outcome_timestamp: Annotated[datetime, BeforeValidator(_moment)]
    accepted_suggestions: list[AcceptedSuggestion] | None = None
    override_reason: Annotated[OverrideReason | None, BeforeValidator(_first)] = None

    @model_validator(mode="before")
    @classmethod
    def _plural(cls, value: Any) -> Any:
        """Accept overrideReasons, as one vendor writes it (V5)."""
        if isinstance(value, dict) and "overrideReasons" in value and "overrideReason" not in value:
            return {**value, to_camel("override_reason"): value["overrideReasons"]}
        return value

    @model_validator(mode="after")
    def _accepted_names_suggestions(self) -> FeedbackEntry:
        if self.outcome == "accepted" and not self.accepted_suggestions:
            raise ValueError("needs acceptedSuggestions when the outcome is accepted")
        return self


class Feedback(Received):
    """The entries of one request (B1)."""

    feedback: Annotated[list[FeedbackEntry], Field(min_length=1)]


def read_feedback(document: Mapping[str, Any], bounds: FeedbackBounds = FeedbackBounds()) -> list[FeedbackEntry]:
    """Validate a decoded feedback request, all of it or nothing (B3).

    Raises:
        TooManyResources: there are more entries, or accepted suggestions of an entry, than one request may bring.
        InvalidFields: entries are wrong; each error names index and field.
    """
    entries = document.get("feedback")
    if isinstance(entries, list):
        _check(entries, bounds.entries, "feedback")
        for number, entry in enumerate(entries):
            path = f"feedback.{number}.acceptedSuggestions"
            _check(entry.get("acceptedSuggestions") if isinstance(entry, dict) else None, bounds.suggestions, path)
    try:
        return Feedback.model_validate(document).feedback
    except ValidationError as fault:
        raise InvalidFields(*issues_of(fault)) from None


def _check(items: object, most: int, path: str) -> None:
    """Refuse too many items, before anything is said of each.

    Raises:
        TooManyResources: there are.
    """
    if isinstance(items, list) and len(items) > most:
        raise TooManyResources(Issue(f"{path} must not have more than {most} items", path))
