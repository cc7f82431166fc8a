"""A cheap client of `/v1/completions`: streams over bare sockets in one thread, so that on a machine of few cores the
server is measured and not its client. It looks at a piece of an answer only to see that there is one."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
from dataclasses import dataclass, field


@dataclass
class Answer:
    """One request and what came of it; times are of `time.monotonic`."""

    asked: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ended: float = 0.0

    @property
    def first_token_s(self) -> float:
        return self.arrivals[0] - self.asked


class _Stream(asyncio.Protocol):
    """One request on one connection."""

    def __init__(self, request: bytes) -> None:
        self.request, self.answer = request, Answer()
        self.done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.received, self.text = bytearray(), bytearray()
        self.in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.answer.asked = time.monotonic()
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.received += data
        if not self.in_body:
            head, separator, rest = self.received.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 200 " not in head.split(b"\r\n", 1)[0] or b"chunked" not in head.lower():
                self.fail(f"not a stream: {bytes(self.received[:500])!r}")
                return
            self.in_body, self.received = True, rest
        while self.chunk():
            pass
        while (end := self.text.find(b"\n\n")) >= 0:
            event = bytes(self.text[:end])
            del self.text[: end + 2]
            self.event(event, now)

    def chunk(self) -> bool:
        """Takes one chunk of the body, if it is there."""
        line = self.received.find(b"\r\n")
        if line < 0:
            return False
        size = int(self.received[:line], 16)
        if len(self.received) < line + size + 4:
            return False
        self.text += self.received[line + 2 : line + 2 + size]
        del self.received[: line + size + 4]
        return True

    def event(self, event: bytes, now: float) -> None:
        if event == b"data: [DONE]":
            self.answer.ended = now
            if not self.done.done():
                self.done.set_result(self.answer)
            self.transport.close()
        elif b'"error"' in event:
            self.fail(event.decode())
        else:
            if b'"text":"' in event and b'"text":""' not in event:
                self.answer.arrivals.append(now)
            if b'"usage":{' in event:
                usage = json.loads(event.removeprefix(b"data: "))["usage"]
                self.answer.prompt_tokens = usage["prompt_tokens"]
                self.answer.completion_tokens = usage["completion_tokens"]

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(f"cut off: {error}")

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))
        self.transport.close()


class Server:
    """A server of `/v1/completions`. `extra` are fields that only it knows."""

    def __init__(self, name: str, url: str, model: str, token: str = "", extra: dict | None = None) -> None:
        address = urllib.parse.urlsplit(url)
        self.name, self.host, self.port = name, address.hostname, address.port
        self.model, self.token, self.extra = model, token, extra or {}

    async def stream(self, prompt: str, max_tokens: int, seen: list[Answer] | None = None) -> Answer:
        """Asks, and answers when all is there; what has arrived so far is in the last of `seen`."""
        body = json.dumps({
            "model": self.model, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "stream": True,
            "stream_options": {"include_usage": True},
        } | self.extra).encode()
        head = (
            f"POST /v1/completions HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: _Stream(head.encode() + body), self.host, self.port
        )
        if seen is not None:
            seen.append(stream.answer)
        try:
            return await stream.done
        finally:
            stream.transport.close()
