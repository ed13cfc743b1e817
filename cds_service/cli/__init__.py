"""The command line: one module for each group of commands."""

from cds_service.cli.commands import main

__all__ = ["main"]
