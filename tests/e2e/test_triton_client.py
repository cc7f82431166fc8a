"""NVIDIA's unmodified tritonclient, over HTTP and gRPC, on endpoints of ONNX models."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from types import ModuleType
from typing import Any, Iterator

import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

from support.server import Corliss

PROJECT = """
project: tensors
steps:
  make: {run: python make.py, outputs: [times, words]}
models:
  times: {from: make.times, alias: champion}
  words: {from: make.words, alias: champion}
endpoints:
  times: {model: times@champion, replicas: 2}
  words: {model: words@champion, replicas: 1}
"""

# Two tensors in, two out, of different types; and texts to numbers.
MAKE = """
import os, onnx
from onnx import TensorProto, helper
def save(graph, name, *extra):
    opsets = [helper.make_opsetid("", 17), *extra]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(model, os.environ["CORLISS_OUTPUT_" + name] + "/model.onnx")
def value(name, kind, width):
    return helper.make_tensor_value_info(name, kind, ["batch", width])
save(helper.make_graph(
    [helper.make_node("Add", ["x", "x"], ["double"]), helper.make_node("Not", ["flag"], ["opposite"])], "times",
    [value("x", TensorProto.FLOAT, 4), value("flag", TensorProto.BOOL, 1)],
    [value("double", TensorProto.FLOAT, 4), value("opposite", TensorProto.BOOL, 1)]), "TIMES")
mapper = helper.make_node("CategoryMapper", ["word"], ["number"], domain="ai.onnx.ml",
    cats_strings=["seven", "n\\u00e9uf"], cats_int64s=[7, 9], default_int64=-1)
save(helper.make_graph([mapper], "words", [value("word", TensorProto.STRING, 1)],
    [value("number", TensorProto.INT64, 1)]), "WORDS", helper.make_opsetid("ai.onnx.ml", 2))
"""


@pytest.fixture(scope="module")
def served(shared: Corliss, tmp_path_factory: pytest.TempPathFactory) -> Corliss:
    folder = tmp_path_factory.mktemp("tensors")
    (folder / "corliss.yaml").write_text(PROJECT)
    (folder / "make.py").write_text(MAKE)
    run = shared.wait_run(shared.submit(folder / "corliss.yaml"))
    assert run["state"] == "succeeded", run
    shared.wait_endpoint("times")
    shared.wait_endpoint("words")
    return shared


class Over:
    """A client of one kind that presents the token with every call."""

    def __init__(self, module: ModuleType, corliss: Corliss, token: str | None = None) -> None:
        self.module, self.client = module, module.InferenceServerClient(corliss.listen)
        self.headers = {"authorization": f"Bearer {token or corliss.token}"}

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            # A copy: over HTTP the client writes into what it is given.
            return getattr(self.client, name)(*arguments, headers=dict(self.headers), **more)

        return call

    def as_dict(self, name: str, *arguments: Any) -> Any:
        more = {"as_json": True} if self.module is over_grpc else {}
        return getattr(self, name)(*arguments, **more)

    def input(self, name: str, array: np.ndarray, kind: str, **more: Any) -> Any:
        tensor = self.module.InferInput(name, list(array.shape), kind)
        tensor.set_data_from_numpy(array, **(more if self.module is over_http else {}))
        return tensor


@pytest.fixture(params=[over_http, over_grpc], ids=["http", "grpc"])
def client(request: pytest.FixtureRequest, served: Corliss) -> Iterator[Over]:
    over = Over(request.param, served)
    yield over
    over.client.close()


def times(client: Over, x: np.ndarray, flag: np.ndarray, **more: Any) -> Any:
    return client.infer("times", [client.input("x", x, "FP32"), client.input("flag", flag, "BOOL")], **more)


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(4 * count, dtype=np.float32).reshape(count, 4) - 7.25
    return x, (np.arange(count) % 3 == 0).reshape(count, 1)


def test_the_server_and_its_models_are_there(client: Over) -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("times") and client.is_model_ready("times", "1")
    assert not client.is_model_ready("times", "2") and not client.is_model_ready("nobody")
    metadata = client.as_dict("get_server_metadata")
    assert metadata["name"] == "corliss"
    assert "binary_tensor_data" in metadata["extensions"] and "statistics" in metadata["extensions"]
    assert not [name for name in metadata["extensions"] if "shared_memory" in name]
    model = client.as_dict("get_model_metadata", "times", "1")
    assert [(tensor["name"], tensor["datatype"]) for tensor in model["inputs"]] == [("x", "FP32"), ("flag", "BOOL")]
    assert [[int(size) for size in tensor["shape"]] for tensor in model["outputs"]] == [[-1, 4], [-1, 1]]


def test_the_configuration_is_triton_s(client: Over) -> None:
    config = client.as_dict("get_model_config", "words")
    config = config.get("config", config)
    assert config["max_batch_size"] > 1 and config["backend"] == "tract"
    (word,) = config["input"]
    assert (word["name"], word["data_type"], [int(size) for size in word["dims"]]) == ("word", "TYPE_STRING", [1])


@pytest.mark.parametrize("count", [1, 3, 700])
def test_tensors_go_and_come_as_bytes(client: Over, count: int) -> None:
    x, flag = rows(count)
    x[0, :3] = [np.nan, np.inf, -0.0]
    answer = times(client, x, flag, request_id="seven", model_version="1")
    assert answer.as_numpy("double").tobytes() == (x + x).tobytes()
    assert (answer.as_numpy("opposite") == ~flag).all()
    response = answer.get_response()
    assert (response["id"] if isinstance(response, dict) else response.id) == "seven"


def test_outputs_are_chosen(client: Over) -> None:
    x, flag = rows(2)
    answer = times(client, x, flag, outputs=[client.module.InferRequestedOutput("opposite")])
    assert (answer.as_numpy("opposite") == ~flag).all()
    assert answer.as_numpy("double") is None


def test_json_on_either_side(served: Corliss) -> None:
    client = Over(over_http, served)
    x, flag = rows(2)
    for into in (True, False):
        inputs = [client.input("x", x, "FP32", binary_data=into), client.input("flag", flag, "BOOL", binary_data=True)]
        outputs = [over_http.InferRequestedOutput("double", binary_data=not into), over_http.InferRequestedOutput("opposite")]
        answer = client.infer("times", inputs, outputs=outputs)
        assert (answer.as_numpy("double") == x + x).all() and (answer.as_numpy("opposite") == ~flag).all()


def test_texts(client: Over) -> None:
    words = np.array([["néuf"], ["seven"], ["ten"], [""]], dtype=np.object_)
    answer = client.infer("words", [client.input("word", words, "BYTES")])
    assert answer.as_numpy("number").tolist() == [[9], [7], [-1], [-1]]
    if client.module is over_http:
        answer = client.infer("words", [client.input("word", words, "BYTES", binary_data=False)])
        assert answer.as_numpy("number").tolist() == [[9], [7], [-1], [-1]]


def test_typed_contents_of_grpc(served: Corliss) -> None:
    """What a client writes that knows the standard but not Triton's raw contents."""
    from tritonclient.grpc import service_pb2, service_pb2_grpc
    import grpc

    with grpc.insecure_channel(served.listen) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = service_pb2.ModelInferRequest(model_name="times")
        x = request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        x.contents.fp32_contents.extend([1, 2, 3, 4])
        flag = request.inputs.add(name="flag", datatype="BOOL", shape=[1, 1])
        flag.contents.bool_contents.append(True)
        metadata = [("authorization", f"Bearer {served.token}")]
        answer = stub.ModelInfer(request, metadata=metadata)
        assert [output.name for output in answer.outputs] == ["double", "opposite"]
        assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist() == [2, 4, 6, 8]
        x.contents.ClearField("fp32_contents")
        x.contents.fp64_contents.extend([1, 2, 3, 4])
        with pytest.raises(grpc.RpcError, match="'x' is FP32.*fp32_contents") as refused:
            stub.ModelInfer(request, metadata=metadata)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as refused:
            stub.LogSettings(service_pb2.LogSettingsRequest(), metadata=metadata)
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_many_calls_at_once_each_get_their_own(client: Over, served: Corliss) -> None:
    failures: list[Any] = []

    def work(number: int) -> None:
        own = Over(client.module, served)
        for turn in range(20):
            x, flag = rows(1 + (number + turn) % 5)
            x += number
            if not (times(own, x, flag).as_numpy("double") == x + x).all():
                failures.append((number, turn))
        own.client.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_stream_answers_in_order_and_goes_on_after_a_refusal(served: Corliss) -> None:
    client = Over(over_grpc, served)
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.client.start_stream(lambda result, error: answers.put((result, error)), headers=client.headers)
    for number in range(50):
        x, flag = rows(1)
        inputs = [client.input("x", x + number, "FP32"), client.input("flag", flag, "BOOL")]
        client.client.async_stream_infer("times" if number != 20 else "nobody", inputs, request_id=str(number))
    for number in range(50):
        result, error = answers.get(timeout=30)
        if number == 20:
            assert "nobody" in str(error)
            continue
        assert error is None and result.get_response().id == str(number)
        assert (result.as_numpy("double") == 2 * (rows(1)[0] + number)).all()
    client.client.stop_stream()


@pytest.mark.parametrize(
    "name, array, kind, clue",
    [
        ("x", np.zeros((1, 5), np.float32), "FP32", "'x' must have shape [-1, 4]"),
        ("x", np.zeros((2, 4), np.float32), "FP32", "rows"),
        ("x", np.zeros((1, 4), np.float64), "FP64", "FP32, not FP64"),
        ("z", np.zeros((1, 4), np.float32), "FP32", "no input 'z'"),
    ],
)
def test_a_wrong_tensor_is_refused_by_name(client: Over, name: str, array: np.ndarray, kind: str, clue: str) -> None:
    _, flag = rows(1)
    with pytest.raises(InferenceServerException) as refused:
        client.infer("times", [client.input(name, array, kind), client.input("flag", flag, "BOOL")])
    assert clue in refused.value.message(), refused.value
    if client.module is over_grpc:
        assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
    x, flag = rows(1)
    assert (times(client, x, flag).as_numpy("double") == x + x).all(), "the engine took harm"


def test_bytes_that_lie(client: Over) -> None:
    x, flag = rows(1)

    def lying(raw: bytes, shape: list[int], name: str = "x", kind: str = "FP32") -> Any:
        tensor = client.module.InferInput(name, shape, kind)
        tensor._raw_data = tensor._raw_content = raw
        if client.module is over_http:
            tensor._parameters["binary_data_size"] = len(raw)
        return tensor

    for raw, shape in [(b"1234", [1, 4]), (bytes(64), [1, 4]), (bytes(16), [-1, 4]), (bytes(16), [1 << 62, 4]), (b"", [0, 4])]:
        with pytest.raises(InferenceServerException, match="'x'"):
            client.infer("times", [lying(raw, shape), client.input("flag", flag, "BOOL")])
    with pytest.raises(InferenceServerException, match="'flag' has the byte 7"):
        client.infer("times", [client.input("x", x, "FP32"), lying(b"\x07", [1, 1], "flag", "BOOL")])
    for raw in (b"\xff\xff\xff\xffseven", b"\x05\0\0\0seve", b"\x05\0\0\0seven\0", b"\x01\0\0\0\xff"):
        with pytest.raises(InferenceServerException, match="'word'"):
            client.infer("words", [lying(raw, [1, 1], "word", "BYTES")])
    assert (times(client, x, flag).as_numpy("double") == x + x).all(), "the engine took harm"


def test_shared_memory_and_classes_are_refused_in_words(client: Over) -> None:
    x, flag = rows(1)
    shared = client.module.InferInput("x", [1, 4], "FP32")
    shared.set_shared_memory("region", 16)
    with pytest.raises(InferenceServerException, match="shared_memory.*'x'"):
        client.infer("times", [shared, client.input("flag", flag, "BOOL")])
    with pytest.raises(InferenceServerException):
        client.get_system_shared_memory_status()
    with pytest.raises(InferenceServerException, match="classification.*'double'"):
        times(client, x, flag, outputs=[client.module.InferRequestedOutput("double", class_count=2)])
    with pytest.raises(InferenceServerException, match="sequence_id"):
        times(client, x, flag, sequence_id=7, sequence_start=True)


def test_nobody_gets_in_without_a_token(client: Over, served: Corliss) -> None:
    x, flag = rows(1)
    assert client.client.is_server_live(), "a probe needs none"
    for token, code in [("wrong", "UNAUTHENTICATED"), (None, "UNAUTHENTICATED")]:
        client.headers = {"authorization": f"Bearer {token}"} if token else {}
        with pytest.raises(InferenceServerException) as refused:
            times(client, x, flag)
        if client.module is over_grpc:
            assert refused.value.status() == f"StatusCode.{code}"


def test_a_message_that_is_too_large_is_refused(served: Corliss) -> None:
    client = Over(over_grpc, served)
    x = np.zeros((5 << 20, 4), np.float32)
    with pytest.raises(InferenceServerException) as refused:
        client.infer("times", [client.input("x", x, "FP32")])
    assert refused.value.status() == "StatusCode.RESOURCE_EXHAUSTED", refused.value


def statistics(client: Over, name: str) -> tuple[int, int, int]:
    (model,) = client.as_dict("get_inference_statistics", name)["model_stats"]
    success = model["inference_stats"]["success"]
    assert int(success["ns"]) >= int(model["inference_stats"]["compute_infer"]["ns"]) > 0
    assert sum(int(batch["compute_infer"]["count"]) for batch in model["batch_stats"]) == int(model["execution_count"])
    return int(success["count"]), int(model["inference_count"]), int(model["execution_count"])


def test_statistics_count_what_was_asked(client: Over) -> None:
    words = np.array([["seven"]] * 3, dtype=np.object_)
    client.infer("words", [client.input("word", words, "BYTES")])
    before = statistics(client, "words")
    for _ in range(5):
        client.infer("words", [client.input("word", words, "BYTES")])
    requests, inferences, executions = statistics(client, "words")
    assert (requests - before[0], inferences - before[1], executions - before[2]) == (5, 15, 5)
    assert {model["name"] for model in client.as_dict("get_inference_statistics")["model_stats"]} == {"times", "words"}


def test_models_are_unloaded_and_loaded(client: Over) -> None:
    def index() -> dict[str, str]:
        answer = client.as_dict("get_model_repository_index")
        models = answer["models"] if isinstance(answer, dict) else answer
        return {model["name"]: model.get("state", "") for model in models}

    assert index()["words"] == "READY"
    client.unload_model("words")
    assert not client.is_model_ready("words")
    client.load_model("words")
    assert client.is_model_ready("words") and index()["words"] == "READY"
    words = np.array([["seven"]], dtype=np.object_)
    assert client.infer("words", [client.input("word", words, "BYTES")]).as_numpy("number").tolist() == [[7]]
    with pytest.raises(InferenceServerException, match="nobody"):
        client.load_model("nobody")
    with pytest.raises(InferenceServerException, match="parameters.config"):
        client.load_model("words", config="{}")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def closes(connection: socket.socket) -> bool:
    """Reads until the server ends the connection."""
    connection.settimeout(30)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("attack", ["resets", "headers", "no frames", "large frame"])
def test_abuse_of_http2_ends_the_connection_and_nothing_else(served: Corliss, attack: str) -> None:
    host, port = served.listen.split(":")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
    # POST / http 127.0.0.1, from HPACK's own table but for the host.
    head = bytes([0x83, 0x84, 0x86, 0x41, 9]) + b"127.0.0.1"
    sent = {
        # A request, and at once its withdrawal, over and over.
        "resets": b"".join(frame(1, 4, stream, head) + frame(3, 0, stream, bytes(4)) for stream in range(1, 20_001, 2)),
        # Headers that never end.
        "headers": frame(1, 0, 1, head) + frame(9, 0, 1, b"\0\x01a\x7f\x80\x7f" + bytes(16_000)) * 200,
        "no frames": b"GET / HTTP/1.1\r\n\r\n" * 10,
        "large frame": struct.pack(">I", (1 << 24) - 1)[1:] + bytes([0, 0]) + struct.pack(">I", 1),
    }[attack]
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        try:
            connection.sendall(preface + sent)
        except ConnectionError:
            pass
        assert closes(connection), attack
    client = Over(over_grpc, served)
    x, flag = rows(1)
    assert (times(client, x, flag).as_numpy("double") == x + x).all()
    client.client.close()
