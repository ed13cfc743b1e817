"""CDS Hooks answers as the specification words them: discovery, cards, suggestions, actions.

Cards are made with `model_construct`: what is ours, and checked at start, needs no second validation in each answer.
Tests validate every answer they get against these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

SUMMARY_LIMIT = 140
"""A card's summary must be shorter than this, in characters and in UTF-16 units (conformance R2, V8)."""

NonEmpty = Annotated[str, StringConstraints(min_length=1)]


class _Sent(BaseModel):
    """What we answer: absent rather than null (D5), no field that the specification does not know."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Coding(_Sent):
    """A coded value (R2, R5)."""

    system: NonEmpty
    code: NonEmpty
    display: NonEmpty


class Source(_Sent):
    """Where a card's advice comes from (R2)."""

    label: NonEmpty
    url: NonEmpty | None = None
    topic: Coding


class Link(_Sent):
    """A link to further reading (R6); we send absolute ones only."""

    label: NonEmpty
    url: NonEmpty
    type: Literal["absolute"] = "absolute"


class Action(_Sent):
    """What a suggestion does to the draft orders (R4)."""

    type: Literal["create", "update", "delete"]
    description: NonEmpty
    resource: dict[str, Any] | None = None
    resource_id: NonEmpty | None = None

    @model_validator(mode="after")
    def _one_of_resource_and_id(self) -> Action:
        wanted = self.resource_id if self.type == "delete" else self.resource
        other = self.resource if self.type == "delete" else self.resource_id
        if wanted is None or other is not None:
            raise ValueError("create and update carry resource, delete carries resourceId, never both")
        return self


class Suggestion(_Sent):
    """A change the clinician can accept with one click (R3)."""

    label: NonEmpty
    uuid: NonEmpty
    is_recommended: bool | None = None
    actions: Annotated[list[Action], Field(min_length=1)]


Indicator = Literal["info", "warning", "critical"]


def summary_length(text: str) -> int:
    """Return how long a summary counts as: in UTF-16 units, of which no text has fewer than characters."""
    return len(text.encode("utf-16-le")) // 2


def _short(text: str) -> str:
    if summary_length(text) >= SUMMARY_LIMIT:
        raise ValueError(f"must be shorter than {SUMMARY_LIMIT} characters")
    return text


class Card(_Sent):
    """One piece of advice (R2)."""

    uuid: NonEmpty
    summary: Annotated[NonEmpty, AfterValidator(_short)]
    indicator: Indicator
    detail: NonEmpty
    source: Source
    suggestions: Annotated[list[Suggestion], Field(min_length=1)] | None = None
    selection_behavior: Literal["any", "at-most-one"] | None = None
    override_reasons: Annotated[list[Coding], Field(min_length=1)] | None = None
    links: Annotated[list[Link], Field(min_length=1)] | None = None
    extension: dict[str, dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _suggestions_need_a_behaviour(self) -> Card:
        if (self.suggestions is None) != (self.selection_behavior is None):
            raise ValueError("selectionBehavior goes with suggestions")
        return self


class CardsResponse(_Sent):
    """The answer to a call (R1); no guidance is an empty list."""

    cards: list[Card]

    def encode(self) -> bytes:
        """Return the answer as JSON."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class ServiceDescription(_Sent):
    """One entry of discovery (D2)."""

    id: NonEmpty
    hook: NonEmpty
    title: NonEmpty
    description: NonEmpty
    usage_requirements: NonEmpty | None = None
    prefetch: dict[str, str] | None = None
    version: NonEmpty | None = None
    hook_version: NonEmpty | None = None
