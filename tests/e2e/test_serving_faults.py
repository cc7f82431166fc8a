"""Faults of engines of ours: a replica killed under five hundred streams, a version that does not fit into its memory, and
requests made to break what they share with others. Who is cut off hears so, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

import openai
import pytest
from openai import OpenAI

from support import processes
from support.server import Corliss, poll
from support.times import serve

STREAMS, TOKENS = 500, 16
# What one engine decodes at once.
TOGETHER = 32
MIB = 1 << 20


@dataclass
class Stream:
    """One request and all that came of it, as bytes of HTTP."""

    received: bytes = b""

    @property
    def status(self) -> int:
        return int(self.received[9:12] or 0)

    @property
    def has_begun(self) -> bool:
        return b'"text"' in self.received

    @property
    def is_under_way(self) -> bool:
        return self.has_begun and not self.has_ended

    @property
    def is_whole(self) -> bool:
        """It says how it ended, what it used and that it is done; once each."""
        once = [self.received.count(what) for what in (b'"finish_reason":"', b'"usage":{', b"data: [DONE]")]
        return self.status == 200 and once == [1, 1, 1] and b'"error"' not in self.received and self.has_ended

    @property
    def is_cut(self) -> bool:
        """It has an error and nothing that could be taken for an end."""
        clean = (b'"finish_reason":"', b'"usage":{', b"[DONE]")
        return self.status == 200 and b'"error"' in self.received and not any(end in self.received for end in clean)

    @property
    def is_shed(self) -> bool:
        """It was refused and told when to come again."""
        return self.status in (429, 503) and b"\r\nretry-after: " in self.received.lower() and b'"error"' in self.received

    @property
    def has_ended(self) -> bool:
        return self.received.endswith(b"\r\n0\r\n\r\n")


async def stream(corliss: Corliss, endpoint: str, token: str, number: int, together: asyncio.Barrier, into: Stream) -> None:
    host, _, port = corliss.listen.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps({"model": endpoint, "prompt": f"{number} Once upon", "max_tokens": TOKENS, "temperature": 0,
                       "stream": True, "stream_options": {"include_usage": True}}).encode()
    head = (f"POST /v1/completions HTTP/1.1\r\nhost: {corliss.listen}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n")
    await together.wait()
    writer.write(head.encode() + body)
    while data := await reader.read(1 << 16):
        into.received += data
    writer.close()


async def killed_under_streams(corliss: Corliss, endpoint: str, engine: processes.Process) -> list[Stream]:
    streams, together, token = [Stream() for _ in range(STREAMS)], asyncio.Barrier(STREAMS), corliss.token
    tasks = [asyncio.create_task(stream(corliss, endpoint, token, at, together, one)) for at, one in enumerate(streams)]
    # More than one replica decodes at once, so some of the victim's are under way.
    while sum(one.is_under_way for one in streams) < TOGETHER + TOGETHER // 2:
        assert not any(task.done() and not one.has_begun for task, one in zip(tasks, streams, strict=True)), streams
        assert not all(task.done() for task in tasks), "the replicas took turns: they were never at it together"
        await asyncio.sleep(0.005)
    engine.kill()
    await asyncio.wait_for(asyncio.gather(*tasks), 240)
    return streams


def engines(corliss: Corliss, endpoint: str) -> list[processes.Process]:
    return [p for p in processes.of_home(corliss.home) if p.verb == "engine" and endpoint in p.arguments]


def replicas(corliss: Corliss, endpoint: str) -> list[dict[str, Any]]:
    return [one for one in corliss.api(f"/endpoints/{endpoint}")["replicas"] if one["state"] == "ready"]


def test_a_replica_is_killed_under_five_hundred_streams(house: Corliss, language_model: str) -> None:
    house.cli("endpoints", "deploy", "pair", "--model", f"{language_model}@champion", "--replicas", "2", timeout_s=120)
    try:
        victim, other = engines(house, "pair")
        streams = asyncio.run(killed_under_streams(house, "pair", victim))
        whole, cut = [one for one in streams if one.is_whole], [one for one in streams if one.is_cut]
        shed = [one for one in streams if one.is_shed]
        odd = [one.received for one in streams if not (one.is_whole or one.is_cut or one.is_shed)]
        assert not odd, (len(odd), odd[0])
        print(f"{len(whole)} whole, {len(cut)} cut, {len(shed)} refused")
        # At most what one engine decodes at once is cut; what waited there went elsewhere or was told to come again.
        assert 1 <= len(cut) <= TOGETHER, len(cut)
        assert all(one.has_ended for one in cut), "the event is the last of a whole body"
        # What was with the other replica, at least.
        assert len(whole) >= STREAMS // 4, (len(whole), len(shed))

        poll("two replicas", lambda: len(replicas(house, "pair")) == 2)
        assert other.pid in [engine.pid for engine in engines(house, "pair")], "its twin took harm"
        poll("nothing in flight", lambda: not any(one["in_flight"] for one in replicas(house, "pair")))
        body = {"model": "pair", "prompt": "Once upon", "max_tokens": 4}
        assert [house.request("POST", "/v1/completions", body)[0] for _ in range(8)] == [200] * 8
    finally:
        house.cli("endpoints", "delete", "pair", "--yes")


SIZES = """
project: sizes
steps:
  make: {run: python make.py, outputs: [small, large]}
models:
  small: {from: make.small, alias: champion}
"""

# The same answer but for its factor; the second carries 400 MB of ones that have to be in memory.
MAKE_SIZES = """
import os, onnx
from onnx import TensorProto, helper, numpy_helper
import numpy as np
def save(output, factor, rows):
    held = [numpy_helper.from_array(np.ones((rows, 1024), dtype=np.float32), "held"),
            numpy_helper.from_array(np.full((4,), factor, dtype=np.float32), "factor")]
    nodes = [helper.make_node("ReduceMean", ["held"], ["one"], keepdims=0),
             helper.make_node("Mul", ["x", "factor"], ["scaled"]), helper.make_node("Mul", ["scaled", "one"], ["y"])]
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(nodes, "sizes", [value("x")], [value("y")], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, os.environ["CORLISS_OUTPUT_" + output] + "/model.onnx")
save("SMALL", 2.0, 1)
save("LARGE", 3.0, 100 * 1024)
"""


def infer(corliss: Corliss, name: str, values: list[float], token: str | None = None) -> tuple[int, Any]:
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [len(values) // 4, 4], "data": values}]}
    return corliss.request("POST", f"/v2/models/{name}/infer", body, token=token or corliss.token)


def test_a_version_larger_than_its_memory_evicts_nobody(shared: Corliss, project: Callable[..., Path]) -> None:
    for model in ("small", "large"):
        # Two versions of one model.
        text = SIZES.replace("make.small", f"make.{model}").replace("  small:", "  sizes:")
        file = project(text.replace("champion", model), make__py=MAKE_SIZES)
        assert shared.wait_run(shared.submit(file))["state"] == "succeeded"
    shared.cli("endpoints", "deploy", "sizes", "--model", "sizes@small")
    shared.wait_endpoint("sizes")
    before = [replica["id"] for replica in shared.api("/endpoints/sizes")["replicas"]]
    wanted = {"model": "sizes@large", "replicas": 1, "resources": {"memory_bytes": 100 * MIB}}
    status, answer = shared.request("PUT", "/api/v1/endpoints/sizes", wanted)
    # The file alone is larger: nothing is begun.
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "model_too_large", "model"), answer
    assert [replica["id"] for replica in shared.api("/endpoints/sizes")["replicas"]] == before
    # The file has room, and what is made of it has not.
    wanted["resources"]["memory_bytes"] = 450 * MIB
    assert shared.request("PUT", "/api/v1/endpoints/sizes", wanted)[0] == 202
    statuses: list[tuple[int, Any]] = []

    def refused() -> str | None:
        statuses.append(infer(shared, "sizes", [1, 2, 3, 4]))
        reason = shared.api("/endpoints/sizes").get("reason")
        return reason if reason and "2 starts failed in a row" in reason else None

    reason = poll("the second start to fail", refused, timeout_s=60)
    assert "more memory than its limit" in reason and "1 of the one before still serving" in reason, reason
    # All the while it is the version before that answers.
    assert [(status, answer["outputs"][0]["data"]) for status, answer in statuses] == [(200, [2, 4, 6, 8])] * len(statuses)
    wanted["resources"]["memory_bytes"] = 4096 * MIB
    assert shared.request("PUT", "/api/v1/endpoints/sizes", wanted)[0] == 202
    poll("it has room", lambda: infer(shared, "sizes", [1, 2, 3, 4])[1]["outputs"][0]["data"] == [3, 6, 9, 12], timeout_s=60)


def test_a_model_made_anew_under_its_name_is_another_to_its_endpoint(shared: Corliss, project: Callable[..., Path]) -> None:
    def made(factor: str) -> None:
        # Always version 1 of `anew`.
        file = project(SIZES.replace("  small:", "  anew:", 1), make__py=MAKE_SIZES.replace("2.0", factor))
        assert shared.wait_run(shared.submit(file))["state"] == "succeeded"
        shared.cli("endpoints", "deploy", "anew", "--model", "anew/1")

    made("2.0")
    shared.wait_endpoint("anew")
    assert infer(shared, "anew", [1, 2, 3, 4])[1]["outputs"][0]["data"] == [2, 4, 6, 8]
    assert shared.request("DELETE", "/api/v1/models/anew")[0] == 204
    made("5.0")
    poll("the new one", lambda: infer(shared, "anew", [1, 2, 3, 4])[1]["outputs"][0]["data"] == [5, 10, 15, 20], timeout_s=60)


@pytest.fixture(scope="module")
def times(shared: Corliss, tmp_path_factory: pytest.TempPathFactory) -> Corliss:
    return serve(shared, tmp_path_factory.mktemp("times"))


SOUND = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
RAW = struct.pack("<4f", 1, 2, 3, 4)
JSON = {"content-type": "application/json"}


def tensors() -> Iterator[tuple[bytes, dict[str, str]]]:
    """Requests whose shapes, lengths and values are not what they say."""
    def text(body: bytes) -> tuple[bytes, dict[str, str]]:
        return body, JSON

    for shape in ([1 << 32, 1 << 32], [1 << 63, 4], [-(1 << 63), 4], [-1, -4], [1.5, 4], ["1", 4], [[1, 4]], [True, 4],
                  [1] * 1000, [0, 4], [], None, "1x4", [4, 1], [2, 4]):
        yield text(json.dumps({"inputs": [SOUND | {"shape": shape}]}).encode())
    for data in ([], [[1, 2], [3, 4]], [1, 2, 3, [4]], None, "1234", {"0": 1}, [1e39, 2, 3, 4], [None] * 4, [1, 2, 3, "4"]):
        yield text(json.dumps({"inputs": [SOUND | {"data": data}]}).encode())
    deep = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": %s}]}'
    yield text(deep % (b"[" * 100_000 + b"]" * 100_000))
    yield text(deep % b"[1e400, 1, 2, 3]")
    yield text(deep % b"[NaN, 1, 2, 3]")
    yield text(b"[" * MIB)
    yield text(json.dumps({"inputs": [SOUND, SOUND]}).encode())
    yield text(json.dumps({"inputs": [SOUND | {"name": f"x{at}"} for at in range(20_000)]}).encode())

    def binary(size: Any, raw: bytes = RAW, said: Any = None, **more: Any) -> tuple[bytes, dict[str, str]]:
        tensor = {key: value for key, value in SOUND.items() if key != "data"} | more
        head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": size}}]}).encode()
        length = str(len(head) if said is None else said)
        return head + raw, {"content-type": "application/octet-stream", "inference-header-content-length": length}

    for size in (15, 17, 1 << 62, -1, "16", 1.5, None, 0):
        yield binary(size)
    for said in (0, 1, -1, 10**9, 10**30, "x"):
        yield binary(16, said=said)
    yield binary(16, raw=RAW + RAW)
    yield binary(16, data=[1, 2, 3, 4])
    for shape in ([2, 4], [1, 8], [1 << 61, 4]):
        yield binary(16, shape=shape)


def test_tensors_that_lie_are_refused_and_their_batch_mates_are_not(times: Corliss) -> None:
    """Sound requests are joined into batches all the while; each is answered with its own."""
    token, refusals = times.token, []

    def sound(number: int) -> bool:
        status, answer = infer(times, "times", [number, number + 0.5, -number, 0], token)
        return status == 200 and answer["outputs"][0]["data"] == [2 * number, 2 * number + 1, -2 * number, 0]

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(sound, number) for number in range(400)]
        for body, headers in tensors():
            refusals.append(times.request("POST", "/v2/models/times/infer", body, token=token, headers=headers))
        assert all(one.result() for one in asked)
    wrong = [(status, answer) for status, answer in refusals if status != 400 or not answer["error"]]
    assert len(refusals) > 40 and not wrong, wrong


def test_an_engine_that_hangs_is_replaced_and_keeps_nobody_waiting(times: Corliss) -> None:
    """Stopped, not killed: its process is there, its socket takes connections, and nothing comes back."""
    stopped = engines(times, "times")[0]
    before = {replica["id"] for replica in replicas(times, "times")}
    stopped.kill(signal.SIGSTOP)
    try:
        # What has nothing to do with it goes on: many passes, of which one that waited for it would make seconds each.
        times.cli("endpoints", "deploy", "beside", "--model", "times@champion")
        assert infer(times, "beside", [1, 2, 3, 4])[0] == 200
        times.cli("endpoints", "delete", "beside", "--yes")

        def is_replaced() -> bool:
            ready = [replica for replica in replicas(times, "times") if replica["state"] == "ready"]
            return bool(ready) and before.isdisjoint(replica["id"] for replica in ready)

        poll("the engine is replaced", is_replaced, timeout_s=150)
    finally:
        stopped.kill(signal.SIGCONT)
    assert infer(times, "times", [1, 2, 3, 4])[0] == 200
    ended = [replica for replica in times.api("/endpoints/times")["replicas"] if replica["id"] in before]
    assert "its engine hangs" in ended[0]["reason"], ended


@pytest.fixture
def client(house: Corliss, language_model: str) -> OpenAI:
    return OpenAI(base_url=f"{house.url}/v1", api_key=house.token, max_retries=0, timeout=120)


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2} | more


WRONG: dict[str, list[Any]] = {
    "messages": ["hi", {}, [], [7], [{"role": "king", "content": "x"}], [{"role": "user", "content": 7}], [{"content": "x"}]],
    "max_tokens": ["2", -1, 1.5, 2**64, True, []],
    "max_completion_tokens": ["2", -1, 1.5, 2**64],
    "temperature": ["hot", -0.1, 2.1, [], True],
    "top_p": ["x", -0.1, 1.1],
    "n": ["2", 0, -1, 17, 1_000_000, 2**64, 1.5],
    "stream": ["yes", 1],
    "stop": [7, {}, ["x"] * 1000, [7]],
    "seed": ["x", 1.5, 2**70],
    "priority": ["x", 1.5, 2**40],
    "function_call": ["auto", "none", {"name": "f"}],
    "logprobs": ["yes", 7],
    "top_logprobs": ["x", -1, 1000],
    "logit_bias": [7, [1], {"x": 1}, {"1": "x"}, {"1": 1e9}],
    "presence_penalty": ["x", 2.1], "frequency_penalty": ["x", -2.1],
    "response_format": ["json", {"type": "xml"}, {"type": "json_schema"}, []],
    "tools": ["x", {}, [7], [{"type": "function"}], [{"type": "function", "function": {"name": 7}}]],
    "tool_choice": [7, "always", {"type": "function"}],
    "stream_options": [7, {"include_usage": "x"}],
    "model": [7, None, "", "../../etc/passwd", "x" * 100_000],
}


def test_every_field_refuses_what_it_cannot_mean(house: Corliss, language_model: str) -> None:
    token, wrong = house.token, []
    for field, values in WRONG.items():
        for value in values:
            body = chat(language_model) | {field: value}
            status, answer = house.request("POST", "/v1/chat/completions", body, token=token)
            error = answer.get("error", {}) if isinstance(answer, dict) else {}
            is_refused = status == 400 or field == "model" and status == 404
            # What is no JSON of this form at all is refused before its fields are known by name.
            is_named = (error.get("param") or "").startswith(field) or field in str(error.get("message"))
            if not (is_refused and error.get("type") == "invalid_request_error" and is_named):
                wrong.append((field, str(value)[:60], status, str(answer)[:300]))
    assert not wrong, wrong


def test_what_a_parameter_may_be_is_said(house: Corliss, language_model: str) -> None:
    for field, value, words in (
        ("priority", 2**40, "from -2147483648 to 2147483647"),
        ("seed", 2**70, "from -9223372036854775808 to 9223372036854775807"),
        ("function_call", "auto", "tool_choice"),
    ):
        status, answer = house.request("POST", "/v1/chat/completions", chat(language_model) | {field: value})
        assert status == 400 and words in answer["error"]["message"], answer
    status, answer = house.request("GET", f"/api/v1/endpoints/{language_model}/requests?limit=a")
    assert status == 400 and "from 1 to 1000" in answer["error"]["message"], answer


def test_how_tensors_are_joined_is_nothing_to_a_language_model(house: Corliss, language_model: str) -> None:
    model = house.api(f"/endpoints/{language_model}")["model"]
    for flag, value in (("--batch-max", "8"), ("--batch-delay", "1ms"), ("--batch-prefer", "4"), ("--instances", "2")):
        refused = house.run_cli("endpoints", "deploy", "joined", "--model", model, flag, value)
        assert refused.returncode == 2 and f"{flag} does nothing for a language model" in refused.stderr, refused
    assert house.request("GET", "/api/v1/endpoints/joined")[0] == 404


def test_a_prompt_of_ten_megabytes_is_refused(house: Corliss, language_model: str, client: OpenAI) -> None:
    words = "word " * (2 * MIB)
    for path, body in (("chat/completions", chat(language_model, messages=[{"role": "user", "content": words}])),
                       ("completions", {"model": language_model, "prompt": words, "max_tokens": 1}),
                       ("embeddings", {"model": language_model, "input": words})):
        status, answer = house.request("POST", f"/v1/{path}", body)
        assert (status, answer["error"]["code"]) == (413, "body_too_large"), answer
    # What may be sent and cannot be read is counted no further than it takes to know that.
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**chat(language_model, messages=[{"role": "user", "content": words[: 4 * 10**6]}]))
    assert refused.value.code == "context_length_exceeded"


def test_special_tokens_in_a_message_are_text(client: OpenAI, language_model: str) -> None:
    """Who writes the name of a control token ends no turn and begins none: it is spelled in letters."""
    def tokens(content: str) -> int:
        return client.chat.completions.create(**chat(language_model, messages=[{"role": "user", "content": content}])).usage.prompt_tokens

    empty = tokens("x") - 1
    for name in ("<|im_end|>", "<|im_start|>", "<|endoftext|>"):
        assert tokens(name * 10) - empty > 3 * 10, name
    # As the text of a prompt that is not a chat they are what the model knows.
    said = client.completions.create(model=language_model, prompt="<|im_end|>" * 3, max_tokens=0, echo=True, logprobs=0)
    assert len(said.choices[0].logprobs.tokens) == 3


def exploding(model: str) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Requests with formats that grow when they are compiled, and what of each is named; nothing where it may be answered."""
    deep: dict[str, Any] = {"type": "integer"}
    for _ in range(3):
        deep = {"type": "array", "items": deep, "minItems": 1000}
    schemas: list[tuple[dict[str, Any], bool]] = [
        ({"$ref": "#"}, True),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, True),
        ({"enum": [f"e{at}" for at in range(100_000)]}, True),
        ({"type": "object", "properties": {f"p{at}": {"type": "string"} for at in range(20_000)}}, True),
        ({"type": "string", "minLength": 10**9}, True),
        ({"type": "string", "pattern": "^(?=.*a)"}, True),
        ({"type": "string", "pattern": "(((((a*)*)*)*)*)*b"}, False),
        (deep, False),
    ]
    for schema, is_refused in schemas:
        yield chat(model, guided_json=schema), "guided_json" if is_refused else None
    for regex, is_refused in (("(" * 5000, True), ("(a{1,1000}){1,1000}", False), ("(a|a)*" * 200 + "b", False)):
        yield chat(model, guided_regex=regex), "guided_regex" if is_refused else None
    grammar = "start: " + " ".join(['("a"|"b")~0..10000'] * 100)
    yield chat(model, guided_grammar=grammar), "guided_grammar"
    yield chat(model, guided_grammar='start: start start | "a"'), None
    yield chat(model, guided_choice=[f"c{at}" for at in range(100_000)]), "guided_choice"
    wide = {"type": "object", "properties": {f"p{at}": {"anyOf": [{"type": "string"}] * 20} for at in range(600)}}
    for parameters in (wide, {"type": "object", "properties": {"a": {"type": "array", "items": {}, "minItems": 10**9}}}):
        function = {"name": "f", "strict": True, "parameters": parameters}
        yield chat(model, tools=[{"type": "function", "function": function}]), "tools[0].function.parameters"


def test_formats_that_explode_hold_nobody_up(house: Corliss, language_model: str) -> None:
    """The same engine decodes for others meanwhile, and does not end by it."""
    token, (engine,) = house.token, engines(house, language_model)

    def sound(number: int) -> tuple[int, int]:
        body = {"model": language_model, "prompt": f"{number} Once upon a time", "max_tokens": 16, "temperature": 0}
        status, answer = house.request("POST", "/v1/completions", body, token=token, timeout_s=120)
        return status, answer["usage"]["completion_tokens"]

    with ThreadPoolExecutor(4) as pool:
        mates = [pool.submit(sound, number) for number in range(24)]
        for body, param in exploding(language_model):
            status, answer = house.request("POST", "/v1/chat/completions", body, token=token, timeout_s=120)
            shown = (str(body)[:200], status, answer)
            if param is None:
                assert status in (200, 400), shown
            else:
                assert (status, answer["error"]["param"]) == (400, param), shown
        results = [mate.result() for mate in mates]
    assert all(status == 200 and tokens >= 1 for status, tokens in results), results
    assert [one.pid for one in engines(house, language_model)] == [engine.pid], "the engine was replaced"
