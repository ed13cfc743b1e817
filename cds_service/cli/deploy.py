"""cds-service deploy NAME: configuration for nginx, systemd, Kubernetes, Prometheus and Grafana."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cds_service.cli.configuration import settings_or_exit
from cds_service.cli.examples import examples
from cds_service.settings import LOOPBACK, Settings, environment_variable

_FOLDER = Path(__file__).parent.parent / "deploy"
_FILES = {
    "nginx": "nginx.conf",
    "systemd": "cds-service.service",
    "kubernetes": "kubernetes.yaml",
    "alerts": "alerts.yaml",
    "dashboard": "dashboard.json",
}
_AS_THEY_ARE = frozenset({"alerts", "dashboard"})
"""These do not depend on settings, and Prometheus and Grafana use braces themselves."""

_SECRETS = {"database_url": "database-url", "hash_key": "hash-key", "metrics_token": "metrics-token"}
"""Settings that no configuration contains, and the name of the file that holds each."""

_ABOUT_THE_MACHINE = frozenset({"host", "port", "data_folder", *_SECRETS})
"""Settings that each kind of deployment sets itself."""

_PROXY_ERRORS = (
    ("bad_request", 400, "invalid", "The request could not be read"),
    ("not_found", 404, "not-found", "Nothing is served at this path"),
    ("timed_out", 408, "transient", "The request took too long to arrive"),
    ("too_large", 413, "too-long", "The body is larger than this service accepts"),
    ("uri_too_long", 414, "too-long", "The URL is too long"),
    ("too_many", 429, "throttled", "This client has too many connections; try again later"),
    ("unavailable", 503, "transient", "The service does not answer at the moment; try again"),
)
"""What nginx answers itself: name, status, issue code and text, each as an OperationOutcome (conformance H1)."""

_MEGABYTES_FOR_A_WORKER = 256
_MEGABYTES_FOR_THE_REST = 128


@click.command(
    epilog=examples(
        "CDS_PUBLIC_URL=https://cds.example.org cds-service deploy nginx",
        "CDS_PUBLIC_URL=https://cds.example.org cds-service deploy systemd",
        "CDS_PUBLIC_URL=https://cds.example.org cds-service deploy kubernetes",
        "cds-service deploy alerts",
        "cds-service deploy dashboard",
    ),
)
@click.argument("name", type=click.Choice(list(_FILES)))
def deploy(name: str) -> None:
    """Print configuration for nginx, systemd and others.

    Filled in from the settings: nginx, systemd, kubernetes. The same everywhere: alerts (Prometheus), dashboard
    (Grafana). Secrets are never printed.
    """
    if name in _AS_THEY_ARE:
        click.echo((_FOLDER / _FILES[name]).read_text(encoding="utf-8"), nl=False)
        return
    click.echo(rendered(name, settings_or_exit()), nl=False)


def rendered(name: str, settings: Settings) -> str:
    """Return a configuration filled in from the settings; it names secrets and never contains them.

    Args:
        name: nginx, systemd or kubernetes.
    """
    engine = Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration from the site's own settings, not HTML
    )
    engine.filters["in_a_unit"] = _in_a_unit
    return engine.get_template(_FILES[name]).render(_words(settings))


def _words(settings: Settings) -> Mapping[str, Any]:
    """Return the values of the placeholders."""
    public = urlsplit(settings.base_url)
    return {
        "base_url": settings.base_url,
        "server_name": public.hostname or "_",
        "prefix": public.path,
        "upstream": f"{_bracketed(settings.host)}:{settings.port}",
        "port": settings.port,
        "keep_alive": settings.keep_alive_seconds,
        "upstream_keep_alive": max(1, settings.keep_alive_seconds * 4 // 5),
        "max_body_bytes": settings.max_body_bytes,
        "read_seconds": max(5, 4 * settings.call_milliseconds // 1000),
        "errors": _PROXY_ERRORS,
        "environment": list(_changed(settings)),
        "secrets": [
            (environment_variable(setting), file)
            for setting, file in _SECRETS.items()
            if setting != "metrics_token" or settings.metrics_token
        ],
        "memory": _MEGABYTES_FOR_THE_REST + _MEGABYTES_FOR_A_WORKER * settings.workers,
        "program": shutil.which("cds-service") or str(Path(sys.executable).with_name("cds-service")),
        "version": version("dry-needling-cds"),
    }


def _changed(settings: Settings) -> Iterable[tuple[str, str]]:
    """Yield the settings that differ from their defaults, by environment variable, as text."""
    for item in fields(Settings):
        value = getattr(settings, item.name)
        if item.name not in _ABOUT_THE_MACHINE and value != item.default:
            yield environment_variable(item.name), str(value).lower() if isinstance(value, bool) else str(value)


def _bracketed(host: str) -> str:
    """Return a host as written before a port; behind a proxy the service listens on loopback."""
    reachable = host if host in LOOPBACK else "127.0.0.1"
    return f"[{reachable}]" if ":" in reachable else reachable


def _in_a_unit(value: str) -> str:
    """Return a value escaped for double quotes in a systemd unit (systemd.exec, Environment=)."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
