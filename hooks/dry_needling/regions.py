"""Where pain is and where an order is for: regions by value set, by body site and by words."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from cds_service.guideline.findings import Concept, Problem


class Region(StrEnum):
    """A part of the body, as this guideline distinguishes them."""

    LOW_BACK = "low-back"
    NECK = "neck"
    THORACIC = "thoracic"
    SHOULDER = "shoulder"
    ARM = "arm"
    HIP_AND_BUTTOCK = "hip-and-buttock"
    KNEE_AND_LEG = "knee-and-leg"
    FOOT = "foot"
    JAW = "jaw"
    HEAD = "head"


Regions = frozenset[Region]
NONE: Regions = frozenset()
_LOW_BACK: Regions = frozenset({Region.LOW_BACK})
SPINAL: Regions = frozenset({Region.LOW_BACK, Region.NECK, Region.THORACIC})

# The meaning of value sets is in one place, for this module and for people who edit the sets.
_FILE = tomllib.loads((Path(__file__).parent / "knowledge" / "regions.toml").read_text(encoding="utf-8"))
_PAINFUL: dict[str, list[str]] = _FILE["painful"]

FACET_PAIN = frozenset({"facet-pain"})
FACET_DISEASE = frozenset({"lumbar-facet-disease"})
HEADACHE = frozenset(_PAINFUL["head"])
LOW_BACK_PAIN = frozenset(_PAINFUL["low-back"]) - FACET_PAIN
SITE_NOT_STATED = frozenset({"back-pain-site-not-stated", "chronic-back-pain-site-not-stated"})
GENERAL_PAIN = frozenset({"general-pain", "chronic-pain"})
MODIFIERS = frozenset(_FILE["duration"]["modifier"])
ACUTE_CODES = frozenset(_FILE["duration"]["acute"])
CHRONIC_CODES = frozenset(_FILE["duration"]["chronic"])
PAINFUL = frozenset(name for names in _PAINFUL.values() for name in names)
MUSCULOSKELETAL_PAIN = PAINFUL - LOW_BACK_PAIN - FACET_PAIN - HEADACHE - GENERAL_PAIN
PRECAUTIONS = frozenset(_FILE["precaution"]["sets"])
OTHER_LUMBAR = frozenset({"other-lumbar-disease"})
LUMBAR_DISEASE = frozenset(_FILE["lumbar"]["sets"]) - OTHER_LUMBAR
NO_MEANING = OTHER_LUMBAR | {"earlier-spinal-fracture"}
"""Sets whose codes are listed only to exclude them: an entry in no other set counts as not recognized."""

_BY_SET: dict[str, Regions] = {
    **{name: frozenset({Region(region)}) for region, names in _PAINFUL.items() if region != "none" for name in names},
    **dict.fromkeys(LUMBAR_DISEASE, _LOW_BACK),
}
_BY_SITE: dict[str, Regions] = {
    name: frozenset({Region(region)}) for region, names in _FILE["body_site"].items() for name in names
}
_BY_WORDS: dict[str, Regions] = {
    **{f"{region}-words": frozenset({region}) for region in Region},
    "sacroiliac-words": frozenset({Region.LOW_BACK, Region.HIP_AND_BUTTOCK}),
    "coccyx-words": frozenset({Region.HIP_AND_BUTTOCK}),
}
_HIP_WORDS = "hip-words"


def named(concepts: Iterable[Concept], *, unclear: bool = False) -> Regions:
    """Return the regions that the words of concepts name.

    Args:
        concepts: the concepts to read.
        unclear: they are of an order, for which gluteal, buttock, piriformis and hip are ambiguous.
    """
    found = NONE
    for concept in concepts:
        found |= _named(concept.said, unclear=unclear)
    return found


def _named(said: frozenset[str], *, unclear: bool = False) -> Regions:
    found = _of(said, _BY_WORDS)
    return found | {Region.HIP_AND_BUTTOCK} if _HIP_WORDS in said and not unclear else found


def of_sites(sites: Iterable[Concept], *, unclear: bool = False) -> Regions:
    """Return the regions of body sites: each by its code, else by its words."""
    found = NONE
    for site in sites:
        by_code = _of(site.value_sets, _BY_SITE)
        found |= by_code or named((site,), unclear=unclear)
    return found


def of_problem(problem: Problem, placed: Regions = NONE) -> Regions:
    """Return the regions of an entry: by its code and body site, or by its words if no code is recognized.

    Back pain without a site is read as low back, unless the entry or the order places it elsewhere; if the order does,
    the entry has no region of its own.

    Args:
        problem: the entry.
        placed: the regions of the order.
    """
    return _placed(recognized(problem), problem.concept.said, of_sites(problem.sites), placed)


@lru_cache(maxsize=10_000)
def _placed(ours: frozenset[str], said: frozenset[str], sites: Regions, placed: Regions) -> Regions:
    """Return the regions of an entry of our value sets, whose words match these lists: the same few again and again."""
    if not ours:
        return sites | _named(said)
    if (LOW_BACK_PAIN & ours <= SITE_NOT_STATED and SITE_NOT_STATED & ours) or FACET_PAIN & ours:
        own = sites or _named(said)
        if own and Region.LOW_BACK not in own:
            return own
        if SITE_NOT_STATED & ours and placed and Region.LOW_BACK not in placed:
            return NONE
    return _of(ours, _BY_SET) | sites


def recognized(problem: Problem) -> frozenset[str]:
    """Return the value sets of an entry that mean something to this guideline."""
    found = problem.concept.value_sets
    return found if found.isdisjoint(NO_MEANING) else found - NO_MEANING


def _of(names: Iterable[str], regions: dict[str, Regions]) -> Regions:
    found = NONE
    for name in names:
        found |= regions.get(name, NONE)
    return found
