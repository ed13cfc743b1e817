"""The groups of the preview's problem list are the sets that regions.toml names: painful, of the spine, precautions."""

from __future__ import annotations

import tomllib

from tests.cases import FIXTURES, KNOWLEDGE

FOLDER = FIXTURES.parent / "hooks" / "dry_needling"


def listed(path: str) -> dict:
    return tomllib.loads((FOLDER / path).read_text(encoding="utf-8"))


def test_the_groups_of_the_problem_list_are_those_of_the_guideline():
    regions = listed("knowledge/regions.toml")
    groups = {group["title"]: set(group["kinds"]) for group in listed("preview.toml")["group"]}
    words = set(KNOWLEDGE.lexicon.names)
    cause = regions["specific_cause"]
    assert groups["Pain"] - words == {name for sets in regions["painful"].values() for name in sets}
    assert groups["Disease of the spine"] - words == {
        *regions["lumbar"]["sets"],
        *cause["serious"],
        *cause["inflammatory"],
    }
    assert groups["Precautions"] - words == set(regions["precaution"]["sets"])
    assert all(kind in words or kind in KNOWLEDGE.value_sets.displays for kinds in groups.values() for kind in kinds)
