"""What all pages share: the templates, the headers that keep them to themselves, and the list of pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

TEMPLATES = Environment(
    loader=PackageLoader("cds_service.web", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page(template: str, here: str, pages: Iterable[tuple[str, str]], values: Mapping[str, Any]) -> Response:
    """Return a page.

    Args:
        template: its file.
        here: its own path.
        pages: names and paths of all pages that are served, for the bar at the top.
        values: what the template needs.
    """
    return answer(render(template, here, pages, values))


def render(template: str, here: str, pages: Iterable[tuple[str, str]], values: Mapping[str, Any]) -> str:
    """Return a page as HTML; see `page`. Its links are relative: a proxy may serve it under a path of its own."""
    root = "../" * (here.count("/") - 1)
    return TEMPLATES.get_template(template).render(here=here, root=root, pages=list(pages), **values)


def answer(html: str) -> Response:
    """Return a rendered page with the headers that keep it to itself."""
    return Response(html, mimetype="text/html", headers=_HEADERS)
