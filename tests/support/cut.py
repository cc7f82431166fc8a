"""A request that breaks off: its head and a part of its body are sent, and the connection is closed."""

from __future__ import annotations

import socket
import struct
from urllib.parse import urlsplit


def send_and_break_off(
    method: str, url: str, body: bytes, at: int, token: str | None = None, *, abruptly: bool = False, chunked: bool = False
) -> None:
    """Sends the first `at` bytes of the body, or of the head if `at` is negative (-1 is all of it but its last byte). Closes
    as a program does that ends, or, abruptly, with a reset as one whose machine is gone."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    length = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    lines = [f"{method} {path} HTTP/1.1", f"host: {parts.netloc}", length, "content-type: application/octet-stream"]
    if token is not None:
        lines.append(f"authorization: Bearer {token}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    if at < 0:
        sent = head[:at]
    elif chunked:
        # All that was sent is whole chunks; what lacks is the last, empty one.
        sent = head + (f"{at:x}\r\n".encode() + body[:at] + b"\r\n" if at else b"")
    else:
        sent = head + body[:at]
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(sent)
        if abruptly:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
