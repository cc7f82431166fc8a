"""What the gateway costs: requests a second and added latency in front of the same mock service as HAProxy and the
LiteLLM proxy, all in one run, in turns. A chat of 300 bytes is answered with 400 by nginx, which computes nothing.

Each proxy has one processor to itself; nginx and the load (wrk) share another. So a figure is a processor's worth, and
the ratio of two of them is what can be compared between machines.

Added latency is the difference of percentiles, one connection, through the proxy and straight to the service: of a whole
answer, and of a stream of events that the service has ready, which is the time to its first. It is measured twice. With
all on one processor it is what the proxy does; over two it is also what this machine takes to wake a processor that
sleeps, twice more on the way than without a proxy, which in a virtual machine is longer than the rest.

That streams come whole is seen with 400 at once, of a service in this process that sends an event at a time.

Needs nginx, haproxy and wrk (apt: nginx-light haproxy wrk); LiteLLM where --litellm names its program."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Iterator

from common import fresh, report

from support.server import ROOT, Corliss, free_port

PROXY_CPU, LOAD_CPU = {1}, {0}
BODY = json.dumps({"model": "mock", "messages": [
    {"role": "system", "content": "You are a helpful assistant. Answer in one sentence."},
    {"role": "user", "content": "What is the capital of the country whose flag has a red circle on white?"}],
    "max_tokens": 32, "temperature": 0})
ANSWER = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "mock", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "The capital of Japan, whose flag it is, is Tokyo."},
     "finish_reason": "stop"}], "usage": {"prompt_tokens": 40, "completion_tokens": 12, "total_tokens": 52}})
CONNECTIONS = (4, 16, 64, 128)
BARS = {("corliss", "p99", "one_processor"): "<= 150", ("corliss", "p99", "first_event"): "<= 300"}
REPLICAS = 4
STREAMS, EVENTS = 400, 20
EVENT = 'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
END = 'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def wrk(url: str, token: str, connections: int, seconds: float, folder: Path, **request: object) -> dict[str, float]:
    """Requests a second, latencies in microseconds, and errors."""
    script = folder / "post.lua"
    script.write_text(f"""
wrk.method = "POST"
wrk.body = {json.dumps(json.dumps(json.loads(BODY) | request))}
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {token}"
function done(summary, latency)
  local e = summary.errors
  io.stderr:write(string.format('{{"requests":%d,"us":%d,"p50":%d,"p99":%d,"max":%d,"errors":%d}}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    e.connect + e.read + e.write + e.status + e.timeout))
end
""")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "20s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, LOAD_CPU))
    said = json.loads(done.stderr.strip().splitlines()[-1])
    return said | {"rps": said["requests"] / (said["us"] / 1e6)}


@contextlib.contextmanager
def running(command: list[str], cpus: set[int], folder: Path, ready: str, environment: dict[str, str] | None = None) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | (environment or {}),
                                   preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    try:
        wait_for(ready, process)
        yield
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str, process: subprocess.Popen) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"{process.args[0]} ended with {process.returncode}")
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(url, timeout=2)
                return
            except urllib.error.HTTPError:
                return
        time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


@contextlib.contextmanager
def mock(folder: Path) -> Iterator[list[str]]:
    """Addresses at which nginx answers every request alike."""
    ports = [free_port() for _ in range(REPLICAS)]
    places = f"""location / {{ default_type application/json; return 200 '{ANSWER}'; }}
location /stream/ {{ default_type text/event-stream; return 200 '{EVENT * 3}{END}'; }}"""
    servers = "".join(f"server {{ listen 127.0.0.1:{port}; {places} }}\n" for port in ports)
    (folder / "nginx.conf").write_text(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300s; tcp_nodelay on;
client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
{servers} }}""")
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with running(["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)], LOAD_CPU, folder, urls[0]):
        yield urls


@contextlib.contextmanager
def haproxy(folder: Path, urls: list[str]) -> Iterator[str]:
    port = free_port()
    servers = "\n".join(f"  server s{n} {url.removeprefix('http://')}" for n, url in enumerate(urls))
    (folder / "haproxy.cfg").write_text(f"""global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  http-reuse always
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  balance leastconn
{servers}
""")
    url = f"http://127.0.0.1:{port}"
    with running(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], PROXY_CPU, folder, url):
        yield url


@contextlib.contextmanager
def litellm(program: str, folder: Path, urls: list[str], token: str) -> Iterator[str]:
    port = free_port()
    models = [{"model_name": "mock", "litellm_params": {"model": "openai/mock", "api_base": f"{url}/v1", "api_key": "k"}} for url in urls]
    (folder / "litellm.json").write_text(json.dumps({"model_list": models}))
    url = f"http://127.0.0.1:{port}"
    command = [program, "--config", str(folder / "litellm.json"), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with running(command, PROXY_CPU, folder, f"{url}/health/liveliness", {"LITELLM_LOG": "ERROR", "LITELLM_MASTER_KEY": token}):
        yield url


@contextlib.contextmanager
def on_one_processor(proxies: list[int]) -> Iterator[None]:
    """What runs elsewhere, moved to where the load is and back."""
    try:
        move(proxies, LOAD_CPU)
        yield
    finally:
        move(proxies, PROXY_CPU)


def children_on(cpus: set[int]) -> list[int]:
    return [process for process in map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
            if os.sched_getaffinity(process) == cpus]


def move(processes: list[int], cpus: set[int]) -> None:
    for process in processes:
        for thread in Path(f"/proc/{process}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cpus)


def connect(corliss: Corliss, name: str, urls: list[str]) -> None:
    addresses = [word for url in urls for word in ("--url", f"{url}/v1")]
    corliss.cli("endpoints", "connect", name, *addresses, "--model", "mock")


def resident_mib(corliss: Corliss) -> float:
    text = Path(f"/proc/{corliss.server().pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) / 1024


class Events(asyncio.Protocol):
    """A service that streams: an event at once, then one every 2 ms."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lengths = [line.split(b":")[1] for line in head.lower().splitlines() if line.startswith(b"content-length:")]
        if len(body) < int(lengths[0]):
            return
        self.buffer = b""
        asyncio.get_running_loop().create_task(self.answer())

    async def answer(self) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(EVENTS):
            self.chunk(EVENT.encode())
            await asyncio.sleep(0.002)
        self.chunk(END.encode())
        self.transport.write(b"0\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"%x\r\n%s\r\n" % (len(data), data))


async def count_events(port: int, token: str) -> int:
    """Asks for one stream; answers how many events came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(json.loads(BODY) | {"model": "events", "stream": True}).encode()
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n")
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    return answer.count(b"data: {") if answer.endswith(b"0\r\n\r\n") else 0


async def streams_at_once(corliss: Corliss) -> None:
    server = await asyncio.get_running_loop().create_server(Events, "127.0.0.1", 0, backlog=STREAMS)
    port = server.sockets[0].getsockname()[1]
    await asyncio.to_thread(connect, corliss, "events", [f"http://127.0.0.1:{port}"])
    here = int(corliss.listen.rpartition(":")[2])
    counts = await asyncio.gather(*(count_events(here, corliss.token) for _ in range(STREAMS)))
    report("streams_at_once_complete", sum(count == EVENTS + 1 for count in counts), f"of {STREAMS}", "all")
    server.close()


def frontier(name: str, points: list[tuple[int, dict[str, float]]]) -> None:
    for limit in (1, 5, 10):
        best = max((point["rps"] for _, point in points if point["p99"] <= limit * 1000 and not point["errors"]), default=0.0)
        report(f"{name}_rps_with_p99_under_{limit}_ms", best, "req/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/corliss")
    parser.add_argument("--litellm", help="the program of the LiteLLM proxy")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", action="store_true", help="a million requests, and the memory before and after")
    options = parser.parse_args()
    missing = [program for program in ("nginx", "haproxy", "wrk") if not shutil.which(program)]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        # What it starts with is what it makes threads for.
        os.sched_setaffinity(0, PROXY_CPU)
        corliss = stack.enter_context(fresh(options.binary))
        os.sched_setaffinity(0, LOAD_CPU)
        urls = stack.enter_context(mock(folder))
        connect(corliss, "mock", urls)
        corliss.cli("endpoints", "routing", "mock", "--router", "least_connections")
        token = corliss.token
        proxies = {"corliss": corliss.url, "haproxy": stack.enter_context(haproxy(folder, urls))}
        if options.litellm:
            proxies["litellm"] = stack.enter_context(litellm(options.litellm, folder, urls, token))
        everyone = {name: f"{url}/v1/chat/completions" for name, url in (("direct", urls[0]), *proxies.items())}
        # Which of the service's answers it is is in the path for who passes paths on, and in the model's name for who does not.
        connect(corliss, "stream", [f"{url}/stream" for url in urls])
        streaming = {name: url.replace("/v1/", "/stream/v1/") if name in ("direct", "haproxy") else url for name, url in everyone.items()
                     if name != "litellm"}
        for url in everyone.values():
            wrk(url, token, 16, 1, folder)
        programs = [corliss.server().pid, *children_on(PROXY_CPU)]
        single: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
        points: dict[str, list[tuple[int, dict[str, float]]]] = defaultdict(list)
        for _ in range(options.rounds):
            for name, url in everyone.items():
                single[name, "two_processors"].append(wrk(url, token, 1, options.seconds, folder))
            with on_one_processor(programs):
                for name, url in everyone.items():
                    single[name, "one_processor"].append(wrk(url, token, 1, options.seconds, folder))
                for name, url in streaming.items():
                    single[name, "first_event"].append(wrk(url, token, 1, options.seconds, folder, model="stream", stream=True))
            for name in proxies:
                for connections in CONNECTIONS:
                    points[name].append((connections, wrk(everyone[name], token, connections, options.seconds, folder)))
        middle = lambda rounds, what: statistics.median(one[what] for one in rounds)
        for name in proxies:
            for where in ("one_processor", "two_processors", "first_event"):
                for what in ("p50", "p99"):
                    if single[name, where]:
                        added = middle(single[name, where], what) - middle(single["direct", where], what)
                        report(f"{name}_added_{what}_{where}", added, "us", BARS.get((name, what, where), ""))
            for connections in CONNECTIONS:
                rps = [point["rps"] for count, point in points[name] if count == connections]
                report(f"{name}_rps_{connections}_connections", statistics.median(rps), "req/s")
            report(f"{name}_errors", sum(point["errors"] for _, point in points[name]), "requests", "0")
            frontier(name, points[name])
        best = {name: max(statistics.median(point["rps"] for count, point in points[name] if count == connections)
                          for connections in CONNECTIONS) for name in proxies}
        report("rps_ratio_to_haproxy", best["corliss"] / best["haproxy"], "times", ">= 0.6")
        if "litellm" in best:
            report("rps_ratio_to_litellm", best["corliss"] / best["litellm"], "times", ">= 20")
        records = corliss.api("/endpoints/mock/requests?limit=1000")["items"]
        counts = [sum(record["replica"] == target["id"] for record in records) for target in corliss.api("/endpoints/mock")["service"]["targets"]]
        report("evenness_over_replicas", min(counts) / max(counts), "share", ">= 0.9")
        asyncio.run(streams_at_once(corliss))
        if options.million:
            wrk(everyone["corliss"], token, 64, 5, folder)
            before, done = resident_mib(corliss), 0.0
            while done < 1e6:
                done += wrk(everyone["corliss"], token, 64, 20, folder)["requests"]
                report("resident_after_requests", resident_mib(corliss), f"MiB after {done:.0f}")
            report("resident_growth", resident_mib(corliss) - before, "MiB", "flat")


if __name__ == "__main__":
    main()
