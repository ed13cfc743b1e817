"""Signing keys and tokens, as an EHR would make them."""

from __future__ import annotations

import json
import time
import uuid
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISS = "https://ehr.example.org"
JKU = "https://ehr.example.org/jwks.json"
BASE = "http://127.0.0.1:8080"
URL = f"{BASE}/cds-services/dry-needling-order-select"


@cache
def private_key(algorithm: str, name: str = "") -> Any:
    """Return a key for an algorithm; another name makes another key."""
    if algorithm.startswith("ES"):
        return ec.generate_private_key(ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_key(algorithm: str, kid: str = "", name: str = "") -> dict[str, Any]:
    """Return the public half as a JSON Web Key."""
    kind = ECAlgorithm if algorithm.startswith("ES") else RSAAlgorithm
    return {**json.loads(kind.to_jwk(private_key(algorithm, name).public_key())), "kid": kid or algorithm}


def token(algorithm: str = "ES384", name: str = "", header: dict | None = None, **claims: Any) -> str:
    """Return a token that is valid but for what is given; None takes a claim away."""
    now = int(time.time())
    said = {"iss": ISS, "aud": URL, "iat": now, "exp": now + 3600, "jti": str(uuid.uuid4()), **claims}
    said = {key: value for key, value in said.items() if value is not None}
    head = {"kid": algorithm, **(header or {})}
    head = {key: value for key, value in head.items() if value is not None}
    return jwt.encode(said, private_key(algorithm, name), algorithm=algorithm, headers=head)
