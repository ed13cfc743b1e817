"""A PostgreSQL server of the tests' own, from the binaries that Debian installs, on a free port of the loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import psycopg

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))
USER = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root


class PostgresServer:
    """Starts when made; may be killed and started again; gives each test a database of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cds-postgres-"))
        if USER:
            shutil.chown(self.folder, USER)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self._run("initdb", "-D", "data", "-U", "tests", "--auth=trust", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start the server, and return when it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def kill(self) -> None:
        """End the server as a crash would: at once, with everything it was doing."""
        process = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(process, signal.SIGQUIT)
        while (self.folder / "data" / "postmaster.pid").exists():
            time.sleep(0.01)

    def database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"cds_{uuid4().hex}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def address(self, name: str) -> str:
        """Return a database's address."""
        return f"postgresql://tests@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        """End the server and remove its files."""
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(BINARIES / program), *arguments]
        options = {"user": USER, "group": USER, "extra_groups": []} if USER else {}
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL, timeout=60, **options)
