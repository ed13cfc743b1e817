"""From a bearer token to the client that calls, or to an error that says what is wrong with the token (S1-S4)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from cds_service.errors import Forbidden, Unauthorized
from cds_service.trust.issuers import Issuer
from cds_service.trust.key_sets import Key, KeySets

ALGORITHMS = ("ES256", "ES384", "RS256", "RS384", "RS512", "PS384")
"""Neither none nor HMAC: a shared secret would let one client sign as another."""

LEEWAY_SECONDS = 30
LONGEST_LIFE_SECONDS = 24 * 3600
"""A token must expire within this time, because it is remembered until then."""

_LONGEST_TOKEN = 16_384
_REQUIRED = ["iss", "aud", "exp", "iat", "jti"]
_TIMES = ("exp", "iat", "nbf")
_LAST_TIME = 2**40
"""Seconds since 1970; 36,000 years ahead, which arithmetic still handles."""
# A lone surrogate cannot be stored.
_TOKEN_ID = re.compile(r"[^\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Client:
    """A caller whose token is valid.

    Attributes:
        issuer: the issuer of the token.
        services: ids of the services it may call; empty for all.
    """

    issuer: str
    services: tuple[str, ...] = ()


class Gatekeeper:
    """Verifies the tokens of all calls in a process."""

    def __init__(
        self,
        issuers: Mapping[str, Issuer],
        key_sets: KeySets,
        use_once: Callable[[str, str, int, int], bool],
        audiences: Iterable[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the verification.

        Args:
            issuers: the trusted ones, by iss.
            key_sets: fetches and caches public keys.
            use_once: marks (iss, jti, expiry, now) as used; returns whether that was the first time.
            audiences: URLs that the site registered, accepted besides the URL of the endpoint.
            now: seconds since 1970.
        """
        self._issuers = issuers
        self._key_sets = key_sets
        self._use_once = use_once
        self._audiences = tuple(audiences)
        self._now = now

    def identify(self, authorization: str, url: str, service_id: str = "") -> Client:
        """Return the client that a request's Authorization header names.

        Args:
            authorization: the header, or "".
            url: the public URL of the endpoint: the audience that the token must name.
            service_id: the service that is called, or "" for discovery.

        Raises:
            Unauthorized: there is no valid token.
            Forbidden: the token is valid, but its issuer may not call this service.
            Unavailable: the issuer's keys or used tokens cannot be read at the moment.
        """
        token = _bearer(authorization)
        header, issuer = self._untrusted(token)
        claims = self._verified(token, header, issuer, (url, *self._audiences))
        if claims["exp"] - claims["iat"] > LONGEST_LIFE_SECONDS:
            raise Unauthorized("The token lives longer than this service accepts")
        expires = int(claims["exp"]) + LEEWAY_SECONDS
        if not self._use_once(issuer.iss, claims["jti"], expires, int(self._now())):
            raise Unauthorized("The token was used before")
        if issuer.services and service_id and service_id not in issuer.services:
            raise Forbidden("This client may not call this service")
        return Client(issuer.iss, issuer.services)

    def _untrusted(self, token: str) -> tuple[Mapping[str, Any], Issuer]:
        """Read what is needed to find the key; none of it is trusted before the signature is verified."""
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.InvalidTokenError, RecursionError):
            raise Unauthorized("The token is not a JSON Web Token") from None
        if header.get("alg") not in ALGORITHMS:
            raise Unauthorized(f"The token's alg must be one of {', '.join(ALGORITHMS)}")
        if not isinstance(header.get("kid"), str):
            raise Unauthorized("The token names no kid")
        issuer = self._issuers.get(claims["iss"]) if isinstance(claims.get("iss"), str) else None
        if issuer is None:
            raise Unauthorized("The token's iss is not trusted")
        _check_claims(claims)
        return header, issuer

    def _verified(
        self, token: str, header: Mapping[str, Any], issuer: Issuer, audiences: tuple[str, ...]
    ) -> dict[str, Any]:
        fault: jwt.InvalidTokenError | None = None
        for key in self._keys(header, issuer):
            try:
                return self._decoded(token, header["alg"], key, issuer, audiences)
            except jwt.InvalidSignatureError as failed:  # another key with this id may fit
                fault = failed
            except jwt.InvalidTokenError as failed:
                raise Unauthorized(_words(failed)) from None
            except (jwt.PyJWTError, ValueError, TypeError):
                continue  # the key is unusable, or of a different kind than alg says
        raise Unauthorized(_words(fault) if fault else "No key of the issuer fits the token's kid and alg")

    def _decoded(
        self, token: str, algorithm: str, key: Key, issuer: Issuer, audiences: tuple[str, ...]
    ) -> dict[str, Any]:
        if key.get("alg", algorithm) != algorithm or key.get("use", "sig") != "sig":
            raise ValueError
        return jwt.decode(
            token,
            key=jwt.PyJWK.from_dict(dict(key), algorithm=algorithm),
            algorithms=[algorithm],
            audience=audiences,
            issuer=issuer.iss,
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )

    def _keys(self, header: Mapping[str, Any], issuer: Issuer) -> list[Key]:
        if issuer.keys:
            return [key for key in issuer.keys if key.get("kid") == header["kid"]]
        named = header.get("jku")
        if named is not None and named not in issuer.jku:
            raise Unauthorized("The token's jku is not one of the issuer's")
        return self._key_sets.keys([named] if named else issuer.jku, header["kid"])


def _check_claims(claims: Mapping[str, Any]) -> None:
    """Refuse claims of the wrong type, with which the library would compute. It refuses missing claims itself."""
    for name in _TIMES:
        value = claims.get(name)
        if value is not None and not (type(value) in (int, float) and 0 <= value <= _LAST_TIME):
            raise Unauthorized(f"The token's {name} is no time")
    exp, iat, token_id = claims.get("exp"), claims.get("iat"), claims.get("jti")
    if exp is not None and iat is not None and iat > exp:
        raise Unauthorized("The token's iat is after its exp")
    if token_id is not None and not (isinstance(token_id, str) and _TOKEN_ID.fullmatch(token_id)):
        raise Unauthorized("The token's jti is no text")


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("An Authorization header with a bearer token is required")
    if len(token) > _LONGEST_TOKEN:
        raise Unauthorized("The token is longer than this service accepts")
    return token.strip()


def _words(fault: jwt.InvalidTokenError) -> str:
    """Return our own message, because the library's messages quote the token."""
    for kind, words in (
        (jwt.InvalidSignatureError, "The token's signature does not fit its content"),
        (jwt.ExpiredSignatureError, "The token has expired"),
        (jwt.ImmatureSignatureError, "The token is not valid yet"),
        (jwt.InvalidAudienceError, "The token's aud is not the URL of this endpoint"),
        (jwt.MissingRequiredClaimError, f"The token must have {', '.join(_REQUIRED)}"),
    ):
        if isinstance(fault, kind):
            return words
    return "The token is not valid"
