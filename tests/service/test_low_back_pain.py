"""Low back pain (section 3): scope, chronicity, nerve roots and doubts, each case decided from the clinical text."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cds_service.errors import PrefetchMissing
from tests.cases import EXTENSION
from tests.charts import bundle, cards, code, condition, needling, request, rules

DAY = date(2026, 11, 25)
SCT = "sct"
GM = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
VISIT = {"category": [{"coding": [{"code": "encounter-diagnosis"}]}]}
NO_STATUS = {"clinicalStatus": None}


def lbp(**elements):
    return condition("M54.50", **elements)


def chronic(**elements):
    return condition("278860009", SCT, **elements)


def order(**elements):
    return needling(**elements)


def words(text, **elements):
    return {**condition("M54.50"), "id": f"w-{text}", "code": {"text": text}, **elements}


def rule(registry, *conditions, sent_order=None, prefetch=None):
    found = rules(registry, request(*conditions, order=sent_order, prefetch=prefetch), DAY)
    return found[0] if found else "R0"


OLD, RECENT = {"onsetDateTime": "2024-05-01"}, {"onsetDateTime": "2026-11-10"}


@pytest.mark.parametrize(
    ("why", "expected", "conditions"),
    [
        ("a chronic code needs no date", "R1", [chronic()]),
        ("an onset 84 days ago is chronic", "R1", [lbp(onsetDateTime="2026-09-02")]),
        ("an onset 83 days ago is not", "R7", [lbp(onsetDateTime="2026-09-03")]),
        ("a month is read as late as possible", "R7", [lbp(onsetDateTime="2026-09")]),
        ("this year is not after today", "R7", [lbp(onsetDateTime="2026")]),
        ("the earliest of several onsets counts", "R1", [lbp(**RECENT), lbp(id="b", **OLD)]),
        ("nothing says how long", "R6", [lbp()]),
        ("words of an onset say nothing", "R6", [lbp(onsetString="for years")]),
        ("a recording date of a problem proves it", "R1", [lbp(recordedDate="2026-01-01")]),
        ("a recent recording date proves nothing", "R6", [lbp(recordedDate="2026-11-01")]),
        ("a stated onset goes before a recording date", "R7", [lbp(**RECENT), lbp(id="b", recordedDate="2020-01-01")]),
        ("a future onset is ignored", "R6", [lbp(onsetDateTime="2027-01-01")]),
        ("chronic pain without a site proves it", "R1", [lbp(), condition("G89.29")]),
        ("pain after thoracotomy does not", "R6", [lbp(), condition("G89.22")]),
        ("a stated onset goes before chronic pain without a site", "R7", [lbp(**RECENT), condition("G89.29")]),
        ("chronic pain beside two regions proves nothing", "R6", [lbp(), condition("M54.2"), condition("G89.4")]),
        ("the date of a visit never proves it", "R6", [lbp(recordedDate="2026-01-01", **VISIT)]),
        ("nor does its onset", "R6", [lbp(**OLD, **VISIT)]),
        ("a chronic code on an active visit does", "R1", [chronic(**VISIT)]),
        (
            "a chronic code on a visit without status does not",
            "R6",
            [chronic(recordedDate="2026-11-20", **NO_STATUS, **VISIT)],
        ),
        (
            "an old visit without status does not count",
            "R8",
            [chronic(recordedDate="2019-01-01", **NO_STATUS, **VISIT)],
        ),
        ("an undated visit without status does not count", "R8", [chronic(**NO_STATUS, **VISIT)]),
        (
            "a visit that is on the problem list too is a problem",
            "R1",
            [
                lbp(
                    recordedDate="2026-01-01",
                    category=[
                        {"coding": [{"code": "encounter-diagnosis"}]},
                        {"coding": [{"code": "problem-list-item"}]},
                    ],
                )
            ],
        ),
        ("the newest entry is an acute episode", "R7", [chronic(), condition("S39.012A", **RECENT)]),
        (
            "an older acute episode proves nothing",
            "R1",
            [chronic(onsetDateTime="2026-11-20"), condition("S39.012A", onsetDateTime="2026-11-01")],
        ),
        ("an undated acute code is oldest", "R1", [chronic(onsetDateTime="2026-11-20"), condition("S39.012A")]),
        ("an acute code of long ago proves nothing", "R6", [condition("S39.012A", **OLD)]),
        ("a sequela proves nothing", "R8", [condition("S39.012S", **RECENT)]),
        ("after surgery it is chronic and was not studied", "R12", [condition("M96.1")]),
        ("whatever stands beside it", "R12", [chronic(), condition("202725007", SCT)]),
        ("no entry says where", "R12", [condition("M54.9", **OLD)]),
        ("chronic by code without a site", "R12", [condition("134407002", SCT)]),
        ("one entry says where", "R1", [condition("M54.9", **OLD), lbp()]),
        (
            "back pain with a thoracic body site is thoracic pain",
            "R7",
            [condition("M54.9", bodySite=[{"text": "thoracic spine"}], **OLD)],
        ),
        (
            "and by its words",
            "R7",
            [{**condition("M54.9", **OLD), "code": {**code("icd", "M54.9"), "text": "thoracic back pain"}}],
        ),
        ("pain elsewhere makes it uncertain", "R12", [chronic(), condition("M54.2")]),
        ("so does headache", "R12", [chronic(), condition("G43.909")]),
        ("so does pain elsewhere in words", "R12", [chronic(), words("painful left knee")]),
        ("so does low back pain with a body site elsewhere", "R12", [chronic(bodySite=[{"text": "neck"}])]),
        ("pain without a region does not", "R1", [chronic(), condition("M79.18")]),
        ("nor does an unrelated entry", "R1", [chronic(), condition("J30.2")]),
        ("an unknown lumbar code makes it uncertain", "R12", [chronic(), condition("M54.06")]),
        (
            "so does an unknown code that is lumbar by its display",
            "R12",
            [chronic(), condition("Q76.49", code=code("icd", "Q76.49", display="Lumbar rib"))],
        ),
        (
            "so do our words for a code of ours on one that is not",
            "R12",
            [chronic(), condition("Q76.49", code=code("icd", "Q76.49", display="Low back pain"))],
        ),
        (
            "an old lumbar fracture does not",
            "R1",
            [
                chronic(),
                condition(
                    "S32.010S", code=code("icd", "S32.010S", display="Fracture of first lumbar vertebra, sequela")
                ),
            ],
        ),
        ("degenerative disease does not", "R1", [chronic(), condition("M51.369")]),
        ("radiculopathy by code", "R4", [chronic(), condition("M54.16")]),
        ("radiculopathy by a code that names no site", "R4", [chronic(), condition("M54.10")]),
        ("disc degeneration with back pain only", "R1", [condition("M51.360", **OLD)]),
        ("disc degeneration with leg pain too", "R4", [condition("M51.362", **OLD)]),
        ("radiculopathy alone, duration unknown", "R4", [condition("M54.16")]),
        ("radiculopathy with a recent onset", "R7", [condition("M54.16", **RECENT)]),
        ("nerve-root words on any entry", "R4", [chronic(), words("Ischialgie links")]),
        (
            "also on one with another code",
            "R4",
            [chronic(), {**condition("E11.9"), "code": {**code("icd", "E11.9"), "text": "DM; leg pain"}}],
        ),
        ("cervical nerve roots are another matter", "R12", [chronic(), words("cervical radiculopathy with pain")]),
        (
            "a negation takes nerve-root words out",
            "R1",
            [{**chronic(), "code": {**code(SCT, "278860009"), "text": "Chronic low back pain, no sciatica"}}],
        ),
        (
            "the standard words of the entry's own code are not read",
            "R1",
            [
                chronic(),
                condition(
                    "M47.816",
                    code=code(
                        "icd", "M47.816", display="Spondylosis without myelopathy or radiculopathy, lumbar region"
                    ),
                ),
            ],
        ),
        (
            "the standard words of another code are",
            "R4",
            [{**chronic(), "code": {**code(SCT, "278860009"), "text": "Sciatica"}}],
        ),
        ("resolved radiculopathy does not count", "R1", [chronic(), condition("M54.16", clinicalStatus="resolved")]),
        (
            "an unreadable status counts only against a warning",
            "R4",
            [chronic(), condition("M54.16", clinicalStatus={"coding": [{"code": "who knows"}]})],
        ),
        ("never for one", "R8", [chronic(clinicalStatus={"coding": [{"code": "who knows"}]})]),
        ("words name low back pain and nothing else is on file", "R6", [words("LBP for years")]),
        ("also in German", "R6", [words("Kreuzschmerzen")]),
        ("not of the knee's ligament", "R8", [words("Kreuzbandriss schmerzhaft")]),
        (
            "words name low back pain beside other pain",
            "R8",
            [words("low back pain for years"), words("painful shoulder")],
        ),
        ("words never make R7", "R8", [words("pain in the neck")]),
        ("an entry in another table", "R1", [condition("M54.5", GM, **OLD)]),
        ("lumbar pain in ICPC", "R6", [condition("L03", "http://hl7.org/fhir/sid/icpc-2")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_list_decides_without_reason_and_site(why, expected, conditions, registry):
    sent = [{k: v for k, v in entry.items() if v is not None} for entry in conditions]
    assert rule(registry, *sent) == expected


REASON = {"lbp": code("icd", "M54.50"), "neck": code("icd", "M54.2"), "other": code("icd", "K21.9")}


@pytest.mark.parametrize(
    ("why", "expected", "elements", "conditions"),
    [
        (
            "a reason of low back pain is refined by the list",
            "R1",
            {"reasonCode": [REASON["lbp"]]},
            [chronic(), condition("M54.2")],
        ),
        ("a reason elsewhere is never replaced", "R7", {"reasonCode": [REASON["neck"]]}, [chronic()]),
        ("a reason that nothing covers", "R11", {"reasonCode": [REASON["other"]]}, [chronic()]),
        ("a stated acute episode", "R7", {"reasonCode": [code("icd", "S39.012A")]}, [chronic()]),
        (
            "two stated reasons, the first row decides",
            "R1",
            {"reasonCode": [REASON["neck"], REASON["lbp"]]},
            [chronic()],
        ),
        (
            "a degenerative reason with low back pain on the list",
            "R1",
            {"reasonCode": [code("icd", "M51.369")]},
            [chronic()],
        ),
        ("a degenerative reason alone", "R11", {"reasonCode": [code("icd", "M51.369")]}, [condition("M54.2")]),
        ("facet pain stays alone", "R2", {"reasonCode": [code("sct", "247369005")]}, [chronic()]),
        ("chronic pain without a site is no indication", "R8", {"reasonCode": [code("icd", "G89.4")]}, [chronic()]),
        (
            "site and reason differ",
            "R12",
            {"reasonCode": [code("sct", "278860009")], "bodySite": [{"text": "neck"}]},
            [],
        ),
        (
            "site and reason agree",
            "R1",
            {"reasonCode": [code("sct", "278860009")], "bodySite": [{"text": "L4/L5"}]},
            [],
        ),
        (
            "an unclear site differs from nothing",
            "R1",
            {"reasonCode": [code("sct", "278860009")], "bodySite": [{"text": "gluteal, left"}]},
            [],
        ),
        (
            "back pain without a site as reason",
            "R12",
            {"reasonCode": [code("icd", "M54.9")]},
            [condition("M54.9", **OLD)],
        ),
        (
            "back pain without a site, the order says low back",
            "R1",
            {"bodySite": [{"text": "lumbar"}]},
            [condition("M54.9", **OLD)],
        ),
        (
            "back pain without a site, the order says thoracic",
            "R7",
            {"bodySite": [{"text": "thoracic"}]},
            [condition("M54.9", **OLD)],
        ),
        ("an unread reason without a region", "R12", {"reasonCode": [{"text": "see note"}]}, [chronic()]),
        (
            "an unread reason with its region",
            "R1",
            {"reasonCode": [{"text": "pain, low back"}]},
            [chronic(), condition("M54.2")],
        ),
        (
            "an unread reason elsewhere",
            "R7",
            {"reasonCode": [{"text": "Nackenschmerz"}]},
            [chronic(), condition("M54.2")],
        ),
        ("nothing there", "R8", {"bodySite": [{"text": "neck"}]}, [chronic()]),
        (
            "low back by words of the order",
            "R1",
            {"code": {**code("cpt", "20560"), "text": "Dry needling lumbar"}},
            [chronic(), condition("M54.2")],
        ),
        (
            "an unclear word says nothing",
            "R12",
            {"bodySite": [{"text": "piriformis"}]},
            [chronic(), condition("M54.2")],
        ),
        (
            "a clear word beside an unclear one wins",
            "R1",
            {"bodySite": [{"text": "lumbar paraspinals and gluteus"}]},
            [chronic(), condition("M54.2")],
        ),
        ("sacroiliac is low back too", "R1", {"bodySite": [{"text": "sacroiliaca"}]}, [chronic()]),
        ("a site by code", "R7", {"bodySite": [code("sct", "45048000")]}, [chronic(), condition("M54.2")]),
        ("a reason in a known system without words", "R11", {"reasonCode": [code("icd", "Z00.00")]}, [chronic()]),
        ("a reason in an unknown system is not read", "R12", {"reasonCode": [code("urn:local", "x")]}, [chronic()]),
        (
            "a reason that refers to a resolved entry is not read",
            "R12",
            {"reasonReference": [{"reference": "Condition/gone"}]},
            [chronic(), condition("M54.2", id="gone", clinicalStatus="resolved")],
        ),
        (
            "a reason that refers to an entry in words",
            "R6",
            {"reasonReference": [{"reference": "Condition/w"}]},
            [chronic(), words("low back pain x 5 yrs", id="w")],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reason_and_site_of_the_order(why, expected, elements, conditions, registry):
    assert rule(registry, *conditions, sent_order=order(**elements)) == expected


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("e1", "R4"),
        ("Encounter/e1", "R4"),
        ("https://x.example/Encounter/e1/_history/2", "R4"),
        ("e2", "R1"),
        (None, "R1"),
    ],
)
@pytest.mark.parametrize("named", ["", "Encounter/e1", "Encounter/e3"])
def test_a_diagnosis_of_the_visit_in_which_the_order_is_written_counts(context, expected, named, registry):
    """The visit is the order's own; of an order that names none, the one that the call is made in."""
    of_visit = condition("M54.16", encounter={"reference": "Encounter/e1"}, **VISIT)
    del of_visit["clinicalStatus"]
    sent = request(chronic(), of_visit, order=order(**({"encounter": {"reference": named}} if named else {})))
    sent["context"]["encounterId"] = context
    own = {"Encounter/e1": "R4", "Encounter/e3": "R1"}
    assert rules(registry, sent, DAY) == [own.get(named, expected)]


@pytest.mark.parametrize(
    ("age", "expected"),
    [({"value": 40, "code": "a"}, "R1"), ({"value": 40, "unit": "years"}, "R1"), ({"value": 600, "code": "mo"}, "R6")],
)
def test_an_age_at_onset_is_read_by_its_code_or_its_unit(age, expected, registry):
    born = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-05-17"}
    prefetch = {"patient": born, "conditions": bundle(lbp(onsetAge=age))}
    assert rule(registry, prefetch=prefetch) == expected


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ({"low": {"value": 3}, "high": {"value": 6}}, "3 to 6"),
        ({"high": {"value": 6, "code": "mo"}}, "6 mo"),
        ({"low": {"value": 3, "unit": "years", "code": "a"}}, "3 years"),
        ({"high": {"value": 6}, "low": 5}, "6"),
    ],
)
def test_an_onset_that_is_a_range_is_quoted_and_proves_nothing(span, words, registry):
    (found,) = cards(registry, request(lbp(onsetRange=span)), DAY)
    assert found["extension"][EXTENSION]["rule"] == "R6"
    assert f"onset in words: '{words}'" in found["detail"]


def test_radiculopathy_as_reason_decides_without_a_list(registry):
    """Any readable reason decides alone: no 412; an injection for it is silent."""
    for reason in ("M54.16", "M54.41"):
        for value, expected in (("20560", ["R4"]), ("20552", [])):
            sent = request(order=order(code=code("cpt", value), reasonCode=[code("icd", reason)]))
            del sent["prefetch"]["conditions"]
            assert rules(registry, sent, DAY) == expected


@pytest.mark.parametrize(
    ("days", "note"), [(41, "confirm"), (42, "confirm-care"), (43, "confirm-care"), (83, "confirm-care")]
)
@pytest.mark.parametrize("value", ["M54.50", "M54.2"])
def test_conservative_care_is_asked_for_from_six_weeks_on(days, note, value, registry):
    began = (DAY - timedelta(days=days)).isoformat()
    (found,) = cards(registry, request(condition(value, onsetDateTime=began)), DAY)
    told = found["extension"][EXTENSION]
    assert (told["rule"], [name for name in told["notes"] if name.startswith("confirm")]) == ("R7", [note])


def test_an_injection_is_answered_by_its_four_rules_only(registry):
    injection = {"code": code("cpt", "20552")}
    for expected, conditions in (
        ("R1", [chronic()]),
        ("R12", [chronic(), condition("M54.2")]),
        ("R9", [chronic(), condition("G83.4")]),
        ("R10", [chronic(), condition("M45.6")]),
        ("R0", [chronic(), condition("M54.16")]),
        ("R0", [condition("M54.2")]),
        ("R0", [lbp()]),
    ):
        assert rule(registry, *conditions, sent_order=order(**injection)) == expected


def test_the_list_seen_partly_or_not_at_all_makes_it_uncertain(registry):
    """u5, P1, P6; without a stated reason a list that was not seen is 412."""
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": chronic()}],
        "link": [{"relation": "next", "url": "https://x.example/2"}],
    }
    assert rule(registry, prefetch={"conditions": page}) == "R12"
    stated = order(reasonCode=[code("sct", "278860009")])
    missing = request(order=stated)
    del missing["prefetch"]["conditions"]
    assert rules(registry, missing, DAY) == ["R12"]
    unstated = request(order=order(bodySite=[{"text": "neck"}]))
    del unstated["prefetch"]["conditions"]
    with pytest.raises(PrefetchMissing):
        rules(registry, unstated, DAY)
