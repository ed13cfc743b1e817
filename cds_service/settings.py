"""Every setting, declared once: name, type, default, environment variable and help."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cds_service.errors import SettingsError
from cds_service.fhir.servers import AllowList
from cds_service.store.database import database_url
from cds_service.store.pseudonyms import SHORTEST_KEY

CONFIG_FILE = "CDS_CONFIG_FILE"
"""Names a TOML file of settings, by their names in lowercase."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PAGES = ("preview", "report", "metrics")
_SWITCH = ("", "on", "off")
LOG_LEVELS = ("debug", "info", "warning", "error")


def _setting(default: Any, text: str, *, secret: bool = False, **limits: int) -> Any:
    return field(default=default, repr=not secret, metadata={"help": text, "secret": secret, **limits})


@dataclass(frozen=True)
class Settings:
    """The configuration of one process. Each field is read from `CDS_` and its name in uppercase."""

    # fmt: off
    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8080, "TCP port to listen on.", low=1, high=65535)
    public_url: str = _setting(
        "", "URL at which others reach the service, such as https://cds.example.org. Cards link to it, and tokens name "
        "it. Required when the service listens beyond this machine. Empty: host and port.")
    workers: int = _setting(2, "Worker processes; one per CPU core is a good choice.", low=1, high=64)
    threads: int = _setting(4, "Threads per worker. Raise it when many calls wait for FHIR servers.", low=1, high=200)
    receive_seconds: int = _setting(
        10, "Time allowed for a request to arrive (then 408), and for the client to read the answer.", low=1, high=3600)
    keep_alive_seconds: int = _setting(
        75, "How long an idle connection stays open. Set it higher than the proxy's own timeout.", low=1, high=3600)
    calls_per_minute: int = _setting(
        0, "Calls per client and minute that each worker accepts; more get 429. 0: no limit.", low=0)
    feedback_entries: int = _setting(1000, "Entries allowed in one feedback request; more get 413.", low=1)
    feedback_suggestions: int = _setting(
        50, "Accepted suggestions allowed in one feedback entry; more get 413.", low=1)
    feedback_per_minute: int = _setting(
        2000, "Feedback entries per client and minute that each worker accepts; more get 429. 0: no limit.", low=0)
    call_milliseconds: int = _setting(
        2000, "Time allowed for a whole call; then 503. At most half of it is spent waiting for other calls.", low=50)
    max_resources: int = _setting(20_000, "Resources allowed in the prefetch of one call; more get 413.", low=1)
    max_body_bytes: int = _setting(10 * 1024 * 1024, "Largest request body, in bytes; larger ones get 413.", low=1024)
    guidelines: str = _setting("dry-needling", "Ids of the guidelines to serve, separated by commas.")
    guideline_folders: str = _setting(
        "", "Folders of guidelines that are not installed as packages, separated by commas.")
    shared_service_id: str = _setting(
        "", "One service id for all hooks of a guideline, so that a card at signing replaces the one at selection. "
        "With several guidelines, use the id of the one it is for. Empty: one id per hook.")
    fhir_servers: str = _setting(
        "", "FHIR servers that may be read, separated by commas. Each is a base URL; add `internal` if its address is "
        "not public, and `open` if it needs no token. Empty: nothing is fetched.")
    fhir_request_milliseconds: int = _setting(300, "Longest wait for a FHIR server to connect or to send.", low=1)
    fhir_total_milliseconds: int = _setting(400, "Time allowed for all fetches of one call together.", low=1)
    site_value_sets: str = _setting(
        "", "Folder of FHIR ValueSet files that add local codes, such as procedure codes, to those of a guideline.")
    jwt: str = _setting(
        "", "Which requests need a JSON Web Token: off, services (calls and feedback) or everywhere (discovery too). "
        "Empty: off, allowed on this machine only.")
    issuers_file: str = _setting("", "TOML file that lists the issuers whose tokens are trusted.")
    jwt_audiences: str = _setting(
        "", "URLs accepted as a token's `aud`, besides the URL of the endpoint, separated by commas.")
    key_set_minutes: int = _setting(
        15, "How often an issuer's keys are read again. A key that was removed is accepted for as long.", low=1)
    key_set_stale_minutes: int = _setting(
        240, "How long known keys, removed ones included, are accepted while an issuer's key URL is down.", low=1)
    database_url: str = _setting(
        "", "Database for calls, feedback and used tokens: sqlite:/// or postgresql://. Empty: SQLite in the data "
        "folder.", secret=True)
    data_folder: str = _setting(
        "cds-data", "Folder for records that wait for the database, and for the hash key. Each service needs its own.")
    hash_key: str = _setting(
        "", "Secret key for hashing patient and user ids; use the same key on all machines of a site. Empty: a key is "
        "made in the data folder.", secret=True)
    repeat_hours: int = _setting(
        24, "How long a card overridden at order-select is not repeated at order-sign. 0: always repeated.",
        low=0, high=8760)
    keep_comments: bool = _setting(
        False, "Store the comments that clinicians write in feedback, up to 500 characters: true or false.")
    keep_days: int = _setting(
        0, "Age in days, from the newest record, at which calls and feedback are deleted daily. 0: never.",
        low=0, high=36_500)
    preview: str = _setting(
        "", "Serve the preview at `/`: on or off. Empty: on if only this machine can reach the service.")
    report: str = _setting("", "Serve `/report`: on or off. Empty: like the preview.")
    metrics: str = _setting("", "Serve `/metrics`: on or off. Empty: like the preview.")
    metrics_token: str = _setting(
        "", "Secret that Prometheus sends as a bearer token to read `/metrics`. Empty: read like other pages.",
        secret=True)
    cors_origins: str = _setting(
        "", "Origins of browser-based clients, separated by commas, such as https://sandbox.cds-hooks.org.")
    cors_private_network: bool = _setting(
        False, "Allow pages of public websites to call this service at a private address: true or false.")
    log_level: str = _setting("info", f"Lowest level that is logged: {', '.join(LOG_LEVELS)}.")
    # fmt: on

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from environment variables, and from the TOML file that CDS_CONFIG_FILE names.

        The environment wins over the file. A variable that ends in _FILE names a file that holds the value, so that
        secrets can stay out of the environment.

        Raises:
            SettingsError: a value has the wrong type or range, or a CDS_ variable is unknown. All errors are reported
                together.
        """
        values: dict[str, Any] = {}
        known = {environment_variable(item.name): item for item in fields(cls)}
        texts, faults = _texts(environ, frozenset(known))
        for variable in sorted(texts):
            item = known.get(variable)
            if item is None:
                faults.append(f"{variable} is not a setting; {_meant(variable, known)}")
                continue
            try:
                values[item.name] = _parsed(texts[variable], item.default, item.metadata)
            except ValueError as fault:
                faults.append(f"{variable} {fault}")
        if values.get("log_level", "info") not in LOG_LEVELS:
            faults.append(f"CDS_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}")
        faults += _jwt_faults(values)
        faults += [f"CDS_{name.upper()} must be on or off" for name in PAGES if values.get(name, "") not in _SWITCH]
        faults += [
            f"CDS_{name.upper()} must have at least {SHORTEST_KEY} characters"
            for name in ("hash_key", "metrics_token")
            if 0 < len(values.get(name, "")) < SHORTEST_KEY
        ]
        try:
            AllowList.parse(values.get("fhir_servers", ""))
        except ValueError as fault:
            faults.append(f"CDS_FHIR_SERVERS: {fault}")
        if values.get("host", "127.0.0.1") not in LOOPBACK and not values.get("public_url"):
            faults.append("CDS_PUBLIC_URL must be set when other machines can reach CDS_HOST; cards link to it")
        if not re.fullmatch(r"(https?://[^\s/?#]+(/[^\s?#]*)?)?", values.get("public_url", "")):
            faults.append("CDS_PUBLIC_URL must be an absolute http or https URL without a query")
        faults += [
            f"CDS_CORS_ORIGINS: {origin} is not an origin; write it like https://sandbox.cds-hooks.org"
            for origin in listed(values.get("cors_origins", ""))
            if not re.fullmatch(r"https?://[^\s/?#*]+", origin)
        ]
        if faults:
            raise SettingsError("\n".join(faults))
        return cls(**values)

    @property
    def checks_calls(self) -> bool:
        """Return whether calls need a token."""
        return self.jwt in ("services", "everywhere")

    @property
    def database_address(self) -> str:
        """Return the URL of the database."""
        return self.database_url or f"sqlite:///{self.data_folder}/cds.sqlite3"

    @property
    def exposed(self) -> bool:
        """Return whether other machines can reach the service, directly or through a proxy."""
        return self.host not in LOOPBACK or urlsplit(self.base_url).hostname not in LOOPBACK

    def serves(self, page: str) -> bool:
        """Return whether a page is served: if set to on, or if not set and only this machine can reach the service."""
        chosen: str = getattr(self, page)
        return chosen == "on" or (chosen == "" and not self.exposed)

    @property
    def origins(self) -> list[str]:
        """Return the origins of browser-based clients."""
        return listed(self.cors_origins)

    @property
    def base_url(self) -> str:
        """Return the URL at which others reach the service, without a trailing slash."""
        return (self.public_url or f"http://{self.address}").rstrip("/")

    @property
    def address(self) -> str:
        """Return host and port, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def environment_variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"CDS_{name.upper()}"


def _meant(variable: str, known: Iterable[str]) -> str:
    """Return what to do about a variable that is not a setting."""
    near = difflib.get_close_matches(variable, known, n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else "run `cds-service settings` for a list"


def _texts(environ: Mapping[str, str], known: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Return the values in the file and the environment, by variable, and errors about what could not be read."""
    texts: dict[str, str] = {}
    faults: list[str] = []
    given = {name: text for name, text in environ.items() if name.startswith("CDS_")}
    path = given.pop(CONFIG_FILE, "")
    if path:
        try:
            document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            texts = {environment_variable(name): _as_text(value) for name, value in document.items()}
        except OSError:
            faults.append(f"{CONFIG_FILE}: {path} cannot be read")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            faults.append(f"{CONFIG_FILE}: {path} is not valid TOML")
    for name, text in given.items():
        variable = name.removesuffix("_FILE")
        if name in known or variable not in known:
            texts[name] = text
            continue
        try:
            texts[variable] = Path(text).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            faults.append(f"{name}: the file cannot be read")
    return texts, faults


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _jwt_faults(values: Mapping[str, Any]) -> list[str]:
    faults = []
    mode = values.get("jwt", "")
    if mode not in ("", "off", "services", "everywhere"):
        faults.append("CDS_JWT must be off, services or everywhere")
    elif mode in ("services", "everywhere") and not values.get("issuers_file"):
        faults.append("CDS_ISSUERS_FILE must name a file of trusted issuers when CDS_JWT asks for tokens")
    elif mode == "" and values.get("host", "127.0.0.1") not in LOOPBACK:
        faults.append("CDS_JWT must be set when other machines can reach CDS_HOST; off serves without tokens")
    try:
        database_url(values.get("database_url") or "sqlite://")
    except ValueError as fault:
        faults.append(f"CDS_DATABASE_URL {fault}")
    return faults


def listed(text: str) -> list[str]:
    """Return the items of a setting that is a comma-separated list."""
    return [item.strip() for item in text.split(",") if item.strip()]


def _parsed(text: str, default: Any, limits: Mapping[str, Any]) -> Any:
    if isinstance(default, bool):
        if text.strip().lower() not in ("true", "false"):
            raise ValueError("must be true or false")
        return text.strip().lower() == "true"
    if not isinstance(default, int):
        return text.strip()
    try:
        number = int(text)
    except ValueError:
        raise ValueError("must be a whole number") from None
    if number < limits.get("low", number):
        raise ValueError(f"must be at least {limits['low']}")
    if number > limits.get("high", number):
        raise ValueError(f"must be at most {limits['high']}")
    return number
