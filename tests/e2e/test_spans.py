"""Requests as OpenTelemetry spans, sent to a collector that reads them with OpenTelemetry's own types."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import openai
import pytest
from openai import OpenAI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support import processes
from support.server import ROOT, Corliss, poll

MODEL = "smollm2"
PARENT = "00f067aa0ba902b7"
MESSAGES: list = [{"role": "user", "content": "What is 2+2?"}]


class Collector(ThreadingHTTPServer):
    """Takes spans on a path of its own."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.calls: list[ExportTraceServiceRequest] = []
        self.gone = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/otlp"

    def trace(self, trace: str) -> list[Span]:
        scopes = [scope for call in list(self.calls) for of in call.resource_spans for scope in of.scope_spans]
        return [span for scope in scopes for span in scope.spans if span.trace_id.hex() == trace]

    def wait(self, trace: str, count: int) -> list[Span]:
        return poll(f"{count} spans", lambda: (spans := self.trace(trace)) if len(self.trace(trace)) >= count else None)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        if self.server.gone:
            # A connection that was kept outlives its listener.
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers["content-length"]))
        wanted = self.path == "/otlp/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
        if wanted:
            self.server.calls.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200 if wanted else 400)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.shutdown()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Corliss]:
    corliss = Corliss(tmp_path_factory.mktemp("spans") / "home", settings={"CORLISS_TELEMETRY_OTLP_ENDPOINT": collector.url})
    try:
        corliss.up()
        assert corliss.wait_run(corliss.submit(ROOT / "examples/chat/corliss.yaml"))["state"] == "succeeded"
        corliss.wait_endpoint(MODEL, timeout_s=180)
        yield corliss
        corliss.down()
        assert not processes.wait_until_none(corliss.home)
    finally:
        corliss.kill_everything()


@pytest.fixture
def client(traced: Corliss) -> OpenAI:
    return OpenAI(base_url=f"{traced.url}/v1", api_key=traced.token, max_retries=0, timeout=120)


def parent(trace: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{PARENT}-{flags}", "tracestate": "vendor=1"}


def attributes(span: Span) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        kind = value.WhichOneof("value")
        return [plain(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)

    return {one.key: plain(one.value) for one in span.attributes}


def test_a_chat_is_a_span_within_its_caller_s(traced: Corliss, client: OpenAI, collector: Collector) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=8, temperature=0, seed=7, stop=["nowhere"], extra_headers=parent(trace)
    )
    spans = collector.wait(trace, 4)
    by_name = {span.name: span for span in spans}
    assert sorted(by_name) == ["chat smollm2", "decode", "prefill", "queue"] and len(spans) == 4
    whole = by_name["chat smollm2"]
    assert whole.parent_span_id.hex() == PARENT and whole.trace_state == "vendor=1" and whole.kind == Span.SPAN_KIND_SERVER
    told = attributes(whole)
    assert told | {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "corliss",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": MODEL,
        "gen_ai.request.max_tokens": 8,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ["nowhere"],
        "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": answer.usage.completion_tokens,
        "gen_ai.response.finish_reasons": [answer.choices[0].finish_reason],
        "server.address": "127.0.0.1",
        "server.port": int(traced.listen.rpartition(":")[2]),
    } == told
    assert 0 < told["gen_ai.response.time_to_first_chunk"] and "error.type" not in told and whole.status.code == 0
    record = traced.api(f"/endpoints/{MODEL}/requests?limit=1")["items"][0]
    assert told["corliss.request.id"] == record["id"] and told["corliss.replica"] == record["replica"]
    assert whole.end_time_unix_nano - whole.start_time_unix_nano == record["total_us"] * 1000
    parts = [by_name[name] for name in ("queue", "prefill", "decode")]
    for before, after in zip(parts, parts[1:]):
        assert before.end_time_unix_nano == after.start_time_unix_nano
    assert whole.start_time_unix_nano <= parts[0].start_time_unix_nano and parts[-1].end_time_unix_nano == whole.end_time_unix_nano
    assert {part.parent_span_id for part in parts} == {whole.span_id}
    decode = parts[2].end_time_unix_nano - parts[2].start_time_unix_nano
    assert decode == record["decode_us"] * 1000


def test_a_stream_s_span_ends_with_it_and_other_apis_have_theirs(client: OpenAI, collector: Collector) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4737"
    streamed = client.responses.create(
        model=MODEL, input="What is 2+2?", max_output_tokens=6, stream=True, extra_headers=parent(trace)
    )
    usage = [event for event in streamed][-1].response.usage
    [whole] = [span for span in collector.wait(trace, 4) if span.parent_span_id.hex() == PARENT]
    told = attributes(whole)
    assert told["gen_ai.usage.output_tokens"] == usage.output_tokens == 6 and told["gen_ai.request.stream"] is True
    assert told["gen_ai.response.finish_reasons"] == ["length"] and told["gen_ai.request.max_tokens"] == 6
    trace = "4bf92f3577b34da6a3ce929d0e0e4738"
    client.completions.create(model=MODEL, prompt="One, two,", n=2, max_tokens=2, extra_headers=parent(trace))
    spans = [span for span in collector.wait(trace, 8) if span.parent_span_id.hex() == PARENT]
    assert [span.name for span in spans] == ["text_completion smollm2"] * 2, "each answer has a span"
    assert spans[0].span_id != spans[1].span_id
    trace = "4bf92f3577b34da6a3ce929d0e0e4739"
    client.embeddings.create(model=MODEL, input="a ship", extra_headers=parent(trace))
    [span] = collector.wait(trace, 1)
    assert span.name == "embeddings smollm2" and attributes(span)["gen_ai.usage.input_tokens"] > 0


def test_what_fails_says_why(client: OpenAI, collector: Collector) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e473a"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=MESSAGES, extra_headers=parent(trace))
    [span] = collector.wait(trace, 1)
    assert attributes(span)["error.type"] == "model_not_found" and span.status.code == 2
    trace = "4bf92f3577b34da6a3ce929d0e0e473b"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "word " * 20_000}], extra_headers=parent(trace)
        )
    [span] = collector.wait(trace, 1)
    assert attributes(span)["error.type"] == "context_length_exceeded" and span.parent_span_id.hex() == PARENT


def test_what_is_not_sampled_is_not_sent_and_what_has_no_parent_is(client: OpenAI, collector: Collector) -> None:
    silent, loud = "4bf92f3577b34da6a3ce929d0e0e473c", "4bf92f3577b34da6a3ce929d0e0e473d"
    client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=1, extra_headers=parent(silent, "00"))
    client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=1, user="rootless")
    client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=1, extra_headers=parent(loud))
    collector.wait(loud, 4)
    assert collector.trace(silent) == []
    spans = [span for call in collector.calls for of in call.resource_spans for scope in of.scope_spans for span in scope.spans]
    [root] = [span for span in spans if not span.parent_span_id]
    assert len(root.trace_id) == 16 and root.name == "chat smollm2"


def test_a_collector_that_is_gone_costs_nothing_but_its_spans(
    traced: Corliss, client: OpenAI, collector: Collector
) -> None:
    def counted(name: str) -> int:
        _, text = traced.request("GET", "/metrics")
        return int(re.search(rf"^corliss_spans_{name}_total{{}} (\d+)$", text, re.MULTILINE)[1])

    assert counted("sent") > 0 and counted("dropped") == 0
    collector.gone = True
    collector.shutdown()
    collector.server_close()
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=1)
    assert answer.usage.completion_tokens == 1
    poll("the spans to be given up", lambda: counted("dropped") == 4)
