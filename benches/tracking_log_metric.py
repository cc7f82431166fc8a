"""How many metrics a second the unmodified mlflow client logs: against MLflow's own server with SQLite, and against
Corliss, side by side in one run.

Both servers listen on loopback on this machine, both keep what they acknowledge on this machine's disk, and the rounds
alternate, so that whatever else the machine does hits both alike. Two figures each: through the client, as a training
script sees it (most of that time is the client's own Python), and bare HTTP on one connection, which is the server's
part alone."""

from __future__ import annotations

import os
import statistics
import time
from typing import Callable

from common import arguments, fresh, report

# Before mlflow is imported: no telemetry, and an error instead of minutes of retries.
os.environ |= {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

import mlflow  # noqa: E402
import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402

from mlflow_server import mlflow_server  # noqa: E402

ROUND_S = 5.0


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
