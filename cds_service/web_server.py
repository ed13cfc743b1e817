"""How the web server is set up, what it says when it is ready, and leaves behind when it ends: nothing."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from cds_service.metrics import FOLDER_PREFIX, SHARED_FOLDER

_FIRST = os.getpid()

# Otherwise gunicorn opens a socket in the user's home, by which the running server can be given other settings.
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Say where the service is, once it is there."""
    for host, port in server.cfg.address:
        sys.stderr.write(f"Serving on http://{host}:{port}/cds-services (Ctrl-C stops)\n")


def remove_counts() -> None:
    """Remove the folder through which worker processes added up their counts, also when the start failed."""
    folder = os.environ.get(SHARED_FOLDER)
    if os.getpid() == _FIRST and folder and Path(folder).name.startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


atexit.register(remove_counts)
