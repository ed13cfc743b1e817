"""Prefetch templates (prefetch.toml): what a client should send, and how a card names it when it is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline.toml_files import check_keys, unknown


@dataclass(frozen=True, slots=True)
class PrefetchTemplate:
    """A published query (D4): instance read or type search, token equality, and only 2.0 tokens.

    Attributes:
        required: the call gets 412 when an order cannot be decided without it.
        name: how a card names it when it is not available, such as pain scores; "" to leave it out.
    """

    key: str
    query: str
    required: bool = False
    name: str = ""


def read(document: Mapping[str, Any], value_sets: ValueSets) -> tuple[PrefetchTemplate, ...]:
    """Read prefetch.toml; `codes` names value sets whose codes are in the query.

    Raises:
        KnowledgeError: an entry is wrong; the message names file, entry and key.
    """
    found = []
    for key, entry in document.items():
        where = f"prefetch.toml: {key}"
        check_keys(where, entry, {"query": str}, ("codes", "required", "name"))
        for name in entry.get("codes", ()):
            if name not in value_sets.displays:
                raise KnowledgeError(f"{where}: codes: {unknown('value set', name, tuple(value_sets.displays))}")
        codes = [code for name in entry.get("codes", ()) for code in value_sets.displays[name]]
        asked = "&code=" + ",".join(f"{system}|{code}" for system, code in codes) if codes else ""
        template = PrefetchTemplate(
            key, entry["query"] + asked, entry.get("required", False) is True, entry.get("name", "")
        )
        found.append(template)
    return tuple(found)
