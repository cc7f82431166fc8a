"""MLPerf's load generator, as it comes, on an endpoint of a network that tells handwritten digits (scikit-learn's 1,797 real
ones), over the Open Inference Protocol.

1. Offline, accuracy: every digit once. What the endpoint says has to be what scikit-learn says of the same network.
2. Offline, performance: all samples at once, asked in requests of 64.
3. Server: single digits arrive at random (Poisson), 99 % within the bound. The rate is a share of what clients that wait for
   their answers get, the largest of some that the generator calls VALID.

The generator says VALID or INVALID by its own rules. It and its threads share the machine with the server."""

from __future__ import annotations

import argparse
import array
import asyncio
import json
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path

import mlperf_loadgen as lg
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from common import ROOT, fresh, report

from posts import Client

ROWS, AT_ONCE, SHARES = 64, 8, (0.8, 0.6, 0.4, 0.2, 0.1)
PROJECT = """
project: mlperf
steps:
  make: {run: python make.py, outputs: [model]}
models:
  mlperf: {from: make.model, alias: champion}
endpoints:
  mlperf: {model: mlperf@champion}
"""


def train(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, what they show, and what the network says of them; the network as ONNX lies at the path."""
    digits = load_digits()
    images, shown = (digits.data / 16).astype(np.float32), digits.target
    network = MLPClassifier((128,), max_iter=400, random_state=0).fit(images[::2], shown[::2])
    held, nodes, last = [], [], "x"
    for at, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        held += [numpy_helper.from_array(weights.astype(np.float32), f"w{at}"), numpy_helper.from_array(bias.astype(np.float32), f"b{at}")]
        nodes.append(helper.make_node("Gemm", [last, f"w{at}", f"b{at}"], [last := f"g{at}"]))
        if at < len(network.coefs_) - 1:
            nodes.append(helper.make_node("Relu", [last], [last := f"r{at}"]))
    nodes.append(helper.make_node("Softmax", [last], ["scores"], axis=1))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in (("x", 64), ("scores", 10))]
    graph = helper.make_graph(nodes, "digits", values[:1], values[1:], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return images, shown, network.predict(images)


class System:
    """The system under test: hands queries of the generator to the endpoint and their answers back."""

    def __init__(self, url: str, token: str, images: np.ndarray) -> None:
        self.client, self.images, self.failures = Client(url, token), images, 0
        self.loop = asyncio.new_event_loop()
        self.gate = asyncio.Semaphore(AT_ONCE)
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def request(self, indices: list[int]) -> bytes:
        tensor = {"name": "x", "datatype": "FP32", "shape": [len(indices), 64], "data": self.images[indices].ravel().tolist()}
        return self.client.request("/v2/models/mlperf/infer", json.dumps({"inputs": [tensor]}).encode())

    def issue(self, samples: list) -> None:
        """Called by a thread of the generator's."""
        groups = [samples[at : at + ROWS] for at in range(0, len(samples), ROWS)]
        self.loop.call_soon_threadsafe(lambda: [self.loop.create_task(self._one(group)) for group in groups])

    async def _one(self, samples: list) -> None:
        if len(samples) > 1:
            async with self.gate:
                await self._ask(samples)
        else:
            await self._ask(samples)

    async def _ask(self, samples: list) -> None:
        answer = await self.client.ask(self.request([sample.index for sample in samples]))
        if answer.status == 200:
            scores = np.array(json.loads(answer.body)["outputs"][0]["data"]).reshape(-1, 10)
            said = scores.argmax(axis=1)
        else:
            # Not answered is answered wrongly: the generator waits for every sample.
            self.failures += len(samples)
            said = [255] * len(samples)
        held = [array.array("B", [int(one)]) for one in said]
        lg.QuerySamplesComplete([
            lg.QuerySampleResponse(sample.id, one.buffer_info()[0], 1) for sample, one in zip(samples, held, strict=True)
        ])

    def closed_loop(self, clients: int, rows: int, seconds: float) -> float:
        """Answers a second of clients that wait for each, to requests of so many rows."""
        async def run() -> int:
            until, counted = time.monotonic() + seconds, 0

            async def again() -> None:
                nonlocal counted
                while time.monotonic() < until:
                    answer = await self.client.ask(self.request(list(range(rows))))
                    counted += answer.status == 200

            await asyncio.gather(*(again() for _ in range(clients)))
            return counted

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result() / seconds


def run(system: System, folder: Path, settings: lg.TestSettings) -> str:
    """One test; what the generator says of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    logs, output = lg.LogSettings(), lg.LogOutputSettings()
    output.outdir, output.copy_summary_to_stdout = str(folder), False
    logs.log_output, logs.enable_trace = output, False
    under_test = lg.ConstructSUT(system.issue, lambda: None)
    library = lg.ConstructQSL(len(system.images), len(system.images), lambda _: None, lambda _: None)
    lg.StartTestWithLogSettings(under_test, library, settings, logs)
    lg.DestroyQSL(library)
    lg.DestroySUT(under_test)
    return (folder / "mlperf_log_summary.txt").read_text()


def figure(summary: str, name: str) -> float:
    return float(re.search(rf"^{re.escape(name)}\s*: ([0-9.]+)", summary, re.MULTILINE)[1])


def is_valid(summary: str) -> bool:
    return "Result is : VALID" in summary


def settings_of(scenario: object, mode: object, seconds: float) -> lg.TestSettings:
    settings = lg.TestSettings()
    settings.scenario, settings.mode = scenario, mode
    settings.min_duration_ms, settings.min_query_count = int(seconds * 1000), 1
    return settings


def accuracy(system: System, folder: Path, shown: np.ndarray, expected: np.ndarray) -> None:
    run(system, folder, settings_of(lg.TestScenario.Offline, lg.TestMode.AccuracyOnly, 0))
    entries = json.loads((folder / "mlperf_log_accuracy.json").read_text())
    said = {entry["qsl_idx"]: int(entry["data"], 16) for entry in entries}
    report("offline, accuracy: digits", len(said), "samples", f"{len(shown)}")
    report("offline, accuracy: right", float(np.mean([said[at] == one for at, one in enumerate(shown)])), "share")
    report("offline, accuracy: unlike scikit-learn's", sum(said[at] != int(one) for at, one in enumerate(expected)), "samples", "0")


def offline(system: System, folder: Path, seconds: float) -> None:
    settings = settings_of(lg.TestScenario.Offline, lg.TestMode.PerformanceOnly, seconds)
    # A tenth more than it can do, so that it lasts as long as it must.
    settings.offline_expected_qps = system.closed_loop(AT_ONCE, ROWS, 3) * ROWS * 1.1
    summary = run(system, folder, settings)
    report("offline: refused", system.failures, "samples", "0")
    report("offline: samples a second", figure(summary, "Samples per second"), "samples/s", "VALID" if is_valid(summary) else "INVALID")


def server(system: System, folder: Path, seconds: float, bound_ms: float) -> None:
    can = system.closed_loop(32, 1, 3)
    report("server: 32 clients that wait for answers", can, "req/s")
    for share in SHARES:
        system.failures = 0
        settings = settings_of(lg.TestScenario.Server, lg.TestMode.PerformanceOnly, seconds)
        settings.server_target_qps, settings.server_target_latency_ns = can * share, int(bound_ms * 1e6)
        summary = run(system, folder, settings)
        valid = is_valid(summary)
        told = f"{'VALID' if valid else 'INVALID'} at {share:.0%}, 99 % within {bound_ms:.0f} ms"
        report("server: completed", figure(summary, "Completed samples per second"), "req/s", told)
        report("server: latency, p99", figure(summary, "99.00 percentile latency (ns)") / 1e6, "ms")
        report("server: refused", system.failures, "samples")
        if valid:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/corliss")
    parser.add_argument("--rounds", type=int, default=1, help="taken as the other benchmarks take it; one is run")
    parser.add_argument("--seconds", type=float, default=20, help="of each test of performance; MLPerf's own rules want 600")
    parser.add_argument("--bound-ms", type=float, default=15, help="of the server scenario; MLPerf's for image classification")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, fresh(given.binary) as corliss:
        folder = Path(name)
        images, shown, expected = train(folder / "model.onnx")
        (folder / "corliss.yaml").write_text(PROJECT)
        copy = f"import os, shutil\nshutil.copy({str(folder / 'model.onnx')!r}, os.environ['CORLISS_OUTPUT_MODEL'])\n"
        (folder / "make.py").write_text(copy)
        assert corliss.wait_run(corliss.submit(folder / "corliss.yaml"))["state"] == "succeeded"
        corliss.wait_endpoint("mlperf")
        system = System(corliss.url, corliss.token, images)
        accuracy(system, folder / "accuracy", shown, expected)
        offline(system, folder / "offline", given.seconds)
        server(system, folder / "server", given.seconds, given.bound_ms)


if __name__ == "__main__":
    main()
