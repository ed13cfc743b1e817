"""Each token is accepted once (S2): on both databases, by several processes, and when many come at the same moment."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from cds_service.errors import StoreUnavailable, Unauthorized, Unavailable
from cds_service.store.database import Database
from cds_service.store.tables import used_tokens
from cds_service.store.used_tokens import SWEEP_EVERY, UsedTokens
from cds_service.trust.client_jwt import Gatekeeper
from cds_service.trust.issuers import Issuer
from cds_service.trust.key_sets import KeySets
from tests.tokens import ISS, URL, public_key, token

LATER = 2**33
"""After 2038, when seconds since 1970 need more than 32 bits."""


def tokens(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(connection.scalars(select(used_tokens.c.token)))


def test_every_fresh_token_is_accepted_once_and_refused_the_second_time(database):
    used = UsedTokens(database)
    assert [used.use(ISS, str(number), LATER, 0) for number in range(45)] == [True] * 45
    assert [used.use(ISS, str(number), LATER, 0) for number in range(45)] == [False] * 45
    assert used.use("https://other.example.org", "1", LATER, 0)


def test_another_process_refuses_what_this_one_accepted(database, database_url):
    other = Database(database_url)
    assert UsedTokens(database).use(ISS, "a", LATER, 0)
    assert not UsedTokens(other).use(ISS, "a", LATER, 0)
    other.close()


def test_of_sixteen_at_once_exactly_one_is_accepted(database, database_url):
    other = Database(database_url)
    both = [UsedTokens(database), UsedTokens(other)]
    for race in range(5):
        together = threading.Barrier(16)

        def use(number: int, race: int = race, together: threading.Barrier = together) -> bool:
            together.wait(30)
            return both[number % 2].use(ISS, f"race {race}", LATER, 0)

        with ThreadPoolExecutor(16) as callers:
            assert sorted(callers.map(use, range(16))) == [False] * 15 + [True]
    other.close()


def test_a_replay_within_the_leeway_is_refused(database):
    """S2: an expired token that is still accepted is still remembered, whatever is swept away meanwhile."""
    used = UsedTokens(database)
    keeper = Gatekeeper({ISS: Issuer(ISS, keys=(public_key("ES384"),))}, KeySets(), used.use)
    now = int(time.time())
    expired = f"Bearer {token(exp=now - 5, iat=now - 300)}"
    assert keeper.identify(expired, URL)
    for number in range(SWEEP_EVERY + 1):
        used.use(ISS, f"another {number}", LATER, now)
    with pytest.raises(Unauthorized, match="used before"):
        keeper.identify(expired, URL)


def test_tokens_are_removed_once_they_have_expired_and_not_before(database):
    used = UsedTokens(database)
    assert used.use(ISS, "a", expires=100, now=0)
    assert used.use(ISS, "b", expires=LATER, now=0)
    for number in range(SWEEP_EVERY):
        assert used.use(ISS, str(number), expires=LATER, now=200)
    assert used.use(ISS, "a", expires=300, now=200)
    assert not used.use(ISS, "b", expires=LATER, now=200)


def test_a_sweep_that_fails_refuses_nobody(database, monkeypatch):
    used = UsedTokens(database)
    used._until_sweep = 1
    remembering, transactions = database.remembering, iter((True, False))

    @contextmanager
    def only_the_first():
        if not next(transactions):
            raise StoreUnavailable("in this test")
        with remembering() as connection:
            yield connection

    monkeypatch.setattr(database, "remembering", only_the_first)
    assert used.use(ISS, "a", LATER, 0)


def test_only_a_hash_of_a_token_is_stored(database):
    UsedTokens(database).use(ISS, "a-token-id", LATER, 0)
    (stored,) = tokens(database)
    assert len(stored) == 64
    assert set(stored) <= set("0123456789abcdef")


def test_a_database_that_does_not_answer_lets_nobody_in():
    used = UsedTokens(Database("sqlite:////nowhere/used.sqlite3"))
    with pytest.raises(Unavailable, match="cannot check tokens"):
        used.use(ISS, "a", 100, 0)
