"""gunicorn's configuration: startup message, end of workers, and cleanup."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from cds_service.web.metrics import FOLDER_PREFIX, SHARED_FOLDER

_FIRST = os.getpid()
_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}

# Otherwise gunicorn opens a socket in the user's home, through which its settings can be changed while it runs.
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Log the service's URL once it is ready."""
    for name, port in server.cfg.address:
        host = f"[{name}]" if ":" in name else name
        sys.stderr.write(f"Serving on http://{host}:{port}/cds-services (Ctrl-C stops)\n")


def pre_fork(_server: Any, _worker: Any) -> None:
    """Hold back signals to stop while a worker is created.

    A new worker has its parent's signal handlers until it sets its own. A signal before that would be ignored, and the
    service would take half a minute to stop.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def post_worker_init(worker: Any) -> None:
    """Let a worker, which can stop now, receive signals held back, and forward records that a killed worker left."""
    _hear()
    store = getattr(worker.wsgi, "extensions", {}).get("store")  # the benchmarks' floor has none
    if store is not None:
        store.recorder.start()


def _hear() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def remove_counts() -> None:
    """Delete the folder in which worker processes shared counts, even after a failed start."""
    folder = os.environ.get(SHARED_FOLDER)
    if os.getpid() == _FIRST and folder and Path(folder).name.startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


atexit.register(remove_counts)
# gunicorn has no hook in its first process for after a worker was created, or failed to be.
os.register_at_fork(after_in_parent=_hear)
