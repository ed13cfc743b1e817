"""Each rule of the table has a sentence, a case in which it fires and one in which it only just does not (F-E3).

Nothing here names a rule: what is asked for follows from the table, so that a new rule is asked for at once.
"""

from __future__ import annotations

import tomllib

import orjson
import pytest

from cds_service.call import answer
from tests.cases import FIXTURES, KNOWLEDGE, all_cases

WITH_CARD = [rule.id for rule in KNOWLEDGE.table.rules if not rule.silent]
CASES = [case for case in all_cases() if case.told["status"] == 200]
SENTENCES = [
    case
    for path in sorted((FIXTURES / "decisions").glob("*.toml"))
    for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
]


@pytest.fixture(scope="module")
def just_not(registry):
    """The rules that do not fire in some case because of one fact alone, or because an earlier rule decided."""
    found = set()
    for case in CASES:
        answered = answer(registry, "", orjson.dumps(case.request), case.today.date())
        for decision in answered.guidance.explain()["decisions"]:
            for step in decision["rules"]:
                if step["outcome"] == "an earlier rule decided" or (
                    step["outcome"] == "not met" and len(step["because"]) == 1
                ):
                    found.add(step["rule"])
    return found


@pytest.mark.parametrize("rule", [rule.id for rule in KNOWLEDGE.table.rules])
def test_each_rule_has_a_sentence(rule):
    assert any(sentence["rule"] == rule for sentence in SENTENCES), f"write one in fixtures/decisions for {rule}"


@pytest.mark.parametrize("rule", WITH_CARD)
def test_each_rule_fires_in_a_case(rule):
    assert any(rule in case.told.get("rules", ()) for case in CASES), f"write one in fixtures/calls for {rule}"


@pytest.mark.parametrize("rule", WITH_CARD)
def test_each_rule_only_just_does_not_fire_in_a_case(rule, just_not):
    assert rule in just_not, f"write one in fixtures/calls in which one fact keeps {rule} from firing"
