"""Frames of HTTP/2 (RFC 9113) written by hand, for what no client library would send."""

from __future__ import annotations

import socket
import struct
from typing import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8, 0x9
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
INITIAL_WINDOW_SIZE = 0x4
CANCEL, ENHANCE_YOUR_CALM = 0x8, 0xB

# Bytes that the server may send before it is told of more: all that a test reads, so that none has to count.
WINDOW = 1 << 30


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def reset(stream: int) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))


def text(value: str) -> bytes:
    """A string of HPACK (RFC 7541, section 5.2), not Huffman-coded."""
    raw = value.encode()
    return integer(len(raw), 7) + raw


def integer(value: int, bits: int, pattern: int = 0) -> bytes:
    """A number of HPACK with a prefix of so many bits."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([pattern | value])
    encoded, value = bytearray([pattern | most]), value - most
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def field(name: str, value: str, indexed: bool = False) -> bytes:
    """A header; an indexed one goes into the table of the connection, as its entry 62."""
    return (b"\x40" if indexed else b"\x00") + text(name) + text(value)


def request(method: str, path: str, authority: str, **more: str) -> bytes:
    """The header block of a request; `_` in a name stands for `-`."""
    block = field(":method", method) + field(":scheme", "http") + field(":path", path) + field(":authority", authority)
    return block + b"".join(field(name.replace("_", "-"), value) for name, value in more.items())


class Connection:
    """One connection, open and greeted."""

    def __init__(self, listen: str, timeout_s: float = 10.0) -> None:
        host, _, port = listen.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        settings = frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, WINDOW))
        self.socket.sendall(PREFACE + settings + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW)))
        self.received = b""

    def send(self, data: bytes) -> bool:
        """False where the server no longer takes it."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Kind, flags, stream and payload of what comes, until the server closes or is silent."""
        while True:
            while len(self.received) >= 9 and len(self.received) >= 9 + self._length():
                kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
                payload = self.received[9 : 9 + self._length()]
                self.received = self.received[9 + self._length() :]
                yield kind, flags, stream, payload
            try:
                data = self.socket.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            self.received += data

    def frames_until(self, last: int, stream: int | None = None) -> Iterator[tuple[int, int, int, bytes]]:
        """As `frames`, and no further than the first of this kind (of this stream)."""
        for one in self.frames():
            yield one
            if one[0] == last and stream in (None, one[2]):
                return

    def _length(self) -> int:
        return int.from_bytes(self.received[:3], "big")

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
