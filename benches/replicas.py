"""Several replicas of one small language model (SmolLM2-135M): how soon a second one is ready, and what it is worth to send
a prompt where its beginning is known.

The second: from the command that asks for it until the endpoint counts it as ready, which is when requests are routed to
it. The prompts: conversations that begin with one of a few long texts, whose turns come in random order, to three replicas,
by turns and by prefix. Each router gets an endpoint of its own, so that none finds what another has computed. Tokens
computed and times to the first token are those of the requests' records."""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from common import ROOT, arguments, fresh, report

from openai import OpenAI

from support.server import Corliss

BEGINNINGS, TURNS, REPLICAS, CLIENTS = 12, 5, 3, 3
WORDS = "the old harbour master wrote down each ship its cargo the wind and who came ashore before the lamps were lit".split()


def ready(corliss: Corliss, name: str, replicas: int) -> None:
    until = time.monotonic() + 120
    while corliss.api(f"/endpoints/{name}")["replicas_ready"] != replicas:
        assert time.monotonic() < until, corliss.api(f"/endpoints/{name}")
        time.sleep(0.01)


def second_replica(corliss: Corliss) -> float:
    """Seconds until it is ready."""
    begin = time.monotonic()
    corliss.cli("endpoints", "deploy", "smollm2", "--model", "smollm2@champion", "--replicas", "2")
    ready(corliss, "smollm2", 2)
    took = time.monotonic() - begin
    corliss.cli("endpoints", "deploy", "smollm2", "--model", "smollm2@champion", "--replicas", "1")
    ready(corliss, "smollm2", 1)
    return took


def converse(corliss: Corliss, router: str) -> list[dict]:
    """The records of all turns."""
    name = router.replace("_", "-")
    corliss.cli("endpoints", "deploy", name, "--model", "smollm2@champion", "--replicas", str(REPLICAS))
    ready(corliss, name, REPLICAS)
    corliss.cli("endpoints", "routing", name, "--router", router)
    client, chance = OpenAI(), random.Random(1)
    texts = [" ".join(chance.choice(WORDS) for _ in range(400)) for _ in range(BEGINNINGS)]
    turns = [beginning for beginning in range(BEGINNINGS) for _ in range(TURNS)]
    chance.shuffle(turns)
    said, locks = [0] * BEGINNINGS, [threading.Lock() for _ in range(BEGINNINGS)]

    def ask(beginning: int) -> None:
        with locks[beginning]:
            said[beginning] += 1
            question = f"Question {said[beginning]}: what came ashore?"
            client.chat.completions.create(model=name, max_tokens=4, temperature=0.0, messages=[
                {"role": "system", "content": texts[beginning]}, {"role": "user", "content": question}])

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, turns))
    records = corliss.api(f"/endpoints/{name}/requests?limit=1000")["items"]
    corliss.cli("endpoints", "delete", name, "--yes")
    assert len(records) == len(turns), f"{len(records)} records of {len(turns)} turns"
    return records


def main() -> None:
    options = arguments(__doc__)
    with fresh(options.binary, {"CORLISS_MACHINE_CPUS": "8"}) as corliss:
        corliss.wait_run(corliss.submit(ROOT / "examples/chat/corliss.yaml"))
        corliss.wait_endpoint("smollm2")
        os.environ |= corliss.variables()
        report("second replica ready", statistics.median(second_replica(corliss) for _ in range(options.rounds)), "s", "under 2")
        computed, first = {}, {}
        for router in ("round_robin", "prefix_aware"):
            records = converse(corliss, router)
            computed[router] = sum(record["prompt_tokens"] - record["cached_tokens"] for record in records)
            times = sorted(record["first_us"] for record in records)
            first[router] = times[int(len(times) * 0.99)]
            report(f"{router}, prompt tokens computed", computed[router], "tokens")
            report(f"{router}, first token, median", statistics.median(times) / 1000, "ms")
            report(f"{router}, first token, p99", first[router] / 1000, "ms")
        report("computed by turns over by prefix", computed["round_robin"] / computed["prefix_aware"], "times", "above 1")
        report("p99 by turns over by prefix", first["round_robin"] / first["prefix_aware"], "times", "above 1")


if __name__ == "__main__":
    main()
