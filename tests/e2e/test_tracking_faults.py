"""What is logged while the server is killed, or the run is deleted: each acknowledged batch is there, and whole."""

from __future__ import annotations

import os
import random
import threading
import time

import requests

from support.server import Corliss

KEYS = 100
CLIENTS = 4


class Client:
    """Logs batch after batch, one a step, until it is refused or nobody answers."""

    def __init__(self, corliss: Corliss, run: str) -> None:
        self.url, self.token, self.run = corliss.url, corliss.token, run
        self.acknowledged: list[int] = []
        self.refusal: requests.Response | None = None
        self.thread = threading.Thread(target=self._log)
        self.thread.start()

    def _log(self) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.token}"
        for step in range(100_000):
            metrics = [{"key": f"m{k}", "value": k + step, "timestamp": 1000 + step, "step": step} for k in range(KEYS)]
            batch = {"run_id": self.run, "metrics": metrics, "params": [{"key": f"p{step}", "value": "x"}]}
            try:
                answer = session.post(f"{self.url}/api/2.0/mlflow/runs/log-batch", json=batch, timeout=30)
            except requests.RequestException:
                return
            if answer.status_code != 200:
                self.refusal = answer
                return
            self.acknowledged.append(step)


def mlflow(corliss: Corliss, method: str, path: str, body: dict | None = None) -> dict:
    status, answer = corliss.request(method, f"/api/2.0/mlflow/{path}", body)
    assert status == 200, answer
    return answer


def new_run(corliss: Corliss) -> str:
    return mlflow(corliss, "POST", "runs/create", {"experiment_id": "0", "start_time": 1})["run"]["info"]["run_id"]


def steps(corliss: Corliss, run: str, key: str) -> set[int]:
    found = mlflow(corliss, "GET", f"metrics/get-history?run_id={run}&metric_key={key}")["metrics"]
    assert all(point["value"] == int(key[1:]) + point["step"] for point in found)
    return {point["step"] for point in found}


def check(corliss: Corliss, client: Client) -> None:
    logged = [steps(corliss, client.run, f"m{k}") for k in (0, KEYS // 2, KEYS - 1)]
    assert logged[0] == logged[1] == logged[2], "a batch is there whole or not at all"
    assert logged[0] >= set(client.acknowledged)
    data = mlflow(corliss, "GET", f"runs/get?run_id={client.run}")["run"]["data"]
    assert {param["key"] for param in data["params"]} == {f"p{step}" for step in logged[0]}
    assert {metric["step"] for metric in data["metrics"]} == {max(logged[0])}


def test_batches_through_kill_9(corliss: Corliss) -> None:
    seed = int(os.environ.get("CORLISS_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"replay with CORLISS_TEST_SEED={seed}")
    clients = [Client(corliss, new_run(corliss)) for _ in range(CLIENTS)]
    while any(len(client.acknowledged) < 5 for client in clients):
        time.sleep(0.01)
    time.sleep(random.Random(seed).random())
    corliss.kill_server()
    for client in clients:
        client.thread.join(60)
        assert client.refusal is None, client.refusal.text
    corliss.up()
    for client in clients:
        check(corliss, client)


def test_a_run_that_is_deleted_while_twenty_log_to_it(corliss: Corliss) -> None:
    run = new_run(corliss)
    clients = []
    for _ in range(20):
        client = Client(corliss, run)
        clients.append(client)
    time.sleep(1)
    mlflow(corliss, "POST", "runs/delete", {"run_id": run})
    for client in clients:
        client.thread.join(60)
        assert client.refusal is not None and client.refusal.status_code == 400, client.refusal
        assert "must be in the 'active' state" in client.refusal.json()["message"]
    acknowledged = set().union(*(client.acknowledged for client in clients))
    assert steps(corliss, run, "m7") == acknowledged
    mlflow(corliss, "POST", "runs/restore", {"run_id": run})
    assert steps(corliss, run, "m7") == acknowledged
