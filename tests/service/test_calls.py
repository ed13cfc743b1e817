"""Every fixture folder: decided by hand in case.toml, recorded whole in expected.json, answered over HTTP."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cds_service.main import create
from tests.cases import EXTENSION, Case, all_cases, own_settings, recorded, respond, without_fingerprint

CASES = all_cases()
MOST_WORDS_BEFORE_EVIDENCE = 135


def check_by_hand(case: Case, status: int, body: dict[str, Any]) -> None:
    """Compare an answer with what was decided by hand from the chart."""
    told = case.told
    assert status == told["status"], f"status {status}: {body}"
    if status != 200:
        return
    cards = body["cards"]
    rules = [card["extension"][EXTENSION]["rule"] for card in cards]
    assert rules == told["rules"], f"rules {rules}, by hand {told['rules']}"
    notes = [note for card in cards for note in card["extension"][EXTENSION].get("notes", [])]
    for note in told.get("notes", []):
        assert note in notes, f"{note} does not join: {notes}"
    for note in told.get("without", []):
        assert note not in notes, f"{note} joins"
    detail = "\n".join(card["detail"] for card in cards)
    for words in told.get("words", []):
        assert words in detail, f"{words!r} is not said in {detail}"
    if "suggestions" in told:
        labels = [suggestion["label"] for card in cards for suggestion in card.get("suggestions", [])]
        assert labels == told["suggestions"], f"suggestions {labels}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.folder.name)
def test_case_is_answered_as_decided_by_hand_and_as_recorded(case, registry):
    """R1, C6, C7, P1-P4, V1-V3: the whole answer, byte for byte: make accept on a clean tree changes nothing."""
    status, body = respond(registry, case)
    check_by_hand(case, status, body)
    assert orjson.loads(case.expected_path.read_bytes()) == body
    assert case.expected_path.read_bytes() == recorded(body)


def test_there_are_enough_cases_and_each_rule_fires_and_stays_silent_somewhere():
    """Each rule has a must-fire case; every other case is its must-not-fire."""
    assert len(CASES) >= 60
    fired = {rule for case in CASES for rule in case.told.get("rules", [])}
    assert fired == {"R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8"}
    assert sum(1 for case in CASES if case.told.get("rules") == []) >= 10


@pytest.mark.parametrize("case", CASES[::9], ids=lambda case: case.folder.name)
def test_http_gives_the_same_answer(case):
    """C1: what the core says is what a client gets."""
    client = create(own_settings(), clock=lambda: case.today).test_client()
    response = client.post(f"/cds-services/dry-needling-{case.request['hook']}", json=case.request)
    assert response.status_code == case.told["status"]
    assert response.mimetype == "application/json"
    assert without_fingerprint(response.json) == orjson.loads(case.expected_path.read_bytes())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.folder.name)
def test_detail_is_short_before_the_evidence_and_ends_with_the_closing_line(case, registry):
    """Wording: about 120 words before the evidence list; no HTML; the closing line."""
    for card in respond(registry, case)[1].get("cards", []):
        before, _, after = card["detail"].partition("**Evidence**")
        assert len(before.split()) <= MOST_WORDS_BEFORE_EVIDENCE
        assert before.startswith("**Why:** ")
        assert "<" not in card["detail"]
        assert after.endswith("This supports, and does not replace, clinical judgement.")
        for claim in ("high-quality", "proven"):
            assert claim not in card["detail"].lower()
