"""Value sets from files: a guideline's FHIR ValueSet resources, and the codes a site adds to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from cds_service.errors import KnowledgeError
from cds_service.fhir import code_tables
from cds_service.fhir.concepts import Words
from cds_service.fhir.value_sets import ValueSets

OTHER_SYSTEMS = "other_systems.toml"
"""Beside the folder of value sets: codes of other systems, and the value sets they belong to."""


def load(folder: Path, site_folder: Path | None = None, lexicon: Words | None = None) -> ValueSets:
    """Load a guideline's value sets, and the codes a site adds to them.

    A site's file is a ValueSet whose `id` is one of ours; its codes are added, ours stay.

    Args:
        lexicon: reads the words of concepts.

    Raises:
        KnowledgeError: a file is no usable ValueSet, or a site's id is not one of ours.
    """
    resources = [_read(path) for path in sorted(folder.glob("*.json"))]
    known = {resource["id"] for resource in resources}
    if site_folder is not None:
        if not site_folder.is_dir():
            raise KnowledgeError(f"{site_folder}: the folder of site value sets does not exist")
        for path in sorted(site_folder.glob("*.json")):
            resource = _read(path)
            if resource["id"] not in known:
                raise KnowledgeError(f"{path.name}: id: {resource['id']!r} extends no value set of ours")
            resources.append(resource)
    other_systems = folder.parent / OTHER_SYSTEMS
    tables = code_tables.load(other_systems, known) if other_systems.is_file() else ()
    return ValueSets(resources, lexicon, tables)


def _read(path: Path) -> dict[str, Any]:
    """Read one file, refusing whatever the index could not use."""
    try:
        resource = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        raise KnowledgeError(f"{path.name}: is not JSON") from None
    if not isinstance(resource, dict) or resource.get("resourceType") != "ValueSet":
        raise KnowledgeError(f"{path.name}: resourceType: must be ValueSet")
    if not isinstance(resource.get("id"), str):
        raise KnowledgeError(f"{path.name}: id: is missing")
    try:
        includes = resource["compose"]["include"]
        for include in includes:
            _check_include(include)
        for exclude in resource["compose"].get("exclude", ()):
            _check_exclude(exclude)
    except (KeyError, TypeError, AttributeError):
        raise KnowledgeError(f"{path.name}: compose.include: must list a system with concepts or filters") from None
    except ValueError as fault:
        raise KnowledgeError(f"{path.name}: compose.{fault}") from None
    return resource


def _check_include(include: Mapping[str, Any]) -> None:
    if not isinstance(include["system"], str):
        raise ValueError("include.system: must be text")
    if not include.get("concept") and not include.get("filter"):
        raise ValueError("include.concept: must list at least one code")
    for concept in include.get("concept", ()):
        if not isinstance(concept["code"], str) or not concept["code"].strip():
            raise ValueError("include.concept.code: must be text")
    for category in include.get("filter", ()):
        if category["op"] != "is-a" or not isinstance(category["value"], str):
            raise ValueError("include.filter.op: only is-a is supported")


def _check_exclude(exclude: Mapping[str, Any]) -> None:
    wanted = {"property": "seventh-character", "op": "in"}
    filters = exclude["filter"]
    if len(filters) != 1 or {**filters[0], **wanted} != filters[0] or not isinstance(filters[0]["value"], str):
        raise ValueError("exclude.filter: only seventh-character in a list such as D,S is supported")
