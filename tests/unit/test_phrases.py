"""Words of terms.toml: whole words, compounds, other languages, and what undoes them (sections 2 and 3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import KnowledgeError
from cds_service.guideline.phrases import LONGEST_TEXT, Lexicon, PhraseList, read

ORDERS = [
    ("Dry needling", True),
    ("dry-needling, 2 muscles", True),
    ("DRYNEEDLING", True),
    ("Functional Dry Needling", True),
    ("trigger point dry needling", True),
    ("dry needle therapy", True),
    ("intramuscular manual therapy", True),
    ("Punción seca", True),
    ("puncion seca lumbar", True),
    ("Trockennadelung LWS", True),
    ("aiguilletage à sec", True),
    ("Puncture sèche", True),
    ("agopuntura a secco", True),
    ("Agulhamento a seco no trapézio", True),
    ("dry needling without injection", True),
    ("Dry needle biopsy", False),
    ("no dry needling", False),
    ("patient declines dry needling", False),
    ("exercise instead of dry needling", False),
    ("all except dry needling", False),
    ("avoid dry needling", False),
    ("dry needling refused", False),
    ("not for dry needling", False),
    ("acupuncture", False),
    ("punción seca: no", False),
    ("dry needling w/o injection", True),
    ("sundry needlings", False),
]


@pytest.mark.parametrize(("text", "expected"), ORDERS, ids=[text for text, _ in ORDERS])
def test_words_of_orders(text, expected, knowledge):
    assert ("dry-needling-words" in knowledge.lexicon.read(text)) is expected


REGIONS = [
    ("LBP", "low-back"),
    ("CLBP", "low-back"),
    ("L4/5", "low-back"),
    ("S1", "low-back"),
    ("Kreuzschmerz", "low-back"),
    ("LWS-Syndrom", "low-back"),
    ("Lendenwirbelsäule", "low-back"),
    ("lage rugpijn", "low-back"),
    ("lumbaal", "low-back"),
    ("zona lumbares", "low-back"),
    ("bas du dos", "low-back"),
    ("lombaires", "low-back"),
    ("regione lombare", "low-back"),
    ("dor lombar", "low-back"),
    ("Kreuzbandriss", ""),
    ("Nackenverspannung", "neck"),
    ("HWS", "neck"),
    ("nekpijn", "neck"),
    ("cuello", "neck"),
    ("nuque", "neck"),
    ("cou", "neck"),
    ("collo", "neck"),
    ("pescoço", "neck"),
    ("C5-C6", "neck"),
    ("Nekrose", ""),
    ("femoral neck", ""),
    ("T4-T6", "thoracic"),
    ("BWS", "thoracic"),
    ("rhomboids", "thoracic"),
    ("ribs", "thoracic"),
    ("Schulter", "shoulder"),
    ("schouder", "shoulder"),
    ("hombros", "shoulder"),
    ("épaules", "shoulder"),
    ("spalla", "shoulder"),
    ("ombro", "shoulder"),
    ("deltoid", "shoulder"),
    ("paraspinal", ""),
    ("multifidus", ""),
    ("back", ""),
    ("trapezius", "neck shoulder thoracic"),
    ("trapecio", "neck shoulder thoracic"),
    ("trapèze", "neck shoulder thoracic"),
    ("levator scapulae", "neck shoulder thoracic"),
    ("levator", "neck thoracic"),
    ("scapula", "shoulder thoracic"),
    ("upper back", "thoracic"),
    ("charming", ""),
    ("chipped", ""),
]
NAMES = ("low-back", "neck", "thoracic", "shoulder", "arm", "knee-and-leg", "foot", "jaw", "head")


@pytest.mark.parametrize(("text", "expected"), REGIONS, ids=[text for text, _ in REGIONS])
def test_words_of_regions(text, expected, knowledge):
    said = knowledge.lexicon.read(text)
    assert {name for name in NAMES if f"{name}-words" in said} == set(expected.split())


@pytest.mark.parametrize(
    "text", ["sacroiliac", "sacroiliaca", "articulaciones sacroilíacas", "sacro-iliaque", "sacral", "SI joint"]
)
def test_words_of_the_sacroiliac_joint(text, knowledge):
    assert "sacroiliac-words" in knowledge.lexicon.read(text)


ROOTS = [
    ("lumbar radiculopathy", True),
    ("radicular pain", True),
    ("radiculitis", True),
    ("Sciatica, left", True),
    ("L5 root compression", True),
    ("nerve root irritation", True),
    ("leg pain", True),
    ("pain going down the left leg", True),
    ("pain into both legs", True),
    ("Ischias", True),
    ("Nervenwurzelreizung", True),
    ("Wurzelkompression L5", True),
    ("ciática", True),
    ("sciatique", True),
    ("radiculair syndroom", True),
    ("Lumboischialgie", True),
    ("lombosciatalgia", True),
    ("lumbociatalgia", True),
    ("wortelprikkeling", True),
    ("cervical radiculopathy", False),
    ("thoracic radiculopathy", False),
    ("C6 nerve root", False),
    ("cervical and lumbar radiculopathy", True),
    ("neck pain and sciatica", True),
    ("no sciatica", False),
    ("radiculopathy ruled out", False),
    ("r/o radiculopathy", False),
    ("low back pain without leg pain", False),
    ("SLR negative, no radicular signs", False),
    ("dor no glúteo com ciática", True),
    ("low back pain", False),
    ("non-radiating to the leg", False),
    ("pain radiating to the left leg", True),
]


@pytest.mark.parametrize(("text", "expected"), ROOTS, ids=[text for text, _ in ROOTS])
def test_words_of_nerve_roots(text, expected, knowledge):
    assert bool({"nerve-root-words", "sciatica-words"} & knowledge.lexicon.read(text)) is expected


PAIN = [
    ("osteoarthritis of the knee", True),
    ("fibromyalgia", True),
    ("backache", True),
    ("aches", True),
    ("ankle sprain", True),
    ("strains", True),
    ("Kopfschmerzen", True),
    ("hypertension", False),
    ("spain", False),
    ("cache", False),
]


@pytest.mark.parametrize(("text", "expected"), PAIN, ids=[text for text, _ in PAIN])
def test_words_of_pain(text, expected, knowledge):
    assert ("pain-words" in knowledge.lexicon.read(text)) is expected


@pytest.mark.parametrize("text", ["hemophilia", "Haemophilia A", "Hämophilie", "hémophilie B", "hemofilia", "emofilia"])
def test_hemophilia_in_any_spelling(text, knowledge):
    assert "hemophilia-words" in knowledge.lexicon.read(text)


@given(st.text(max_size=60))
def test_any_text_is_read(text):
    lexicon = Lexicon([PhraseList("a", ["x*", "*y", "*z*", "one ... two"], ignoring=["x y"])])
    assert lexicon.read(text) == lexicon.read(text) <= {"a"}


def test_gaps_hold_up_to_five_words():
    lexicon = Lexicon([PhraseList("a", ["pain ... leg"])])
    assert lexicon.read("pain 1 2 3 4 5 leg") == {"a"}
    assert lexicon.read("pain 1 2 3 4 5 6 leg") == frozenset()
    assert lexicon.read("pain") == frozenset()


def test_only_the_beginning_of_a_long_text_is_read_and_long_texts_are_not_remembered():
    lexicon = Lexicon([PhraseList("a", ["pain"])])
    assert lexicon.read("x " * LONGEST_TEXT + "pain") == frozenset()
    assert lexicon._remembered == {}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"phrase": []}, "terms.toml: a: no key is called 'phrase'; did you mean 'phrases'?"),
        ({"phrases": ["x"], "unless": ["b"]}, "terms.toml: a: unless: no list above it is called 'b'"),
    ],
)
def test_a_wrong_entry_is_refused(entry, said):
    with pytest.raises(KnowledgeError) as refused:
        read({"a": entry})
    assert str(refused.value).startswith(said)
