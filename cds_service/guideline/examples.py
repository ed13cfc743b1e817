"""Calls for made-up patients, one per rule: examples.toml next to a knowledge folder, for `cds-service smoke`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from cds_service.guideline import toml_files

_ORDER, _PATIENT = "smoke-order", "smoke-patient"
_ACTIVE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
_LISTS = ("problems", "reasons", "sessions")


@dataclass(frozen=True, slots=True)
class Example:
    """A made-up patient, and the rule that must fire.

    Attributes:
        order: the Coding of the order; None for a guideline without orders.
        problems: entries of the problem list: system, code, display and, when known, `days` since the onset.
        reasons: reasons of the order: system, code and display.
        sessions: days since earlier sessions of the same kind.
    """

    rule: str
    order: dict[str, str] | None = None
    problems: tuple[dict[str, Any], ...] = ()
    reasons: tuple[dict[str, Any], ...] = ()
    sessions: tuple[int, ...] = ()

    def request(self, hook: str, today: date) -> dict[str, Any]:
        """Return a request for a hook, complete with prefetch."""
        subject = {"reference": f"Patient/{_PATIENT}"}
        conditions = [_condition(number, problem, subject, today) for number, problem in enumerate(self.problems)]
        procedures = [
            {
                "resourceType": "Procedure", "id": f"smoke-session-{days}", "status": "completed", "subject": subject,
                "code": {"coding": [self.order]}, "performedDateTime": (today - timedelta(days=days)).isoformat(),
            }
            for days in self.sessions
        ]  # fmt: skip
        context: dict[str, Any] = {"userId": "Practitioner/smoke", "patientId": _PATIENT}
        if self.order is not None:
            context["draftOrders"] = _bundle([self._draft(subject)], "collection")
        if hook == "order-select":
            context["selections"] = [f"ServiceRequest/{_ORDER}"]
        prefetch = {
            "patient": {"resourceType": "Patient", "id": _PATIENT, "birthDate": f"{today.year - 50}-01-01"},
            "conditions": _bundle(conditions),
            "procedures": _bundle(procedures),
        }
        return {"hook": hook, "hookInstance": str(uuid4()), "context": context, "prefetch": prefetch}

    def _draft(self, subject: dict[str, str]) -> dict[str, Any]:
        reasons = [{"coding": [reason]} for reason in self.reasons]
        return {
            "resourceType": "ServiceRequest", "id": _ORDER, "status": "draft", "intent": "order", "subject": subject,
            "code": {"coding": [self.order]}, **({"reasonCode": reasons} if reasons else {}),
        }  # fmt: skip


def _condition(number: int, problem: dict[str, Any], subject: dict[str, str], today: date) -> dict[str, Any]:
    days = problem.get("days")
    coding = {key: value for key, value in problem.items() if key != "days"}
    return {
        "resourceType": "Condition", "id": f"smoke-problem-{number}", "subject": subject, "clinicalStatus": _ACTIVE,
        "code": {"coding": [coding]},
        **({} if days is None else {"onsetDateTime": (today - timedelta(days=days)).isoformat()}),
    }  # fmt: skip


def _bundle(resources: Iterable[dict[str, Any]], kind: str = "searchset") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"resource": resource} for resource in resources]}


def read(path: Path) -> tuple[Example, ...]:
    """Read examples; none without a file.

    Raises:
        KnowledgeError: an example has an unknown key or names no rule; the message says which.
    """
    document = toml_files.read_if_there(path)
    found = []
    for number, item in enumerate(document.get("example", ()), start=1):
        toml_files.check_keys(f"{path.name}: example {number}", item, {"rule": str}, _LISTS)
        lists = {key: tuple(item.get(key, ())) for key in _LISTS}
        found.append(Example(item["rule"], document.get("order"), **lists))
    return tuple(found)
