"""Chart text that hides something: never in a card, on a terminal or in a trace, and nothing empty is left (D5, H4)."""

from __future__ import annotations

import copy
import json
import unicodedata

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cds_service.cli import commands
from cds_service.fhir.chart import is_id, reference_to
from cds_service.fhir.chart_text import hides_characters, plain_line
from tests.campaigns.test_robustness import RICH, assert_nothing_empty, paths
from tests.cases import EXTENSION, FIXTURES
from tests.charts import bundle, cards, code, condition, needling, request

HIDDEN = (
    "\0\x1b[2J\x7f\x9b\N{RIGHT-TO-LEFT OVERRIDE}\N{POP DIRECTIONAL ISOLATE}\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}\ufeff"
)
PATH = "/cds-services/dry-needling-order-select"


def hidden_in(text: str) -> set[str]:
    return {character for character in text if unicodedata.category(character) in ("Cc", "Cf")} - {"\n"}


def texts_of(value) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = (
        value.items()
        if isinstance(value, dict)
        else [(None, item) for item in value or ()]
        if isinstance(value, list)
        else ()
    )
    return [text for pair in parts for part in pair for text in texts_of(part)]


@given(st.text() | st.text(alphabet=st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Lu"])))
def test_plain_text_hides_nothing_and_is_one_line(text):
    shown = plain_line(text)
    assert not hidden_in(shown + shown.replace("\n", "\0"))
    assert shown == shown.strip()
    assert plain_line(shown) == shown
    assert not hides_characters(shown)
    assert list(shown.replace(" ", "")) == [sign for sign in text if not (hidden_in(sign) or sign.isspace())]


@pytest.mark.parametrize(
    ("value", "form"),
    [("a", True), ("A-1.b", True), ("x" * 64, True), ("x" * 65, False), ("", False), (None, False), (".", False),
     ("..", False), ("../Patient/1", False), ("a/b", False), ("a\n", False), ("a_b", False), ("é", False),
     ("a?x=1", False)],
)  # fmt: skip
def test_an_id_has_fhirs_form_and_is_no_path(value, form):
    """H4."""
    assert is_id(value) is form


@pytest.mark.parametrize(
    ("resource", "shown"),
    [
        ({"resourceType": "Condition", "id": "c_1"}, "Condition/c_1"),
        ({"resourceType": "Condition", "id": "../Patient/1"}, "Condition"),
        ({"resourceType": "Condition", "id": "a\x1b[2J"}, "Condition"),
        ({"resourceType": "Condition", "id": "x" * 65}, "Condition"),
        ({"resourceType": "Condition", "id": 5}, "Condition"),
        ({"resourceType": "<b>", "id": "a"}, "Resource/a"),
        ({"resourceType": "", "id": "a"}, "Resource/a"),
    ],
)
def test_a_reference_is_shown_only_as_far_as_it_is_one(resource, shown):
    assert reference_to(resource) == shown


def spoiled(document: dict) -> list[dict]:
    """Return a request once for each text of its drafts and prefetch, with what hides something around that text."""
    found = []
    for path in paths(document):
        node = document
        for key in path:
            node = node[key]
        if isinstance(node, str) and path[0] in ("context", "prefetch"):
            changed = copy.deepcopy(document)
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = f"\N{RIGHT-TO-LEFT OVERRIDE}{node}{HIDDEN}"
            found.append(changed)
    return found


@pytest.mark.parametrize("name", RICH)
def test_hidden_characters_in_any_text_reach_no_card_and_no_trace(name, client):
    """H4: in whatever element they are."""
    document = json.loads((FIXTURES / "calls" / name / "request.json").read_bytes())
    for sent in spoiled(document):
        for path in (PATH, "/preview/trace"):
            response = client.post(path, json=sent)
            assert response.status_code in (200, 400, 412)
            assert not [text for text in texts_of(response.json) if hidden_in(text)]
            if response.status_code == 200 and path == PATH:
                assert_nothing_empty(response.json["cards"])


def test_hidden_characters_reach_no_terminal(tmp_path):
    """H4."""
    sent = request(
        condition("M54.50", code={**code("icd", "M54.50"), "text": f"Back{HIDDEN} pain"}),
        condition("x", code={"text": f"free {HIDDEN}text"}, id=f"c{HIDDEN}"),
        order=needling(code={**code("cpt", "20560"), "text": f"Dry{HIDDEN} needling"}),
    )
    path = tmp_path / "request.json"
    path.write_text(json.dumps(sent))
    for shape in ((), ("--explain",), ("--json",)):
        result = CliRunner().invoke(commands.main, ["call", *shape, str(path)])
        assert result.exit_code == 0
        assert not hidden_in(result.output)
        assert "Back[2J pain" in result.output


@pytest.mark.parametrize("words", ["", " ", "\0", "\N{ZERO WIDTH SPACE}", None])
def test_nothing_in_the_extension_is_empty(words, registry, today):
    """D5: words that are none are said to be none."""
    entry = condition("M54.50", code={"text": words, **code("icd", " \0", display=words), "coding": [
        {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M54.50", "display": words},
        {"code": words},
    ]})  # fmt: skip
    plan = {
        "resourceType": "CarePlan", "id": "plan", "status": "active", "intent": "plan",
        "subject": {"reference": "Patient/p1"}, "category": [code("cpt", "97110", display=words)],
    }  # fmt: skip
    (card,) = cards(registry, request(entry, prefetch={"carePlans": bundle(plan)}), today)
    assert_nothing_empty(card)
    assert card["extension"][EXTENSION]["decidedBy"][0]["display"] == "M54.50"


@pytest.mark.parametrize(
    "identifier", ["../Patient/1", "..", "a/b", "a?b", "a b", "x" * 65, "a\N{ZERO WIDTH SPACE}", "c_1"]
)
def test_no_suggestion_names_an_id_that_is_not_of_fhirs_form(identifier, registry, today):
    """H4."""
    for entries in ([condition("278860009", "sct")], [condition("M54.2")]):
        sent = request(*entries, order=needling(id=identifier)) | {"hook": "order-sign"}
        (card,) = cards(registry, sent, today)
        assert "suggestions" not in card


def test_an_order_with_hidden_characters_is_removed_but_not_built_upon(registry, today):
    """H4: an update carries the whole order, and nobody should sign what they cannot see."""
    order = needling(patientInstruction=f"Rest{HIDDEN}")
    (card,) = cards(registry, request(condition("M54.2"), order=order), today)
    assert "suggestions" not in card
    (card,) = cards(registry, request(condition("278860009", "sct"), order=order), today)
    assert [offer["actions"][0]["type"] for offer in card["suggestions"]] == ["delete"]
    order = needling(note=[{"text": "Two lines\nof a note"}])
    (card,) = cards(registry, request(condition("M54.2"), order=order), today)
    assert [offer["actions"][0]["type"] for offer in card["suggestions"]] == ["update"]
