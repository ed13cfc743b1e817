"""A token is accepted once, across worker processes (conformance S2)."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from sqlalchemy import delete

from cds_service.errors import StoreUnavailable, Unavailable
from cds_service.store.database import Database
from cds_service.store.tables import used_tokens
from cds_service.store.writing import is_new

SWEEP_EVERY = 100
"""Expired tokens are deleted each time this many were added."""


class UsedTokens:
    """Tokens that were used and have not expired."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._until_sweep = SWEEP_EVERY

    def use(self, issuer: str, token_id: str, expires: int, now: int) -> bool:
        """Mark a token as used; return whether this was the first time.

        Args:
            issuer: the token's iss.
            token_id: the token's jti.
            expires: when it can be forgotten, in seconds since 1970.
            now: seconds since 1970.

        Raises:
            Unavailable: the database does not answer; without it no token is accepted.
        """
        token = hashlib.sha256(f"{issuer}\0{token_id}".encode()).hexdigest()
        try:
            with self._database.remembering() as connection:
                first = is_new(connection, used_tokens, {"token": token, "expires": expires})
        except StoreUnavailable:
            raise Unavailable("The service cannot check tokens at the moment") from None
        self._until_sweep -= 1
        if self._until_sweep <= 0:
            self._until_sweep = SWEEP_EVERY
            self._sweep(now)
        return first

    def _sweep(self, now: int) -> None:
        """Delete expired tokens in a separate transaction, so that a failure here refuses nobody."""
        with suppress(StoreUnavailable), self._database.remembering() as connection:
            connection.execute(delete(used_tokens).where(used_tokens.c.expires < now))
