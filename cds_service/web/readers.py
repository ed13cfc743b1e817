"""Who may read each endpoint: declared here for every one, and whatever is not declared is kept inside."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Readers(StrEnum):
    """Who may read an endpoint."""

    EVERYBODY = "everybody"
    CLIENTS = "clients"
    """With a token, where the settings ask for one; the endpoint itself checks it."""
    INSIDE = "inside"
    """With a token where calls need one, and otherwise to whom the settings say: see app.py."""


READERS: Final[Mapping[str, Readers]] = {
    "cds_services.discovery": Readers.CLIENTS,
    "cds_services.call": Readers.CLIENTS,
    "cds_services.feedback": Readers.CLIENTS,
    "cds_services.described": Readers.EVERYBODY,
    "evidence.evidence": Readers.EVERYBODY,
    "evidence.evidence_of": Readers.EVERYBODY,
    "evidence.static": Readers.EVERYBODY,
    "health.live": Readers.EVERYBODY,
    "health.ready": Readers.EVERYBODY,
    "monitoring.exposition": Readers.INSIDE,
    "preview.show": Readers.INSIDE,
    "preview.patient": Readers.INSIDE,
    "preview.trace": Readers.INSIDE,
    "report.show": Readers.INSIDE,
}
"""By endpoint, as Flask names it."""
