"""Uploads of artifacts that are cut at every stage: nothing half is ever listed or readable, and the same upload again works."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

import pytest
import requests

from support.cut import send_and_break_off
from support.server import Corliss

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
MPU = "/api/2.0/mlflow-artifacts/mpu"
# Larger than a buffer and than a chunk of the blob store, and no multiple of either.
CONTENT = os.urandom(1_500_001)
# In the head, at its end, in the first bytes, around buffers, and one byte before the end.
CUTS = [-40, -1, 0, 1, 8_191, 65_536, 65_537, 1_048_576, len(CONTENT) - 1]


@pytest.fixture(scope="module")
def session(shared: Corliss) -> requests.Session:
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {shared.token}"
    return session


class Run:
    """A run, seen by its artifacts."""

    def __init__(self, corliss: Corliss, session: requests.Session) -> None:
        self.corliss, self.session = corliss, session
        made = self.post("/api/2.0/mlflow/runs/create", {"experiment_id": "0"}).json()
        self.id = made["run"]["info"]["run_id"]
        self.root = made["run"]["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")

    def post(self, path: str, args: dict[str, Any]) -> requests.Response:
        return self.session.post(self.corliss.url + path, json=args, timeout=60)

    def url(self, path: str) -> str:
        return f"{self.corliss.url}{ARTIFACTS}/{self.root}/{path}"

    def listed(self, folder: str = "") -> list[tuple[str, int | None]]:
        args = {"run_id": self.id, "path": folder}
        answer = self.session.get(f"{self.corliss.url}/api/2.0/mlflow/artifacts/list", params=args, timeout=60)
        assert answer.status_code == 200, answer.text
        return [(file["path"], file.get("file_size")) for file in answer.json().get("files", [])]

    def read(self, path: str) -> bytes | None:
        answer = self.session.get(self.url(path), timeout=60)
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return answer.content

    def begin(self, path: str, parts: int) -> dict[str, Any]:
        answer = self.post(f"{MPU}/create/{self.root}", {"path": path, "num_parts": parts})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def complete(self, path: str, upload: dict[str, Any], parts: list[dict[str, Any]]) -> requests.Response:
        args = {"path": path, "upload_id": upload["upload_id"], "parts": parts}
        return self.post(f"{MPU}/complete/{self.root}", args)


@pytest.fixture
def run(shared: Corliss, session: requests.Session) -> Run:
    return Run(shared, session)


def put_part(upload: dict[str, Any], number: int, content: bytes) -> dict[str, Any]:
    """By its address, which needs no credential."""
    answer = requests.put(upload["credentials"][number - 1]["url"], data=content, timeout=60)
    assert answer.status_code == 200, answer.text
    return {"part_number": number, "etag": answer.headers["etag"]}


def settled(run: Run, expected: list[tuple[str, int | None]]) -> None:
    """What is listed is this, now and once the server has noticed that nobody sends any more."""
    for _ in range(3):
        assert run.listed() == expected
        time.sleep(0.05)


@pytest.mark.parametrize("abruptly", [False, True], ids=["closed", "reset"])
def test_a_file_that_breaks_off_is_not_there(run: Run, abruptly: bool) -> None:
    for cut in CUTS:
        send_and_break_off("PUT", run.url("big.bin"), CONTENT, cut, run.corliss.token, abruptly=abruptly)
    for cut in (0, 1, 65_536, len(CONTENT)):
        send_and_break_off("PUT", run.url("big.bin"), CONTENT, cut, run.corliss.token, abruptly=abruptly, chunked=True)
    settled(run, [])
    assert run.read("big.bin") is None
    assert run.session.put(run.url("big.bin"), data=CONTENT, timeout=60).status_code == 200
    assert run.listed() == [("big.bin", len(CONTENT))] and run.read("big.bin") == CONTENT


def test_a_file_that_was_there_stays_when_its_next_content_breaks_off(run: Run) -> None:
    assert run.session.put(run.url("w.bin"), data=b"before", timeout=60).status_code == 200
    for cut in CUTS:
        send_and_break_off("PUT", run.url("w.bin"), CONTENT, cut, run.corliss.token, abruptly=cut % 2 == 0)
        assert run.read("w.bin") == b"before"
    settled(run, [("w.bin", 6)])


def test_an_upload_by_address_that_breaks_off_is_not_there(run: Run) -> None:
    args = {"run_id": run.id, "path": "model/w.bin", "expiration": 60}
    made = run.post("/api/2.0/mlflow/artifacts/presigned-upload-url", args).json()
    for cut in CUTS:
        send_and_break_off("PUT", made["presigned_url"], CONTENT, cut)
    settled(run, [])
    assert requests.put(made["presigned_url"], data=CONTENT, timeout=60).status_code == 200
    assert run.read("model/w.bin") == CONTENT


def test_an_upload_in_parts_that_breaks_off_at_each_stage(run: Run) -> None:
    # While it is begun.
    body = json.dumps({"path": "big.bin", "num_parts": 2}).encode()
    for cut in (-40, -1, 0, 1, len(body) - 1):
        send_and_break_off("POST", f"{run.corliss.url}{MPU}/create/{run.root}", body, cut, run.corliss.token)
    settled(run, [])
    # While a part is sent: what did not arrive whole cannot be named.
    upload = run.begin("big.bin", 2)
    half = len(CONTENT) // 2
    first, second = CONTENT[:half], CONTENT[half:]
    for cut in (-1, 0, 1, 65_537, half - 1):
        send_and_break_off("PUT", upload["credentials"][0]["url"], first, cut, abruptly=cut % 2 == 0)
    refused = run.complete("big.bin", upload, [{"part_number": 1, "etag": "x"}])
    assert refused.status_code == 400 and "Part 1 has not arrived" in refused.text, refused.text
    parts = [put_part(upload, 1, first)]
    # A part that breaks off leaves the one that arrived before it.
    send_and_break_off("PUT", upload["credentials"][0]["url"], b"other", 3)
    for cut in (-1, 0, half // 2):
        send_and_break_off("PUT", upload["credentials"][1]["url"], second, cut)
    unnamed = run.complete("big.bin", upload, [*parts, {"part_number": 2, "etag": "x"}])
    assert unnamed.status_code == 400 and "Part 2 has not arrived" in unnamed.text, unnamed.text
    parts.append(put_part(upload, 2, second))
    settled(run, [])
    # While it is completed.
    body = json.dumps({"path": "big.bin", "upload_id": upload["upload_id"], "parts": parts}).encode()
    for cut in (-40, -1, 0, 1, len(body) - 1):
        send_and_break_off("POST", f"{run.corliss.url}{MPU}/complete/{run.root}", body, cut, run.corliss.token)
    settled(run, [])
    assert run.complete("big.bin", upload, parts).status_code == 200
    assert run.listed() == [("big.bin", len(CONTENT))] and run.read("big.bin") == CONTENT


def test_an_upload_that_was_given_up_leaves_nothing(run: Run) -> None:
    upload = run.begin("big.bin", 2)
    part = put_part(upload, 1, CONTENT)
    args = {"path": "big.bin", "upload_id": upload["upload_id"]}
    assert run.post(f"{MPU}/abort/{run.root}", args).status_code == 200
    assert requests.put(upload["credentials"][1]["url"], data=b"x", timeout=60).status_code == 404
    assert run.complete("big.bin", upload, [part]).status_code == 404
    settled(run, [])


def test_uploads_while_the_server_is_killed(corliss: Corliss) -> None:
    """Each file is there whole, or is not there; each that was acknowledged is."""
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {corliss.token}"
    run = Run(corliss, session)
    upload = run.begin("parts.bin", 3)
    parts = [put_part(upload, number, CONTENT[: 400_000 * number]) for number in (1, 2, 3)]
    whole = b"".join(CONTENT[: 400_000 * number] for number in (1, 2, 3))
    acknowledged: set[str] = set()

    def send(worker: int) -> None:
        own = requests.Session()
        own.headers["authorization"] = f"Bearer {corliss.token}"
        for index in range(10_000):
            path = f"f{worker}-{index}.bin"
            try:
                answer = own.put(run.url(path), data=CONTENT[: 300_000 + index], timeout=60)
            except requests.RequestException:
                return
            assert answer.status_code == 200, answer.text
            acknowledged.add(path)

    def complete() -> None:
        try:
            if run.complete("parts.bin", upload, parts).status_code == 200:
                acknowledged.add("parts.bin")
        except requests.RequestException:
            pass

    workers = [threading.Thread(target=send, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    while len(acknowledged) < 6:
        time.sleep(0.01)
    completing = threading.Thread(target=complete)
    completing.start()
    time.sleep(0.05)
    corliss.kill_server()
    for thread in [*workers, completing]:
        thread.join(60)
    corliss.up()
    listed = dict(run.listed())
    assert set(listed) >= acknowledged
    for path, size in listed.items():
        content = run.read(path)
        expected = whole if path == "parts.bin" else CONTENT[: 300_000 + int(path.split("-")[1].removesuffix(".bin"))]
        assert content == expected and size == len(expected), path
    # What was under way goes on where it was.
    assert run.complete("parts.bin", upload, parts).status_code == 200
    assert run.read("parts.bin") == whole
