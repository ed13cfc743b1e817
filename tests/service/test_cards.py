"""Cards (R2-R8, V4, V8): suggestions that lose nothing, stable ids, chart text that cannot become markup."""

from __future__ import annotations

import orjson
import pytest
from pydantic import ValidationError

from cds_service.call import answer
from cds_service.guideline.cards import escaped
from cds_service.limits import MOST_REASONS
from cds_service.protocol.cards import CARDS_RESPONSE
from cds_service.protocol.request import read_request
from tests.cases import EXTENSION, TODAY
from tests.charts import cards, code, condition, needling, request

DAY = TODAY.date()


def only(registry, sent):
    (card,) = cards(registry, sent, DAY)
    return card


def test_an_update_carries_the_whole_order_and_loses_nothing_of_it(registry):
    """R4: nulls in primitive arrays, extensions, contained resources and numbers stay as they were."""
    order = needling(
        note=[{"text": "left side"}],
        contained=[{"resourceType": "Condition", "id": "x"}],
        extension=[{"url": "https://example.org/e", "valueDecimal": 0.1}],
        category=[{"coding": [{"code": "1"}], "text": "é\u2028"}],
        instantiatesUri=["a", None],
        _instantiatesUri=[None, {"extension": [{"url": "https://example.org/x", "valueString": "y"}]}],
        quantityQuantity={"value": 12345678901234567},
        reasonCode=[code("icd", "M54.2")],
    )
    (suggestion,) = only(registry, request(order=order))["suggestions"]
    (action,) = suggestion["actions"]
    assert action["type"] == "update"
    assert action["resource"].pop("note") == [
        {"text": "left side"},
        {
            "text": "Review the benefit of dry needling after 4 to 6 sessions, at the latest by 2027-02-15 (12 weeks): "
            "relief is expected to be short-term only."
        },
    ]
    order.pop("note")
    assert action["resource"] == order


def test_a_referral_carries_subject_encounter_requester_and_intent_of_the_draft(registry):
    order = needling(intent="plan", encounter={"reference": "Encounter/9"}, requester={"reference": "Practitioner/1"})
    suggestions = only(registry, request(condition("278860009", "sct"), order=order))["suggestions"]
    assert [s["actions"][0]["type"] for s in suggestions] == ["delete", "create"]
    assert suggestions[0]["isRecommended"] is True
    assert suggestions[0]["actions"][0]["resourceId"] == "ServiceRequest/order"
    created = suggestions[1]["actions"][0]["resource"]
    assert created == {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "plan",
        "code": {
            "coding": [
                {"system": "http://snomed.info/sct", "code": "91251008", "display": "Physical therapy procedure"}
            ],
            "text": "Supervised exercise / physical therapy",
        },
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/9"},
        "requester": {"reference": "Practitioner/1"},
    }


def test_a_referral_for_a_draft_without_subject_is_for_the_patient_in_context(registry):
    order = needling()
    del order["subject"]
    suggestions = only(registry, request(condition("278860009", "sct"), order=order))["suggestions"]
    assert suggestions[1]["actions"][0]["resource"]["subject"] == {"reference": "Patient/p1"}


def test_every_suggestion_has_one_action_whose_description_says_it_all(registry):
    """The largest EHR shows the description, not the label."""
    for suggestion in only(registry, request(condition("278860009", "sct")))["suggestions"]:
        (action,) = suggestion["actions"]
        assert len(action["description"]) > 20
        assert suggestion["uuid"]


def test_ids_are_stable_for_a_call_and_differ_between_calls(registry):
    """R2, V4: unique per call, repeatable, so that a repeated request is recognized."""
    sent = request(condition("278860009", "sct"))
    first, again = only(registry, sent), only(registry, sent)
    assert first == again
    sent["hookInstance"] = "d1577c69-dfbe-44ad-ba6d-3e05e953b2eb"
    other = only(registry, sent)
    ids = [card["uuid"] for card in (first, other)] + [s["uuid"] for c in (first, other) for s in c["suggestions"]]
    assert len(set(ids)) == len(ids)


def test_override_reasons_are_complete_codings_of_the_hl7_code_system(registry):
    """R5."""
    reasons = only(registry, request(condition("M54.2")))["overrideReasons"]
    assert len(reasons) == 8
    assert {reason["system"] for reason in reasons} == {
        "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
    }
    assert {"patient-ineligible", "need-more-info"} <= {reason["code"] for reason in reasons}


def test_source_has_a_topic_with_system_and_code_and_links_are_absolute(registry):
    """R2, R6; Inferno's checks."""
    card = only(registry, request(condition("278860009", "sct")))
    assert card["source"]["topic"] == {
        "system": "urn:dry-needling-cds:topic",
        "code": "R1NotRecommendedChronicLowBackPain",
        "display": "not recommended chronic lbp",
    }
    assert len(card["links"]) == 6
    for link in card["links"]:
        assert link["type"] == "absolute"
        assert link["url"].startswith(("https://", "http://127.0.0.1:8080/evidence/dry-needling#dry-needling-R1"))


def test_no_system_actions_are_sent(client):
    """R7."""
    response = client.post("/cds-services/dry-needling-order-select", json=request(condition("M54.2")))
    assert set(response.json) == {"cards"}


def test_the_extension_says_for_machines_why_the_card_fired(registry):
    """R8: reverse-domain key; rule, date, evidence and entries with their roles."""
    root = condition("M54.16", code=code("icd", "M54.16", display="Radiculopathy, lumbar region"))
    card = only(registry, request(condition("278860009", "sct", code=code("sct", "278860009", display="CLBP")), root))
    told = card["extension"][EXTENSION]
    assert told["rule"] == "R4"
    assert told["evaluationDate"] == "2026-11-23"
    assert {"id": "E9", "reviewed": "2026-11-25", "nextReview": "2027-11-23"} in told["evidence"]
    assert told["orders"] == ["ServiceRequest/order"]
    assert {"reference": "Condition/c-278860009", "display": "CLBP", "role": "low back pain"} in told["decidedBy"]
    assert {
        "reference": "Condition/c-M54.16",
        "display": "Radiculopathy, lumbar region",
        "role": "nerve-root pain",
    } in told["decidedBy"]
    for entry in told["decidedBy"]:
        assert entry["display"] in card["detail"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "\\<script\\>alert(1)\\</script\\>"),
        ("[click](https://evil.example.org)", "\\[click\\](https:\\//evil.example.org)"),
        ("a\n\n# heading\n- x", "a \\# heading - x"),
        ("www.evil.example.org", "www\\.evil.example.org"),
        ("**bold** `code` ~x~ |a|", "\\*\\*bold\\*\\* \\`code\\` \\~x\\~ \\|a\\|"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_chart_text_cannot_become_markup(text, shown, registry):
    """No HTML, no links, no lines of its own: chart text is shown as it is."""
    assert escaped(text) == shown
    entry = condition("278860009", code={"text": text, **code("sct", "278860009")})
    detail = only(registry, request(entry))["detail"]
    assert shown in detail


def test_long_chart_text_is_cut_and_braces_do_no_harm(registry):
    entry = condition("M79.18", code={"text": "{order} {0} " + "x" * 500, **code("icd", "M79.18")})
    card = only(registry, request(entry))
    assert "{order} {0}..." in card["detail"]
    assert "xxx" not in card["detail"]
    assert "x" * 81 not in str(card)


def validated(**changes):
    topic = {"system": "urn:x", "code": "a", "display": "a"}
    card = {"uuid": "u", "summary": "s", "indicator": "info", "detail": "d", "source": {"label": "l", "topic": topic}}
    return CARDS_RESPONSE.validate_python({"cards": [{**card, **changes}]})


def test_a_summary_of_140_characters_or_utf_16_units_is_refused():
    """R2, V8."""
    assert validated(summary="x" * 139)
    for summary in ("x" * 140, "\N{SYRINGE}" * 70):
        with pytest.raises(ValidationError):
            validated(summary=summary)


def test_actions_and_suggestions_that_the_standard_forbids_are_refused():
    """R3, R4: by the definitions against which every answer that a test gets is validated."""

    def offering(**action):
        actions = [{"description": "d", **action}]
        return {"suggestions": [{"label": "l", "uuid": "u", "actions": actions}], "selectionBehavior": "any"}

    assert validated(**offering(type="delete", resourceId="a"))
    for wrong in (
        {"type": "delete"},
        {"type": "create"},
        {"type": "delete", "resource": {}, "resourceId": "a"},
        {"type": "update", "resource": {"a": 1}, "resourceId": "a"},
        {"type": "create", "resource": {"a": 1}, "resource_id": "a"},
    ):
        with pytest.raises(ValidationError):
            validated(**offering(**wrong))
    for wrong in ({"selectionBehavior": "any"}, {"suggestions": [], "selectionBehavior": "any"}, {"links": None}):
        with pytest.raises(ValidationError):
            validated(**wrong)


def test_the_diagnosis_that_makes_the_rule_apply_is_named_before_more_entries_for_the_same_pain(registry):
    """Clinical logic 6: Why names two entries, so one for each fact comes before the second for any."""
    pain = [
        condition("M54.50") | {"id": "first", "onsetDateTime": "2014-02-05"},
        condition("278860009", "sct") | {"id": "second", "onsetDateTime": "2015-03-04"},
    ]
    order = needling(reasonCode=[code("icd", "M54.59")])
    card = only(registry, request(*pain, condition("M54.16") | {"id": "root"}, order=order))
    (why,) = [part for part in card["detail"].split("\n\n") if part.startswith("**Why:**")]
    assert "M54.16" in why
    assert "more" in why


def test_an_entry_in_why_says_since_when_and_that_it_is_unconfirmed(registry):
    provisional = {"coding": [{"code": "provisional"}]}
    pain = condition("M54.2", onsetDateTime="2026-09-01", verificationStatus=provisional)
    assert "M54.2 (since 2026-09-01, unconfirmed)" in only(registry, request(pain))["detail"]


def test_a_card_is_about_the_reason_in_words_and_about_list_entries_by_their_reference(registry):
    """A draft's id may change between hooks; an entry of the problem list keeps its own."""
    subjects = []
    for name in ("first", "second"):
        order = needling(id=name, reasonCode=[code("icd", "M54.59", display="Other low back pain")])
        sent = request(condition("M54.50", onsetDateTime="2014-02-05") | {"id": "back"}, order=order)
        sent["context"]["selections"] = [f"ServiceRequest/{name}"]
        subjects.append(answer(registry, "", orjson.dumps(sent), DAY).guidance.advice[0].subject.grounds)
    assert subjects[0] == subjects[1]
    assert any("|Condition/back|" in ground for ground in subjects[0])
    assert any("||Other low back pain" in ground for ground in subjects[0])


def test_an_order_has_at_most_fifty_reasons_coded_and_referred_to_together(registry):
    reasons = {
        "reasonCode": [code("icd", "M54.2")] * (MOST_REASONS - 2),
        "reasonReference": [{"reference": f"Condition/{number}"} for number in range(5)],
    }
    (draft,) = registry.services[0].drafts(read_request(request(order=needling(**reasons)), "order-select")).orders
    assert draft.references == ("Condition/0", "Condition/1")
