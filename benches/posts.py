"""A cheap client for many requests at once: answers are read whole over kept connections in one thread, and looked at no
further than their status and when to come again."""

from __future__ import annotations

import asyncio
import time
import urllib.parse
from dataclasses import dataclass


@dataclass
class Answer:
    """What came of a request. A status of 0 is none: the connection broke, or was never made."""

    status: int
    retry_after: str | None
    asked: float
    answered: float
    body: bytes = b""
    failure: str = ""

    @property
    def seconds(self) -> float:
        return self.answered - self.asked


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self.received, self.length = bytearray(), None
        self.done: asyncio.Future[tuple[int, str | None, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, str | None, bytes]]:
        self.received.clear()
        self.length = None
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.length is None:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            self.head = bytes(self.received[:end]).decode().lower()
            named = dict(line.split(": ", 1) for line in self.head.split("\r\n")[1:])
            self.status, self.retry_after = int(self.head[9:12]), named.get("retry-after")
            self.is_kept, self.body_at = named.get("connection") != "close", end + 4
            self.length = self.body_at + int(named["content-length"])
        if len(self.received) >= self.length and self.done and not self.done.done():
            self.done.set_result((self.status, self.retry_after, bytes(self.received[self.body_at :])))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_kept = False
        if self.done and not self.done.done():
            self.done.set_exception(ConnectionError(str(error or "closed")))


class Client:
    """Posts to one server. There are as many connections as requests at once."""

    def __init__(self, url: str, token: str) -> None:
        address = urllib.parse.urlsplit(url)
        self.host, self.port, self.token = address.hostname, address.port, token
        self.free: list[_Connection] = []

    def request(self, path: str, body: bytes, headers: str = "content-type: application/json") -> bytes:
        return (f"POST {path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\nauthorization: Bearer {self.token}\r\n{headers}\r\n"
                f"content-length: {len(body)}\r\n\r\n").encode() + body

    async def ask(self, request: bytes) -> Answer:
        asked = time.monotonic()
        connection = None
        try:
            connection = await self._connection()
            status, retry_after, body = await connection.ask(request)
        except OSError as error:
            return Answer(0, None, asked, time.monotonic(), failure=type(error).__name__ + str(error.errno or ""))
        if connection.is_kept:
            self.free.append(connection)
        else:
            connection.transport.close()
        return Answer(status, retry_after, asked, time.monotonic(), body)

    async def _connection(self) -> _Connection:
        while self.free:
            if not (kept := self.free.pop()).transport.is_closing():
                return kept
        _, made = await asyncio.get_running_loop().create_connection(_Connection, self.host, self.port)
        return made

    def close(self) -> None:
        for connection in self.free:
            connection.transport.close()
