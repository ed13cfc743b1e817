"""Every fixture folder: decided by hand in case.toml, recorded whole in expected.json, answered over HTTP."""

from __future__ import annotations

import re
from statistics import median
from typing import Any

import orjson
import pytest

from cds_service.guideline.detail import count
from cds_service.main import create
from tests.cases import EXTENSION, Case, all_cases, own_settings, recorded, respond, without_fingerprint

CASES = all_cases()
MOST_WORDS = 120


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
    said = "\n".join(card["summary"] + "\n" + card["detail"] for card in cards)
    for pattern in told.get("must", []):
        assert re.search(pattern, said), f"{pattern!r} is not said in {said}"
    for pattern in told.get("never", []):
        assert not re.search(pattern, said), f"{pattern!r} is said in {said}"
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


def test_there_are_enough_cases_and_more_that_must_not_warn_than_must():
    """Each rule has a must-fire case; every other case is its must-not-fire."""
    assert len(CASES) >= 150
    fired = [rule for case in CASES for rule in case.told.get("rules", [])]
    assert set(fired) == {f"R{number}" for number in range(1, 13)}
    assert sum(1 for case in CASES if case.told.get("rules") == []) >= 10
    assert sum(rule not in ("R1", "R9") for rule in fired) > sum(rule in ("R1", "R9") for rule in fired)


@pytest.mark.parametrize("case", CASES[::9], ids=lambda case: case.folder.name)
def test_http_gives_the_same_answer(case):
    """C1: what the core says is what a client gets."""
    client = create(own_settings(), clock=lambda: case.today).test_client()
    response = client.post(f"/cds-services/dry-needling-{case.request['hook']}", json=case.request)
    assert response.status_code == case.told["status"]
    assert response.mimetype == "application/json"
    assert without_fingerprint(response.json) == orjson.loads(case.expected_path.read_bytes())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.folder.name)
def test_detail_has_at_most_120_words_and_ends_with_evidence_and_the_closing_line(case, registry):
    """Section 6: a card is read in seconds; no HTML."""
    for card in respond(registry, case)[1].get("cards", []):
        detail = card["detail"]
        assert count(detail) <= MOST_WORDS
        *_, evidence, closing = detail.split("\n\n")
        assert evidence.startswith("[Evidence](http")
        assert closing == "Supports, does not replace, clinical judgment."
        assert "<" not in detail
        for claim in ("high-quality", "proven", "source document"):
            assert claim not in detail.lower()


def test_half_of_all_cards_have_at_most_90_words_and_60_to_the_end_of_what_is_next(registry):
    details = [card["detail"] for case in CASES for card in respond(registry, case)[1].get("cards", [])]
    assert median(map(count, details)) <= 90
    assert median(count(to_next(detail)) for detail in details) <= 60


def to_next(detail):
    """Return verdict, Why and what is next."""
    parts = detail.split("\n\n")
    last = max(number for number, part in enumerate(parts) if number == 0 or part.startswith(("**Why:", "**Next:")))
    return "\n\n".join(parts[: last + 1])
