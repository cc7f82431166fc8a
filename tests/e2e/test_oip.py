"""The Open Inference Protocol over a real endpoint: answers, refusals, a crash, a new version under load."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support import processes
from support.server import Corliss, poll
from support.times import MAKE, PROJECT, serve

def publish(corliss: Corliss, project, factor: float) -> None:
    file = project(PROJECT, make__py=MAKE.replace("FACTOR", str(factor)))
    detail = corliss.wait_run(corliss.submit(file))
    assert detail["state"] == "succeeded", detail


@pytest.fixture(scope="module")
def endpoint(shared: Corliss, tmp_path_factory: pytest.TempPathFactory) -> Corliss:
    return serve(shared, tmp_path_factory.mktemp("times"))


def infer(corliss: Corliss, data: list[float], shape: list[int], tensor: dict[str, Any] | None = None) -> tuple[int, Any]:
    """One request; what `tensor` holds is put over a sound tensor of this data and shape."""
    whole = {"name": "x", "datatype": "FP32", "shape": shape, "data": data} | (tensor or {})
    return corliss.request("POST", "/v2/models/times/infer", {"inputs": [whole]})


def test_live_ready_and_metadata(endpoint: Corliss) -> None:
    assert endpoint.request("GET", "/v2/health/live")[0] == 200
    assert endpoint.request("GET", "/v2/health/ready")[0] == 200
    assert endpoint.request("GET", "/v2/models/times/ready")[0] == 200
    status, metadata = endpoint.request("GET", "/v2/models/times")
    assert status == 200
    assert metadata["name"] == "times"
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert metadata["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]
    assert endpoint.request("GET", "/v2")[0] == 200


@pytest.mark.parametrize("rows", [1, 3, 17])
def test_any_number_of_rows(endpoint: Corliss, rows: int) -> None:
    data = [float(value) for value in range(4 * rows)]
    status, answer = infer(endpoint, data, [rows, 4])
    assert status == 200, answer
    (output,) = answer["outputs"]
    assert output["shape"] == [rows, 4]
    assert output["data"] == [2 * value for value in data]
    assert answer["model_name"] == "times"


def test_nested_data_and_the_request_id(endpoint: Corliss) -> None:
    status, answer = endpoint.request("POST", "/v2/models/times/infer", {
        "id": "seven", "inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 4], "data": [[1, 2, 3, 4], [5, 6, 7, 8]]}],
    })
    assert (status, answer["id"]) == (200, "seven"), answer
    assert answer["outputs"][0]["data"] == [2, 4, 6, 8, 10, 12, 14, 16]


def test_many_at_once_each_get_their_own(endpoint: Corliss) -> None:
    token = endpoint.token

    def one(i: int) -> bool:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [i, i + 0.5, -i, 0]}]}
        status, answer = endpoint.request("POST", "/v2/models/times/infer", body, token=token)
        return status == 200 and answer["outputs"][0]["data"] == [2 * i, 2 * i + 1, -2 * i, 0]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(200)))


@pytest.mark.parametrize(
    "change, clue",
    [
        ({"shape": [2, 4]}, "shape"),
        ({"shape": [1, 5], "data": [1, 2, 3, 4, 5]}, "shape"),
        ({"shape": [-1, 4]}, "shape"),
        ({"shape": [1 << 40, 4]}, ""),
        ({"datatype": "INT64"}, "FP32"),
        ({"datatype": "FP33"}, "FP33"),
        ({"name": "z"}, "x"),
        ({"data": ["a", "b", "c", "d"]}, "FP32"),
        ({"data": {"a": 1}}, "an object"),
        ({"name": 7}, "inputs[0].name must be a string, not a number"),
        ({"parameters": [1]}, "inputs[0].parameters must be an object, not a list"),
    ],
)
def test_a_wrong_request_is_refused_with_its_reason(endpoint: Corliss, change: dict[str, Any], clue: str) -> None:
    status, answer = infer(endpoint, [1.0, 2.0, 3.0, 4.0], [1, 4], tensor=change)
    assert status == 400, answer
    assert isinstance(answer["error"], str) and clue in answer["error"], answer
    assert infer(endpoint, [1.0, 2.0, 3.0, 4.0], [1, 4])[0] == 200, "the engine took harm"


def test_the_shape_of_a_request_is_told_in_words_of_json(endpoint: Corliss) -> None:
    for body, clue in (
        ({"inputs": "x"}, "inputs must be a list, not a string"),
        ({}, "inputs is missing"),
        ({"inputs": [{}]}, "inputs[0].name is missing"),
        ([7], "must be an object, not a list"),
    ):
        status, answer = endpoint.request("POST", "/v2/models/times/infer", body)
        assert status == 400 and clue in answer["error"], answer


def test_members_that_are_not_known_are_passed_over_as_triton_does(endpoint: Corliss) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4], "note": "mine"}
    status, answer = endpoint.request("POST", "/v2/models/times/infer", {"inputs": [tensor], "foo": {"bar": 1}})
    assert (status, answer["outputs"][0]["data"]) == (200, [2, 4, 6, 8])


def test_a_time_is_told_as_it_was_given(endpoint: Corliss) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    body = {"inputs": [tensor], "parameters": {"timeout": 1}}
    status, answer = endpoint.request("POST", "/v2/models/times/infer", body)
    assert (status, "1 µs" in answer["error"]) == (504, True), answer


def test_an_unknown_model_and_no_token(endpoint: Corliss) -> None:
    status, answer = endpoint.request("POST", "/v2/models/nobody/infer", {"inputs": []})
    assert status == 404 and "nobody" in answer["error"]
    status, answer = endpoint.request("POST", "/v2/models/times/infer", {"inputs": []}, token=None)
    assert status == 401 and isinstance(answer["error"], str)


def test_a_body_that_is_no_json(endpoint: Corliss) -> None:
    status, answer = endpoint.request(
        "POST", "/v2/models/times/infer", b"{\"inputs\": [", headers={"content-type": "application/json"}
    )
    assert status == 400 and isinstance(answer["error"], str), answer


def test_a_killed_engine_comes_back(endpoint: Corliss) -> None:
    engine = next(p for p in processes.of_home(endpoint.home) if p.verb == "engine")
    engine.kill()
    poll("answers again", lambda: infer(endpoint, [1.0, 2.0, 3.0, 4.0], [1, 4])[0] == 200, timeout_s=30)
    replicas = endpoint.api("/endpoints/times")["replicas"]
    assert [replica["state"] for replica in replicas if replica["state"] != "stopped"].count("ready") == 1, replicas


def test_a_killed_server_serves_again(endpoint: Corliss) -> None:
    endpoint.kill_server()
    endpoint.up()
    poll("answers again", lambda: infer(endpoint, [1.0, 2.0, 3.0, 4.0], [1, 4])[0] == 200, timeout_s=30)
    assert len([p for p in processes.of_home(endpoint.home) if p.verb == "engine"]) == 1


def test_a_new_version_takes_over_without_a_failed_request(corliss: Corliss, project) -> None:
    publish(corliss, project, 2.0)
    corliss.wait_endpoint("times")
    token, stop = corliss.token, threading.Event()
    answers: list[tuple[int, Any]] = []

    def hammer() -> None:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]}]}
        while not stop.is_set():
            answers.append(corliss.request("POST", "/v2/models/times/infer", body, token=token))
            time.sleep(0.005)

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        publish(corliss, project, 3.0)
        poll("version 2 to serve", lambda: corliss.api("/endpoints/times").get("serving_version") == 2)
        poll("the new answer", lambda: answers[-1][0] == 200 and answers[-1][1]["outputs"][0]["data"][0] == 3)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {status for status, _ in answers} == {200}, [answer for answer in answers if answer[0] != 200][:3]
    assert {answer["outputs"][0]["data"][0] for _, answer in answers} == {2, 3}


BROKEN = {
    "truncated": "open(out + '/model.onnx', 'wb').write(b'\\x08\\x08\\x12\\x07pytorch\\x1a')",
    "pickle": "import pickle; pickle.dump({'weights': [1, 2]}, open(out + '/model.onnx', 'wb'))",
    "nothing": "open(out + '/notes.txt', 'w').write('no model here')",
}


CLUES = {"truncated": "onnx", "pickle": "pickle", "nothing": "no file"}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_a_broken_model_fails_with_a_reason(corliss: Corliss, project, kind: str) -> None:
    make = f"import os\nout = os.environ['CORLISS_OUTPUT_MODEL']\n{BROKEN[kind]}\n"
    run = corliss.wait_run(corliss.submit(project(PROJECT, make__py=make)))

    def told() -> str | None:
        """What cannot be loaded is refused before it is deployed; what only loading can find out, after."""
        if run["state"] == "failed":
            return run["reason"]
        endpoint = corliss.api("/endpoints/times")
        return endpoint.get("reason") if endpoint["state"] in ("failed", "degraded") else None

    reason = poll("a reason", told, timeout_s=60)
    assert CLUES[kind] in reason.lower(), reason
    assert corliss.request("GET", "/v2/models/times/ready")[0] != 200


def test_the_old_version_serves_while_a_broken_one_fails(corliss: Corliss, project) -> None:
    publish(corliss, project, 2.0)
    corliss.wait_endpoint("times")
    make = f"import os\nout = os.environ['CORLISS_OUTPUT_MODEL']\n{BROKEN['truncated']}\n"
    corliss.wait_run(corliss.submit(project(PROJECT, make__py=make)))
    poll("the failure to be told", lambda: corliss.api("/endpoints/times").get("reason"), timeout_s=60)
    status, answer = infer(corliss, [1.0, 1.0, 1.0, 1.0], [1, 4])
    assert status == 200 and answer["outputs"][0]["data"] == [2, 2, 2, 2], answer


def test_a_deleted_endpoint_stops_its_engine(corliss: Corliss, project) -> None:
    publish(corliss, project, 2.0)
    corliss.wait_endpoint("times")
    corliss.cli("endpoints", "delete", "times", "--yes")
    poll("the engine to be gone", lambda: not [p for p in processes.of_home(corliss.home) if p.verb == "engine"])
    assert infer(corliss, [1.0, 1.0, 1.0, 1.0], [1, 4])[0] == 404


def test_a_project_can_be_deployed_by_hand(corliss: Corliss, project, tmp_path: Path) -> None:
    publish(corliss, project, 2.0)
    corliss.cli("endpoints", "deploy", "second", "--model", "times/1", "--replicas", "2")
    ready = corliss.wait_endpoint("second")
    assert ready["replicas_ready"] == 2
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]}]}
    assert corliss.request("POST", "/v2/models/second/infer", body)[0] == 200
