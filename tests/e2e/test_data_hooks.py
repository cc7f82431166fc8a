"""Hooks of a dataset through the command line, with a real receiver beside the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import pytest

from support import processes
from support.server import Corliss, poll, temporary_home


class Receiver:
    """Keeps what it was sent, and answers what it is told to, 200 by default."""

    def __init__(self, port: int = 0) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, said = receiver.answers.pop(0) if receiver.answers else (200, "")
                self.send_response(status)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said.encode())

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in list(self.seen)]


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(headers["webhook-signature"], f"v1,{expected}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def allowing() -> Iterator[Corliss]:
    """A server whose hooks may reach this machine."""
    with temporary_home() as home:
        corliss = Corliss(home, settings={"CORLISS_WEBHOOKS_ALLOW": "127.0.0.1"})
        try:
            corliss.up()
            yield corliss
            if processes.of_home(home):
                corliss.down()
        finally:
            corliss.kill_everything()


def asked(corliss: Corliss, *arguments: str) -> Any:
    return json.loads(corliss.cli("--json", *arguments))


def refused(corliss: Corliss, *arguments: str) -> str:
    done = corliss.run_cli(*arguments)
    assert done.returncode != 0, done
    return done.stderr


def folder(tmp_path: Path) -> Path:
    path = tmp_path / f"images-{os.urandom(4).hex()}"
    path.mkdir()
    (path / "a.txt").write_text("a")
    return path


def test_a_commit_and_a_merge_are_told_also_after_a_kill(
    allowing: Corliss, receiver: Receiver, tmp_path: Path
) -> None:
    corliss, images = allowing, folder(tmp_path)
    name = images.name
    corliss.cli("data", "add", str(images), "-m", "the first")
    hook = asked(corliss, "data", "hooks", "add", name, receiver.url)
    assert "secret" not in asked(corliss, "data", "hooks", "list", name)["items"][0]
    tested = asked(corliss, "data", "hooks", "test", name, hook["id"])
    assert tested["accepted"] and tested["status"] == 200

    (images / "a.txt").write_text("b")
    committed = asked(corliss, "data", "add", str(images), "-m", "the second")
    poll("the commit to be told", lambda: len(receiver.seen) == 2)
    # It is down now, and the server is killed right after a merge.
    port = receiver.port
    receiver.stop()
    corliss.cli("data", "branch", name, "relabel")
    (images / "b.txt").write_text("b")
    corliss.cli("data", "add", str(images), "--branch", "relabel", "-m", "relabelled")
    corliss.cli("data", "merge", name, "relabel")
    corliss.kill_server()
    again = Receiver(port)
    try:
        corliss.up()
        poll("what was missed", lambda: len(again.seen) == 2, timeout_s=90)
        events = receiver.events() + again.events()
        assert [event["type"] for event in events] == [
            "dataset.test", "dataset.commit", "dataset.commit", "dataset.merge",
        ]
        assert events[1]["data"]["version"] == committed["version"]
        assert events[1]["data"]["message"] == "the second" and events[2]["data"]["branch"] == "relabel"
        assert events[3]["data"]["source"] == events[2]["data"]["new_commit"]
        assert all(is_signed(headers, body, hook["secret"]) for headers, body in receiver.seen + again.seen)
        told = lambda: asked(corliss, "data", "hooks", "deliveries", name, hook["id"])["items"]  # noqa: E731
        poll("all to be written down", lambda: [one["state"] for one in told()] == ["delivered"] * 3)
    finally:
        again.stop()
    assert "confirmation" in refused(corliss, "data", "hooks", "remove", name, hook["id"])
    corliss.cli("data", "hooks", "remove", name, hook["id"], "--yes")
    assert asked(corliss, "data", "hooks", "list", name)["items"] == []


def test_a_receiver_that_is_asked_before_may_refuse(allowing: Corliss, receiver: Receiver, tmp_path: Path) -> None:
    corliss, images = allowing, folder(tmp_path)
    name = images.name
    corliss.cli("data", "add", str(images), "-m", "the first")
    hook = asked(corliss, "data", "hooks", "add", name, receiver.url, "--before", "--branch", "main")
    (images / "a.txt").write_text("b")
    receiver.answers = [(422, "a.txt has no label")]
    assert "a.txt has no label" in refused(corliss, "data", "add", str(images), "-m", "the second")
    assert len(asked(corliss, "data", "log", name)["items"]) == 1
    assert receiver.events()[0]["data"]["when"] == "before"
    corliss.cli("data", "add", str(images), "--dry-run")
    corliss.cli("data", "add", str(images), "-m", "the second")
    assert len(receiver.seen) == 2, "a dry run asks nobody"
    receiver.stop()
    (images / "a.txt").write_text("c")
    assert "must agree" in refused(corliss, "data", "add", str(images), "-m", "the third")
    corliss.cli("data", "hooks", "set", name, hook["id"], "--disable")
    corliss.cli("data", "add", str(images), "-m", "the third")


def test_this_machine_is_reached_only_where_that_is_allowed(corliss: Corliss, receiver: Receiver, tmp_path: Path) -> None:
    images = folder(tmp_path)
    corliss.cli("data", "add", str(images), "-m", "the first")
    assert "private network" in refused(corliss, "data", "hooks", "add", images.name, receiver.url)
    by_name = receiver.url.replace("127.0.0.1", "localhost")
    hook = asked(corliss, "data", "hooks", "add", images.name, by_name)
    assert "[webhooks]" in refused(corliss, "data", "hooks", "test", images.name, hook["id"])
    assert receiver.seen == []
