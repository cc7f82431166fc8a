"""What no client sends: every field of every call of tracking with texts and types that it is not made for, on SQLite and on
PostgreSQL. Each is answered as MLflow refuses or takes it, none with a fault of the server, and what others logged stays."""

from __future__ import annotations

import copy
import json
from typing import Any, Iterator

import pytest
import requests

from support.postgres import postgres_server
from support.server import Corliss, temporary_home

TEXTS = [
    "", " ", "\0", "a\0b", "' OR 1=1 --", '"; DROP TABLE tracking_runs; --', "%", "_", "\\", "%' ESCAPE 'x", "`", "..",
    "../../etc/passwd", "/etc/passwd", "C:\\x", "file:///etc/passwd", "http://169.254.169.254/", "🙂", "\u202e\ufeff",
    "\r\nset-cookie: x", "<script>alert(1)</script>", "${jndi:ldap://x}", "9" * 40, "-1", "1e400", "NaN", "x" * 100_000,
]
OTHERS = [5, -1, 2**63, 2**70, 1.5, True, None, [], {}, [[]], [None], {"key": {"key": {}}}]


def calls(experiment: str, run: str, model: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Calls as clients make them. They say nothing of the witness."""
    pair = {"key": "k", "value": "v"}
    metric = {"key": "m", "value": 1.0, "timestamp": 1, "step": 1, "model_id": model, "dataset_name": "d", "dataset_digest": "e"}
    dataset = {"name": "d", "digest": "e", "source_type": "local", "source": "{}", "schema": "{}", "profile": "{}"}
    search = {"filter": "name = 'a'", "order_by": ["name ASC"], "max_results": 5, "page_token": "eyJvZmZzZXQiOjF9"}
    one, bulk = {"run_id": run, "metric_key": "m"}, {"run_ids": [run], "metric_key": "m", "start_step": 0, "end_step": 9}
    return [
        ("POST", "experiments/create", {"name": "another", "artifact_location": "s3://b/c", "tags": [pair]}),
        ("GET", "experiments/get", {"experiment_id": experiment}),
        ("GET", "experiments/get-by-name", {"experiment_name": "a"}),
        ("POST", "experiments/search", {**search, "view_type": "ALL"}),
        ("GET", "experiments/search", {**search, "view_type": "ALL"}),
        ("POST", "experiments/update", {"experiment_id": experiment, "new_name": "renamed"}),
        ("POST", "experiments/set-experiment-tag", {"experiment_id": experiment, **pair}),
        ("POST", "experiments/delete-experiment-tag", {"experiment_id": experiment, "key": "k"}),
        ("POST", "runs/create", {"experiment_id": experiment, "user_id": "u", "start_time": 1, "run_name": "n", "tags": [pair]}),
        ("GET", "runs/get", {"run_id": run}),
        ("POST", "runs/update", {"run_id": run, "status": "RUNNING", "end_time": 1, "run_name": "n"}),
        ("POST", "runs/search", {**search, "experiment_ids": [experiment], "run_view_type": "ALL", "filter": "params.k = 'v'",
                                 "order_by": ["metrics.m DESC"]}),
        ("POST", "runs/log-metric", {"run_id": run, **metric}),
        ("POST", "runs/log-parameter", {"run_id": run, **pair}),
        ("POST", "runs/log-batch", {"run_id": run, "metrics": [metric], "params": [pair], "tags": [pair]}),
        ("POST", "runs/set-tag", {"run_id": run, **pair}),
        ("POST", "runs/delete-tag", {"run_id": run, "key": "k"}),
        ("POST", "runs/log-inputs", {"run_id": run, "datasets": [{"dataset": dataset, "tags": [pair]}], "models": [{"model_id": model}]}),
        ("POST", "runs/outputs", {"run_id": run, "models": [{"model_id": model, "step": 1}]}),
        ("POST", "runs/log-model", {"run_id": run, "model_json": '{"artifact_path": "m", "flavors": {}, "run_id": "r", "utc_time_created": "t"}'}),
        ("GET", "metrics/get-history", {**one, "max_results": 5, "page_token": "eyJvZmZzZXQiOjF9"}),
        ("GET", "metrics/get-history-bulk", {**one, "max_results": 5}),
        ("GET", "metrics/get-history-bulk-interval", {**bulk, "max_results": 5}),
        ("GET", "artifacts/list", {"run_id": run, "path": "a"}),
        ("POST", "artifacts/presigned-upload-url", {"run_id": run, "path": "a", "expiration": 60}),
        ("POST", "artifacts/presigned-download-url", {"run_id": run, "path": "a", "expiration": 60}),
        ("POST", "logged-models", {"experiment_id": experiment, "name": "n", "model_type": "t", "source_run_id": run,
                                   "params": [pair], "tags": [pair]}),
        ("PATCH", f"logged-models/{model}", {"status": "LOGGED_MODEL_READY"}),
        ("PATCH", f"logged-models/{model}/tags", {"tags": [pair]}),
        ("POST", f"logged-models/{model}/params", {"params": [pair]}),
        ("GET", f"logged-models/{model}/artifacts/directories", {"artifact_directory_path": "a"}),
        ("POST", "logged-models/search", {
            "experiment_ids": [experiment], "filter": "name = 'a'", "max_results": 5, "page_token": "eyJvZmZzZXQiOjF9",
            "order_by": [{"field_name": "name", "ascending": True, "dataset_name": "d", "dataset_digest": "e"}],
            "datasets": [{"dataset_name": "d", "dataset_digest": "e"}]}),
        ("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": [experiment]}),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts", {"path": "a"}),
        ("GET", "/get-artifact", {"run_id": run, "path": "a"}),
    ]


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place of a call's arguments, leaves and what holds them."""
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, name)
        if isinstance(item, dict | list):
            yield from places(item, (*path, name))


def put(args: dict[str, Any], place: tuple, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(args)
    holder = changed
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    return changed


class Client:
    """Calls Corliss over one connection."""

    def __init__(self, corliss: Corliss) -> None:
        self.base = corliss.url
        self.session = requests.Session()
        self.session.headers["authorization"] = f"Bearer {corliss.token}"

    def call(self, method: str, path: str, args: Any, headers: dict[str, str] | None = None) -> requests.Response:
        url = self.base + (path if path.startswith("/") else f"/api/2.0/mlflow/{path}")
        if method == "GET":
            flat = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in args.items()}
            return self.session.get(url, params=flat, headers=headers, timeout=30)
        return self.session.request(method, url, json=args, headers=headers, timeout=30)

    def made(self, path: str, args: dict[str, Any]) -> dict[str, Any]:
        answer = self.call("POST", path, args)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with temporary_home() as home:
        if request.param == "postgres":
            with postgres_server() as server:
                yield from _client(Corliss(home, settings={"CORLISS_DATABASE_URL": server.database()}))
        else:
            yield from _client(Corliss(home))


def _client(corliss: Corliss) -> Iterator[Client]:
    try:
        corliss.up()
        yield Client(corliss)
        assert "panicked" not in corliss.server_log(lines=1_000_000)
        corliss.down()
    finally:
        corliss.kill_everything()


def refused(answer: requests.Response) -> bool:
    """Whether it is a refusal in MLflow's form; anything but that or an answer is a fault."""
    where = f"{answer.request.method} {answer.request.url[:300]} {str(answer.request.body)[:300]}"
    assert answer.status_code < 500, f"{where}: {answer.status_code} {answer.text[:300]}"
    if answer.status_code < 400:
        return False
    if answer.status_code in (414, 431):
        return True
    said = answer.json()
    assert said["error_code"] and said["message"], f"{where}: {said}"
    # The words of a database, or of Rust, are nobody's affair.
    for word in ("SQL", "sqlite", "postgres", "metadata store", "serde", "Utf8Error"):
        assert word not in said["message"], f"{where}: {said}"
    return True


def test_every_field_of_every_call(client: Client) -> None:
    witness = client.made("runs/create", {"experiment_id": "0", "start_time": 1, "run_name": "witness"})["run"]["info"]["run_id"]
    client.made("runs/log-batch", {
        "run_id": witness, "metrics": [{"key": "m", "value": 1, "timestamp": 1}], "params": [{"key": "k", "value": "v"}],
        "tags": [{"key": "k", "value": "v"}],
    })
    before = client.call("GET", "runs/get", {"run_id": witness}).json()
    experiment = client.made("experiments/create", {"name": "many"})["experiment_id"]
    run = client.made("runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    model = client.made("logged-models", {"experiment_id": experiment, "name": "m"})["model"]["info"]["model_id"]
    asked = refusals = 0
    for method, path, args in calls(experiment, run, model):
        for place in places(args):
            for value in TEXTS + OTHERS:
                answer = client.call(method, path, put(args, place, value))
                # What was renamed can be renamed again.
                asked, refusals = asked + 1, refusals + refused(answer)
    print(f"{asked} calls, {refusals} refused")
    assert asked > 4000 and refusals > asked / 4
    assert client.call("GET", "runs/get", {"run_id": witness}).json() == before
    found = client.made("runs/search", {"experiment_ids": ["0"], "filter": "params.k = 'v' AND metrics.m = 1 AND tags.k = 'v'"})
    assert [one["info"]["run_id"] for one in found["runs"]] == [witness]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: json.dumps(text)[:24])
def test_texts_as_parts_of_paths(client: Client, text: str) -> None:
    quoted = requests.utils.quote(text, safe="")
    for method, path in [
        ("GET", f"logged-models/{quoted}"), ("PATCH", f"logged-models/{quoted}"), ("DELETE", f"logged-models/{quoted}"),
        ("PATCH", f"logged-models/{quoted}/tags"), ("DELETE", f"logged-models/{quoted}/tags/{quoted}"),
        ("POST", f"logged-models/{quoted}/params"), ("GET", f"logged-models/{quoted}/artifacts/directories"),
        ("GET", f"/api/2.0/mlflow-artifacts/artifacts/{quoted}"), ("DELETE", f"/api/2.0/mlflow-artifacts/artifacts/{quoted}"),
        ("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{quoted}"), ("POST", f"/api/2.0/mlflow-artifacts/mpu/create/{quoted}"),
        ("POST", f"/api/2.0/mlflow-artifacts/mpu/complete/{quoted}"), ("GET", f"/api/2.0/mlflow-artifacts/presigned/{quoted}"),
    ]:
        # What is refused before its body is read ends the connection.
        answer = client.call(method, path, {}, headers={"connection": "close"})
        refused(answer)
        if not path.startswith("/api/2.0/mlflow-artifacts/artifacts/"):
            assert answer.status_code >= 400 or not text.strip(), f"{method} {path[:100]}: {answer.text[:100]}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("params.k = '" + "x" * 10_000_000 + "'", id="10 MB"),
        pytest.param("params.k = '" + "x" * 900_000 + "'", id="as long as a body may be"),
        pytest.param(" AND ".join(["params.k = 'v'"] * 10_000), id="10,000 parts"),
        pytest.param("(" * 10_000 + "params.k = 'v'" + ")" * 10_000, id="10,000 brackets"),
        pytest.param("run_id IN (" + ", ".join(["'x'"] * 10_000) + ")", id="a list of 10,000"),
        pytest.param("run_id IN (" * 10_000, id="10,000 lists in lists"),
        pytest.param("'" * 100_001, id="100,001 quotes"),
        pytest.param("`" * 100_001, id="100,001 back quotes"),
        pytest.param("a." * 100_000 + "b = 'c'", id="100,000 dots"),
    ],
)
def test_filters_that_are_too_much(client: Client, text: str) -> None:
    for path in ("runs/search", "experiments/search", "logged-models/search"):
        answer = client.call("POST", path, {"experiment_ids": ["0"], "filter": text})
        # A long value is a value; what is many times anything is refused.
        assert refused(answer) or text.startswith("params.k = 'xx"), f"{path}: {answer.text[:100]}"
        answer = client.call("POST", path, {"experiment_ids": ["0"], "order_by": [text]})
        assert refused(answer), f"{path}: {answer.text[:100]}"


def test_bodies_that_are_too_much(client: Client) -> None:
    # The same experiment many times is one.
    for path in ("runs/search", "logged-models/search"):
        assert client.call("POST", path, {"experiment_ids": ["0"] * 100_000}).status_code == 200
        assert refused(client.call("POST", path, {"experiment_ids": [str(number) for number in range(100_000)]}))
    orders = [f"metrics.m{number}" for number in range(10_000)]
    assert refused(client.call("POST", "runs/search", {"experiment_ids": ["0"], "order_by": orders}))
    models = {"experiment_ids": ["0"], "order_by": [{"field_name": name} for name in orders]}
    assert refused(client.call("POST", "logged-models/search", models))
    datasets = [{"dataset_name": name} for name in orders]
    assert refused(client.call("POST", "logged-models/search", {"experiment_ids": ["0"], "datasets": datasets}))
    url = f"{client.base}/api/2.0/mlflow/runs/create"
    for body in (
        b"[" * 100_000, b'{"tags":' * 10_000, b'{"tags": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", b"\xff\xfe", b"{", b"null",
        b'{"experiment_id": "0", "experiment_id": "1"}', b'{"run_name": "\\ud800"}', b'{"start_time": 1e999}', b" " * 2_000_000,
    ):
        answer = client.session.post(url, data=body, headers={"content-type": "application/json"}, timeout=30)
        assert answer.status_code < 500, f"{body[:40]}: {answer.status_code} {answer.text[:200]}"
    answer = client.session.get(f"{client.base}/api/2.0/mlflow/runs/get", params={"run_id": "x" * 1_000_000}, timeout=30)
    assert 400 <= answer.status_code < 500
