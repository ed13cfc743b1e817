"""The evidence page: what decides, drawn from the same data that decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import lru_cache

from flask import Blueprint, Response

from cds_service.guideline.services import Registry
from cds_service.guideline.table import Condition
from cds_service.web.pages import answer, render

PATH = "/evidence"


def blueprint(registry: Registry, clock: Callable[[], datetime], pages: Iterable[tuple[str, str]]) -> Blueprint:
    """Return the page for the guidelines of a registry.

    Args:
        registry: the services; those of one guideline share its content.
        clock: tells the time; reviews due before its date are marked.
        pages: names and paths of all pages that are served.
    """
    views = Blueprint("evidence", __name__, static_folder="static", static_url_path="/static")
    listed = list(pages)
    guidelines = list({service.knowledge.version: service.knowledge for service in registry.services}.values())

    @lru_cache(maxsize=1)
    def rendered(today: date) -> str:
        """Return the page of a day; nothing else changes it, and drawing it costs as much as ten calls."""
        values = {
            "guidelines": guidelines,
            "today": today,
            "conditions": conditions_in_words,
            "title": value_set_title,
        }
        return render("evidence.html", PATH, listed, values)

    @views.get(PATH)
    def evidence() -> Response:
        """Show every statement, the decision table, and the value sets with their codes."""
        return answer(rendered(clock().date()))

    return views


def conditions_in_words(conditions: tuple[Condition, ...]) -> str:
    """Return what a rule tests, as a reader would say it, such as "low back pain; chronicity: chronic"."""
    told = []
    for condition in conditions:
        name = condition.fact.replace("_", " ")
        if condition.accepted == (True,):
            told.append(name)
        elif condition.accepted == (False,):
            told.append(f"no {name}")
        else:
            told.append(f"{name}: {' or '.join(str(value).replace('-', ' ') for value in condition.accepted)}")
    return "; ".join(told) or "every other case"


def value_set_title(name: str) -> str:
    """Return a value set's id as a heading."""
    return name.replace("-", " ").capitalize()
