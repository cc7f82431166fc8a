"""The unmodified mlflow client's registry: prompts, copies of versions, files of versions, and webhooks with a receiver."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException

from support.server import Corliss, poll, temporary_home


class Receiver:
    """Keeps what it was sent, and answers what it is told to, 200 by default."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.send_header("content-length", "4")
                self.end_headers()
                self.wfile.write(b"said")

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def events(self) -> list[str]:
        bodies = [json.loads(body) for _, body in list(self.seen)]
        return [f"{body['entity']}.{body['action']}" for body in bodies]


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    signed = f"{headers['x-mlflow-delivery-id']}.{headers['x-mlflow-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(headers["x-mlflow-signature"], f"v1,{expected}")


@pytest.fixture(scope="module")
def allowing() -> Iterator[Corliss]:
    """A server whose webhooks may reach this machine."""
    with temporary_home() as home:
        corliss = Corliss(home, settings={"CORLISS_WEBHOOKS_ALLOW": "127.0.0.1"})
        try:
            corliss.up()
            yield corliss
            corliss.down()
        finally:
            corliss.kill_everything()


@pytest.fixture
def client(allowing: Corliss, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    for name, value in allowing.variables().items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(allowing.url)
    mlflow.set_registry_uri(allowing.url)
    return MlflowClient()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def name_of(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


def version_of(client: MlflowClient, folder: Path) -> Any:
    """A model with one version, made of a run's artifacts."""
    (folder / "MLmodel").write_text("flavors: {}\n")
    run = client.create_run("0")
    client.log_artifact(run.info.run_id, str(folder / "MLmodel"), "model")
    name = name_of("m")
    client.create_registered_model(name)
    return client.create_model_version(name, f"{run.info.artifact_uri}/model", run_id=run.info.run_id, tags={"k": "v"})


def test_prompts_from_the_first_version_to_the_last(client: MlflowClient) -> None:
    name = name_of("p")
    first = client.register_prompt(name, "Hello {{name}}", commit_message="first", tags={"by": "ada"})
    second = client.register_prompt(name, [{"role": "user", "content": "Bye {{name}}"}])
    assert (first.version, second.version) == (1, 2)
    client.set_prompt_alias(name, "live", 1)
    assert client.load_prompt(f"prompts:/{name}@live").template == "Hello {{name}}"
    assert client.load_prompt(name, 2).template == [{"role": "user", "content": "Bye {{name}}"}]
    assert client.load_prompt(f"prompts:/{name}/1").format(name="Ada") == "Hello Ada"
    assert first.commit_message == "first" and first.tags["by"] == "ada"
    client.set_prompt_tag(name, "team", "vision")
    client.set_prompt_version_tag(name, "2", "checked", "yes")
    assert client.get_prompt(name).tags["team"] == "vision"
    assert client.get_prompt_version(name, "2").tags["checked"] == "yes"
    assert name in [prompt.name for prompt in client.search_prompts(f"name = '{name}'")]
    assert [one.version for one in client.search_prompt_versions(name)] == [2, 1]
    # Prompts are no models, and the names are one space.
    assert client.search_registered_models(f"name = '{name}'") == []
    with pytest.raises(MlflowException, match="already taken by a prompt"):
        client.create_registered_model(name)
    model = name_of("m")
    client.create_registered_model(model)
    with pytest.raises(MlflowException):
        client.register_prompt(model, "Hello")
    client.delete_prompt_alias(name, "live")
    client.delete_prompt_version(name, "1")
    client.delete_prompt_version(name, "2")
    client.delete_prompt(name)
    assert client.get_prompt(name) is None


def test_a_copy_has_the_files_of_its_original(client: MlflowClient, tmp_path: Path) -> None:
    original = version_of(client, tmp_path)
    client.set_registered_model_alias(original.name, "champion", original.version)
    target = name_of("m")
    copy = client.copy_model_version(f"models:/{original.name}/{original.version}", target)
    assert (copy.name, int(copy.version), copy.source) == (target, 1, f"models:/{original.name}/1")
    assert (copy.run_id, copy.tags) == (original.run_id, {"k": "v"})
    again = client.copy_model_version(f"models:/{original.name}@champion", target)
    assert int(again.version) == 2
    assert client.get_model_version_download_uri(target, "2") == original.source
    fetched = mlflow.artifacts.download_artifacts(f"models:/{target}/2", dst_path=str(tmp_path / "down"))
    assert (Path(fetched) / "MLmodel").read_text() == "flavors: {}\n"
    client.delete_registered_model(original.name)
    assert client.get_model_version(target, "1").source.startswith("models:/")
    with pytest.raises(MlflowException):
        client.copy_model_version("models:/no-such-model/1", target)


def test_a_run_names_its_model_and_pages_fetch_its_files(
    client: MlflowClient, allowing: Corliss, tmp_path: Path
) -> None:
    version = version_of(client, tmp_path)
    by_run = client._get_registry_client().store.create_model_version(
        version.name, f"runs:/{version.run_id}/model", run_id=version.run_id
    )
    assert by_run.source == f"runs:/{version.run_id}/model"
    fetched = mlflow.artifacts.download_artifacts(f"models:/{version.name}/2", dst_path=str(tmp_path / "down"))
    assert (Path(fetched) / "MLmodel").exists()
    token = allowing.variables().get("MLFLOW_TRACKING_TOKEN", "")
    for path in (
        f"/get-artifact?run_uuid={version.run_id}&path=model/MLmodel",
        f"/model-versions/get-artifact?name={version.name}&version=1&path=MLmodel",
    ):
        request = urllib.request.Request(f"{allowing.url}{path}", headers={"authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.read() == b"flavors: {}\n", path
            assert answer.headers["content-disposition"].startswith("attachment"), path
            assert answer.headers["x-content-type-options"] == "nosniff", path


def test_webhooks_tell_what_happens(client: MlflowClient, receiver: Receiver, tmp_path: Path) -> None:
    events = ["registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
              "model_version_alias.created", "model_version_alias.deleted"]
    hook = client.create_webhook(
        name="all", url=receiver.url, events=events, description="tells", secret="a secret"
    )
    assert hook.status == WebhookStatus.ACTIVE and hook.secret is None
    version = version_of(client, tmp_path)
    client.set_model_version_tag(version.name, "1", "checked", "yes")
    client.delete_model_version_tag(version.name, "1", "checked")
    client.set_registered_model_alias(version.name, "champion", "1")
    client.delete_registered_model_alias(version.name, "champion")
    # A prompt is none of these.
    client.register_prompt(name_of("p"), "Hello")
    poll("the events", lambda: len(receiver.seen) >= len(events), 30)
    assert sorted(receiver.events()) == sorted(events)
    for headers, body in receiver.seen:
        assert is_signed(headers, body, "a secret") and not is_signed(headers, body, "another")
    (created,) = [json.loads(body) for _, body in receiver.seen if b'"model_version"' in body]
    assert created["data"] == {
        "name": version.name, "version": "1", "source": version.source, "run_id": version.run_id,
        "tags": {"k": "v"}, "description": None,
    }
    client.delete_webhook(hook.webhook_id)


def test_webhooks_of_prompts(client: MlflowClient, receiver: Receiver) -> None:
    events = ["prompt.created", "prompt_version.created", "prompt_tag.set", "prompt_tag.deleted",
              "prompt_version_tag.set", "prompt_version_tag.deleted", "prompt_alias.created", "prompt_alias.deleted"]
    hook = client.create_webhook(name="prompts", url=receiver.url, events=events)
    name = name_of("p")
    client.register_prompt(name, "Hello {{name}}", commit_message="first", tags={"by": "ada"})
    client.set_prompt_tag(name, "k", "v")
    client.delete_prompt_tag(name, "k")
    client.set_prompt_version_tag(name, "1", "k", "v")
    client.delete_prompt_version_tag(name, "1", "k")
    client.set_prompt_alias(name, "live", 1)
    client.delete_prompt_alias(name, "live")
    poll("the events", lambda: set(events) <= set(receiver.events()), 30)
    assert all("x-mlflow-signature" not in headers for headers, _ in receiver.seen)
    bodies = [json.loads(body) for _, body in receiver.seen]
    (made,) = [body["data"] for body in bodies if body["entity"] == "prompt_version"]
    assert (made["name"], made["version"], made["template"]) == (name, "1", "Hello {{name}}")
    assert made["tags"]["by"] == "ada" and made["description"] == "first"
    client.delete_webhook(hook.webhook_id)


def test_webhooks_are_listed_changed_tried_and_deleted(client: MlflowClient, receiver: Receiver) -> None:
    made = client.create_webhook("one", receiver.url, ["registered_model.created"], secret="hunter2")
    assert client.get_webhook(made.webhook_id).name == "one"
    assert made.webhook_id in [hook.webhook_id for hook in client.list_webhooks()]
    client.create_webhook("two", receiver.url, ["prompt.created"])
    page = client.list_webhooks(max_results=1)
    assert len(page) == 1 and page.token
    assert client.list_webhooks(max_results=1, page_token=page.token)[0].webhook_id != page[0].webhook_id
    changed = client.update_webhook(
        made.webhook_id, name="uno", description="more", events=["prompt_alias.created"], status="DISABLED"
    )
    assert (changed.name, changed.description, changed.status) == ("uno", "more", WebhookStatus.DISABLED)
    assert changed.events == [WebhookEvent("prompt_alias", "created")]
    receiver.answers = [200, 418]
    tested = client.test_webhook(made.webhook_id)
    assert (tested.success, tested.response_status, tested.response_body) == (True, 200, "said")
    assert receiver.events() == ["prompt_alias.created"]
    failed = client.test_webhook(made.webhook_id, "model_version.created")
    assert (failed.success, failed.response_status) == (False, 418)
    for hook in client.list_webhooks():
        client.delete_webhook(hook.webhook_id)
    with pytest.raises(MlflowException, match="not found"):
        client.get_webhook(made.webhook_id)


def test_webhooks_that_are_off_are_told_nothing(client: MlflowClient, receiver: Receiver) -> None:
    off = client.create_webhook("off", receiver.url, ["registered_model.created"], status="DISABLED")
    on = client.create_webhook("on", receiver.url, ["registered_model.created"])
    client.create_registered_model(name_of("m"))
    poll("an event", lambda: len(receiver.seen) >= 1, 30)
    client.delete_webhook(off.webhook_id)
    client.create_registered_model(name_of("m"))
    poll("an event", lambda: len(receiver.seen) >= 2, 30)
    assert len(receiver.seen) == 2
    client.delete_webhook(on.webhook_id)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "bad name"}, "Webhook name"),
        ({"url": "ftp://example.org/x"}, "Invalid webhook URL scheme"),
        ({"url": "   "}, "cannot be empty"),
        ({"events": []}, "(?i)events"),
    ],
)
def test_what_webhooks_cannot_be(client: MlflowClient, receiver: Receiver, change: dict[str, Any], reason: str) -> None:
    good = {"name": "hook", "url": receiver.url, "events": ["prompt.created"]}
    with pytest.raises(MlflowException, match=reason):
        client.create_webhook(**{**good, **change})
