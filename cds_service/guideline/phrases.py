"""Words to meanings: the phrase lists of terms.toml, for what carries no code we know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cds_service.guideline.toml_files import check_keys

_LISTS = ("negations", "unless", "ignoring")


class Phrases:
    """One phrase list. Matching ignores case and keeps to whole words."""

    def __init__(
        self,
        phrases: Sequence[str],
        *,
        negations: Iterable[str] = (),
        unless: Sequence[str] = (),
        ignoring: Sequence[str] = (),
        open_ended: bool = False,
    ) -> None:
        """Compile a list.

        Args:
            phrases: any of these matches.
            negations: words that undo a phrase when they stand right before it.
            unless: words that undo every phrase of a text, wherever they stand.
            ignoring: phrases that are taken out of a text before it is looked at.
            open_ended: a phrase may go on, as facet does in facets.
        """
        before = "".join(rf"(?<!\b{re.escape(word)} )(?<!\b{re.escape(word)}-)" for word in negations)
        self._pattern = re.compile(rf"{before}\b(?:{_any(phrases)})" + ("" if open_ended else r"\b"), re.IGNORECASE)
        self._unless = Phrases(unless) if unless else None
        self._ignoring = re.compile(rf"\b(?:{_any(ignoring)})\b", re.IGNORECASE) if ignoring else None
        # Most texts hold none of the phrases; looking for each one's longest word costs a tenth of the expression.
        self._rarest = tuple({max(re.split(r"\W", phrase.lower()), key=len) for phrase in phrases})

    def match(self, texts: Iterable[str]) -> bool:
        """Return whether any of the texts holds one of the phrases.

        >>> Phrases(["facet"], negations=["no"], open_ended=True).match(["Facets worn", "no facet pain"])
        True
        """
        return any(self._are_in(text) for text in texts)

    def _are_in(self, text: str) -> bool:
        lowered = text.lower()
        if not any(word in lowered for word in self._rarest):
            return False
        if self._ignoring:
            text = self._ignoring.sub(" ", text)
        return self._pattern.search(text) is not None and not (self._unless and self._unless.match([text]))


def read(document: Mapping[str, Any]) -> dict[str, Callable[[Iterable[str]], bool]]:
    """Return the phrase lists of terms.toml by name, each as a test of texts.

    Raises:
        KnowledgeError: an entry is wrong; the message names file, entry and key.
    """
    found: dict[str, Callable[[Iterable[str]], bool]] = {}
    for name, entry in document.items():
        check_keys(f"terms.toml: {name}", entry, {"phrases": list}, (*_LISTS, "open_ended"))
        found[name] = Phrases(
            entry["phrases"],
            open_ended=entry.get("open_ended", False),
            **{key: entry[key] for key in _LISTS if key in entry},
        ).match
    return found


def _any(phrases: Sequence[str]) -> str:
    return "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in sorted(phrases, key=len, reverse=True))
