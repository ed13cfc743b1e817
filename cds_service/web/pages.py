"""What all pages share: templates, isolating headers, and the list of pages."""

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
        template: the template's file name.
        here: the page's path.
        pages: names and paths of all served pages, for the navigation bar.
        values: what the template needs.
    """
    return answer(render(template, here, pages, values))


def render(template: str, here: str, pages: Iterable[tuple[str, str]], values: Mapping[str, Any]) -> str:
    """Return a page as HTML; see `page`. Links are relative, because a proxy may add a path in front."""
    root = "../" * (here.count("/") - 1)
    return TEMPLATES.get_template(template).render(here=here, root=root, pages=list(pages), **values)


def answer(html: str) -> Response:
    """Return a rendered page with headers that isolate it."""
    return Response(html, mimetype="text/html", headers=_HEADERS)
