"""The evidence page: everything that decides is on it, and every card's link leads to a row of it."""

from __future__ import annotations

from datetime import datetime
from html import unescape

import pytest

from cds_service.guideline import fact_words
from cds_service.guideline.table import Condition
from cds_service.main import create, load_registry
from cds_service.web.evidence_page import conditions_in_words, text_in_words
from tests.cases import EXTENSION, KNOWLEDGE, TODAY, all_cases, own_settings
from tests.charts import cards, condition, request


@pytest.fixture(scope="module")
def page():
    return create(own_settings(), clock=lambda: TODAY).test_client().get("/evidence").text


def test_every_statement_is_shown_with_population_certainty_and_source(page, knowledge):
    text = unescape(page)
    for item in knowledge.evidence.values():
        assert f'id="dry-needling-{item.id}"' in page
        for words in (
            item.label,
            item.statement,
            item.population,
            item.strength,
            item.certainty,
            item.citation,
            item.read_as,
        ):
            assert words in text
        assert f'href="{item.url}"' in text or not item.url


def test_every_rule_note_and_code_is_shown(page, knowledge):
    text = unescape(page)
    for rule in knowledge.table.rules:
        assert f'id="dry-needling-{rule.id}"' in page
        assert f'id="{rule.id}"' in page  # what cards linked to before there were several guidelines
        assert text_in_words(rule.detail) in text
    for note in knowledge.table.notes:
        assert text_in_words(note.text) in text
    for name, codes in knowledge.value_sets.displays.items():
        assert f'id="dry-needling-{name}"' in page
        assert all(f"<code>{code}</code> {display}" in text for (_, code), display in codes.items())
    for table in knowledge.value_sets.tables:
        assert table.title in text
        assert all(f"<code>{', '.join(codes)}</code>" in text for codes in table.listed.values())


@pytest.mark.parametrize("case", all_cases()[::15], ids=lambda case: case.folder.name)
def test_every_card_links_to_its_row_of_the_page(case, registry, page):
    """R6: absolute links that resolve."""
    if case.told["status"] == 200:
        for card in cards(registry, case.request, case.today.date()):
            url, anchor = card["links"][0]["url"].split("#")
            assert url == "http://127.0.0.1:8080/evidence/dry-needling"
            assert f'<tr id="{anchor}">' in page


def test_links_use_the_public_url():
    registry = load_registry(own_settings(public_url="https://cds.example.org"))
    (card,) = cards(registry, request(condition("M54.2")), TODAY.date())
    assert card["links"][0]["url"].startswith("https://cds.example.org/evidence/dry-needling#dry-needling-R")


def test_the_page_loads_nothing_from_elsewhere_and_no_script(client):
    response = client.get("/evidence")
    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; style-src 'self'; script-src 'self'"
    )
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script" not in response.text
    assert 'href="static/style.css"' in response.text
    with client.get("/static/style.css") as style:
        assert style.status_code == 200
        assert "http" not in style.text


def test_the_page_opens_with_the_table_and_statements_that_disagree_stand_first(page, knowledge):
    order = [page.index(f'id="dry-needling-{name}"') for name in ("decision-table", "evidence", "notes", "value-sets")]
    assert order == sorted(order)
    places = {item.id: page.index(f'<article id="dry-needling-{item.id}"') for item in knowledge.evidence.values()}
    disagreeing = {item.id for item in knowledge.evidence.values() if item.disagrees}
    assert disagreeing == {"E1", "E3", "E5", "E8", "E10", "E11", "E16"}
    assert set(sorted(places, key=places.__getitem__)[: len(disagreeing)]) == disagreeing
    assert page.count("<dt>Checked from</dt>") == len(places)
    assert page.count("<dt>Disagrees</dt>") == len(disagreeing)


def test_the_page_says_why_no_hours_of_training_are_asked_for(page):
    statement = page[page.index('<article id="dry-needling-E16"') :].split("</article>")[0]
    assert "asks for more than 60 hours of formal training. E5 and this survey point the other way" in statement


def test_what_a_card_leaves_out_stands_under_its_rule(registry, page):
    """Clinical logic, section 6: what does not fit stands under the rule's anchor."""
    precautions = [condition(code) for code in ("D66", "Z33.1", "I89.0", "D80.0", "F40.231", "Z79.01")]
    (card,) = cards(registry, request(condition("M54.50", onsetDateTime="2020-01-01"), *precautions), TODAY.date())
    told = card["extension"][EXTENSION]
    row = unescape(page[page.index(f'<tr id="dry-needling-{told["rule"]}">') :].split("</tr>")[0])
    left_out = [note for note in KNOWLEDGE.table.notes_of(told["rule"]) if note.id in told["leftOut"]]
    assert len(left_out) >= 4
    assert all(text_in_words(note.text) in row for note in left_out)


def test_overdue_reviews_are_marked(page, knowledge):
    assert "overdue" not in page.replace(".overdue", "")
    later = create(own_settings(), clock=lambda: datetime.fromisoformat("2030-01-01T00:00:00+00:00"))
    text = later.test_client().get("/evidence").text
    assert "overdue: guideline, E1, " in text
    assert text.count("overdue</strong>") == len(knowledge.evidence)


def test_conditions_are_told_in_words():
    words = fact_words.read({"c": {"asks": "is it c"}}, {"a_b": (True, False), "c": (True, False), "d": ("x-y", "z")})
    conditions = (Condition("a_b", (True,)), Condition("c", (False,)), Condition("d", ("x-y", "z")))
    assert conditions_in_words(conditions, words) == "a b: yes; is it c: no; d: x y or z"
    assert conditions_in_words((), words) == "every other case"
    words = fact_words.read({"c": {"asks": "c", "words": {"true": "none among {all_of}"}}}, {"c": (True, False)})
    assert conditions_in_words((Condition("c", (True, False)),), words) == "c: none among [all of] or no"
    assert text_in_words("{cause} is on {x_y}") == "[cause] is on [x y]"
