"""Connections that mean harm: headers and bodies a byte at a time, floods of headers, streams opened to be reset. They
end at their limits, and whoever else asks meanwhile is answered."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from pathlib import Path
from typing import Iterator

import pytest

from support import http2
from support.server import Corliss, poll
from support.times import serve

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
# Longer than the longest patience of the server with a connection, 75 s.
PATIENCE_S = 180.0
MIB = 1 << 20
# Forbids the tokens by which SmolLM2 ends an answer.
ENDLESS = {"0": -100, "2": -100}


@pytest.fixture(scope="module")
def endpoint(shared: Corliss, tmp_path_factory: pytest.TempPathFactory) -> Corliss:
    return serve(shared, tmp_path_factory.mktemp("times"))


class Trickle:
    """Connections that send a byte a second, or nothing, each until the server closes it."""

    COUNTS = {"headers": 120, "body": 40, "silence": 20, "http2": 20}

    def __init__(self, corliss: Corliss) -> None:
        self.listen = corliss.listen
        length = len(json.dumps(BODY))
        ask = f"POST /v2/models/times/infer HTTP/1.1\r\nhost: {self.listen}\r\nauthorization: Bearer {corliss.token}\r\n"
        self.first = {
            "headers": f"GET /healthz HTTP/1.1\r\nhost: {self.listen}\r\nx-slow: ".encode(),
            "body": f"{ask}content-type: application/json\r\ncontent-length: {length}\r\n\r\n".encode(),
            "silence": b"",
            "http2": http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0),
        }
        self.open, self.closed = 0, {kind: [] for kind in self.COUNTS}
        self.left, self.failure = threading.Event(), None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:
            self.failure = error
            raise

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(kind) for kind, count in self.COUNTS.items() for _ in range(count)))

    async def _one(self, kind: str) -> None:
        host, _, port = self.listen.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self.open += 1
        writer.write(self.first[kind])
        answer = asyncio.create_task(reader.read())
        while not self.left.is_set() and not (await asyncio.wait([answer], timeout=1))[0]:
            if kind in ("headers", "body"):
                writer.write(b" ")
        if answer.done():
            self.closed[kind].append(b"" if answer.exception() else answer.result())
            self.open -= 1
        writer.close()

    def leave(self) -> None:
        self.left.set()
        self.thread.join()


@pytest.fixture(scope="module", autouse=True)
def trickle(endpoint: Corliss) -> Iterator[Trickle]:
    """There while all tests of this file run, so that they are what is not held up."""
    slow = Trickle(endpoint)
    poll("all connections", lambda: slow.open == sum(Trickle.COUNTS.values()))
    yield slow
    slow.leave()


def resident(corliss: Corliss) -> int:
    """Bytes of memory that the server holds."""
    lines = Path(f"/proc/{corliss.server().pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


def answers(corliss: Corliss) -> None:
    status, answer = corliss.request("POST", "/v2/models/times/infer", BODY)
    assert status == 200 and answer["outputs"][0]["data"] == [2, 4, 6, 8], answer


def test_others_are_answered_while_two_hundred_are_slow(endpoint: Corliss, trickle: Trickle) -> None:
    for _ in range(50):
        answers(endpoint)
    assert trickle.open == sum(Trickle.COUNTS.values()), "they were not there any more"


def exchange(corliss: Corliss, sent: bytes) -> bytes:
    """What is answered to these bytes, up to the end of the connection."""
    host, _, port = corliss.listen.rpartition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        try:
            connection.sendall(sent)
            while data := connection.recv(1 << 16):
                received += data
        except ConnectionError:
            pass  # closed before all was sent; what came before that counts
    return received


def test_a_flood_of_headers_is_refused(endpoint: Corliss) -> None:
    begin = f"GET /healthz HTTP/1.1\r\nhost: {endpoint.listen}\r\nconnection: close\r\n".encode()
    assert exchange(endpoint, begin + b"x: %s\r\n\r\n" % (b"y" * 32_000)).startswith(b"HTTP/1.1 200 ")
    before = resident(endpoint)
    for headers in (
        b"".join(b"x-%d: y\r\n" % at for at in range(1000)) + b"\r\n",
        b"x: %s\r\n\r\n" % (b"y" * MIB),
        b"x: y\r\n" * 500_000,
        b"x" * MIB + b": y\r\n\r\n",
    ):
        answer = exchange(endpoint, begin + headers)
        # Nothing where the connection was closed on what was still being sent, which the kernel tells as a reset.
        assert answer[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b""), answer
        answers(endpoint)
    assert exchange(endpoint, b"GET /%s HTTP/1.1\r\nhost: x\r\n\r\n" % (b"y" * MIB))[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 414", b"")
    assert resident(endpoint) < before + 64 * MIB


def get(corliss: Corliss, path: str = "/v1/models") -> bytes:
    return http2.request("GET", path, corliss.listen, authorization=f"Bearer {corliss.token}")


def calmed(connection: http2.Connection) -> bool:
    """Whether the server said that this is too much, and closed."""
    gone = [payload for kind, _, _, payload in connection.frames() if kind == http2.GOAWAY]
    return bool(gone) and int.from_bytes(gone[-1][4:8], "big") == http2.ENHANCE_YOUR_CALM


def test_streams_that_are_reset_at_once_end_the_connection(endpoint: Corliss) -> None:
    """CVE-2023-44487: each costs the client two frames, and the server a request."""
    whole = http2.END_STREAM | http2.END_HEADERS
    with http2.Connection(endpoint.listen) as connection:
        connection.send(http2.frame(http2.HEADERS, whole, 1, get(endpoint)))
        assert any(kind == http2.DATA and body for kind, _, _, body in connection.frames_until(http2.DATA))
    before = resident(endpoint)
    for _ in range(10):
        with http2.Connection(endpoint.listen) as connection:
            block, taken = get(endpoint), True
            for first in range(1, 40_000, 200):
                streams = range(first, first + 200, 2)
                burst = b"".join(http2.frame(http2.HEADERS, whole, at, block) + http2.reset(at) for at in streams)
                taken = taken and connection.send(burst)
            assert calmed(connection) or not taken
    answers(endpoint)
    assert resident(endpoint) < before + 64 * MIB


def test_headers_without_an_end_and_headers_that_unfold_are_refused(endpoint: Corliss) -> None:
    before = resident(endpoint)
    with http2.Connection(endpoint.listen) as connection:
        connection.send(http2.frame(http2.HEADERS, http2.END_STREAM, 1, get(endpoint)))
        part = http2.frame(http2.CONTINUATION, 0, 1, http2.field("x-a", "y" * 4000))
        taken = all(connection.send(part) for _ in range(20_000))
        assert calmed(connection) or not taken
    with http2.Connection(endpoint.listen) as connection:
        # One entry of the table, meant ten thousand times: 14 KB that would be 39 MB.
        bomb = get(endpoint, "/healthz") + http2.field("x", "z" * 3900, indexed=True) + b"\xbe" * 10_000
        connection.send(http2.frame(http2.HEADERS, http2.END_STREAM | http2.END_HEADERS, 1, bomb))
        assert not any(kind == http2.DATA for kind, _, _, _ in connection.frames())
    answers(endpoint)
    assert resident(endpoint) < before + 64 * MIB


def test_a_reset_frees_what_was_being_decoded(house: Corliss, language_model: str) -> None:
    chat = {"model": language_model, "messages": [{"role": "user", "content": "Tell me a very long story."}],
            "max_tokens": 1500, "stream": True, "logit_bias": ENDLESS}
    body, headers = json.dumps(chat).encode(), {"authorization": f"Bearer {house.token}", "content_type": "application/json"}
    block = http2.request("POST", "/v1/chat/completions", house.listen, **headers)

    def in_flight() -> int:
        return sum(replica["in_flight"] for replica in house.api(f"/endpoints/{language_model}")["replicas"])

    with http2.Connection(house.listen, timeout_s=60) as connection:
        streams = range(1, 17, 2)
        for at in streams:
            connection.send(http2.frame(http2.HEADERS, http2.END_HEADERS, at, block))
            connection.send(http2.frame(http2.DATA, http2.END_STREAM, at, body))
        begun: set[int] = set()
        for kind, _, at, payload in connection.frames():
            begun |= {at} if kind == http2.DATA and payload else set()
            if len(begun) == len(streams):
                break
        assert begun == set(streams)
        poll("all are decoded", lambda: in_flight() == len(streams))
        for at in streams:
            connection.send(http2.reset(at))
        # The connection stays, so it is by the resets.
        poll("none is decoded", lambda: in_flight() == 0, timeout_s=20)
        connection.send(http2.frame(http2.HEADERS, http2.END_STREAM | http2.END_HEADERS, 99, get(house, "/healthz")))
        assert any(kind == http2.DATA and at == 99 for kind, _, at, _ in connection.frames_until(http2.DATA, 99))


def test_the_slow_are_closed_when_their_time_is_up(endpoint: Corliss, trickle: Trickle) -> None:
    poll("the server to close them", lambda: trickle.open == 0, timeout_s=PATIENCE_S, every_s=0.5)
    assert trickle.failure is None
    assert {kind: len(closed) for kind, closed in trickle.closed.items()} == Trickle.COUNTS
    assert not any(b" 200 " in answer for closed in trickle.closed.values() for answer in closed)
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in trickle.closed["body"]), trickle.closed["body"][0]
    answers(endpoint)
