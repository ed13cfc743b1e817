"""The endpoints as OpenAPI 3.1, generated from the models that validate and answer, so that it stays in step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from cds_service.protocol.cards import CARDS_RESPONSE, SERVICE_DESCRIPTION
from cds_service.protocol.feedback import Feedback
from cds_service.protocol.request import Envelope, HookContext, OrderSelectContext, OrderSignContext

_REFERENCE = "#/components/schemas/{model}"

_OUTCOME = {
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["severity", "code", "diagnostics"],
                "properties": {
                    "severity": {"const": "error"},
                    "code": {"type": "string"},
                    "diagnostics": {"type": "string"},
                    "expression": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}

_REFUSALS = {
    "400": "Not a valid request; each issue names a field",
    "401": "There is no valid token",
    "403": "The token's client may not do this",
    "404": "No service has this id",
    "405": "Another method is meant; see Allow",
    "412": "The problem list is needed, and was neither sent nor could it be fetched",
    "413": "The body is too large, or holds too many resources",
    "415": "Content-Type is not application/json",
    "429": "This client calls too often",
    "503": "Too much is under way, or something needed does not answer; try again",
}


def description(service_ids: list[str], base_url: str, version: str) -> dict[str, Any]:
    """Return the description of the endpoints that clients call.

    Args:
        service_ids: ids of the services.
        base_url: where clients reach this server.
        version: of the CDS Hooks specification.
    """
    schemas: dict[str, Any] = {"OperationOutcome": _OUTCOME}
    received = [
        TypeAdapter[Any](model) for model in (Envelope, OrderSelectContext, OrderSignContext, HookContext, Feedback)
    ]
    envelope, select, sign, other, feedback, cards, service = (
        _schema(form, schemas) for form in (*received, CARDS_RESPONSE, SERVICE_DESCRIPTION)
    )
    # The hook determines which context applies.
    schemas["Envelope"]["properties"]["context"] = {"anyOf": [select, sign, other]}
    services = {"type": "array", "items": service}
    listed = {"type": "object", "required": ["services"], "properties": {"services": services}}
    identifier = {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": sorted(set(service_ids))},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dry-needling-cds",
            "version": version,
            "description": "CDS Hooks 2.0: discovery, calls and feedback.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "security": [{}, {"client": []}],
        "paths": {
            "/cds-services": {"get": _operation("discovery", "List the services", listed)},
            "/cds-services/{id}": {
                "parameters": [identifier],
                "post": _operation("call", "Ask for cards", cards, envelope),
            },
            "/cds-services/{id}/feedback": {
                "parameters": [identifier],
                "post": _operation("feedback", "Report accepted and overridden cards", {"type": "object"}, feedback),
            },
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"client": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _schema(form: TypeAdapter[Any], schemas: dict[str, Any]) -> dict[str, str]:
    """Add a schema and all it refers to; return a reference to it."""
    made = form.json_schema(ref_template=_REFERENCE)
    for name, schema in made.pop("$defs", {}).items():
        schemas[name] = _never_null(schema)
    schemas[made["title"]] = _never_null(made)
    return {"$ref": _REFERENCE.format(model=made["title"])}


def _never_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Remove defaults of null, because a field without a value is absent (D5)."""
    copied = dict(schema)
    for part in copied.get("properties", {}).values():
        if part.get("default", "") is None:
            del part["default"]
    return copied


def _operation(
    name: str, summary: str, answer: Mapping[str, Any], body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    refused = {"application/json": {"schema": {"$ref": _REFERENCE.format(model="OperationOutcome")}}}
    responses: dict[str, Any] = {
        "200": {"description": "Done", "content": {"application/json": {"schema": answer}}},
        **{status: {"description": words, "content": refused} for status, words in _REFUSALS.items()},
    }
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation
