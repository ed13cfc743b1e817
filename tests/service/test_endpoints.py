"""Every route is declared and described: who may read it, in the guide's table, and as OpenAPI (F-E10)."""

from __future__ import annotations

import re
from pathlib import Path

from cds_service.main import create
from cds_service.web.readers import READERS, Readers
from tests.cases import TODAY, own_settings

GUIDE = (Path(__file__).parent.parent.parent / "cds_service" / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(GET|POST) (\S+)` \| .+ \| (\w+) \|$", re.MULTILINE)
APP = create(own_settings(preview="on", report="on", metrics="on"), clock=lambda: TODAY)


def routes():
    """Return method, path and readers of every route; what is not declared has none."""
    for rule in APP.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(?:service_)?(\w+)>", r"{\1}", rule.rule)
        (method,) = rule.methods - {"HEAD", "OPTIONS"}
        yield method, path, READERS.get(rule.endpoint)


def test_each_route_declares_who_may_read_it_and_nothing_else_is_declared():
    assert {rule.endpoint for rule in APP.url_map.iter_rules()} == set(READERS)


def test_the_guide_for_integrators_lists_every_route_and_its_readers():
    assert {(method, path, str(readers)) for method, path, readers in routes()} == set(ROW.findall(GUIDE))


def test_openapi_describes_what_clients_call():
    described = APP.test_client().get("/openapi.json").json["paths"]
    told = {(method.upper(), path) for path, item in described.items() for method in item if method != "parameters"}
    assert told == {(method, path) for method, path, readers in routes() if readers is Readers.CLIENTS}


def test_an_endpoint_that_declares_nothing_is_kept_inside():
    """A forgotten declaration is the safe side."""
    app = create(own_settings(), clock=lambda: TODAY)
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    assert app.test_client().get("/forgotten", headers={"Host": "elsewhere.example.org"}).status_code == 403
