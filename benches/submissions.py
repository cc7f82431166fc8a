"""How many runs a second the API accepts, each on disk before it is answered, and how long a decision takes to become a
process.

1. Sixteen clients submit runs of one step while all of the machine is held, so that every one of them waits. Slurm says of
   itself that it accepts 500 a second.
2. Steps that do nothing, one after the other: from the moment at which it was decided that each starts to the start of its
   process, as the server and the process's keeper recorded them.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from common import arguments, fresh, report

from posts import Client

RUNS, CLIENTS, STEPS = 2_000, 16, 60


def submit(corliss, text: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corliss.yaml"
        file.write_text(text)
        return corliss.submit(file)


async def accepted_per_second(corliss, source: str, count: int) -> tuple[float, float]:
    """Runs accepted in a second, and the 99th percentile of the answers in milliseconds."""
    client = Client(corliss.url, corliss.token)
    body = {"project_file": "project: waits\nsteps:\n  a: {run: 'true'}\n", "file_name": "corliss.yaml", "source": source,
            "environment": {"PATH": os.environ["PATH"]}}
    request = client.request("/api/v1/runs", json.dumps(body).encode())
    took: list[float] = []

    async def one(number: int) -> None:
        for _ in range(count // CLIENTS):
            answer = await client.ask(request)
            assert answer.status == 202, (answer.status, answer.body, answer.failure)
            took.append(answer.seconds)

    begin = time.monotonic()
    await asyncio.gather(*(one(number) for number in range(CLIENTS)))
    return len(took) / (time.monotonic() - begin), 1000 * statistics.quantiles(took, n=100)[98]


def starts(corliss) -> list[float]:
    """Milliseconds from decision to process of each step."""
    lines = ["project: chain", "steps:"]
    for at in range(STEPS):
        lines.append(f"  s{at}: {{run: 'true', cache: false" + (f", needs: [s{at - 1}]" if at else "") + "}")
    run = submit(corliss, "\n".join(lines) + "\n")
    assert corliss.wait_run(run, timeout_s=300)["state"] == "succeeded"
    jobs = corliss.api(f"/jobs?run_id={run}&limit=1000")["items"]
    return [job["tasks"][0]["exit"]["started_ms"] - job["admitted_ms"] for job in jobs]


def main() -> None:
    options = arguments(__doc__)
    rates, slowest = [], []
    for _ in range(options.rounds):
        with fresh(options.binary) as corliss:
            cpus = corliss.api("/queue")["inventory"]["total"]["cpu_milli"] / 1000
            held = submit(corliss, f"project: holds\nsteps:\n  all: {{run: sleep 600, resources: {{cpus: {cpus:g}}}}}\n")
            while not corliss.api("/queue")["running"]:
                time.sleep(0.05)
            source = corliss.api(f"/runs/{held}")["source"]
            rate, p99 = asyncio.run(accepted_per_second(corliss, source, RUNS))
            rates.append(rate)
            slowest.append(p99)
            kept = corliss.api("/runs?limit=500")
            assert len(kept["items"]) == 500
    report(f"runs accepted by {CLIENTS} clients", statistics.median(rates), "runs/s", "at least 500")
    report("their answers, p99", statistics.median(slowest), "ms")
    with fresh(options.binary) as corliss:
        took = starts(corliss)
    report("from decision to process, median", statistics.median(took), "ms", "under 50")
    report("from decision to process, the longest", max(took), "ms", f"of {len(took)}")


if __name__ == "__main__":
    main()
