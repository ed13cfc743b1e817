"""CDS Hooks feedback as the specification words it: what became of cards (B1-B3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from cds_service.errors import InvalidFields
from cds_service.hook_request import Received, issues_of

MOST_ENTRIES = 1000
"""Entries that one request may bring."""

_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})", re.ASCII)

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=256)]


def _timestamp(text: str) -> str:
    if not _RFC_3339.fullmatch(text):
        raise ValueError("must be a date and time with a time zone, as in RFC 3339")
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date and time that exist") from None
    return text


class AcceptedSuggestion(Received):
    """A suggestion that was accepted, by its uuid."""

    id: ShortText


class Reason(Received):
    """The coded reason of an override."""

    code: ShortText
    system: str | None = None


class OverrideReason(Received):
    """Why a card was overridden: a code, words, or both. The words are kept only where a site says so."""

    reason: Reason | None = None
    user_comment: str | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _one_of_the_two(self) -> OverrideReason:
        if self.reason is None and not self.user_comment:
            raise ValueError("must have reason or userComment")
        return self


class FeedbackEntry(Received):
    """What became of one card (B2)."""

    card: ShortText
    outcome: Literal["accepted", "overridden"]
    outcome_timestamp: Annotated[str, AfterValidator(_timestamp)]
    accepted_suggestions: list[AcceptedSuggestion] | None = None
    override_reason: OverrideReason | None = None

    @model_validator(mode="before")
    @classmethod
    def _plural(cls, value: Any) -> Any:
        """Accept overrideReasons, as one vendor writes it (V5)."""
        if isinstance(value, dict) and "overrideReasons" in value and "overrideReason" not in value:
            plural = value["overrideReasons"]
            first = plural[0] if isinstance(plural, list) and plural else plural
            return {**value, to_camel("override_reason"): first or None}
        return value

    @model_validator(mode="after")
    def _accepted_names_suggestions(self) -> FeedbackEntry:
        if self.outcome == "accepted" and not self.accepted_suggestions:
            raise ValueError("needs acceptedSuggestions when the outcome is accepted")
        return self


class Feedback(Received):
    """The entries of one request (B1)."""

    feedback: Annotated[list[FeedbackEntry], Field(min_length=1, max_length=MOST_ENTRIES)]


def read_feedback(document: Mapping[str, Any]) -> list[FeedbackEntry]:
    """Validate a decoded feedback request, whole or not at all (B3).

    Raises:
        InvalidFields: entries are wrong; each fault names index and field.
    """
    try:
        return Feedback.model_validate(document).feedback
    except ValidationError as fault:
        raise InvalidFields(*issues_of(fault)) from None
