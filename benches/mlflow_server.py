"""MLflow's own server, to be measured beside Corliss: on SQLite, or on PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterator

from support.server import free_port

START_S = 120.0


@contextlib.contextmanager
def mlflow_server(database: str | None = None) -> Iterator[str]:
    """MLflow's own server as its documentation starts it, with SQLite unless a database is named; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{(port := free_port())}"
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
            "--backend-store-uri", database or f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination", f"{folder}/artifacts",
        ]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
        with open(Path(folder) / "log", "wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
            try:
                _wait_until_up(url, server, Path(folder) / "log")
                yield url
            finally:
                # Its own session, so this ends its workers and nobody else.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, 15)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(20)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, 9)
                server.wait()


def _wait_until_up(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            if urllib.request.urlopen(f"{url}/health", timeout=5).status == 200:
                return
        time.sleep(0.2)
    raise SystemExit(f"MLflow's server did not come up:\n{log.read_text()[-2000:]}")
