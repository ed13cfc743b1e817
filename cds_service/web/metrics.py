"""Metrics for Prometheus, summed over worker processes, with names and numbers but no values from requests."""

from __future__ import annotations

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of the folder in which worker processes share counts; prometheus_client reads it at import."""

FOLDER_PREFIX = "cds-metrics-"
"""Name prefix of the folder that `cds-service serve` creates and deletes at the end."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "cds_calls", "Calls answered, refused included.", ["service", "hook", "status", "rule"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "cds_call_seconds", "Time from a call to its answer.", ["service"], buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._fetches = Counter(
            "cds_fhir_fetches", "Fetches from FHIR servers.", ["key", "outcome"], registry=self._registry
        )
        self._feedback = Counter("cds_feedback", "Feedback entries.", ["service", "outcome"], registry=self._registry)
        self._repeats = Counter(
            "cds_repeats_withheld", "Cards withheld because they were overridden before.", ["service"],
            registry=self._registry,
        )  # fmt: skip
        self._refused = Counter(
            "cds_refused_requests", "Requests that the web server itself answered, with an error.", ["status"],
            registry=self._registry,
        )  # fmt: skip
        self._failures = Counter(
            "cds_store_failures", "Writes and reads of the database that failed.", ["operation"],
            registry=self._registry,
        )  # fmt: skip
        self._lost = Counter(
            "cds_store_lost_records",
            "Records that were not taken, or were refused.",
            registry=self._registry,
        )

    def called(self, service: str, hook: str, status: int, rules: Iterable[str], seconds: float) -> None:
        """Count a call, once per rule that fired; `silent` when none did, "" when it was refused."""
        for rule in rules or ("",):
            self._calls.labels(service, hook, str(status), rule).inc()
        self._seconds.labels(service).observe(seconds)

    def fetched(self, outcomes: Iterable[tuple[str, str]]) -> None:
        """Count fetches from FHIR servers: key and outcome."""
        for key, outcome in outcomes:
            self._fetches.labels("reference" if key.startswith("reference ") else key, outcome).inc()

    def heard(self, service: str, outcome: str) -> None:
        """Count an entry of feedback."""
        self._feedback.labels(service, outcome).inc()

    def withheld(self, service: str, cards: int) -> None:
        """Count cards that were withheld as repeats."""
        self._repeats.labels(service).inc(cards)

    def refused(self, status: int) -> None:
        """Count a request that the web server answered itself, with an error."""
        self._refused.labels(str(status)).inc()

    def store_failed(self, operation: str) -> None:
        """Count a failure of the database."""
        self._failures.labels(operation).inc()

    def lost(self, records: int) -> None:
        """Count records that could not be stored anywhere."""
        self._lost.inc(records)

    def lost_records(self) -> int:
        """Return how many records all worker processes lost since the start."""
        return int(self._gathering().get_sample_value("cds_store_lost_records_total") or 0)

    def exposition(self, reachable: bool, waiting: int) -> bytes:
        """Return all counts in Prometheus' text format.

        Args:
            reachable: the database answers now.
            waiting: records not yet in the database.
        """
        registry = self._gathering()
        registry.register(_StoreState(reachable, waiting))
        return generate_latest(registry)

    def _gathering(self) -> CollectorRegistry:
        """Return a registry that sums over all worker processes."""
        gathering = CollectorRegistry()
        if os.environ.get(SHARED_FOLDER):
            MultiProcessCollector(gathering)  # type: ignore[no-untyped-call]
        else:
            gathering.register(_Forwarded(self._registry))
        return gathering


class _Forwarded(Collector):
    """The metrics of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[object]:  # type: ignore[override]
        """Return the registry's metrics."""
        return self._registry.collect()


class _StoreState(Collector):
    """Whether the database answers, and how many records wait, now."""

    def __init__(self, reachable: bool, waiting: int) -> None:
        self._reachable = reachable
        self._waiting = waiting

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return both."""
        yield GaugeMetricFamily("cds_store_reachable", "Whether the database answers.", float(self._reachable))
        yield GaugeMetricFamily("cds_waiting_records", "Records that wait for the database.", float(self._waiting))
