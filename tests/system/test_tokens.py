"""Tokens at a real server (S2): each is accepted once between two worker processes, whichever database they share."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.charts import condition, request
from tests.system.conftest import served
from tests.tokens import ISS, public_key, token

PATH = "/cds-services/dry-needling-order-select"
FRESH = 45
RACING = 16


@pytest.fixture
def guarded(database_url, tmp_path) -> Iterator[str]:
    """The base URL of a service with two worker processes that checks tokens."""
    keys = ", ".join(f"{name} = {json.dumps(value)}" for name, value in public_key("ES384").items())
    issuers = tmp_path / "issuers.toml"
    issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n', encoding="utf-8")
    environ = {
        "CDS_JWT": "services",
        "CDS_ISSUERS_FILE": str(issuers),
        "CDS_DATABASE_URL": database_url,
        "CDS_CALL_MILLISECONDS": "20000",  # a busy machine is no reason to refuse
        "CDS_WORKERS": "2",
        "CDS_LOG_LEVEL": "error",
    }
    with served(**environ) as (url, _):
        yield url


def call(url: str, used: str) -> int:
    """Call with a token, on a connection of its own, so that both workers get some; return the status."""
    header = {"Authorization": f"Bearer {used}"}
    return requests.post(url, json=request(condition("M54.2")), headers=header, timeout=60).status_code


def test_fresh_tokens_are_all_accepted_and_each_only_once(guarded):
    url = guarded + PATH
    fresh = [token(aud=url) for _ in range(FRESH)]
    with ThreadPoolExecutor(8) as callers:
        assert Counter(callers.map(lambda used: call(url, used), fresh)) == {200: FRESH}
        assert Counter(callers.map(lambda used: call(url, used), fresh)) == {401: FRESH}


def test_of_sixteen_calls_at_once_with_one_token_exactly_one_is_answered(guarded):
    url = guarded + PATH
    for _ in range(3):
        used, together = token(aud=url), threading.Barrier(RACING)

        def race(_: int, used: str = used, together: threading.Barrier = together) -> int:
            together.wait(60)
            return call(url, used)

        with ThreadPoolExecutor(RACING) as callers:
            assert Counter(callers.map(race, range(RACING))) == {200: 1, 401: RACING - 1}
