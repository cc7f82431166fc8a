"""The same request twice, as a client sends it whose first answer was lost: the answer is the same, and so is what is there."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import requests

from support.server import Corliss


@pytest.fixture(scope="module")
def session(shared: Corliss) -> requests.Session:
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {shared.token}"
    return session


@pytest.fixture
def ids(shared: Corliss, session: requests.Session) -> dict[str, str]:
    """An experiment, a run and a logged model with something in each."""

    def made(path: str, args: dict[str, Any]) -> Any:
        answer = session.post(f"{shared.url}/api/2.0/mlflow/{path}", json=args, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    name = f"twice-{uuid.uuid4().hex[:8]}"
    experiment = made("experiments/create", {"name": name, "tags": [{"key": "a", "value": "b"}]})["experiment_id"]
    run = made("runs/create", {"experiment_id": experiment, "run_name": "r", "start_time": 1})["run"]["info"]["run_id"]
    model = made("logged-models", {"experiment_id": experiment, "name": "m"})["model"]["info"]["model_id"]
    made("runs/log-batch", {
        "run_id": run, "metrics": [{"key": "m", "value": 1, "timestamp": 1}], "params": [{"key": "p", "value": "x"}],
        "tags": [{"key": "t", "value": "y"}],
    })
    return {"EXPERIMENT": experiment, "RUN": run, "MODEL": model, "NAME": name}


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: filled(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return value.format(**ids) if isinstance(value, str) else value


METRIC = {"key": "m", "value": 2, "timestamp": 2, "step": 1, "model_id": "{MODEL}", "dataset_name": "d", "dataset_digest": "e"}
DATASET = {"dataset": {"name": "d", "digest": "e", "source_type": "local", "source": "x"}, "tags": [{"key": "k", "value": "v"}]}
CALLS = [
    ("POST", "runs/log-metric", {"run_id": "{RUN}", **METRIC}),
    ("POST", "runs/log-parameter", {"run_id": "{RUN}", "key": "q", "value": "1"}),
    ("POST", "runs/set-tag", {"run_id": "{RUN}", "key": "t", "value": "z"}),
    ("POST", "runs/log-batch", {
        "run_id": "{RUN}", "metrics": [METRIC, {**METRIC, "step": 2}], "params": [{"key": "q", "value": "1"}],
        "tags": [{"key": "t", "value": "z"}]}),
    ("POST", "runs/log-inputs", {"run_id": "{RUN}", "datasets": [DATASET], "models": [{"model_id": "{MODEL}"}]}),
    ("POST", "runs/outputs", {"run_id": "{RUN}", "models": [{"model_id": "{MODEL}", "step": 3}]}),
    ("POST", "runs/update", {"run_id": "{RUN}", "status": "FINISHED", "end_time": 9, "run_name": "renamed"}),
    ("POST", "runs/delete", {"run_id": "{RUN}"}),
    ("POST", "runs/restore", {"run_id": "{RUN}"}),
    ("POST", "experiments/set-experiment-tag", {"experiment_id": "{EXPERIMENT}", "key": "a", "value": "c"}),
    ("POST", "experiments/update", {"experiment_id": "{EXPERIMENT}", "new_name": "{NAME}-renamed"}),
    ("PATCH", "logged-models/{MODEL}", {"status": "LOGGED_MODEL_READY"}),
    ("PATCH", "logged-models/{MODEL}/tags", {"tags": [{"key": "t", "value": "z"}]}),
    ("POST", "logged-models/{MODEL}/params", {"params": [{"key": "p", "value": "1"}]}),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{EXPERIMENT}/{RUN}/artifacts/notes.txt", "notes"),
]


@pytest.mark.parametrize(("method", "path", "args"), CALLS, ids=[path.rsplit("}/")[-1] for _, path, _ in CALLS])
def test_once_or_twice_is_the_same(
    shared: Corliss, session: requests.Session, ids: dict[str, str], method: str, path: str, args: Any
) -> None:
    def send() -> tuple[int, Any]:
        at = filled(path, ids)
        url = shared.url + (at if at.startswith("/") else f"/api/2.0/mlflow/{at}")
        sent = {"data": args.encode()} if isinstance(args, str) else {"json": filled(args, ids)}
        answer = session.request(method, url, **sent, timeout=30)
        return answer.status_code, without_times(answer.json())

    def state() -> list[Any]:
        found = []
        for ask, names in [
            ("runs/get", {"run_id": ids["RUN"]}),
            ("metrics/get-history", {"run_id": ids["RUN"], "metric_key": "m"}),
            ("experiments/get", {"experiment_id": ids["EXPERIMENT"]}),
            (f"logged-models/{ids['MODEL']}", {}),
            ("artifacts/list", {"run_id": ids["RUN"]}),
        ]:
            answer = session.get(f"{shared.url}/api/2.0/mlflow/{ask}", params=names, timeout=30)
            found.append((answer.status_code, without_times(answer.json())))
        return found

    before = state()
    once = send()
    assert once[0] == 200, once
    after = state()
    # Restoring what is not deleted is the one call here that changes nothing at all.
    assert after != before or path == "runs/restore", "the call changes something"
    assert send() == once
    assert state() == after


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        changing = ("last_update_time", "last_updated_timestamp_ms")
        return {name: without_times(item) for name, item in value.items() if name not in changing}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value
