"""The six operations of mlflow-go's benchmark under 20 users at once, and one user who logs batches of 1,000 metrics:
MLflow's own server and Corliss beside it, each on SQLite, or each on PostgreSQL.

The operations, their sizes and the number of users are those of https://github.com/mlflow/mlflow-go-backend (its k6
scripts): LogMetricBatch10, LogParamBatch10, LogParamBatch100, CreateRun, SearchRuns and SearchExperiments. A user is a
thread with a connection of its own that asks as fast as it is answered. Bare HTTP: the client's own Python would hide
the servers. The rounds of the two servers alternate."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import sys
import threading
import time
import urllib.parse
import uuid
from typing import Callable, Iterator

from common import ROOT, fresh, report

from mlflow_server import mlflow_server  # noqa: E402
from support.postgres import postgres  # noqa: E402

USERS = 20
API = "/api/2.0/mlflow"
Call = Callable[[int], None]


class User:
    """A connection."""

    def __init__(self, url: str, token: str) -> None:
        address = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=300)
        self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        self.connection.request(method, API + path, json.dumps(body) if body else None, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {text[:300]!r}")
        return json.loads(text)


class Server:
    """One of the two, with an experiment that searches look in."""

    def __init__(self, name: str, url: str, token: str) -> None:
        self.name, self.url, self.token = name, url, token
        user = User(url, token)
        self.experiment = user.ask("POST", "/experiments/create", {"name": uuid.uuid4().hex})["experiment_id"]
        for number in range(200):
            run = self.run(user)
            metrics = [metric(f"m{k}", number + k) for k in range(10)]
            params = [param(f"p{k}") for k in range(10)]
            user.ask("POST", "/runs/log-batch", {"run_id": run, "metrics": metrics, "params": params})

    def run(self, user: User) -> str:
        asked = {"experiment_id": self.experiment, "start_time": int(time.time() * 1000)}
        return user.ask("POST", "/runs/create", asked)["run"]["info"]["run_id"]


def metric(key: str, value: float, step: int = 0) -> dict:
    return {"key": key, "value": value, "timestamp": int(time.time() * 1000), "step": step}


def param(key: str) -> dict:
    return {"key": key, "value": uuid.uuid4().hex}


def batches(server: Server, what: str, count: int) -> Callable[[User], Call]:
    def of(user: User) -> Call:
        run = server.run(user)

        def call(number: int) -> None:
            if what == "metrics":
                items = [metric(f"m{k}", number * 0.5, number) for k in range(count)]
            else:
                items = [param(f"p{number}-{k}") for k in range(count)]
            user.ask("POST", "/runs/log-batch", {"run_id": run, what: items})

        return call

    return of


def operations(server: Server) -> dict[str, Callable[[User], Call]]:
    search = {"experiment_ids": [server.experiment], "filter": "metrics.m1 > 20", "order_by": ["metrics.m2 DESC"],
              "max_results": 100}
    experiments = {"max_results": 100, "filter": "name LIKE '%a%'"}
    return {
        "LogMetricBatch10": batches(server, "metrics", 10),
        "LogParamBatch10": batches(server, "params", 10),
        "LogParamBatch100": batches(server, "params", 100),
        "CreateRun": lambda user: lambda _: server.run(user) and None,
        "SearchRuns": lambda user: lambda _: user.ask("POST", "/runs/search", search) and None,
        "SearchExperiments": lambda user: lambda _: user.ask("POST", "/experiments/search", experiments) and None,
    }


def load(server: Server, operation: Callable[[User], Call], users: int, seconds: float) -> list[float]:
    """Every call's time in milliseconds."""
    took: list[float] = []
    ready = threading.Barrier(users)

    def one() -> None:
        call = operation(User(server.url, server.token))
        mine = []
        ready.wait()
        ends = time.perf_counter() + seconds
        number = 0
        while (started := time.perf_counter()) < ends:
            call(number)
            mine.append((time.perf_counter() - started) * 1000)
            number += 1
        took.extend(mine)

    threads = [threading.Thread(target=one) for _ in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def compare(servers: list[Server], database: str, seconds: float) -> None:
    for name in operations(servers[0]):
        means = {}
        for server in servers:
            took = load(server, operations(server)[name], USERS, seconds)
            means[server.name] = statistics.mean(took)
            report(f"{name}, {database}: {server.name}, mean", means[server.name], "ms")
            report(f"{name}, {database}: {server.name}, p99", statistics.quantiles(took, n=100)[98], "ms")
        report(f"{name}, {database}: ratio of the means", means["MLflow"] / means["Corliss"], "times", "at least 10")
    rates = {}
    for server in servers:
        took = load(server, batches(server, "metrics", 1000), 1, seconds)
        rates[server.name] = 1000 * 1000 / statistics.mean(took)
        report(f"log_batch of 1,000, {database}: {server.name}", rates[server.name], "points/s")
    report(f"log_batch of 1,000, {database}: ratio", rates["Corliss"] / rates["MLflow"], "times", "at least 20")


@contextlib.contextmanager
def servers(binary, database: str) -> Iterator[list[Server]]:
    with contextlib.ExitStack() as stack:
        theirs = ours = None
        if database == "PostgreSQL":
            urls = [stack.enter_context(postgres()) for _ in range(2)]
            theirs, ours = urls[0].replace("postgres://", "postgresql+psycopg2://"), {"CORLISS_DATABASE_URL": urls[1]}
        peer = stack.enter_context(mlflow_server(theirs))
        corliss = stack.enter_context(fresh(binary, settings=ours))
        yield [Server("MLflow", peer, ""), Server("Corliss", corliss.url, corliss.token)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=lambda path: (ROOT / path).resolve(), default=ROOT / "target/release/corliss")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each operation on each server")
    parser.add_argument("--database", choices=["SQLite", "PostgreSQL"], action="append")
    parser.add_argument("--rounds", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ |= {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    for database in options.database or ["SQLite", "PostgreSQL"]:
        with servers(options.binary, database) as both:
            compare(both, database, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
