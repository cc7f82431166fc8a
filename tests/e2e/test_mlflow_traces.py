"""The unmodified mlflow client against traces: what it traces, judges, finds and deletes. The same calls were run
against MLflow's own server 3.18, which passes all of them."""

from __future__ import annotations

import json
import threading
import time
import uuid

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource, Expectation, Feedback, SpanEvent, SpanStatusCode, SpanType, TraceState
from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracing.attachments import Attachment

from support.server import Corliss


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    return mlflow.set_experiment(f"e-{uuid.uuid4().hex[:8]}").experiment_id


@mlflow.trace(span_type=SpanType.RETRIEVER, attributes={"k": 3})
def look_up(question: str) -> list[str]:
    return [f"about {question}"]


@mlflow.trace(span_type=SpanType.LLM)
def call_model(prompt: str) -> dict:
    span = mlflow.get_current_active_span()
    span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17})
    span.add_event(SpanEvent("first token", attributes={"after_ms": 7}))
    return {"answer": prompt.upper()}


@mlflow.trace(name="ask")
def ask(question: str, **about: object) -> str:
    if about:
        mlflow.update_current_trace(**about)
    if question == "fail":
        raise ValueError("no answer")
    return call_model(f"{look_up(question)[0]} – ü")["answer"]


def traced(question: str, **about: object) -> str:
    """Runs a traced function; answers the id of its trace, once the server has it."""
    try:
        ask(question, **about)
    except ValueError:
        pass
    mlflow.flush_trace_async_logging()
    return mlflow.get_last_active_trace_id()


def found(experiment: str, filter_string: str, **more: object) -> list[str]:
    traces = mlflow.search_traces(locations=[experiment], filter_string=filter_string, return_type="list", **more)
    return [trace.info.trace_id for trace in traces]


def test_a_trace_reads_back_as_it_was_made(experiment: str) -> None:
    trace_id = traced(
        "rain", tags={"colour": "blue"}, metadata={"mlflow.trace.session": "s-1", "mlflow.trace.user": "ada"},
        client_request_id="mine-1",
    )
    assert trace_id.startswith("tr-") and len(trace_id) == 35
    trace = mlflow.get_trace(trace_id)
    info = trace.info
    assert (info.state, info.experiment_id, info.client_request_id) == (TraceState.OK, experiment, "mine-1")
    assert info.tags["colour"] == "blue" and info.tags["mlflow.traceName"] == "ask"
    assert info.trace_metadata["mlflow.trace.session"] == "s-1"
    assert info.trace_metadata["mlflow.trace.user"] == "ada"
    assert info.token_usage == {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}
    assert json.loads(info.request_preview)["question"] == "rain"
    assert json.loads(info.response_preview) == "ABOUT RAIN – Ü"
    assert info.execution_duration >= 0

    root, *children = trace.data.spans
    assert (root.name, root.parent_id, root.trace_id) == ("ask", None, trace_id)
    assert {child.name: child.parent_id for child in children} == {
        "look_up": root.span_id, "call_model": root.span_id,
    }
    by_name = {span.name: span for span in trace.data.spans}
    model = by_name["call_model"]
    assert (model.span_type, model.inputs, model.outputs) == (
        SpanType.LLM, {"prompt": "about rain – ü"}, {"answer": "ABOUT RAIN – Ü"},
    )
    assert by_name["look_up"].get_attribute("k") == 3
    assert [(event.name, event.attributes) for event in model.events] == [("first token", {"after_ms": 7})]
    assert root.start_time_ns <= model.start_time_ns <= model.end_time_ns <= root.end_time_ns
    assert model.status.status_code == SpanStatusCode.OK


def test_a_trace_of_a_failure_says_so(experiment: str) -> None:
    trace = mlflow.get_trace(traced("fail"))
    assert trace.info.state == TraceState.ERROR
    (root,) = trace.data.spans
    assert root.status.status_code == SpanStatusCode.ERROR and "no answer" in root.status.description
    exception = next(event for event in root.events if event.name == "exception")
    assert exception.attributes["exception.message"] == "no answer"
    assert found(experiment, "status = 'ERROR'") == [trace.info.trace_id]


def test_spans_by_hand_of_every_kind_of_value(experiment: str) -> None:
    values = {"text": "a\x00b", "int": 2**53 + 1, "real": 0.5, "yes": True, "none": None, "list": [1, "x", [2.5]],
              "map": {"z": 1, "a": {"b": []}}, "json": "1", "empty": ""}
    with mlflow.start_span("by hand", span_type="CUSTOM", attributes=values) as outer:
        outer.set_inputs({"q": [1, 2]})
        with mlflow.start_span("inner") as inner:
            inner.set_outputs("done")
        outer.set_status("OK")
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_trace(outer.trace_id)
    read = trace.data.spans[0]
    assert {name: read.get_attribute(name) for name in values} == values
    assert (read.span_type, read.inputs, trace.data.spans[1].outputs) == ("CUSTOM", {"q": [1, 2]}, "done")


def test_judgements_are_made_changed_overridden_and_removed(experiment: str) -> None:
    trace_id = traced("rain")
    human = AssessmentSource("HUMAN", "ada")
    first = mlflow.log_feedback(trace_id=trace_id, name="good", value=True, rationale="it is", source=human,
                                metadata={"round": "1"})
    failed = mlflow.log_feedback(trace_id=trace_id, name="judge", error=ValueError("no judge"))
    wanted = mlflow.log_expectation(trace_id=trace_id, name="wanted", value={"answer": ["x", 1]})
    plain = mlflow.log_assessment(trace_id=trace_id, assessment=Expectation(name="count", value=3))
    assert mlflow.get_assessment(trace_id, first.assessment_id).value is True
    assert mlflow.get_assessment(trace_id, failed.assessment_id).error.error_message == "no judge"
    assert mlflow.get_assessment(trace_id, wanted.assessment_id).value == {"answer": ["x", 1]}
    assert mlflow.get_assessment(trace_id, plain.assessment_id).value == 3

    mlflow.update_assessment(trace_id=trace_id, assessment_id=first.assessment_id,
                             assessment=Feedback(name="good", value=0.25, rationale="not so", metadata={"round": "2"}))
    changed = mlflow.get_assessment(trace_id, first.assessment_id)
    assert (changed.value, changed.rationale, changed.metadata, changed.source.source_id) == (
        0.25, "not so", {"round": "2"}, "ada",
    )
    over = mlflow.override_feedback(trace_id=trace_id, assessment_id=first.assessment_id, value=0.75)
    assert mlflow.get_assessment(trace_id, first.assessment_id).valid is False
    listed = {item.assessment_id: item for item in mlflow.get_trace(trace_id).info.assessments}
    assert len(listed) == 5 and listed[over.assessment_id].overrides == first.assessment_id
    mlflow.delete_assessment(trace_id=trace_id, assessment_id=over.assessment_id)
    assert mlflow.get_assessment(trace_id, first.assessment_id).valid is True
    with pytest.raises(MlflowException, match="not found for trace"):
        mlflow.get_assessment(trace_id, over.assessment_id)
    for name, condition in [("good", "> 0.2"), ("good", "= '0.25'")]:
        assert found(experiment, f"feedback.{name} {condition}") == [trace_id]
    assert found(experiment, "expectation.count = '3.0'") == [trace_id]
    assert found(experiment, "feedback.good > 0.5") == []


def test_traces_are_found_by_what_they_hold(client: MlflowClient, experiment: str) -> None:
    blue = traced("rain", tags={"colour": "blue"}, metadata={"mlflow.trace.session": "s-1"}, client_request_id="c-1")
    red = traced("fail", tags={"colour": "red"})
    plain = traced("snow")
    for filter_string, expected in [
        ("", [plain, red, blue]),
        ("status = 'OK'", [plain, blue]),
        ("trace.status != 'OK'", [red]),
        ("attributes.status IN ('ERROR')", [red]),
        ("name = 'ask'", [plain, red, blue]),
        ("name LIKE 'a%' AND tags.colour = 'blue'", [blue]),
        ("tags.colour != 'blue'", [red]),
        ("tags.colour ILIKE 'RE%'", [red]),
        ("tags.colour RLIKE '^(red|blue)$'", [red, blue]),
        ("tags.colour IS NULL", [plain]),
        ("tag.colour IS NOT NULL", [red, blue]),
        ("client_request_id = 'c-1'", [blue]),
        (f"request_id = '{plain}'", [plain]),
        (f"request_id IN ('{plain}', '{red}')", [plain, red]),
        ("metadata.`mlflow.trace.session` = 's-1'", [blue]),
        ("request_metadata.`mlflow.trace.session` IS NULL", [plain, red]),
        ("timestamp_ms > 0 AND execution_time_ms >= 0", [plain, red, blue]),
        ("timestamp_ms < 5", []),
        ("span.name = 'look_up'", [plain, blue]),
        ("span.type = 'LLM'", [plain, blue]),
        ("span.type IN ('LLM', 'TOOL') AND span.status = 'OK'", [plain, blue]),
        ("span.status = 'ERROR'", [red]),
        ("span.name = 'look_up' AND span.type = 'LLM'", []),
        ("span.content LIKE '%about rain%'", [blue]),
        ("span.attributes.k LIKE '%3%'", [plain, blue]),
        ("trace.text ILIKE '%ABOUT SNOW%'", [plain]),
    ]:
        assert found(experiment, filter_string) == expected, filter_string
    assert found(experiment, "", order_by=["timestamp_ms ASC"]) == [blue, red, plain]
    assert found(experiment, "", order_by=["tags.colour DESC"]) == [red, blue, plain]
    assert found(experiment, "", order_by=["execution_time_ms ASC", "request_id"]) != []
    for bad, words in [
        ("foo = 'x'", "Invalid attribute key 'foo' specified"),
        ("params.a = 'x'", "Invalid entity type 'params'"),
        ("status > 'OK'", "Invalid comparator '>' not one of"),
        ("tags.a IN ('x')", "Invalid comparator 'IN' not one of"),
        ("feedback.a = 0.8", "Expected a quoted string value for feedback"),
        ("span.depth = 'x'", "Invalid span attribute 'depth'"),
        ("status = 'OK' OR status = 'ERROR'", "Invalid clause"),
    ]:
        with pytest.raises(MlflowException, match=words):
            found(experiment, bad)


def test_pages_follow_each_other(client: MlflowClient, experiment: str) -> None:
    made = [traced(f"q{number}") for number in range(7)]
    seen, token = [], None
    while True:
        page = client.search_traces(locations=[experiment], max_results=3, page_token=token, include_spans=False)
        seen += [trace.info.trace_id for trace in page]
        token = page.token
        if not token:
            break
    assert seen == made[::-1]
    assert found(experiment, "span.attributes.k LIKE '%3%'", max_results=5) == made[:1:-1]


def test_tags_and_deletion(client: MlflowClient, experiment: str) -> None:
    first, second, third = (traced(f"q{number}") for number in range(3))
    client.set_trace_tag(first, "stage", "checked")
    client.set_trace_tag(first, "mlflow.traceName", "renamed")
    assert found(experiment, "tags.stage = 'checked' AND name = 'renamed'") == [first]
    client.delete_trace_tag(first, "stage")
    with pytest.raises(MlflowException, match="No trace tag with key 'stage'"):
        client.delete_trace_tag(first, "stage")
    assert client.delete_traces(experiment, trace_ids=[second, "tr-absent"]) == 1
    assert found(experiment, "") == [third, first]
    assert client.delete_traces(experiment, max_timestamp_millis=int(time.time() * 1000) + 1000, max_traces=1) == 1
    assert found(experiment, "") == [third]
    with pytest.raises(MlflowException, match="`max_traces` must be a positive integer"):
        client.delete_traces(experiment, max_timestamp_millis=1, max_traces=0)


def test_traces_belong_to_runs(shared: Corliss, client: MlflowClient, experiment: str) -> None:
    with mlflow.start_run(experiment_id=experiment) as run:
        inside = traced("rain")
    outside = traced("snow")
    assert found(experiment, f"run_id = '{run.info.run_id}'") == [inside]
    client.link_traces_to_run([outside], run.info.run_id)
    assert found(experiment, f"attributes.run_id = '{run.info.run_id}'") == [outside, inside]
    assert found(experiment, "", run_id=run.info.run_id) == [outside, inside]
    # The console asks for the same: the run that made a trace, and those that it was linked to.
    for trace in (inside, outside):
        linked = shared.api(f"/tracking/traces/{trace}/runs")["items"]
        assert linked == [{"run_id": run.info.run_id}], linked
    with pytest.raises(MlflowException, match="Cannot link more than 100 traces"):
        client.link_traces_to_run([f"tr-{number}" for number in range(101)], run.info.run_id)


def test_what_is_not_there(client: MlflowClient, experiment: str) -> None:
    assert mlflow.get_trace("tr-absent") is None
    with pytest.raises(MlflowException, match="Trace with ID 'tr-absent' not found"):
        client.get_trace("tr-absent")
    with pytest.raises(MlflowException, match="Trace with ID 'tr-absent' not found"):
        mlflow.log_feedback(trace_id="tr-absent", name="x", value=1)
    with pytest.raises(MlflowException, match="not found"):
        mlflow.get_assessment("tr-absent", "a-absent")
    mlflow.delete_assessment(trace_id="tr-absent", assessment_id="a-absent")


def test_a_large_trace_comes_back_whole(experiment: str) -> None:
    with mlflow.start_span("root") as root:
        for number in range(500):
            with mlflow.start_span(f"step {number}") as step:
                step.set_outputs(number)
    mlflow.flush_trace_async_logging()
    spans = mlflow.get_trace(root.trace_id).data.spans
    assert [span.name for span in spans] == ["root", *(f"step {number}" for number in range(500))]
    assert [span.outputs for span in spans[1:]] == list(range(500))


def test_many_threads_at_once_lose_nothing(experiment: str) -> None:
    def work(number: int) -> None:
        for turn in range(5):
            with mlflow.start_span(f"w{number}", attributes={"turn": turn}):
                with mlflow.start_span("part"):
                    pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mlflow.flush_trace_async_logging()
    traces = mlflow.search_traces(locations=[experiment], return_type="list")
    assert len(traces) == 40 and all(len(trace.data.spans) == 2 for trace in traces)


def test_an_exporter_of_opentelemetry_sends_json(shared: Corliss, experiment: str) -> None:
    """What is not mlflow's client: an exporter that knows nothing but the address and a header."""
    digits = uuid.uuid4().hex
    now = time.time_ns()
    span = {
        "traceId": digits, "spanId": digits[:16], "name": "chat", "kind": 3,
        "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 2_000_000_000),
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "26"}},
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "4"}},
        ],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    token = shared.variables().get("MLFLOW_TRACKING_TOKEN", "")
    headers = {"x-mlflow-experiment-id": experiment, "Authorization": f"Bearer {token}"}
    answer = requests.post(f"{shared.url}/v1/traces", json=body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()) == (200, {})
    trace = mlflow.get_trace(f"tr-{digits}")
    assert trace.info.tags["service.name"] == "shop"
    assert trace.info.token_usage == {"input_tokens": 26, "output_tokens": 4, "total_tokens": 30}
    assert trace.info.execution_duration == 2000
    assert trace.data.spans[0].span_type == SpanType.CHAT_MODEL
    page = requests.get(f"{shared.url}/ajax-api/3.0/mlflow/get-trace-artifact", headers=headers,
                        params={"request_id": f"tr-{digits}"}, timeout=30)
    assert page.json()["spans"][0]["kind"] == "SPAN_KIND_CLIENT"


def test_attachments_lie_beside_their_trace_and_go_with_it(client: MlflowClient, experiment: str) -> None:
    picture = bytes(range(256)) * 100
    with mlflow.start_span("draw") as span:
        span.set_outputs({"picture": Attachment(content_type="image/png", content_bytes=picture)})
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_trace(mlflow.get_last_active_trace_id(), flush=True)
    named = Attachment.parse_ref(trace.data.spans[0].outputs["picture"])
    assert (named["trace_id"], named["size"]) == (trace.info.trace_id, len(picture))
    repository = get_artifact_repository(trace.info.tags["mlflow.artifactLocation"])
    assert repository.download_trace_attachment(named["attachment_id"]) == picture
    client.delete_traces(experiment, trace_ids=[trace.info.trace_id])
    with pytest.raises(Exception, match="(?i)no such artifact|not found"):
        repository.download_trace_attachment(named["attachment_id"])


def test_statistics_of_what_was_traced(client: MlflowClient, experiment: str) -> None:
    for question in ("rain", "snow", "fail"):
        traced(question)
    store = client._tracking_client.store

    def points(view: MetricViewType, metric: str, *kinds: MetricAggregation, **more: object) -> dict:
        found = store.query_trace_metrics([experiment], view, metric, list(kinds), **more)
        return {tuple(point.dimensions.values()): point.values for point in found}

    count, total = (MetricAggregation(kind) for kind in (AggregationType.COUNT, AggregationType.SUM))
    median = MetricAggregation(AggregationType.PERCENTILE, percentile_value=50.0)
    by_status = points(MetricViewType.TRACES, "trace_count", count, dimensions=["trace_status"])
    assert by_status == {("OK",): {"COUNT": 2.0}, ("ERROR",): {"COUNT": 1.0}}
    assert points(MetricViewType.TRACES, "input_tokens", total) == {(): {"SUM": 24.0}}
    (latency,) = points(MetricViewType.TRACES, "latency", median, filters=["trace.status = 'OK'"]).values()
    assert latency["P50.0"] >= 0
    by_type = points(MetricViewType.SPANS, "span_count", count, dimensions=["span_type"])
    assert by_type == {("LLM",): {"COUNT": 2.0}, ("RETRIEVER",): {"COUNT": 2.0}, ("UNKNOWN",): {"COUNT": 3.0}}

    (trace_id, *_) = found(experiment, "status = 'OK'")
    mlflow.log_feedback(trace_id=trace_id, name="correct", value=True)
    assert points(MetricViewType.ASSESSMENTS, "assessment_value", median) == {(): {"P50.0": 1.0}}

    result = store.calculate_trace_filter_correlation([experiment], "status = 'OK'", "span.type = 'LLM'")
    assert (result.filter1_count, result.filter2_count, result.joint_count, result.total_count) == (2, 2, 2, 3)
    assert result.npmi == pytest.approx(1.0)
    never = store.calculate_trace_filter_correlation([experiment], "status = 'OK'", "status = 'ERROR'")
    assert (never.joint_count, never.npmi) == (0, -1.0)
