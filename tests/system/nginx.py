"""Debian's nginx in front of a service, with the configuration that `cds-service deploy nginx` prints."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def certificate(folder: Path, days: int = 30) -> Path:
    """Make a certificate for 127.0.0.1 and its key in a folder; return the certificate's path."""
    made = folder / "cds-service.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", str(days),
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "cds-service.key", "-out", made],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return made


@contextmanager
def in_front(configuration: str, port: int, folder: Path) -> Iterator[str]:
    """Run nginx with a site's configuration on a port of the loopback interface; yield its base URL.

    Only what a site must fill in is changed: the port, and where certificate and log lie.
    """
    site = (
        configuration.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
        .replace("    listen [::]:443 ssl;\n", "")
        .replace("/etc/ssl/certs/", f"{folder}/")
        .replace("/etc/ssl/private/", f"{folder}/")
        .replace("/var/log/nginx/", f"{folder}/")
    )
    (folder / "site.conf").write_text(site, encoding="utf-8")
    kept = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log info; "
        f"{'user root;' if os.geteuid() == 0 else ''} events {{ worker_connections 1024; }} "
        f"http {{ {kept} include {folder}/site.conf; }}\n",
        encoding="utf-8",
    )
    with subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.PIPE) as process:
        try:
            _wait(port, process)
            yield f"https://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"nginx ended: {process.stderr.read().decode()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nginx did not start")
