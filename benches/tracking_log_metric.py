"""How many metrics a second the unmodified mlflow client logs: against MLflow's own server with SQLite, and against
Corliss, side by side in one run.

Both servers listen on loopback on this machine, both keep what they acknowledge on this machine's disk, and the rounds
alternate, so that whatever else the machine does hits both alike. Two figures each: through the client, as a training
script sees it (most of that time is the client's own Python), and bare HTTP on one connection, which is the server's
part alone."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Callable, Iterator

from common import arguments, fresh, report

# Before mlflow is imported: no telemetry, and an error instead of minutes of retries.
os.environ |= {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

import mlflow  # noqa: E402
import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402

from support.server import free_port  # noqa: E402

ROUND_S = 5.0
START_S = 120.0


@contextlib.contextmanager
def mlflow_server() -> Iterator[str]:
    """MLflow's own server as its documentation starts it, with SQLite; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{(port := free_port())}"
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
            "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts",
        ]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
        with open(Path(folder) / "log", "wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
            try:
                wait_until_up(url, server, Path(folder) / "log")
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


def wait_until_up(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            if urllib.request.urlopen(f"{url}/health", timeout=5).status == 200:
                return
        time.sleep(0.2)
    raise SystemExit(f"MLflow's server did not come up:\n{log.read_text()[-2000:]}")


def calls_per_second(call: Callable[[int], None]) -> float:
    call(0)
    started, count = time.monotonic(), 0
    while (elapsed := time.monotonic() - started) < ROUND_S:
        count += 1
        call(count)
    return count / elapsed


def through_client(url: str) -> Callable[[int], None]:
    client = MlflowClient(url)
    run = client.create_run("0").info.run_id
    return lambda step: client.log_metric(run, "loss", 1.0 / (step + 1), step=step)


def bare_http(url: str) -> Callable[[int], None]:
    run = MlflowClient(url).create_run("0").info.run_id
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}"

    def call(step: int) -> None:
        metric = {"run_id": run, "key": "loss", "value": 1.0, "timestamp": step, "step": step}
        session.post(f"{url}/api/2.0/mlflow/runs/log-metric", json=metric).raise_for_status()

    return call


def compare(urls: dict[str, str], rounds: int) -> None:
    for what, maker, bar in (("client", through_client, "at least 20"), ("bare HTTP", bare_http, "")):
        rates: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(rounds):
            for name, url in urls.items():
                rates[name].append(calls_per_second(maker(url)))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        for name, rate in medians.items():
            report(f"log_metric, {what}: {name}", rate, "calls/s")
        report(f"log_metric, {what}: ratio", medians["Corliss"] / medians["MLflow"], "times", bar)


def main() -> None:
    options = arguments(__doc__)
    with mlflow_server() as peer, fresh(options.binary) as corliss:
        os.environ |= corliss.variables()
        mlflow.set_tracking_uri(corliss.url)
        compare({"MLflow": peer, "Corliss": corliss.url}, options.rounds)


if __name__ == "__main__":
    main()
