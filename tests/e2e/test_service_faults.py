"""A service elsewhere that answers 500, hangs, closes in the middle or talks nonsense: its clients get an error in the
form of the dialect they speak, never a clean end, and the endpoint serves on. The service's part is played over bare
sockets; what is to be played stands in the question."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

import openai
import pytest
from openai import OpenAI

from support.server import Corliss, poll

MIB = 1 << 20
TEXT = "All is well."
ANSWER = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}}


def piece(text: str | None, finish: str | None = None) -> bytes:
    delta = {"content": text} if text else {}
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m",
             "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class Played(socketserver.StreamRequestHandler):
    """One connection of the gateway; each request names what becomes of it."""

    server: Service

    def handle(self) -> None:
        while head := self.head():
            asked = json.loads(self.rfile.read(int(head.get("content-length", 0))))
            part, self.server.asked = asked["messages"][-1]["content"], self.server.asked + 1
            try:
                if not PARTS[part](self):
                    return
            except OSError:
                return

    def head(self) -> dict[str, str]:
        lines = []
        while line := self.rfile.readline().strip():
            lines.append(line.decode())
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}

    def whole(self, status: int, body: bytes, kind: str = "application/json", more: str = "") -> bool:
        self.wfile.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body)
        return True

    def stream(self, *events: bytes, ends: bool) -> bool:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            time.sleep(0.02)
        if ends:
            self.wfile.write(b"0\r\n\r\n")
        return ends

    def cut(self, said: int, body: bytes) -> bool:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (said, body))
        return False

    def hangs(self) -> bool:
        self.server.over.wait(60)
        return False

    def endless(self) -> bool:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000000000\r\n\r\n")
        for _ in range(4000):
            self.wfile.write(b" " * MIB)
            self.server.sent += MIB
        return False

    def endless_chunks(self) -> bool:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(4000):
            self.wfile.write(b"%x\r\n%s\r\n" % (MIB, b" " * MIB))
            self.server.sent += MIB
        return False

    def endless_head(self) -> bool:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(1000):
            self.wfile.write(b"x: %s\r\n" % (b"y" * 100_000))
            self.server.sent += 100_000
        return False


Part = Callable[[Played], bool]
OK = json.dumps(ANSWER).encode()
# What is answered whole, or should have been.
WHOLE: dict[str, Part] = {
    "says 500": lambda to: to.whole(500, b'{"error": {"message": "out of order"}}'),
    "says 500 in HTML": lambda to: to.whole(500, b"<html>out of order</html>", "text/html"),
    "says 503 and nothing": lambda to: to.whole(503, b""),
    "closes before it answers": lambda to: False,
    "closes in its head": lambda to: bool(to.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-ty")) and False,
    "closes in its body": lambda to: to.cut(len(OK) + 100, OK),
    "talks no HTTP": lambda to: bool(to.wfile.write(b"220 smtp ready\r\n")) and False,
    "leads elsewhere": lambda to: to.whole(302, b"", more=f"location: {to.server.url}/elsewhere\r\n"),
    "says that it will never end": Played.endless,
    "talks no JSON": lambda to: to.whole(200, b"certainly!"),
    "is a web site": lambda to: to.whole(200, b"<!doctype html><title>Welcome</title>"),
    "never ends": Played.endless_chunks,
    "never ends its head": Played.endless_head,
}
# What begins as a stream.
STREAMS: dict[str, Part] = {
    "closes in its stream": lambda to: to.stream(piece("All "), piece("is "), ends=False),
    "ends its stream too soon": lambda to: to.stream(piece("All "), piece("is "), ends=True),
    "says an error in its stream": lambda to: to.stream(piece("All "), b'data: {"error": {"message": "out of order"}}\n\n', ends=True),
}
PARTS: dict[str, Part] = WHOLE | STREAMS | {
    "hangs": Played.hangs,
    "has too much to do": lambda to: to.whole(429, b'{"error": {"message": "come again"}}', more="retry-after: 7\r\n"),
    "answers": lambda to: to.whole(200, OK),
    "streams": lambda to: to.stream(piece("All "), piece("is "), piece("well."), piece(None, "stop"), b"data: [DONE]\n\n", ends=True),
}


class Service(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address, block_on_close = True, True, False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Played)
        self.asked, self.sent, self.over = 0, 0, threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.over.set()
    service.shutdown()
    service.server_close()


@pytest.fixture(scope="module")
def endpoint(shared: Corliss, service: Service) -> Corliss:
    shared.cli("endpoints", "connect", "far", "--url", f"{service.url}/v1", "--model", "m")
    return shared


@pytest.fixture(scope="module")
def client(endpoint: Corliss) -> OpenAI:
    return OpenAI(base_url=f"{endpoint.url}/v1", api_key=endpoint.token, max_retries=0, timeout=60)


def ask(client: OpenAI, part: str, **more):
    return client.chat.completions.create(model="far", messages=[{"role": "user", "content": part}], **more)


def resident(corliss: Corliss) -> int:
    lines = Path(f"/proc/{corliss.server().pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


def answers_again(client: OpenAI) -> None:
    """A service that failed is left alone for a moment; then it is asked, and answers."""
    assert ask(client, "answers").choices[0].message.content == TEXT
    chunks = list(ask(client, "streams", stream=True))
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == TEXT


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("part", sorted(WHOLE))
def test_no_answer_is_an_error(client: OpenAI, endpoint: Corliss, part: str, stream: bool, service: Service) -> None:
    before, service.sent = resident(endpoint), 0
    with pytest.raises(openai.InternalServerError) as refused:
        # A stream is refused before it begins, as nothing of it has come.
        ask(client, part, stream=stream)
    assert refused.value.status_code in (502, 503, 504), refused.value
    assert refused.value.code and refused.value.message, refused.value.body
    assert service.sent < 512 * MIB, "it was listened to for ever"
    record = endpoint.api("/endpoints/far/requests?limit=1")["items"][0]
    assert record["outcome"] != "answered", record
    assert resident(endpoint) < before + 512 * MIB
    answers_again(client)


@pytest.mark.parametrize("part", sorted(STREAMS))
def test_a_stream_that_is_cut_never_ends_cleanly(client: OpenAI, endpoint: Corliss, part: str) -> None:
    texts, finishes = [], []
    with pytest.raises(openai.APIError) as cut:
        for chunk in ask(client, part, stream=True):
            texts += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            finishes += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    assert "".join(texts) in ("All ", "All is ") and not finishes, (texts, finishes)
    assert cut.value.body["message"], "the client's error is that of the event"
    body = {"model": "far", "messages": [{"role": "user", "content": part}], "stream": True}
    _, text = endpoint.request("POST", "/v1/chat/completions", body)
    assert '"error"' in text and "[DONE]" not in text, text
    answers_again(client)


def test_one_that_hangs_is_given_up(client: OpenAI, endpoint: Corliss, service: Service) -> None:
    endpoint.cli("endpoints", "routing", "far", "--attempt-timeout-ms", "300")
    try:
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError) as late:
                ask(client, "hangs", stream=stream)
            assert late.value.status_code in (503, 504) and late.value.code, late.value.body
        answers_again(client)
    finally:
        endpoint.cli("endpoints", "routing", "far", "--reset")


def test_a_caller_that_leaves_is_left_by_the_service_too(endpoint: Corliss, service: Service) -> None:
    impatient = OpenAI(base_url=f"{endpoint.url}/v1", api_key=endpoint.token, max_retries=0, timeout=0.5)
    with pytest.raises(openai.APITimeoutError):
        ask(impatient, "hangs")

    def idle() -> bool:
        shown = endpoint.api("/endpoints/far")["service"]["targets"]
        return all(target.get("in_flight", 0) == 0 for target in shown)

    poll("nothing in flight", idle)


def test_too_much_to_do_is_told_with_when_to_come_again(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as refused:
        ask(client, "has too much to do")
    assert 1 <= int(refused.value.response.headers["retry-after"]) <= 60
    answers_again(client)


def test_nobody_is_led_elsewhere(client: OpenAI, service: Service) -> None:
    before = service.asked
    with pytest.raises(openai.InternalServerError):
        ask(client, "leads elsewhere")
    assert service.asked == before + 1
