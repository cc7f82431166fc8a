"""Five times what an endpoint can do, for two minutes: a language model (SmolLM2-135M) and a model of tensors (layers of
4096 × 4096). What an endpoint can do is measured first in the same run, by clients that ask again as soon as they are
answered. Then requests arrive at random at five times that rate, whether or not others are answered, and nobody who is
refused asks again.

Goodput is what is answered in a second while the load lasts, as a share of the capacity. Whoever is not answered has to be
told 429 or 503 and when to come again; anything else is counted as broken. Recovered is when three requests in a row, one
after the other, take no longer than twice what they took before the load.

Clients have a processor of their own, and the server all others: what the load costs those who make it is not taken from
those who bear it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Callable

from common import ROOT, fresh, report

from posts import Answer, Client
from support.server import Corliss

TIMES, CAPACITY_S, PROBES, RECOVERY_MAX_S = 5, 10.0, 5, 120.0
# What goes into the model, and how wide its layers are.
NUMBERS, WIDTH = 16, 4096
PROJECT = """
project: layers
steps:
  make: {run: python make.py, outputs: [model]}
models:
  layers: {from: make.model, alias: champion}
endpoints:
  layers: {model: layers@champion}
"""
MAKE = f"""
import os, onnx
from onnx import TensorProto, helper, numpy_helper
import numpy as np
chance = np.random.default_rng(1)
shapes = [({NUMBERS}, {WIDTH})] + [({WIDTH}, {WIDTH})] * 4
weights = [numpy_helper.from_array(chance.normal(0, 0.02, shape).astype(np.float32), f"w{{at}}") for at, shape in enumerate(shapes)]
nodes, last = [], "x"
for at in range(5):
    nodes += [helper.make_node("MatMul", [last, f"w{{at}}"], [f"m{{at}}"]), helper.make_node("Relu", [f"m{{at}}"], [f"r{{at}}"])]
    last = f"r{{at}}"
nodes.append(helper.make_node("ReduceMean", [last], ["y"], axes=[1], keepdims=1))
graph = helper.make_graph(nodes, "layers", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", {NUMBERS}])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save(model, os.environ["CORLISS_OUTPUT_MODEL"] + "/model.onnx")
"""


async def capacity(client: Client, make: Callable[[], bytes], clients: int, seconds: float) -> float:
    """Answers a second, of clients that ask again as soon as they are answered."""
    begin, counted = time.monotonic() + seconds / 3, 0

    async def ask_again_and_again() -> None:
        nonlocal counted
        while time.monotonic() < begin + seconds:
            answer = await client.ask(make())
            assert answer.status == 200, (answer.status, answer.body)
            counted += begin <= answer.answered < begin + seconds

    await asyncio.gather(*(ask_again_and_again() for _ in range(clients)))
    return counted / seconds


async def alone(client: Client, make: Callable[[], bytes]) -> float:
    """Seconds of a request that has the endpoint to itself."""
    return statistics.median([(await client.ask(make())).seconds for _ in range(PROBES)])


async def load(client: Client, make: Callable[[], bytes], rate: float, seconds: float) -> list[asyncio.Task[Answer]]:
    """Requests that arrive at random until the time is up; many are still on their way then."""
    chance, tasks, begin, at = random.Random(1), [], time.monotonic(), 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        if (ahead := begin + at - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        tasks.append(asyncio.create_task(client.ask(make())))
    return tasks


async def recovery(client: Client, make: Callable[[], bytes], before: float, ended: float) -> float:
    """Seconds from the end of the load until requests take as long as before it."""
    fine = 0
    while (since := time.monotonic() - ended) < RECOVERY_MAX_S:
        answer = await client.ask(make())
        fine = fine + 1 if answer.status == 200 and answer.seconds <= 2 * before else 0
        if fine == 3:
            return since
        await asyncio.sleep(0.05)
    return float("inf")


async def measure(
    name: str, corliss: Corliss, make: Callable[[Client], bytes], counts: tuple[int, ...], seconds: float
) -> None:
    client = Client(corliss.url, corliss.token)

    def one() -> bytes:
        return make(client)

    before = await alone(client, one)
    # More clients fill larger batches, up to some number.
    found = {clients: await capacity(client, one, clients, CAPACITY_S) for clients in counts}
    can = max(found.values())
    for clients, speed in found.items():
        report(f"{name}: {clients} clients that wait for answers", speed, "req/s", "capacity" if speed == can else "")
    report(f"{name}: one request alone", before * 1000, "ms")
    begin, cpu = time.monotonic(), time.process_time()
    arrived = await load(client, one, TIMES * can, seconds)
    ended = time.monotonic()
    cpu = (time.process_time() - cpu) / (ended - begin)
    recovered = await recovery(client, one, before, ended)
    answers = await asyncio.gather(*arrived)
    good = [answer for answer in answers if answer.status == 200]
    shed = [answer for answer in answers if answer.status in (429, 503) and (answer.retry_after or "").isdigit()]
    kinds = Counter(str(answer.status or answer.failure) for answer in answers)
    report(f"{name}: arrived", len(answers) / (ended - begin) / can, "times", f"{TIMES} times capacity")
    report(f"{name}: goodput", sum(a.answered <= ended for a in good) / (ended - begin) / can, "share", "at least 0.8 of capacity")
    report(f"{name}: answered, p50", statistics.median(answer.seconds for answer in good) * 1000, "ms")
    report(f"{name}: refused, p99", sorted(answer.seconds for answer in shed)[int(len(shed) * 0.99)] * 1000 if shed else 0, "ms")
    report(f"{name}: refused with 429 or 503 and Retry-After", len(shed), "requests", f"of {len(answers)}: {dict(kinds)}")
    report(f"{name}: neither answered nor so refused", len(answers) - len(good) - len(shed), "requests", "0")
    report(f"{name}: recovered after", recovered, "s", "at most 30")
    report(f"{name}: the client's share of a core", cpu, "ratio")
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/corliss")
    parser.add_argument("--rounds", type=int, default=1, help="taken as the other benchmarks take it; one is run")
    parser.add_argument("--seconds", type=float, default=120, help="how long the load lasts")
    parser.add_argument("--max-tokens", type=int, default=16, help="of an answer of the language model")
    parser.add_argument("--only", choices=("language", "tensors"))
    given = parser.parse_args()
    chance, tensor = random.Random(0), json.dumps({"inputs": [
        {"name": "x", "datatype": "FP32", "shape": [1, NUMBERS], "data": [0.5] * NUMBERS}]}).encode()

    def tell(client: Client) -> bytes:
        prompt = f"{chance.randrange(10**9)} words of a ship that nobody had ever noticed. One day,"
        asked = {"model": "smollm2", "prompt": prompt, "max_tokens": given.max_tokens, "temperature": 0}
        return client.request("/v1/completions", json.dumps(asked).encode())

    def infer(client: Client) -> bytes:
        return client.request("/v2/models/layers/infer", tensor)

    processors = os.sched_getaffinity(0)
    clients = {min(processors)}
    if processors == clients:
        raise SystemExit("this needs two processors: one for the clients")
    os.sched_setaffinity(0, processors - clients)
    with fresh(given.binary) as corliss, tempfile.TemporaryDirectory() as name:
        os.sched_setaffinity(0, clients)
        if given.only != "tensors":
            corliss.wait_run(corliss.submit(ROOT / "examples/chat/corliss.yaml"))
            corliss.wait_endpoint("smollm2")
            asyncio.run(measure("language", corliss, tell, (16, 32), given.seconds))
            corliss.cli("endpoints", "delete", "smollm2", "--yes")
        if given.only != "language":
            folder = Path(name)
            (folder / "corliss.yaml").write_text(PROJECT)
            (folder / "make.py").write_text(MAKE)
            assert corliss.wait_run(corliss.submit(folder / "corliss.yaml"))["state"] == "succeeded"
            corliss.wait_endpoint("layers")
            asyncio.run(measure("tensors", corliss, infer, (32, 128, 256), given.seconds))


if __name__ == "__main__":
    main()
