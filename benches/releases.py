"""A rollout and a rollback under traffic, and what a person sees of them: a model of tensors that two replicas serve is
replaced by another version, by steps, and then by one that is far slower, which is rolled back. Who asks meanwhile is
counted: nobody may be left without an answer. What the command line said is printed with the seconds at which it said it.

With --shots FOLDER the console's pages are kept as pictures: the release on its way, both of them ended, and the page of
a language model while eight clients have it write."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from common import ROOT, fresh, report

from completions import Server
from posts import Answer, Client
from support.server import Corliss, poll
from support.times import MAKE

# Requests at once, what each waits before it asks again, and what is said of the releases.
CLIENTS, PAUSE_S, REPLICAS = 8, 0.005, 2
STEPS = ("--release", "canary", "--steps", "10,25,50", "--step-time", "5s", "--min-requests", "100", "--max-p99-ratio", "3")
WRITERS, WRITE_S = 8, 45.0
PROJECT = """
project: times
steps:
  make: {run: python make.py, outputs: [model]}
models:
  times: {from: make.model, alias: newest}
"""
BODY = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]}]}).encode()
# The third version computes the same by way of products of large matrices.
SLOW = """
wide = numpy_helper.from_array(np.zeros((4, 4096), dtype=np.float32), "wide")
square = numpy_helper.from_array(np.zeros((4096, 4096), dtype=np.float32), "square")
narrow = numpy_helper.from_array(np.zeros((4096, 4), dtype=np.float32), "narrow")
graph.initializer.extend([wide, square, narrow])
del graph.node[:]
graph.node.extend([
    helper.make_node("MatMul", ["x", "wide"], ["a0"]),
    *(helper.make_node("MatMul", [f"a{at}", "square"], [f"a{at + 1}"]) for at in range(8)),
    helper.make_node("MatMul", ["a8", "narrow"], ["c"]), helper.make_node("Mul", ["x", "factor"], ["d"]),
    helper.make_node("Add", ["c", "d"], ["y"]),
])
model = helper.make_model("""
VERSIONS = {
    1: MAKE.replace("FACTOR", "2.0"),
    2: MAKE.replace("FACTOR", "3.0"),
    3: MAKE.replace("FACTOR", "4.0").replace("\nmodel = helper.make_model(", SLOW),
}


def make_versions(corliss: Corliss) -> None:
    for number, make in VERSIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "corliss.yaml").write_text(PROJECT)
            (Path(folder) / "make.py").write_text(make)
            state = corliss.wait_run(corliss.submit(Path(folder) / "corliss.yaml"))["state"]
            assert state == "succeeded", (number, state)


@contextlib.contextmanager
def traffic(corliss: Corliss) -> Iterator[list[Answer]]:
    """Clients that ask again after a short pause, in a thread of their own."""
    answers: list[Answer] = []
    stop = threading.Event()

    async def ask_on() -> None:
        client = Client(corliss.url, corliss.token)
        request = client.request("/v2/models/times/infer", BODY)

        async def one() -> None:
            while not stop.is_set():
                answers.append(await client.ask(request))
                await asyncio.sleep(PAUSE_S)

        await asyncio.gather(*(one() for _ in range(CLIENTS)))
        client.close()

    thread = threading.Thread(target=lambda: asyncio.run(ask_on()))
    thread.start()
    try:
        poll("requests are answered", lambda: len(answers) > 200)
        yield answers
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def writing(corliss: Corliss) -> Iterator[None]:
    """Clients that have the language model write."""
    until = time.monotonic() + WRITE_S

    async def write() -> None:
        server = Server("corliss", corliss.url, "smollm2", corliss.token)

        async def one(number: int) -> None:
            while time.monotonic() < until:
                await server.stream(f"Once upon a time, in the year {1000 + number}, there was a clock that", 96)

        await asyncio.gather(*(one(number) for number in range(WRITERS)))

    thread = threading.Thread(target=lambda: asyncio.run(write()))
    thread.start()
    try:
        yield
    finally:
        thread.join()


class Pictures:
    """The console in a browser that stays open, which takes pictures as it is told: one line in, one line out."""

    def __init__(self, corliss: Corliss, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            ["node", str(Path(__file__).with_suffix(".mjs"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"CONSOLE_URL": corliss.url, "CONSOLE_TOKEN": corliss.token, "CONSOLE_SHOTS": str(folder)},
        )
        self._read()

    def take(self, name: str, path: str, wait_for: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"name": name, "path": path, "wait_for": wait_for}) + "\n")
        self.process.stdin.flush()
        self._read()

    def _read(self) -> None:
        assert self.process.stdout
        said = self.process.stdout.readline()
        assert said.strip() == "done", said or "the browser ended"

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)


def release(corliss: Corliss, version: int, answers: list[Answer], shot: threading.Event) -> tuple[int, float, list[Answer]]:
    """Deploys the version by steps and follows it; its exit status, the seconds that it took, and what was answered."""
    began, seen = time.monotonic(), len(answers)
    command = ["endpoints", "deploy", "times", "--model", f"times/{version}", "--replicas", str(REPLICAS), *STEPS]
    print(f"$ corliss {' '.join(command)}", flush=True)
    said = subprocess.Popen(
        [str(corliss.binary), *command], env=corliss.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert said.stdout
    for line in said.stdout:
        print(f"{time.monotonic() - began:6.1f} s  {line.rstrip()}", flush=True)
        if "step 2" in line or "step 1" in line:
            shot.set()
    code = said.wait()
    return code, time.monotonic() - began, answers[seen:]


def told(name: str, took: float, answers: list[Answer], before_p99: float) -> None:
    kinds = Counter(answer.status or answer.failure for answer in answers)
    p99 = sorted(answer.seconds for answer in answers)[int(len(answers) * 0.99)] * 1000
    report(f"{name}: took", took, "s")
    report(f"{name}: requests meanwhile", len(answers), "requests", str(dict(kinds)))
    report(f"{name}: without an answer", len(answers) - kinds[200], "requests", "0")
    report(f"{name}: p99 meanwhile, over p99 before", p99 / before_p99, "ratio")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/corliss")
    parser.add_argument("--rounds", type=int, default=1, help="taken as the other benchmarks take it; one is run")
    parser.add_argument("--shots", type=Path, help="keep pictures of the console in this folder")
    given = parser.parse_args()
    with fresh(given.binary) as corliss, contextlib.ExitStack() as stack:
        make_versions(corliss)
        corliss.cli("endpoints", "deploy", "times", "--model", "times/1", "--replicas", str(REPLICAS), timeout_s=120)
        pictures = None
        if given.shots:
            pictures = Pictures(corliss, given.shots.resolve())
            stack.callback(pictures.close)
        with traffic(corliss) as answers:
            before = sorted(answer.seconds for answer in answers)[int(len(answers) * 0.99)] * 1000
            for name, version, code in (("rollout", 2, 0), ("rollback", 3, 1)):
                shot = threading.Event()
                watcher = None
                # The other one may have ended before its page is there.
                if pictures and name == "rollout":
                    def take(shot: threading.Event = shot) -> None:
                        if shot.wait(60):
                            time.sleep(1.5)
                            pictures.take("rollout-on-its-way", "/endpoints/times?tab=releases", ".release-now")
                    watcher = threading.Thread(target=take)
                    watcher.start()
                ended, took, meanwhile = release(corliss, version, answers, shot)
                if watcher:
                    watcher.join()
                assert ended == code, ended
                told(name, took, meanwhile, before)
                poll("one version takes all", lambda: corliss.api("/endpoints/times")["state"] == "ready")
        print(corliss.cli("endpoints", "releases", "times"), flush=True)
        if pictures:
            pictures.take("releases-ended", "/endpoints/times?tab=releases", "ul.releases")
            corliss.wait_run(corliss.submit(ROOT / "examples/chat/corliss.yaml"))
            corliss.wait_endpoint("smollm2")
            with writing(corliss):
                time.sleep(2)
                # Curves begin when the page is opened.
                pictures.take("", "/endpoints/smollm2?tab=live", "canvas")
                time.sleep(WRITE_S * 0.7)
                pictures.take("endpoint-under-load", "", "canvas")


if __name__ == "__main__":
    main()
