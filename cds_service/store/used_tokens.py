"""A token is accepted once, across worker processes (conformance S2)."""

from __future__ import annotations

import hashlib

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from cds_service.errors import Unavailable
from cds_service.store.database import used_tokens

SWEEP_EVERY = 100
"""After how many tokens those that have expired are removed."""


class UsedTokens:
    """The tokens that were used and have not expired."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._until_sweep = SWEEP_EVERY

    def reachable(self) -> bool:
        """Tell whether the database answers."""
        try:
            with self._engine.connect() as connection:
                connection.execute(select(used_tokens.c.token).limit(1))
        except SQLAlchemyError:
            return False
        return True

    def use(self, issuer: str, token_id: str, expires: int, now: int) -> bool:
        """Mark a token as used; tell whether this was the first time.

        Args:
            issuer: the token's iss.
            token_id: the token's jti.
            expires: until when it must be remembered, in seconds since 1970.
            now: seconds since 1970.

        Raises:
            Unavailable: the database does not answer; nobody is let in without it.
        """
        token = hashlib.sha256(f"{issuer}\0{token_id}".encode()).hexdigest()
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(used_tokens).values(token=token, expires=expires))
                self._until_sweep -= 1
                if self._until_sweep <= 0:
                    self._until_sweep = SWEEP_EVERY
                    connection.execute(delete(used_tokens).where(used_tokens.c.expires < now))
        except IntegrityError:
            return False
        except SQLAlchemyError:
            raise Unavailable("The service cannot check tokens at the moment") from None
        return True
