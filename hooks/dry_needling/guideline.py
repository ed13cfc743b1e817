"""Everything the guideline knows, loaded once at start: decision table, evidence, value sets and words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.fhir import value_set_files
from cds_service.fhir.value_sets import Concept, ValueSets
from cds_service.knowledge import Knowledge
from cds_service.knowledge import load as load_knowledge
from cds_service.protocol import SUMMARY_LIMIT, Coding, summary_length
from cds_service.services import Review, SiteConfiguration
from hooks.dry_needling.citations import Citations, cite
from hooks.dry_needling.facts import FACT_SPACE
from hooks.dry_needling.findings import Meaning, Modality, Region

MOST_ORDERS = 1000
"""Orders of each kind that a card's summary has room for."""

DRY_NEEDLING_WORDS = "dry-needling-words"
KNOWLEDGE = Path(__file__).parent / "knowledge"
PREVIEW = Path(__file__).parent / "preview.toml"
"""Beside the knowledge, not in it: it decides nothing, and a change of it is no new version of what cards say."""


class Words:
    """Last-resort text matches of terms.toml; matching ignores case and keeps to whole words."""

    def __init__(self, terms: dict[str, Any]) -> None:
        needling, facet = terms["dry_needling"], terms["facet"]
        self._needling = _Phrases(needling["phrases"], needling["negations"])
        self._facet = _Phrases(facet["phrases"], facet["negations"], open_ended=True)
        self._facet_elsewhere = _Phrases(facet["elsewhere"])
        self._low_back = _Phrases(terms["low_back"]["phrases"])
        self._elsewhere = _Phrases(terms["elsewhere"]["phrases"])
        self._not_low_back = _Phrases(terms["elsewhere"]["not_low_back"])
        self.summary_names: dict[str, str] = terms["summary_names"]

    def mean_dry_needling(self, texts: Iterable[str]) -> bool:
        """Tell whether a text names dry needling. The word acupuncture never does."""
        return any(self._needling.are_in(text) for text in texts)

    def mean_lumbar_facet(self, texts: Iterable[str]) -> bool:
        """Tell whether a text names the facet joints, not those of the neck or chest, and does not rule them out."""
        return any(self._facet.are_in(text) and not self._facet_elsewhere.are_in(text) for text in texts)

    def orders(self, modalities: Sequence[Modality]) -> str:
        """Name the orders of a card in plain words, such as "Dry needling (2 orders)"."""
        first, *others = dict.fromkeys(self.summary_names[modality] for modality in modalities)
        words = " and ".join((first, *(name.lower() for name in others)))
        return words if len(modalities) == 1 else f"{words} ({len(modalities)} orders)"

    def region(self, texts: Iterable[str]) -> Region:
        """Tell where texts place the order; any word for the low back wins over words for elsewhere."""
        found = {self._region_of(text) for text in texts}
        if Region.LOW_BACK in found:
            return Region.LOW_BACK
        return Region.ELSEWHERE if found == {Region.ELSEWHERE} else Region.UNKNOWN

    def _region_of(self, text: str) -> Region:
        if self._low_back.are_in(self._not_low_back.pattern.sub(" ", text)):
            return Region.LOW_BACK
        return Region.ELSEWHERE if self._elsewhere.are_in(text) else Region.UNKNOWN


class _Phrases:
    """Phrases as whole words; one right after a negation does not match; open-ended ones may go on (facets)."""

    def __init__(self, phrases: Sequence[str], negations: Iterable[str] = (), *, open_ended: bool = False) -> None:
        words = "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in sorted(phrases, key=len, reverse=True))
        before = "".join(rf"(?<!\b{re.escape(word)} )(?<!\b{re.escape(word)}-)" for word in negations)
        self.pattern = re.compile(rf"{before}\b(?:{words})" + ("" if open_ended else r"\b"), re.IGNORECASE)
        # Most texts hold none of the phrases; looking for each one's longest word costs a tenth of the expression.
        self._rarest = tuple({max(re.split(r"\W", phrase.lower()), key=len) for phrase in phrases})

    def are_in(self, text: str) -> bool:
        """Tell whether a text holds one of the phrases."""
        lowered = text.lower()
        return any(word in lowered for word in self._rarest) and self.pattern.search(text) is not None


@dataclass(frozen=True, slots=True)
class Actions:
    """Wording of suggestions and override reasons, and the order that a referral creates (actions.toml)."""

    suggestions: dict[str, dict[str, str]]
    therapy_order: dict[str, str]
    override_reasons: tuple[Coding, ...]


@dataclass(frozen=True, slots=True)
class Guideline:
    """The dry needling guideline's content."""

    knowledge: Knowledge
    value_sets: ValueSets
    words: Words
    actions: Actions
    citations: Citations
    preview: dict[str, list[dict[str, Any]]]

    @property
    def review(self) -> Review:
        """Return who owns the content and when it is next reviewed."""
        identity = self.knowledge.identity
        statements = {item.id: item.next_review for item in self.knowledge.evidence.values()}
        return Review(self.knowledge.version, identity.owner, identity.reviewed, identity.next_review, statements)

    def modality(self, concept: Concept) -> Modality:
        """Return what a procedure code means.

        Codes decide; words are the last resort, and acupuncture by code is never dry needling.
        """
        if "dry-needling-orders" in concept.value_sets:
            return Modality.DRY_NEEDLING
        if "trigger-point-injection-orders" in concept.value_sets:
            return Modality.TRIGGER_POINT_INJECTION
        if DRY_NEEDLING_WORDS in concept.said and "acupuncture-orders" not in concept.value_sets:
            return Modality.DRY_NEEDLING
        return Modality.NONE


def load(site: SiteConfiguration | None = None) -> Guideline:
    """Load the knowledge folder, and the codes a site adds.

    Raises:
        KnowledgeError: a file is wrong; the message names file, entry and key.
    """
    words = Words(tomllib.loads((KNOWLEDGE / "terms.toml").read_text(encoding="utf-8")))
    site = site or SiteConfiguration()
    actions = tomllib.loads((KNOWLEDGE / "actions.toml").read_text(encoding="utf-8"))
    reasons = actions["override_reasons"]
    knowledge = load_knowledge(KNOWLEDGE, FACT_SPACE, tuple(actions["suggestion"]))
    _check_summaries(knowledge, words)
    return Guideline(
        knowledge,
        value_set_files.load(
            KNOWLEDGE / "value_sets",
            site.value_sets,
            {DRY_NEEDLING_WORDS: words.mean_dry_needling, str(Meaning.FACET_WORDS): words.mean_lumbar_facet},
        ),
        words,
        Actions(
            actions["suggestion"],
            actions["therapy_order"],
            tuple(Coding(system=reasons["system"], code=c, display=d) for c, d in reasons["codes"].items()),
        ),
        cite(knowledge, f"{site.public_url}/evidence"),
        tomllib.loads(PREVIEW.read_text(encoding="utf-8")),
    )


def _check_summaries(knowledge: Knowledge, words: Words) -> None:
    """Refuse summaries that would be too long (conformance R2) for as many orders of all kinds as a session can hold.

    Raises:
        KnowledgeError: a summary is too long, or asks for other words; the message names its rule.
    """
    named = [modality for modality in Modality if modality in words.summary_names]
    longest = words.orders(named * MOST_ORDERS)
    for rule in knowledge.table.rules:
        where = f"rules.toml: rule {rule.id}: summary"
        try:
            summary = rule.summary.format(order=longest)
        except (KeyError, IndexError, ValueError):
            raise KnowledgeError(f"{where}: {{order}} is the only placeholder") from None
        if summary_length(summary) >= SUMMARY_LIMIT:
            raise KnowledgeError(f"{where}: must stay under {SUMMARY_LIMIT} characters, also for several orders")
