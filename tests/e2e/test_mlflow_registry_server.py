"""What the server promises beyond the client's calls: events and uploads outlive a kill, and receivers are guarded."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from support.server import Corliss, poll, temporary_home


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/x", "https://10.0.0.1/x", "http://example.org/x"]
)
def test_this_machine_and_private_networks_are_not_reached(client: MlflowClient, url: str) -> None:
    with pytest.raises(MlflowException) as refused:
        client.create_webhook("hook", url, ["prompt.created"])
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_name_is_judged_when_it_is_connected_to(client: MlflowClient) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    try:
        url = f"https://localhost:{server.server_address[1]}/x"
        hook = client.create_webhook(f"hook-{uuid.uuid4().hex[:6]}", url, ["prompt.created"])
        tested = client.test_webhook(hook.webhook_id)
        assert not tested.success and "private network" in tested.error_message
    finally:
        server.server_close()


def test_what_was_not_told_yet_is_told_after_a_kill() -> None:
    with socket.socket() as taken:
        # Nobody listens here yet, and nobody else gets the port.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with temporary_home() as home:
            corliss = Corliss(home, settings={"CORLISS_WEBHOOKS_ALLOW": "127.0.0.1"})
            try:
                corliss.up()
                api = "/api/2.0/mlflow"
                hook = {
                    "name": "hook", "url": f"http://127.0.0.1:{port}/hook", "secret": "shh",
                    "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}],
                }
                status, made = corliss.request("POST", f"{api}/webhooks", hook)
                assert status == 200 and "shh" not in json.dumps(made), made
                for name in ("a", "b", "c"):
                    assert corliss.request("POST", f"{api}/registered-models/create", {"name": name})[0] == 200
                corliss.kill_server()
                corliss.up()
                assert corliss.request("POST", f"{api}/registered-models/create", {"name": "d"})[0] == 200
                taken.close()
                seen: list[tuple[str, str]] = []

                class Handler(BaseHTTPRequestHandler):
                    def do_POST(self) -> None:
                        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                        seen.append((self.headers["x-mlflow-delivery-id"], body["data"]["name"]))
                        assert self.headers["x-mlflow-signature"].startswith("v1,")
                        self.send_response(204)
                        self.end_headers()

                    def log_message(self, *arguments: Any) -> None:
                        pass

                server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                try:
                    # The oldest may wait for its next try.
                    poll("all to be told", lambda: {name for _, name in seen} == set("abcd"), timeout_s=120)
                    told = list(dict.fromkeys(seen))
                    assert [name for _, name in told] == ["a", "b", "c", "d"], "each once or again, and in order"
                finally:
                    server.shutdown()
                    server.server_close()
                corliss.down()
            finally:
                corliss.kill_everything()


def test_an_upload_in_parts_goes_on_after_a_kill() -> None:
    with temporary_home() as home:
        corliss = Corliss(home)
        try:
            corliss.up()
            _, made = corliss.request("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"})
            root = made["run"]["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
            mpu = "/api/2.0/mlflow-artifacts/mpu"
            status, begun = corliss.request("POST", f"{mpu}/create/{root}", {"path": "big.bin", "num_parts": 2})
            assert status == 200, begun

            def send(number: int, content: bytes) -> dict[str, Any]:
                request = urllib.request.Request(begun["credentials"][number - 1]["url"], content, method="PUT")
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return {"part_number": number, "etag": answer.headers["etag"]}

            parts = [send(1, b"one-")]
            corliss.kill_server()
            corliss.up()
            parts.append(send(2, b"two"))
            complete = {"path": "big.bin", "upload_id": begun["upload_id"], "parts": parts}
            assert corliss.request("POST", f"{mpu}/complete/{root}", complete) == (200, {})
            corliss.kill_server()
            corliss.up()
            # The answer may have been lost; and the file is there.
            assert corliss.request("POST", f"{mpu}/complete/{root}", complete) == (200, {})
            status, content = corliss.request("GET", f"/api/2.0/mlflow-artifacts/artifacts/{root}/big.bin")
            assert (status, content) == (200, "one-two")
            corliss.down()
        finally:
            corliss.kill_everything()
