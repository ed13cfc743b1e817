"""The evidence page, drawn from the same data that decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import lru_cache

from flask import Blueprint, Response

from cds_service.errors import UnknownPath
from cds_service.guideline.fact_words import FactWords
from cds_service.guideline.services import Registry
from cds_service.guideline.table import Condition, Rule
from cds_service.web.pages import answer, render

PATH = "/evidence"


def blueprint(registry: Registry, clock: Callable[[], datetime], pages: Iterable[tuple[str, str]]) -> Blueprint:
    """Return the page for the guidelines of a registry.

    Args:
        registry: the services; all services of a guideline share its content.
        clock: tells the time; reviews due before its date are marked.
        pages: names and paths of all pages that are served.
    """
    views = Blueprint("evidence", __name__, static_folder="static", static_url_path="/static")
    listed = list(pages)

    @lru_cache(maxsize=1 + len(registry.guidelines))
    def rendered(here: str, names: tuple[str, ...], today: date) -> str:
        """Return the page of a day, cached: only the date changes it, and rendering costs as much as ten calls."""
        values = {
            "guidelines": [registry.guidelines[name] for name in names],
            "today": today,
            "condition": condition_in_words,
            "conditions": conditions_in_words,
            "shown": text_in_words,
            "summary": summary_in_words,
            "title": value_set_title,
        }
        return render("evidence.html", here, listed, values)

    @views.get(PATH)
    def evidence() -> Response:
        """Show every statement, the decision table, and the value sets with their codes, of all guidelines."""
        return answer(rendered(PATH, tuple(registry.guidelines), clock().date()))

    @views.get(f"{PATH}/<name>")
    def evidence_of(name: str) -> Response:
        """Show one guideline."""
        if name not in registry.guidelines:
            raise UnknownPath("No guideline of this name is on")
        return answer(rendered(f"{PATH}/{name}", (name,), clock().date()))

    return views


def conditions_in_words(conditions: tuple[Condition, ...], words: FactWords) -> str:
    """Return what a rule tests in words, such as "low back pain: yes; nerve-root diagnosis: none"."""
    return "; ".join(condition_in_words(condition, words) for condition in conditions) or "every other case"


def condition_in_words(condition: Condition, words: FactWords) -> str:
    """Return one fact that a rule tests, and the answers it may have."""
    return text_in_words(words.condition(condition))


def text_in_words(text: str) -> str:
    """Return a text of the knowledge folder with each placeholder in brackets, such as [cause]."""
    return re.sub(r"\{(\w+)\}", lambda found: f"[{found[1].replace('_', ' ')}]", text)


def summary_in_words(rule: Rule) -> str:
    """Return what a rule's card says first, without the order it is about: "Not recommended for ..."."""
    words = text_in_words(rule.summary.removeprefix("{order}: "))
    return words[0].upper() + words[1:]


def value_set_title(name: str) -> str:
    """Return a value set's id as a heading."""
    return name.replace("-", " ").capitalize()
