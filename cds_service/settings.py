"""Every setting once: its name, type, default, environment variable and help."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cds_service.errors import EXIT_MISCONFIGURED, SettingsError
from cds_service.fhir.servers import AllowList
from cds_service.store.database import database_url
from cds_service.store.pseudonyms import SHORTEST_KEY

CONFIG_FILE = "CDS_CONFIG_FILE"
"""Names a TOML file with settings by their names in small letters."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PAGES = ("preview", "report", "metrics")
_SWITCH = ("", "on", "off")
LOG_LEVELS = ("debug", "info", "warning", "error")


def _setting(default: Any, text: str, *, secret: bool = False, **limits: int) -> Any:
    return field(default=default, repr=not secret, metadata={"help": text, "secret": secret, **limits})


@dataclass(frozen=True)
class Settings:
    """The configuration of one process. Each field is read from `CDS_` and its name in capitals."""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8080, "TCP port to listen on.", low=1, high=65535)
    public_url: str = _setting(
        "", "Where others reach this server, for links on cards, as https://cds.example.org. Empty: host and port."
    )
    workers: int = _setting(2, "Worker processes of the web server.", low=1, high=64)
    threads: int = _setting(
        4, "Threads in each worker process; more when many calls wait for FHIR servers.", low=1, high=200
    )
    receive_seconds: int = _setting(
        10, "Time for a request to arrive, and for its answer to be taken; later ones get 408.", low=1, high=3600
    )
    keep_alive_seconds: int = _setting(
        75, "How long a connection on which nothing is asked stays open; longer than a proxy in front keeps it.",
        low=1, high=3600,
    )  # fmt: skip
    calls_per_minute: int = _setting(0, "Calls a client may make in a minute to each worker; 0: without limit.", low=0)
    feedback_entries: int = _setting(1000, "Entries that one feedback request may hold; more get 413.", low=1)
    feedback_suggestions: int = _setting(50, "Accepted suggestions of one feedback entry; more get 413.", low=1)
    feedback_per_minute: int = _setting(
        2000, "Feedback entries a client may send in a minute to each worker; more get 429. 0: without limit.", low=0
    )
    call_milliseconds: int = _setting(
        2000, "Time for a whole call, computing, waiting and fetching; then 503. Half of it is for waiting.", low=50
    )
    max_resources: int = _setting(20_000, "Resources that the prefetch of one call may hold.", low=1)
    max_body_bytes: int = _setting(10 * 1024 * 1024, "Largest request body, in bytes; larger ones get 413.", low=1024)
    guidelines: str = _setting("dry-needling", "Guidelines that are on, by id, separated by commas.")
    guideline_folders: str = _setting("", "Folders of guidelines that are no installed packages, separated by commas.")
    shared_service_id: str = _setting(
        "", "One id for all hooks of a guideline; of several guidelines, of the one with that id. Empty: an id each."
    )
    fhir_servers: str = _setting(
        "",
        "FHIR servers that may be read, separated by commas: a base URL each, followed by the word internal if it may "
        "have an address that is not public, and open if it needs no token. Empty: nothing is fetched.",
    )
    fhir_request_milliseconds: int = _setting(300, "Longest wait for a FHIR server's connection or data.", low=1)
    fhir_total_milliseconds: int = _setting(400, "Time for all fetches of one call together.", low=1)
    site_value_sets: str = _setting(
        "", "Folder with ValueSet JSON files whose codes extend ours, for example local procedure codes."
    )
    jwt: str = _setting(
        "",
        "Who needs a JSON Web Token: off, services (calls) or everywhere (discovery too). Empty: off, which is "
        "accepted on a loopback address only.",
    )
    issuers_file: str = _setting("", "TOML file that lists whose tokens are trusted.")
    jwt_audiences: str = _setting(
        "", "URLs that a token's aud may name beside the endpoint's own, separated by commas."
    )
    key_set_minutes: int = _setting(
        15, "Age at which an issuer's key set is asked for again; a removed key is accepted for as long.", low=1
    )
    key_set_stale_minutes: int = _setting(
        240, "Age up to which a key set is used while its URL does not answer; a removed key is accepted then.", low=1
    )
    database_url: str = _setting(
        "",
        "Database of calls, feedback and used tokens: sqlite:/// or postgresql://. Empty: SQLite in the data folder.",
        secret=True,
    )
    data_folder: str = _setting(
        "cds-data", "Folder for this machine's own: records that wait for the database, and the key of hashes."
    )
    hash_key: str = _setting(
        "",
        "Key of the hashes that stand for patients and users, the same on all machines. Empty: made in data folder.",
        secret=True,
    )
    repeat_hours: int = _setting(
        24, "How long a card overridden at order-select is not shown at order-sign; 0: always shown.", low=0, high=8760
    )
    keep_comments: bool = _setting(
        False, "Keep the words that clinicians write in feedback, cut to 500 characters: true or false."
    )
    keep_days: int = _setting(
        0, "Days after which calls and feedback are removed, daily; 0: never.", low=0, high=36_500
    )
    preview: str = _setting(
        "", "Whether the preview is served at /: on or off. Empty: on where only this machine can reach the service."
    )
    report: str = _setting("", "Whether /report is served: on or off. Empty: as the preview.")
    metrics: str = _setting("", "Whether /metrics is served: on or off. Empty: as the preview.")
    metrics_token: str = _setting(
        "", "Secret with which Prometheus reads /metrics, as a bearer token. Empty: read like other pages.", secret=True
    )
    cors_origins: str = _setting(
        "", "Origins of browser clients, separated by commas, as https://sandbox.cds-hooks.org. Empty: none."
    )
    cors_private_network: bool = _setting(
        False, "Answer browsers on public sites that ask to call a private address: true or false."
    )
    log_level: str = _setting("info", f"Least severe level that is logged: {', '.join(LOG_LEVELS)}.")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from environment variables, and from the TOML file that CDS_CONFIG_FILE names.

        The environment wins over the file. A variable that ends in _FILE names a file that holds the value: secrets
        need not stand in the environment.

        Raises:
            SettingsError: a value has the wrong type or range, or a CDS_ variable is unknown; every fault is named.
        """
        values: dict[str, Any] = {}
        known = {environment_variable(item.name): item for item in fields(cls)}
        said, faults = _said(environ, frozenset(known))
        for variable in sorted(said):
            item = known.get(variable)
            if item is None:
                faults.append(f"{variable} is no setting; `cds-service settings` lists them")
                continue
            try:
                values[item.name] = _parsed(said[variable], item.default, item.metadata)
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
            faults.append("CDS_PUBLIC_URL must be set to listen on an address that others can reach; cards link to it")
        if not re.fullmatch(r"(https?://[^\s/?#]+(/[^\s?#]*)?)?", values.get("public_url", "")):
            faults.append("CDS_PUBLIC_URL must be an absolute http(s) URL without query")
        faults += [
            f"CDS_CORS_ORIGINS: {origin} is no origin such as https://sandbox.cds-hooks.org"
            for origin in listed(values.get("cors_origins", ""))
            if not re.fullmatch(r"https?://[^\s/?#*]+", origin)
        ]
        if faults:
            raise SettingsError("\n".join(faults))
        return cls(**values)

    @property
    def checks_calls(self) -> bool:
        """Tell whether calls need a token."""
        return self.jwt in ("services", "everywhere")

    @property
    def database_address(self) -> str:
        """Return the URL of the database."""
        return self.database_url or f"sqlite:///{self.data_folder}/cds.sqlite3"

    @property
    def exposed(self) -> bool:
        """Tell whether others than this machine can reach the service, directly or through a proxy."""
        return self.host not in LOOPBACK or urlsplit(self.base_url).hostname not in LOOPBACK

    def serves(self, page: str) -> bool:
        """Tell whether a page is served that is off where others can reach it, unless the site says on."""
        chosen: str = getattr(self, page)
        return chosen == "on" or (chosen == "" and not self.exposed)

    @property
    def origins(self) -> list[str]:
        """Return the origins of browser clients."""
        return listed(self.cors_origins)

    @property
    def base_url(self) -> str:
        """Return where others reach this server, without a slash at the end."""
        return (self.public_url or f"http://{self.address}").rstrip("/")

    @property
    def address(self) -> str:
        """Return host and port; an IPv6 address stands in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def environment_variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"CDS_{name.upper()}"


def _said(environ: Mapping[str, str], known: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Return what the file and the environment say, by variable, and what could not be read."""
    said: dict[str, str] = {}
    faults: list[str] = []
    ours = {name: text for name, text in environ.items() if name.startswith("CDS_")}
    path = ours.pop(CONFIG_FILE, "")
    if path:
        try:
            document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            said = {environment_variable(name): _as_text(value) for name, value in document.items()}
        except OSError:
            faults.append(f"{CONFIG_FILE}: {path} cannot be read")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            faults.append(f"{CONFIG_FILE}: {path} is not TOML")
    for name, text in ours.items():
        variable = name.removesuffix("_FILE")
        if name in known or variable not in known:
            said[name] = text
            continue
        try:
            said[variable] = Path(text).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            faults.append(f"{name}: the file cannot be read")
    return said, faults


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
        faults.append("CDS_ISSUERS_FILE must name the issuers whose tokens are trusted")
    elif mode == "" and values.get("host", "127.0.0.1") not in LOOPBACK:
        faults.append("CDS_JWT must be set to listen on an address that others can reach; off must be said")
    try:
        database_url(values.get("database_url") or "sqlite://")
    except ValueError as fault:
        faults.append(f"CDS_DATABASE_URL {fault}")
    return faults


def listed(text: str) -> list[str]:
    """Return the items of a setting that is a list, written with commas between them."""
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


def settings_or_exit() -> Settings:
    """Return the settings of this process; end it with exit code 3, and every fault in words, when one is wrong."""
    try:
        return Settings.from_environ(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"Wrong settings:\n{error}\n")
        raise SystemExit(EXIT_MISCONFIGURED) from None
