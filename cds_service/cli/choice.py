"""Which service a command is about: by id, or by guideline and hook."""

from __future__ import annotations

import click

from cds_service.errors import EXIT_MISCONFIGURED, KnowledgeError
from cds_service.guideline.services import CdsService, Registry
from cds_service.main import load_registry
from cds_service.settings import Settings

guideline_option = click.option(
    "--guideline", default="", help="Guideline id; needed when several guidelines answer the hook."
)


def registry_or_exit(settings: Settings) -> Registry:
    """Return the services that are on; end with exit code 3, and what is wrong, when their knowledge is wrong."""
    try:
        return load_registry(settings)
    except KnowledgeError as error:
        click.echo(f"Wrong knowledge: {error}", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None


def service_for(registry: Registry, hook: str, guideline: str) -> CdsService | None:
    """Return the service that answers a hook, or None when none does.

    Args:
        registry: the services that are on.
        hook: a CDS Hooks hook, such as order-select.
        guideline: a guideline's id; "" where only one of those that are on answers the hook.

    Raises:
        click.UsageError: no guideline with this id is on, or several answer the hook and none was chosen.
    """
    if guideline and guideline not in registry.guidelines:
        raise click.UsageError(f"No guideline {guideline} is on. Choose one of: {', '.join(registry.guidelines)}")
    found = {
        service.knowledge.identity.id: service
        for service in registry.services
        if service.hook == hook and guideline in ("", service.knowledge.identity.id)
    }
    if len(found) > 1:
        raise click.UsageError(f"Several guidelines answer {hook}. Add --guideline with one of: {', '.join(found)}")
    return next(iter(found.values()), None)
