"""Tracking at the size at which trackers give up: searches over 100,000 runs with 20 metrics and 20 parameters each, and
ten million points of metrics. What a search takes at the median and the 99th percentile, what the server holds in
memory, and what a point costs on the disk.

Without a peer: filling MLflow's own server with this takes most of a day."""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import random
import statistics
import sys
import threading
import time
from pathlib import Path

from common import ROOT, fresh, report

from tracking_load import Server, User, metric  # noqa: E402

USERS = 4
SEARCHES = {
    "a metric filter, ordered by another metric": ("metrics.m3 > 0.9", ["metrics.m7 DESC"]),
    "a metric filter, ordered by the same": ("metrics.m3 > 0.5", ["metrics.m3 ASC"]),
    "a rare metric, newest first": ("metrics.m3 > 0.9995", []),
    "a parameter and a metric, ordered": ("params.p5 = '7' AND metrics.m1 < 0.3", ["metrics.m2 ASC"]),
    "no filter, ordered by a metric": ("", ["metrics.m0 DESC"]),
    "no filter, newest first": ("", []),
}


def fill(server: Server, runs: int) -> None:
    local = threading.local()

    def one(number: int) -> None:
        local.user = getattr(local, "user", None) or User(server.url, server.token)
        dice = random.Random(number)
        run = server.run(local.user)
        metrics = [metric(f"m{k}", dice.random()) for k in range(20)]
        params = [{"key": f"p{k}", "value": str(dice.randrange(100))} for k in range(20)]
        local.user.ask("POST", "/runs/log-batch", {"run_id": run, "metrics": metrics, "params": params})

    with concurrent.futures.ThreadPoolExecutor(USERS) as pool:
        for _ in pool.map(one, range(runs), chunksize=1000):
            pass


def log_points(server: Server, points: int) -> None:
    """Curves of 5,000 points, 20 to a run, in batches of 1,000 as a client sends them."""
    steps, keys = 5_000, 20

    def curves(number: int) -> None:
        user, dice = User(server.url, server.token), random.Random(number)
        run = server.run(user)
        begin = 1_760_000_000_000 + number * 10_000_000
        for first in range(0, steps, 50):
            batch = [
                {"key": f"m{k}", "value": dice.random(), "timestamp": begin + step * 137, "step": step}
                for step in range(first, first + 50) for k in range(keys)
            ]
            user.ask("POST", "/runs/log-batch", {"run_id": run, "metrics": batch})

    with concurrent.futures.ThreadPoolExecutor(USERS) as pool:
        for _ in pool.map(curves, range(points // (steps * keys))):
            pass


def database_bytes(home: Path) -> int:
    return sum(path.stat().st_size for path in home.glob("meta.db*"))


def memory_mib(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")}


def search(server: Server, what: str, limit: int, count: int) -> None:
    filter_, order = SEARCHES[what]
    user = User(server.url, server.token)
    asked = {"experiment_ids": [server.experiment], "filter": filter_, "order_by": order, "max_results": limit}
    took = []
    for _ in range(count):
        started = time.perf_counter()
        found = user.ask("POST", "/runs/search", asked)
        took.append((time.perf_counter() - started) * 1000)
    figure = f"{what}, {limit} a page ({len(found.get('runs', []))} found)"
    report(f"{figure}: median", statistics.median(took), "ms")
    report(f"{figure}: p99", statistics.quantiles(took, n=100)[98], "ms", "under 100" if limit <= 100 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=lambda path: (ROOT / path).resolve(), default=ROOT / "target/release/corliss")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--rounds", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ |= {"DO_NOT_TRACK": "1"}
    with fresh(options.binary) as corliss:
        server = Server("Corliss", corliss.url, corliss.token)
        started = time.perf_counter()
        fill(server, options.runs)
        report(f"{options.runs:,} runs logged", (time.perf_counter() - started), "s")
        report("database, for each run of 20 metrics and 20 params", database_bytes(corliss.home) / options.runs, "bytes")
        for what in SEARCHES:
            for limit in (100, 1000):
                search(server, what, limit, 200 if limit == 100 else 50)
        before = database_bytes(corliss.home)
        started = time.perf_counter()
        log_points(server, options.points)
        took = time.perf_counter() - started
        report("points logged", options.points / took, "points/s")
        grown = database_bytes(corliss.home) - before
        report(f"database, for each of {options.points:,} points", grown / options.points, "bytes", "under 60")
        memory = memory_mib(corliss.server().pid)
        report("memory now", memory["VmRSS"], "MiB")
        report("memory at most", memory["VmHWM"], "MiB", "under 500")


if __name__ == "__main__":
    sys.exit(main())
