"""Who may read each endpoint; one that is not declared here is for operators only."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Readers(StrEnum):
    """Who may read an endpoint."""

    EVERYBODY = "everybody"
    CLIENTS = "clients"
    """With a token where the settings require one; the endpoint checks it."""
    INSIDE = "inside"
    """With a token where calls need one, otherwise as the settings say: see app.py."""


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
