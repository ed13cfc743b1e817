"""Value sets from files: a guideline's FHIR ValueSet resources, and the codes a site adds to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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

    A site's file is a ValueSet whose `id` is one of the guideline's; its codes are added, the others stay. Files of
    other ids are for other guidelines: see `check_known`.

    Args:
        lexicon: reads the words of concepts.

    Raises:
        KnowledgeError: a file is not a usable ValueSet.
    """
    resources = [_read(path) for path in sorted(folder.glob("*.json"))]
    known = {resource["id"] for resource in resources}
    other_systems = folder.parent / OTHER_SYSTEMS
    tables = code_tables.load(other_systems, known) if other_systems.is_file() else ()
    added = [resource for resource in of_site(site_folder).values() if resource["id"] in known]
    return ValueSets(resources, lexicon, tables, added)


def of_site(folder: Path | None) -> dict[str, dict[str, Any]]:
    """Return a site's value sets by the name of their file; none without a folder.

    Raises:
        KnowledgeError: the folder does not exist, or a file is not a usable ValueSet.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise KnowledgeError(f"{folder}: the folder of site value sets does not exist")
    return {path.name: _read(path) for path in sorted(folder.glob("*.json"))}


def check_known(resources: Mapping[str, Mapping[str, Any]], known: Collection[str]) -> None:
    """Refuse a site's value sets that extend none of any guideline.

    Args:
        resources: the site's, by the name of their file.
        known: ids of the value sets of all guidelines.

    Raises:
        KnowledgeError: an id is not known.
    """
    for name, resource in resources.items():
        if resource["id"] not in known:
            raise KnowledgeError(f"{name}: id: {resource['id']!r} is not the id of a guideline's value set")


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
