"""Tracking while its PostgreSQL is restarted: whoever logs is told so, tries again, and nothing acknowledged is lost."""

from __future__ import annotations

import threading
import time
from typing import Iterator

import pytest
import requests

from support.postgres import Postgres, postgres_server
from support.server import Corliss, poll, temporary_home

CLIENTS = 8
KEYS = 20


@pytest.fixture
def database() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def corliss(database: Postgres) -> Iterator[Corliss]:
    with temporary_home() as home:
        corliss = Corliss(home, settings={"CORLISS_DATABASE_URL": database.database()})
        try:
            corliss.up()
            yield corliss
            corliss.down()
        finally:
            corliss.kill_everything()


class Client:
    """Logs batch after batch, each again until it is taken, as the mlflow client does."""

    def __init__(self, corliss: Corliss, run: str) -> None:
        self.url, self.token, self.run = f"{corliss.url}/api/2.0/mlflow/runs/log-batch", corliss.token, run
        self.acknowledged = 0
        self.refusals: list[requests.Response] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._log)
        self.thread.start()

    def _log(self) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.token}"
        while not self.stop.is_set():
            step = self.acknowledged
            metrics = [{"key": f"m{k}", "value": k + step, "timestamp": 1000 + step, "step": step} for k in range(KEYS)]
            batch = {"run_id": self.run, "metrics": metrics, "params": [{"key": f"p{step}", "value": "x"}]}
            # Corliss stands all the while: it answers, whatever its database does.
            answer = session.post(self.url, json=batch, timeout=60)
            if answer.status_code == 200:
                self.acknowledged += 1
            else:
                self.refusals.append(answer)
                time.sleep(0.05)


def ask(corliss: Corliss, method: str, path: str, body: dict | None = None) -> dict:
    status, answer = corliss.request(method, f"/api/2.0/mlflow/{path}", body)
    assert status == 200, answer
    return answer


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_batches_through_a_restart_of_postgres(corliss: Corliss, database: Postgres, mode: str) -> None:
    runs = [ask(corliss, "POST", "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"] for _ in range(CLIENTS)]
    server = corliss.server().pid
    clients = [Client(corliss, run) for run in runs]
    try:
        for _ in range(2):
            before = [client.acknowledged for client in clients]
            poll("batches", lambda: all(client.acknowledged >= was + 5 for client, was in zip(clients, before)))
            database.stop(mode)
            refused = [len(client.refusals) for client in clients]
            poll("everybody to be refused", lambda: all(len(c.refusals) > was for c, was in zip(clients, refused)))
            status, answer = corliss.request("GET", f"/api/2.0/mlflow/runs/get?run_id={runs[0]}")
            assert status == 503 and answer["error_code"] == "TEMPORARILY_UNAVAILABLE", (status, answer)
            database.start()
        before = [client.acknowledged for client in clients]
        poll("batches to be taken again", lambda: all(c.acknowledged >= was + 5 for c, was in zip(clients, before)))
    finally:
        for client in clients:
            client.stop.set()
        for client in clients:
            client.thread.join(60)
    assert corliss.server().pid == server, "Corliss was not restarted"
    # A fault that passes is told as one, so that clients try again.
    assert {answer.status_code for client in clients for answer in client.refusals} == {503}
    for client in clients:
        histories = [ask(corliss, "GET", f"metrics/get-history?run_id={client.run}&metric_key=m{k}") for k in (0, KEYS - 1)]
        for k, history in zip((0, KEYS - 1), histories):
            points = [(point["step"], point["value"]) for point in history["metrics"]]
            assert points == [(step, k + step) for step in range(client.acknowledged)], "each once, and whole"
        data = ask(corliss, "GET", f"runs/get?run_id={client.run}")["run"]["data"]
        assert {param["key"] for param in data["params"]} == {f"p{step}" for step in range(client.acknowledged)}
