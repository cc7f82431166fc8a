"""ONNX models through ONNX Runtime, where its library is named: the one of Python's wheel, which is Microsoft's own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tritonclient.http as triton

from support import processes
from support.server import Corliss, CorlissError, poll, temporary_home

LIBRARY = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))

PROJECT = """
project: runtime
steps:
  make: {run: python make.py, outputs: [net, kinds]}
models:
  net: {from: make.net, alias: champion}
  kinds: {from: make.kinds, alias: champion}
endpoints:
  net: {model: net@champion, replicas: 1}
  kinds: {model: kinds@champion, replicas: 1}
"""

# A small network that rounds differently wherever it is computed in another order, and a graph that gives each element
# type back as it came.
MAKE = """
import os, onnx
from onnx import TensorProto as T, helper, numpy_helper
import numpy as np

def save(name, nodes, inputs, outputs, constants=()):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, name, [info(*i) for i in inputs], [info(*o) for o in outputs], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, os.environ["CORLISS_OUTPUT_" + name.upper()] + "/model.onnx")

draw = np.random.default_rng(3)
weights = [numpy_helper.from_array(draw.normal(size=s).astype(np.float32), n) for n, s in (("a", (16, 64)), ("b", (64, 3)))]
nodes = [helper.make_node("MatMul", ["x", "a"], ["xa"]), helper.make_node("Erf", ["xa"], ["e"]),
         helper.make_node("MatMul", ["e", "b"], ["eb"]), helper.make_node("Softmax", ["eb"], ["y"], axis=1)]
save("net", nodes, [("x", T.FLOAT, ["n", 16])], [("y", T.FLOAT, ["n", 3])], weights)

kinds = dict(fp16=T.FLOAT16, fp32=T.FLOAT, fp64=T.DOUBLE, int8=T.INT8, int16=T.INT16, int32=T.INT32, int64=T.INT64,
             uint8=T.UINT8, uint16=T.UINT16, uint32=T.UINT32, uint64=T.UINT64, bool=T.BOOL, bytes=T.STRING)
save("kinds", [helper.make_node("Identity", [k], [k + "_out"]) for k in kinds],
     [(k, t, ["n", 2]) for k, t in kinds.items()], [(k + "_out", t, ["n", 2]) for k, t in kinds.items()])
"""

KINDS = {
    "fp16": np.float16, "fp32": np.float32, "fp64": np.float64, "int8": np.int8, "int16": np.int16, "int32": np.int32,
    "int64": np.int64, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64, "bool": np.bool_,
    "bytes": np.object_,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corliss]:
    folder = tmp_path_factory.mktemp("runtime")
    (folder / "corliss.yaml").write_text(PROJECT)
    (folder / "make.py").write_text(MAKE)
    with temporary_home() as home:
        corliss = Corliss(home, settings={"CORLISS_SERVING_ONNX_RUNTIME": str(LIBRARY)})
        try:
            corliss.up()
            assert corliss.wait_run(corliss.submit(folder / "corliss.yaml"))["state"] == "succeeded"
            for name in ("net", "kinds"):
                corliss.wait_endpoint(name)
            yield corliss
            corliss.down()
            left = processes.wait_until_none(home)
            assert not left, f"processes that outlived `corliss down`: {left}"
        finally:
            print(f"--- last lines of the server's log\n{corliss.server_log()}")
            corliss.kill_everything()


def client(corliss: Corliss) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(corliss.url.removeprefix("http://"), concurrency=8)


def asked(corliss: Corliss, model: str, **arrays: np.ndarray) -> triton.InferResult:
    inputs = []
    for name, array in arrays.items():
        kind = "BYTES" if array.dtype == np.object_ else name.upper() if name in KINDS else "FP32"
        inputs.append(triton.InferInput(name, list(array.shape), kind))
        inputs[-1].set_data_from_numpy(array)
    return client(corliss).infer(model, inputs, headers={"authorization": f"Bearer {corliss.token}"})


def test_it_is_what_computes_and_answers_as_it_does_in_python(served: Corliss) -> None:
    status, metadata = served.request("GET", "/v2/models/net")
    assert (status, metadata["platform"]) == (200, "onnxruntime_onnx")
    file = next(path for path in served.home.rglob("model.onnx") if b"Softmax" in path.read_bytes())
    local = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    draw = np.random.default_rng(5)
    for rows in (1, 2, 7, 32):
        x = draw.normal(size=(rows, 16)).astype(np.float32)
        (expected,) = local.run(None, {"x": x})
        np.testing.assert_allclose(asked(served, "net", x=x).as_numpy("y"), expected, rtol=1e-5, atol=1e-7)


def test_requests_at_once_are_joined_and_taken_apart(served: Corliss) -> None:
    draw = np.random.default_rng(7)
    inputs = [draw.normal(size=(1 + n % 3, 16)).astype(np.float32) for n in range(64)]
    alone = [asked(served, "net", x=x).as_numpy("y") for x in inputs]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda x: asked(served, "net", x=x).as_numpy("y"), inputs))
    for one, other in zip(alone, together):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-7)


def test_every_element_type_comes_back_as_it_went(served: Corliss) -> None:
    rows = {name: np.array([[0, 1], [2, 3]]).astype(kind) for name, kind in KINDS.items() if name != "bytes"}
    rows["bytes"] = np.array([["", "naïve"], [" ", "雪"]], dtype=np.object_)
    answer = asked(served, "kinds", **rows)
    for name, array in rows.items():
        given = answer.as_numpy(f"{name}_out")
        if name == "bytes":
            given = np.array([[text.decode() for text in row] for row in given], dtype=np.object_)
        np.testing.assert_array_equal(given, array, err_msg=name)


def test_a_wrong_shape_is_refused_and_the_next_request_answered(served: Corliss) -> None:
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 15], "data": [0.0] * 15}]}
    status, answer = served.request("POST", "/v2/models/net/infer", body)
    assert status == 400 and "x" in answer["error"], answer
    assert asked(served, "net", x=np.zeros((1, 16), np.float32)).as_numpy("y").shape == (1, 3)


def test_a_text_that_it_does_not_take_is_the_clients_fault(served: Corliss) -> None:
    rows = {name: np.zeros((1, 2)).astype(kind) for name, kind in KINDS.items() if name != "bytes"}
    with pytest.raises(triton.InferenceServerException, match=r"\[400\].*input 'bytes'.*U\+0000"):
        asked(served, "kinds", **rows, bytes=np.array([["a\u0000b", ""]], dtype=np.object_))


def said(corliss: Corliss) -> str | None:
    status, endpoint = corliss.request("GET", "/api/v1/endpoints/net")
    reason = endpoint.get("reason") if status == 200 else None
    return reason if reason and "ONNX Runtime" in reason else None


def test_a_library_that_is_not_there_is_told_at_the_start() -> None:
    with temporary_home() as home:
        corliss = Corliss(home, settings={"CORLISS_SERVING_ONNX_RUNTIME": "nowhere/libonnxruntime.so"})
        with pytest.raises(CorlissError, match="serving.onnx_runtime.*nowhere/libonnxruntime.so"):
            corliss.up()


def test_a_library_that_is_none_is_told_with_the_setting_to_change(tmp_path: Path) -> None:
    library = __file__
    (tmp_path / "corliss.yaml").write_text(PROJECT)
    (tmp_path / "make.py").write_text(MAKE)
    with temporary_home() as home:
        corliss = Corliss(home, settings={"CORLISS_SERVING_ONNX_RUNTIME": library})
        try:
            corliss.up()
            corliss.submit(tmp_path / "corliss.yaml")
            reason = poll("the endpoint to say why", lambda: said(corliss), timeout_s=120)
            assert "cannot be used" in reason and library.rpartition("/")[2] in reason, reason
        finally:
            corliss.kill_everything()
