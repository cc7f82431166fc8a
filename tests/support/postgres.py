"""A PostgreSQL of the test's own, from the system's binaries, on a free loopback port."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
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


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Its URL. Stopped and removed at the end."""
    # It refuses to run as root.
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="corliss-pg-"))
    port = free_port()

    def run(name: str, *arguments: str) -> None:
        # Not captured: the server that pg_ctl leaves behind would hold the pipe open.
        with open(folder / "tools.log", "ab") as log:
            subprocess.run([*user, _tool(name), *arguments], check=True, stdout=log, stderr=log, cwd="/", timeout=120)

    try:
        if user:
            shutil.chown(folder, "postgres")
        data = str(folder / "data")
        run("initdb", "-D", data, "-A", "trust", "-U", "corliss", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        run("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "server.log"), "-w", "start")
        try:
            run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "corliss", "corliss")
            yield f"postgres://corliss@127.0.0.1:{port}/corliss"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
