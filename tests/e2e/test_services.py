"""Services elsewhere behind endpoints, through unmodified clients. The service is a real one: this server's own surfaces
with a real language model and real tensors, reached as somebody else's; where faults are needed, one that plays them."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy
import openai
import pytest
import tritonclient.http
from openai import OpenAI

from support.server import Corliss, free_port, temporary_home
from support.times import MAKE

FAR = "far"


@pytest.fixture
def client(house: Corliss) -> OpenAI:
    return OpenAI(base_url=f"{house.url}/v1", api_key=house.token, max_retries=0, timeout=120)


@pytest.fixture
def far(house: Corliss, language_model: str, tmp_path: Path) -> Corliss:
    """The server's own model, as if it were elsewhere."""
    key = tmp_path / "key"
    key.write_text(house.token + "\n")
    house.cli("endpoints", "connect", FAR, "--url", f"{house.url}/v1", "--model", language_model, "--key-file", key)
    yield house
    house.request("DELETE", f"/api/v1/endpoints/{FAR}")


def ask(client: OpenAI, model: str = FAR, **more):
    messages = [{"role": "user", "content": "What is 2+2?"}]
    return client.chat.completions.create(model=model, messages=messages, **({"max_tokens": 16, "temperature": 0} | more))


def test_a_model_elsewhere_answers_like_one_of_ours(far: Corliss, client: OpenAI, language_model: str) -> None:
    assert FAR in [model.id for model in client.models.list()]
    here, there = ask(client, language_model), ask(client)
    assert there.choices[0].message.content == here.choices[0].message.content
    assert there.usage.total_tokens == here.usage.total_tokens

    chunks = list(ask(client, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == here.choices[0].message.content
    assert all(chunk.usage is None for chunk in chunks)
    last = list(ask(client, stream=True, stream_options={"include_usage": True}))[-1]
    assert last.usage.completion_tokens == here.usage.completion_tokens

    two = ask(client, n=2, seed=1, logprobs=True, top_logprobs=2)
    assert len(two.choices) == 2 and two.choices[0].logprobs.content[0].top_logprobs
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    formatted = ask(client, max_tokens=40, response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})
    assert isinstance(json.loads(formatted.choices[0].message.content)["n"], int)

    assert client.completions.create(model=FAR, prompt="The sea is", max_tokens=4).choices[0].text
    assert len(client.embeddings.create(model=FAR, input=["a", "b"]).data) == 2
    said = client.responses.create(model=FAR, input="What is 2+2?", max_output_tokens=16, temperature=0)
    assert said.output_text == here.choices[0].message.content
    with client.responses.stream(model=FAR, input="What is 2+2?", max_output_tokens=16, temperature=0) as stream:
        assert stream.get_final_response().output_text == said.output_text

    record = far.api(f"/endpoints/{FAR}/requests?limit=1")["items"][0]
    assert (record["outcome"], record["completion_tokens"]) == ("answered", said.usage.output_tokens)


def test_what_the_service_refuses_is_told_in_its_words(far: Corliss, client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, temperature=-3)
    assert refused.value.param == "temperature" and "temperature" in refused.value.message
    far.cli("endpoints", "connect", FAR, "--url", f"{far.url}/v1", "--model", "nobody")
    with pytest.raises(openai.NotFoundError):
        ask(client)


def test_its_key_is_kept_sealed_and_never_told(far: Corliss, client: OpenAI) -> None:
    shown = far.cli("endpoints", "show", FAR) + far.cli("endpoints", "show", FAR, "--json")
    assert "shown a key" in shown and far.token not in shown
    database = b"".join(path.read_bytes() for path in far.home.rglob("meta.db*"))
    assert database and far.token.encode() not in database
    # Without a key given it stays; taken away, the service refuses, and that is not the caller's fault.
    address = ("endpoints", "connect", FAR, "--url", f"{far.url}/v1", "--model", "smollm2")
    far.cli(*address)
    assert ask(client).choices
    far.cli(*address, "--no-key")
    with pytest.raises(openai.InternalServerError) as refused:
        ask(client)
    assert refused.value.status_code == 503 and "key" in refused.value.message


def test_only_an_administrator_connects_one(far: Corliss) -> None:
    token = json.loads(far.cli("admin", "token", "create", "eng", "--role", "ml-engineer", "--json"))["token"]
    body = {"model": "x", "targets": [{"url": "http://127.0.0.1:1/v1"}]}
    status, _ = far.request("PUT", "/api/v1/endpoints/mine/service", body, token=token)
    assert status == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"targets": []}, "targets"),
        ({"targets": [{"url": "ftp://a"}]}, "targets[0].url"),
        ({"targets": [{"url": "http://u:hunter2@a/"}]}, "targets[0].url"),
        ({"targets": [{"url": "http://a"}, {"url": "http://a/"}]}, "targets[1].url"),
        ({"targets": [{"url": "http://a", "weight": 0}]}, "targets[0].weight"),
        ({"model": ""}, "model"),
        ({"api_key": "two words"}, "api_key"),
        ({"dialect": "grpc"}, "dialect"),
        ({"extra": 1}, "extra"),
    ],
)
def test_bad_input_is_refused_by_field(house: Corliss, change: dict, field: str) -> None:
    body = {"model": "x", "targets": [{"url": "http://127.0.0.1:1/v1"}]} | change
    status, answer = house.request("PUT", "/api/v1/endpoints/bad/service", body)
    assert status == 400 and answer["error"]["field"] == field, answer
    assert "hunter2" not in json.dumps(answer)
    assert house.request("GET", "/api/v1/endpoints/bad")[0] == 404


def test_a_name_has_one_meaning(far: Corliss, language_model: str) -> None:
    status, answer = far.request("PUT", f"/api/v1/endpoints/{language_model}/service", {"model": "x", "targets": [{"url": "http://a"}]})
    assert (status, answer["error"]["code"]) == (409, "endpoint_exists")
    status, answer = far.request("PUT", f"/api/v1/endpoints/{FAR}", {"model": f"{language_model}@champion"})
    assert (status, answer["error"]["code"]) == (409, "endpoint_exists")


PROJECT = """
project: elsewhere
steps:
  make: {run: python make.py, outputs: [model]}
models:
  twice: {from: make.model, alias: champion}
endpoints:
  twice: {model: twice@champion}
"""


def test_tensors_elsewhere(tmp_path: Path) -> None:
    """Two servers: one has the model, the other's clients use it; the second is killed and comes back."""
    with temporary_home() as theirs, temporary_home() as ours:
        there, here = Corliss(theirs), Corliss(ours)
        try:
            there.up(), here.up()
            (tmp_path / "corliss.yaml").write_text(PROJECT)
            (tmp_path / "make.py").write_text(MAKE.replace("FACTOR", "2.0"))
            assert there.wait_run(there.submit(tmp_path / "corliss.yaml"))["state"] == "succeeded"
            there.wait_endpoint("twice")
            (tmp_path / "key").write_text(there.token)
            here.cli("endpoints", "connect", "double", "--dialect", "open-inference", "--url", there.url,
                     "--model", "twice", "--key-file", tmp_path / "key")
            doubles(here)
            here.kill_server()
            here.up()
            doubles(here)
            assert here.cli("endpoints", "delete", "double", "--yes")
            assert here.request("GET", "/api/v1/endpoints/double")[0] == 404
        finally:
            there.kill_everything(), here.kill_everything()


def doubles(corliss: Corliss) -> None:
    headers = {"authorization": f"Bearer {corliss.token}"}
    client = tritonclient.http.InferenceServerClient(corliss.listen)
    metadata = client.get_model_metadata("double", headers=headers)
    given = metadata["inputs"][0]
    values = numpy.array([[1.0, 2.0, 3.0, 4.0]], dtype=numpy.float32)
    for binary in (False, True):
        tensor = tritonclient.http.InferInput(given["name"], list(values.shape), given["datatype"])
        tensor.set_data_from_numpy(values, binary_data=binary)
        answer = client.infer("double", [tensor], headers=headers)
        assert (answer.as_numpy(metadata["outputs"][0]["name"]) == values * 2).all()
    status, answer = corliss.request("POST", "/v1/models/double:predict", {"instances": [[3.0, 4.0, 5.0, 6.0]]})
    assert (status, answer["predictions"]) == (200, [[6.0, 8.0, 10.0, 12.0]])


class Plays(BaseHTTPRequestHandler):
    """Answers chats whole; every third request of a service that is bad is answered 500, or not to its end."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.asked += 1
        answer = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
        body = json.dumps(answer).encode()
        if self.server.is_bad and self.server.asked % 3 == 0:
            self.send_response(500)
            body = b"{}"
        else:
            self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        cut = self.server.is_bad and self.server.asked % 3 == 1
        self.wfile.write(body[:10] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def plays(is_bad: bool) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plays)
    server.asked, server.is_bad, server.daemon_threads = 0, is_bad, True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_a_bad_address_costs_no_request(house: Corliss, client: OpenAI) -> None:
    good, bad = plays(False), plays(True)
    nobody = free_port()
    urls = [f"http://127.0.0.1:{port}/v1" for port in (good.server_port, bad.server_port, nobody)]
    try:
        house.cli("endpoints", "connect", "mixed", *[word for url in urls for word in ("--url", url)], "--model", "m")
        # Of three addresses one answers always: whoever may be asked thrice is answered.
        house.cli("endpoints", "routing", "mixed", "--attempts", "3", "--retry-budget", "100")
        with ThreadPoolExecutor(8) as several:
            answers = list(several.map(lambda _: ask(client, "mixed").choices[0].message.content, range(120)))
        assert answers == ["yes"] * 120
        assert bad.asked > 0
        records = house.api("/endpoints/mixed/requests?limit=200")["items"]
        assert {record["outcome"] for record in records} == {"answered"}
        assert any(record["attempts"] > 1 for record in records)
    finally:
        house.cli("endpoints", "delete", "mixed", "--yes")
        good.shutdown(), bad.shutdown()
