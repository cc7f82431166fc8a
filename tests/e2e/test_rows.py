"""Dialects that send rows: KServe's first version, MLflow's scoring, and MLflow's unmodified client of deployments."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from mlflow.deployments import PredictionsResponse, get_deploy_client

from support.server import Corliss

PROJECT = """
project: rows
steps:
  make: {run: python make.py, outputs: [sums, pair]}
models:
  sums: {from: make.sums, alias: champion}
  pair: {from: make.pair, alias: champion}
endpoints:
  sums: {model: sums@champion, replicas: 1}
  pair: {model: pair@champion, replicas: 1}
"""

# sums: y = x + x of two columns. pair: two inputs of one column each, two outputs.
MAKE = """
import os, onnx
from onnx import TensorProto, helper
def save(graph, name):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, os.environ["CORLISS_OUTPUT_" + name] + "/model.onnx")
def value(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, ["batch", *shape])
save(helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "sums",
    [value("x", TensorProto.DOUBLE, 2)], [value("y", TensorProto.DOUBLE, 2)]), "SUMS")
save(helper.make_graph(
    [helper.make_node("Add", ["a", "a"], ["aa"]), helper.make_node("Mul", ["b", "b"], ["bb"])], "pair",
    [value("a", TensorProto.INT64), value("b", TensorProto.DOUBLE, 1)],
    [value("aa", TensorProto.INT64), value("bb", TensorProto.DOUBLE, 1)]), "PAIR")
"""


@pytest.fixture(scope="module")
def served(shared: Corliss, tmp_path_factory: pytest.TempPathFactory) -> Corliss:
    folder = tmp_path_factory.mktemp("rows")
    (folder / "corliss.yaml").write_text(PROJECT)
    (folder / "make.py").write_text(MAKE)
    run = shared.wait_run(shared.submit(folder / "corliss.yaml"))
    assert run["state"] == "succeeded", run
    shared.wait_endpoint("sums")
    shared.wait_endpoint("pair")
    return shared


def predict(corliss: Corliss, name: str, body: object) -> tuple[int, object]:
    return corliss.request("POST", f"/v1/models/{name}:predict", body)


def invoke(corliss: Corliss, name: str, body: object) -> tuple[int, object]:
    return corliss.request("POST", f"/endpoints/{name}/invocations", body)


def test_kserve_predicts_rows(served: Corliss) -> None:
    assert predict(served, "sums", {"instances": [[1, 2], [0.1, -4]]}) == (200, {"predictions": [[2, 4], [0.2, -8]]})
    big = 2**53 + 1
    rows = [{"a": big, "b": [3]}, {"b": [0.5], "a": -1}]
    assert predict(served, "pair", {"instances": rows}) == (
        200, {"predictions": [{"aa": 2 * big, "bb": [9]}, {"aa": -2, "bb": [0.25]}]})


def test_kserve_knows_models_beside_openai(served: Corliss) -> None:
    assert served.request("GET", "/v1/models/sums") == (200, {"name": "sums", "ready": True})
    status, models = served.request("GET", "/v1/models")
    assert status == 200 and models["models"] == ["pair", "sums"] and models["data"] == []
    assert served.request("GET", "/v1/models/nobody")[0] == 404


@pytest.mark.parametrize(
    "body, clue",
    [
        ({}, "instances"),
        ({"instances": []}, "at least one row"),
        ({"instances": 7}, "list"),
        ({"instances": [[1, 2], [3]]}, "'x'"),
        ({"instances": [[1, 2, 3]]}, "[-1, 2]"),
        ({"instances": [["a", "b"]]}, "FP64"),
        ({"instances": [[1, 2]], "signature": "s"}, "signature"),
        ({"instances": [{"x": [1, 2], "z": 0}]}, "'z'"),
    ],
)
def test_kserve_refuses_by_name(served: Corliss, body: object, clue: str) -> None:
    status, answer = predict(served, "sums", body)
    assert status == 400 and isinstance(answer["error"], str) and clue in answer["error"], answer


def test_kserve_other_refusals(served: Corliss) -> None:
    assert predict(served, "nobody", {"instances": [[1]]})[0] == 404
    status, answer = served.request("POST", "/v1/models/sums:explain", {"instances": [[1, 2]]})
    assert status == 404 and ":predict" in answer["error"]
    assert served.request("POST", "/v1/models/sums:predict", {"instances": [[1, 2]]}, token=None)[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["v", "u"], "index": [0, 1], "data": [[1, 2], [3, 4]]}},
        {"dataframe_records": [{"v": 1, "u": 2}, {"u": 4, "v": 3}]},
        {"instances": [[1, 2], [3, 4]]},
        {"inputs": [[1, 2], [3, 4]]},
        {"inputs": {"x": [[1, 2], [3, 4]]}, "params": {}},
    ],
)
def test_mlflow_s_forms_say_the_same(served: Corliss, body: object) -> None:
    assert invoke(served, "sums", body) == (200, {"predictions": [[2, 4], [6, 8]]})


def test_columns_are_inputs_by_name(served: Corliss) -> None:
    frame = pd.DataFrame({"b": [3.0, 0.5], "a": np.array([7, -1])})
    status, answer = invoke(served, "pair", {"dataframe_split": frame.to_dict(orient="split")})
    assert (status, answer) == (200, {"predictions": [{"aa": 14, "bb": [9]}, {"aa": -2, "bb": [0.25]}]})


@pytest.mark.parametrize(
    "body, clue",
    [
        ({}, "exactly one of"),
        ({"inputs": [[1, 2]], "instances": [[1, 2]]}, "exactly one of"),
        ({"inputs": [[1, 2]], "params": {"t": 1}}, "params"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3]]}}, "2 cells"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, None]]}}, "'x'"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": []}}, "at least one row"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "index": [0, 1]}}, "2 entries for 1 rows"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "names 'a' again"),
        ({"dataframe_records": [{"a": 1, "b": 2}, {"a": 1}]}, "dataframe_records[1]"),
        ({"inputs": {"y": [[1, 2]]}}, "'x'"),
        ({"instances": 7}, "instances: must be a list, not 7"),
        ({"dataframe_split": {"colums": []}}, "'colums' is not known; there are columns, data, index"),
        ({"dataframe_records": [7]}, "must be an object with a cell for each column, not 7"),
    ],
)
def test_mlflow_refuses_in_its_shape(served: Corliss, body: object, clue: str) -> None:
    status, answer = invoke(served, "sums", body)
    assert status == 400 and answer["error_code"] == "INVALID_PARAMETER_VALUE" and clue in answer["message"], answer


def test_an_endpoint_that_is_not_there_is_called_so_in_each_dialect(served: Corliss) -> None:
    status, answer = invoke(served, "nobody", {"inputs": [[1, 2]]})
    assert (status, answer["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"), answer
    for path in ("", "/stats", "/requests", "/releases"):
        status, answer = served.request("GET", f"/api/v1/endpoints/nobody{path}")
        assert (status, answer["error"]["code"]) == (404, "endpoint_not_found"), (path, answer)
    chat = {"model": "nobody", "messages": [{"role": "user", "content": "hi"}]}
    status, answer = served.request("POST", "/v1/chat/completions", chat)
    assert (status, answer["error"]["code"]) == (404, "model_not_found"), answer


def test_ping_and_version(served: Corliss) -> None:
    assert served.request("GET", "/endpoints/sums/ping")[0] == 200
    assert served.request("GET", "/endpoints/nobody/ping")[0] == 404
    assert served.request("GET", "/endpoints/sums/version")[0] == 200
    assert served.request("GET", "/endpoints/sums/ping", token=None)[0] == 401


def test_mlflow_s_client_of_deployments(served: Corliss, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in served.variables().items():
        monkeypatch.setenv(name, value)
    client = get_deploy_client(served.url)
    frame = pd.DataFrame([[1.5, 2], [3, 4]], columns=["u", "v"])
    answer = client.predict(endpoint="sums", inputs={"dataframe_split": frame.to_dict(orient="split")})
    assert answer == {"predictions": [[3, 4], [6, 8]]}


def test_mlflow_s_client_asks_a_language_model(house: Corliss, language_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in house.variables().items():
        monkeypatch.setenv(name, value)
    client = get_deploy_client(house.url)
    messages = [{"role": "user", "content": "What is 2+2?"}]
    answer = client.predict(endpoint=language_model, inputs={"messages": messages, "max_tokens": 16, "temperature": 0})
    assert "4" in answer["choices"][0]["message"]["content"]
    answer = client.predict(endpoint=language_model, inputs={"prompt": "1, 2, 3,", "max_tokens": 4, "temperature": 0})
    assert "4" in answer["choices"][0]["text"]
    answer = client.predict(endpoint=language_model, inputs={"input": ["a", "b"]})
    assert len(answer["data"]) == 2
    status, refused = invoke(house, language_model, {"inputs": [[1]]})
    assert status == 400 and "messages" in refused["message"]


def test_mlflow_s_own_reader_of_scores(served: Corliss) -> None:
    """What MLflow makes of the answer where it scores with a server."""
    status, answer = invoke(served, "sums", {"inputs": [[1, 2]]})
    assert status == 200
    response = PredictionsResponse.from_json(json.dumps(answer))
    assert response.get_predictions(predictions_format="ndarray").tolist() == [[2, 4]]
