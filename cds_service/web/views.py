"""The evidence page: what decides, drawn from the same data that decides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, make_response, render_template

from cds_service.decision import Condition
from cds_service.services import Registry

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def blueprint(registry: Registry, clock: Callable[[], datetime]) -> Blueprint:
    """Return the pages for the guidelines of a registry.

    Args:
        registry: the services; those of one guideline share its content.
        clock: tells the time; reviews due before its date are marked.
    """
    pages = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/static")
    guidelines = list({service.review.version: service for service in registry.services}.values())

    @pages.get("/evidence")
    def evidence() -> Response:
        """Show every statement, the decision table, and the value sets with their codes."""
        page = make_response(
            render_template(
                "evidence.html",
                guidelines=guidelines,
                today=clock().date(),
                conditions=conditions_in_words,
                title=value_set_title,
            )
        )
        page.headers.update(_HEADERS)
        return page

    return pages


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
