"""How the web server is set up, what it says when it is ready, how its workers end, and what it leaves: nothing."""

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

# Otherwise gunicorn opens a socket in the user's home, by which the running server can be given other settings.
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Say where the service is, once it is there."""
    for name, port in server.cfg.address:
        host = f"[{name}]" if ":" in name else name
        sys.stderr.write(f"Serving on http://{host}:{port}/cds-services (Ctrl-C stops)\n")


def pre_fork(_server: Any, _worker: Any) -> None:
    """Hold signals to end back while a worker is made.

    A new worker has its parent's signal handlers until it has set its own. One that was told to end before would go
    on, and the service would take half a minute to stop.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def post_worker_init(worker: Any) -> None:
    """Let a worker, which can end now, hear what it was told meanwhile, and forward what a killed one left."""
    _hear()
    store = getattr(worker.wsgi, "extensions", {}).get("store")  # what the benchmarks compare with has none
    if store is not None:
        store.recorder.start()


def _hear() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def remove_counts() -> None:
    """Remove the folder through which worker processes added up their counts, also when the start failed."""
    folder = os.environ.get(SHARED_FOLDER)
    if os.getpid() == _FIRST and folder and Path(folder).name.startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


atexit.register(remove_counts)
# gunicorn has no hook for its first process once a worker is made, or could not be.
os.register_at_fork(after_in_parent=_hear)
