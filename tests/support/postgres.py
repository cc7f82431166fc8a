"""A PostgreSQL of the test's own, from the system's binaries, on a free loopback port."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Iterator

from .server import free_port


def _tool(name: str) -> str:
    """Debian keeps the server's programs off PATH, in a folder per version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise RuntimeError(f"{name} is not installed: scripts/setup-system test")
    return path


class Postgres:
    """A server on a folder; it trusts everybody who reaches its loopback port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        # It refuses to run as root.
        self._user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        if self._user:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "corliss", "--no-sync")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, name: str, *arguments: str) -> None:
        # Not captured: the server that pg_ctl leaves behind would hold the pipe open.
        with open(self.folder / "tools.log", "ab") as log:
            subprocess.run(
                [*self._user, _tool(name), *arguments], check=True, stdout=log, stderr=log, cwd="/", timeout=120
            )

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "-D", self._data, "-o", options, "-l", str(self.folder / "server.log"), "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is what a crash leaves; `fast` ends connections and writes down what it has."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"corliss_{uuid.uuid4().hex[:12]}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "corliss", name)
        return f"postgres://corliss@127.0.0.1:{self.port}/{name}"


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server that runs. Stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="corliss-pg-"))
    try:
        server = Postgres(folder)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a server of its own."""
    with postgres_server() as server:
        yield server.database()
