"""CDS Hooks answers as specified: discovery, cards, suggestions and actions, as plain JSON.

What is ours, and checked by types and at start, needs no validation in each answer. Tests validate every answer they
get against these definitions, of which the OpenAPI description is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired

import orjson
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, TypeAdapter, with_config

# Before Python 3.12 pydantic cannot read the TypedDict of typing.
from typing_extensions import TypedDict

SUMMARY_LIMIT = 140
"""A card's summary must be shorter than this, in characters and in UTF-16 units (conformance R2, V8)."""

NonEmpty = Annotated[str, StringConstraints(min_length=1)]

# What we answer has no field that the specification does not know, and absent rather than null (D5).
_sent = with_config(ConfigDict(extra="forbid"))


@_sent
class Coding(TypedDict):
    """A coded value (R2, R5)."""

    system: NonEmpty
    code: NonEmpty
    display: NonEmpty


@_sent
class Source(TypedDict):
    """Where a card's advice comes from (R2)."""

    label: NonEmpty
    url: NotRequired[NonEmpty]
    topic: Coding


@_sent
class Link(TypedDict):
    """A link to further reading (R6); we send absolute ones only."""

    label: NonEmpty
    url: NonEmpty
    type: Literal["absolute"]


@_sent
class Action(TypedDict):
    """What a suggestion does to the draft orders (R4)."""

    type: Literal["create", "update", "delete"]
    description: NonEmpty
    resource: NotRequired[dict[str, Any]]
    resourceId: NotRequired[NonEmpty]


def _one_of_resource_and_id(action: Action) -> Action:
    wanted, other = ("resourceId", "resource") if action["type"] == "delete" else ("resource", "resourceId")
    if wanted not in action or other in action:
        raise ValueError("create and update carry resource, delete carries resourceId, never both")
    return action


@_sent
class Suggestion(TypedDict):
    """A change the clinician can accept with one click (R3)."""

    label: NonEmpty
    uuid: NonEmpty
    isRecommended: NotRequired[bool]
    actions: Annotated[list[Annotated[Action, AfterValidator(_one_of_resource_and_id)]], Field(min_length=1)]


Indicator = Literal["info", "warning", "critical"]


def summary_length(text: str) -> int:
    """Return how long a summary counts as: in UTF-16 units, of which no text has fewer than characters."""
    return len(text.encode("utf-16-le")) // 2


def _short(text: str) -> str:
    if summary_length(text) >= SUMMARY_LIMIT:
        raise ValueError(f"must be shorter than {SUMMARY_LIMIT} characters")
    return text


@_sent
class Card(TypedDict):
    """One piece of advice (R2)."""

    uuid: NonEmpty
    summary: Annotated[NonEmpty, AfterValidator(_short)]
    indicator: Indicator
    detail: NonEmpty
    source: Source
    suggestions: NotRequired[Annotated[list[Suggestion], Field(min_length=1)]]
    selectionBehavior: NotRequired[Literal["any", "at-most-one"]]
    overrideReasons: NotRequired[Annotated[list[Coding], Field(min_length=1)]]
    links: NotRequired[Annotated[list[Link], Field(min_length=1)]]
    extension: NotRequired[dict[str, dict[str, Any]]]


def _suggestions_need_a_behaviour(card: Card) -> Card:
    if ("suggestions" in card) != ("selectionBehavior" in card):
        raise ValueError("selectionBehavior goes with suggestions")
    return card


@_sent
class CardsResponse(TypedDict):
    """The answer to a call (R1); no guidance is an empty list."""

    cards: list[Annotated[Card, AfterValidator(_suggestions_need_a_behaviour)]]


@_sent
class ServiceDescription(TypedDict):
    """One entry of discovery (D2)."""

    id: NonEmpty
    hook: NonEmpty
    title: NonEmpty
    description: NonEmpty
    usageRequirements: NonEmpty
    prefetch: dict[str, str]
    version: NonEmpty
    hookVersion: NonEmpty


CARDS_RESPONSE = TypeAdapter(CardsResponse)
"""Validates answers to calls, and describes them."""

SERVICE_DESCRIPTION = TypeAdapter(ServiceDescription)
"""Validates entries of discovery, and describes them."""


def encode(cards: Sequence[Card]) -> bytes:
    """Return the answer to a call as JSON."""
    return orjson.dumps({"cards": cards})
