"""The settings of a command: read from the environment, or every fault in words and exit code 3."""

from __future__ import annotations

import os
import sys

from cds_service.errors import EXIT_MISCONFIGURED, SettingsError
from cds_service.settings import Settings


def settings_or_exit() -> Settings:
    """Return the settings of this process; end it with exit code 3, and every fault in words, when one is wrong."""
    try:
        return Settings.from_environ(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"Wrong settings:\n{error}\n")
        raise SystemExit(EXIT_MISCONFIGURED) from None
