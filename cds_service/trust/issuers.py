"""Trusted issuers: a TOML file that a site writes, read and checked at start."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cds_service.errors import SettingsError

_KEYS = ("iss", "jku", "jwks", "services")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Issuer:
    """A trusted issuer of tokens, usually one EHR.

    Attributes:
        iss: as in the token.
        jku: URLs of its key sets; a token's own jku counts only when it is one of them (S3).
        keys: an inline key set, instead of jku.
        services: ids of the services it may call; empty for all.
    """

    iss: str
    jku: tuple[str, ...] = ()
    keys: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    services: tuple[str, ...] = ()


def read(path: Path) -> dict[str, Issuer]:
    """Read the issuers file, with one [[issuer]] table per issuer.

    Raises:
        SettingsError: the file is wrong; the message names entry and key.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise SettingsError(f"{path}: the issuers file cannot be read") from None
    except tomllib.TOMLDecodeError as fault:
        raise SettingsError(f"{path.name}: is not TOML: {fault}") from None
    entries = document.get("issuer")
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"{path.name}: write at least one [[issuer]]")
    issuers = [_issuer(f"{path.name}: issuer {number}", entry) for number, entry in enumerate(entries, start=1)]
    found = {issuer.iss: issuer for issuer in issuers}
    if len(found) < len(issuers):
        raise SettingsError(f"{path.name}: an iss is written twice; give one issuer several jku instead")
    return found


def _issuer(where: str, entry: Mapping[str, Any]) -> Issuer:
    for key in entry:
        if key not in _KEYS:
            raise SettingsError(f"{where}: {key}: there is no such key; there are {', '.join(_KEYS)}")
    iss = entry.get("iss")
    if not isinstance(iss, str) or not iss:
        raise SettingsError(f"{where}: iss: must be text")
    jku, services = _texts(where, entry, "jku"), _texts(where, entry, "services")
    for url in jku:
        _check_key_set_url(where, url)
    keys = entry.get("jwks", {}).get("keys", []) if isinstance(entry.get("jwks", {}), dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise SettingsError(f"{where}: jwks: must be a JSON Web Key Set")
    if bool(jku) == bool(keys):
        raise SettingsError(f"{where}: give either jku or jwks")
    return Issuer(iss, jku, tuple(keys), services)


def _texts(where: str, entry: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise SettingsError(f"{where}: {key}: must be text or a list of texts")
    return tuple(texts)


def _check_key_set_url(where: str, url: str) -> None:
    """Keys are fetched over TLS, except from this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError(f"{where}: jku: is not a URL") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise SettingsError(f"{where}: jku: must be an https URL")
