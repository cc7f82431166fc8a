"""The unmodified mlflow client's artifacts: uploads in parts, downloads in ranges, and addresses for a while."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from support.server import Corliss

PART_BYTES = 5 * 1024 * 1024


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(PART_BYTES))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(PART_BYTES))


@pytest.fixture
def presigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE", str(PART_BYTES))


def call(server: Corliss, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    token = server.variables().get("MLFLOW_TRACKING_TOKEN", "")
    request = urllib.request.Request(
        f"{server.url}{path}", json.dumps(body or {}).encode() if method != "GET" else None, method=method,
        headers={"content-type": "application/json", "authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"null")


def send(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """To an address that needs no credential."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def test_a_large_file_goes_in_parts_and_comes_in_ranges(
    client: MlflowClient, in_parts: None, presigned: None, tmp_path: Path
) -> None:
    content = os.urandom(3 * PART_BYTES + 12_345)
    (tmp_path / "big.bin").write_bytes(content)
    run = client.create_run("0").info.run_id
    client.log_artifact(run, str(tmp_path / "big.bin"), "model/data")
    (listed,) = client.list_artifacts(run, "model/data")
    assert (listed.path, listed.file_size) == ("model/data/big.bin", len(content))
    fetched = client.download_artifacts(run, "model/data/big.bin", str(tmp_path))
    assert Path(fetched).read_bytes() == content


def test_small_files_are_fetched_by_address_too(client: MlflowClient, presigned: None, tmp_path: Path) -> None:
    run = client.create_run("0").info.run_id
    client.log_text(run, "", "empty.txt")
    client.log_text(run, "grüße", "with space/ü.txt")
    assert Path(client.download_artifacts(run, "with space/ü.txt", str(tmp_path))).read_text() == "grüße"
    assert Path(client.download_artifacts(run, "empty.txt", str(tmp_path))).read_text() == ""


def test_a_part_that_fails_leaves_nothing(
    client: MlflowClient, shared: Corliss, in_parts: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    sent = HttpArtifactRepository._upload_part

    def broken(credential: Any, *arguments: Any, **named: Any) -> Any:
        if credential.part_number == 2:
            raise ConnectionError("the connection broke")
        return sent(credential, *arguments, **named)

    monkeypatch.setattr(HttpArtifactRepository, "_upload_part", staticmethod(broken))
    (tmp_path / "big.bin").write_bytes(os.urandom(2 * PART_BYTES))
    run = client.create_run("0").info.run_id
    with pytest.raises(Exception, match="Failed to upload"):
        client.log_artifact(run, str(tmp_path / "big.bin"))
    assert client.list_artifacts(run) == []


def test_an_address_is_for_one_file_and_one_purpose(client: MlflowClient, shared: Corliss) -> None:
    run = client.create_run("0").info.run_id
    ask = {"run_id": run, "path": "model/w.bin", "expiration": 60}
    status, made = call(shared, "POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", ask)
    assert status == 200, made
    assert send("PUT", made["presigned_url"], b"weights")[0] == 200
    assert send("GET", made["presigned_url"])[0] == 404
    status, read = call(shared, "POST", "/api/2.0/mlflow/artifacts/presigned-download-url", ask)
    assert (status, read["file_size"]) == (200, 7)
    assert send("GET", read["presigned_url"]) == (200, b"weights")
    assert send("GET", read["presigned_url"], headers={"range": "bytes=1-3"}) == (206, b"eig")
    assert send("PUT", read["presigned_url"], b"x")[0] == 404
    changed = read["presigned_url"][:-3] + "AAA"
    assert send("GET", changed)[0] == 404
    assert call(shared, "POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", {**ask, "path": "../x"})[0] == 400


def test_pages_add_a_file(client: MlflowClient, shared: Corliss) -> None:
    run = client.create_run("0").info.run_id
    token = shared.variables().get("MLFLOW_TRACKING_TOKEN", "")
    url = f"{shared.url}/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=notes/a.html"
    headers = {"authorization": f"Bearer {token}", "content-type": "application/octet-stream"}
    assert send("POST", url, b"<script>", headers)[0] == 200
    assert [item.path for item in client.list_artifacts(run, "notes")] == ["notes/a.html"]


def test_what_older_clients_and_pages_ask(client: MlflowClient, shared: Corliss) -> None:
    name = f"e-{uuid.uuid4().hex[:8]}"
    experiment = client.create_experiment(name)
    run = client.create_run(experiment).info.run_id
    model = {"artifact_path": "m", "flavors": {"f": {}}, "utc_time_created": "now", "run_id": run}
    for _ in range(2):
        status, _ = call(shared, "POST", "/api/2.0/mlflow/runs/log-model", {"run_id": run, "model_json": json.dumps(model)})
        assert status == 200
    assert len(json.loads(client.get_run(run).data.tags["mlflow.log-model.history"])) == 2
    dataset = {"name": "digits", "digest": "d", "source_type": "local", "source": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    body = {"run_id": run, "datasets": [{"dataset": dataset, "tags": tags}]}
    assert call(shared, "POST", "/api/2.0/mlflow/runs/log-inputs", body)[0] == 200
    path = "/ajax-api/2.0/mlflow/experiments/search-datasets"
    assert call(shared, "POST", path, {"experiment_ids": [experiment]}) == (
        200, {"dataset_summaries": [{"experiment_id": experiment, "name": "digits", "digest": "d", "context": "training"}]}
    )
