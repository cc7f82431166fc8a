//! The routes of traces: what MLflow's clients and OpenTelemetry's exporters send, cut at every length, and ids that
//! are not there in every position.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::io::Write;
use std::sync::Arc;

use corliss_metastore::Metastore;
use corliss_testkit::metastore::for_each_backend;
use corliss_traces::MIGRATIONS;
use serde_json::{Value, json};
use support::{DELETED, RUN, Shelf, call, ended, id, router, send, traces_on, traces_with_files};

const TRACE: &str = "tr-5b8efff798038103d269b633813fc60c";

fn export() -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": [
            {
                "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "ask",
                "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661500000000",
                "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}],
            },
            {
                "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b175",
                "parentSpanId": "eee19b7ec3c1b174", "name": "call", "status": {"code": 2, "message": "bad"},
                "startTimeUnixNano": "1544712660100000000", "endTimeUnixNano": "1544712660200000000",
                "attributes": [
                    {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "26"}},
                    {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 4}},
                ],
            },
        ]}],
    }]})
}

const TO_0: [(&str, &str); 2] = [
    ("content-type", "application/json"),
    ("x-mlflow-experiment-id", "0"),
];

async fn sown(store: Metastore) -> corliss_http::App {
    let router = router(traces_on(store));
    let (status, body) = send(
        &router,
        "POST",
        "/v1/traces",
        &TO_0,
        export().to_string().into_bytes(),
    )
    .await;
    assert_eq!((status, body.as_slice()), (200, b"{}".as_slice()));
    router
}

fn info() -> Value {
    json!({"trace": {"trace_info": {
        "trace_id": TRACE, "client_request_id": "c",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2018-12-13T14:51:00.250Z", "execution_duration": "1.5s", "state": "OK",
        "trace_metadata": {"long": "x".repeat(300)}, "tags": {"mlflow.traceName": "ask", "t": "v"},
        "request_preview": "q", "assessments": [{
            "assessment_id": "a-1", "assessment_name": "q", "source": {"source_type": "HUMAN", "source_id": "ada"},
            "create_time": "2018-12-13T14:51:01Z", "last_update_time": "2018-12-13T14:51:01Z",
            "feedback": {"value": true, "error": {"error_code": "E"}}, "rationale": "r", "metadata": {"a": "b"},
        }],
    }}})
}

#[tokio::test]
async fn an_exported_trace_is_read_in_every_way() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let router = sown(store).await;
        let (status, read) = call(
            &router,
            "GET",
            &format!("/api/3.0/mlflow/traces/get?trace_id={TRACE}"),
            None,
        )
        .await;
        assert_eq!(status, 200, "{read}");
        let trace_info = &read["trace"]["trace_info"];
        assert_eq!(trace_info["request_time"], "2018-12-13T14:51:00Z");
        assert_eq!(trace_info["execution_duration"], "1.500s");
        assert_eq!(trace_info["state"], "OK");
        assert_eq!(trace_info["tags"]["service.name"], "shop");
        assert_eq!(
            trace_info["trace_metadata"]["mlflow.trace.tokenUsage"],
            r#"{"input_tokens": 26, "output_tokens": 4, "total_tokens": 30}"#
        );
        let spans = read["trace"]["spans"].as_array().unwrap();
        assert_eq!((spans.len(), &spans[0]["name"]), (2, &json!("ask")));
        assert_eq!(
            spans[1]["status"],
            json!({"code": "STATUS_CODE_ERROR", "message": "bad"})
        );
        assert_eq!(spans[0]["start_time_unix_nano"], 1_544_712_660_000_000_000_i64);
        for prefix in ["/api", "/ajax-api"] {
            let path = format!("{prefix}/3.0/mlflow/traces/batchGet?trace_ids={TRACE}&trace_ids=tr-x");
            let (_, batch) = call(&router, "GET", &path, None).await;
            assert_eq!(batch["traces"], json!([read["trace"]]));
            let (_, info) = call(
                &router,
                "GET",
                &format!("{prefix}/3.0/mlflow/traces/{TRACE}"),
                None,
            )
            .await;
            assert_eq!(info["trace"]["trace_info"], *trace_info);
        }
        let named = json!({"trace_ids": [TRACE], "experiment_ids": ["0"]});
        let (_, infos) = call(
            &router,
            "POST",
            "/api/3.0/mlflow/traces/batchGetInfos",
            Some(named),
        )
        .await;
        assert_eq!(infos["trace_infos"], json!([trace_info]));
        let (_, second) = call(
            &router,
            "GET",
            &format!("/api/2.0/mlflow/traces/{TRACE}/info"),
            None,
        )
        .await;
        assert_eq!(second["trace_info"]["execution_time_ms"], 1500);
        assert_eq!(second["trace_info"]["status"], "OK");
        for version in ["2.0", "3.0"] {
            let path = format!("/ajax-api/{version}/mlflow/get-trace-artifact?request_id={TRACE}");
            let (status, file) = call(&router, "GET", &path, None).await;
            assert_eq!((status, file["spans"].as_array().unwrap().len()), (200, 2));
            assert_eq!(
                file["spans"][0]["attributes"]["mlflow.spanType"],
                "\"CHAT_MODEL\""
            );
            assert_eq!(file["spans"][1]["parent_span_id"], "7uGbfsPBsXQ=");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_client_says_comes_back_in_both_versions() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let router = sown(store).await;
        let (status, started) = call(&router, "POST", "/api/3.0/mlflow/traces", Some(info())).await;
        assert_eq!(status, 200, "{started}");
        let started = &started["trace"]["trace_info"];
        assert_eq!(started["request_time"], "2018-12-13T14:51:00.250Z");
        assert_eq!(started["trace_metadata"]["long"].as_str().unwrap().len(), 250);
        assert_eq!(started["tags"]["t"], "v");
        assert_eq!(started["assessments"][0]["feedback"]["error"], json!({"error_code": "E"}));
        assert_eq!(started["assessments"][0]["valid"], true);
        let body = json!({
            "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}],
            "filter": "name = 'ask' AND span.status = 'ERROR'", "order_by": ["timestamp_ms DESC"], "max_results": 1,
        });
        let (status, page) = call(&router, "POST", "/api/3.0/mlflow/traces/search", Some(body)).await;
        assert_eq!((status, &page["traces"][0]["trace_id"], page.get("next_page_token")), (200, &json!(TRACE), None));
        let path = "/api/2.0/mlflow/traces?experiment_ids=0&experiment_ids=1&filter=tags.t+%3D+%27v%27&max_results=5";
        let (_, second) = call(&router, "GET", path, None).await;
        assert_eq!(second["traces"][0]["request_id"], TRACE);

        let begin = json!({"experiment_id": "0", "timestamp_ms": 5, "tags": [{"key": "k", "value": "v"}]});
        let (_, begun) = call(&router, "POST", "/api/2.0/mlflow/traces", Some(begin)).await;
        let id = begun["trace_info"]["request_id"].as_str().unwrap();
        assert_eq!(begun["trace_info"]["status"], "IN_PROGRESS");
        let end = json!({"timestamp_ms": 12, "status": "OK", "request_metadata": [{"key": "m", "value": "1"}]});
        let (_, ended) = call(&router, "PATCH", &format!("/api/2.0/mlflow/traces/{id}"), Some(end)).await;
        assert_eq!((&ended["trace_info"]["status"], &ended["trace_info"]["execution_time_ms"]), (&json!("OK"), &json!(7)));
    })
    .await;
}

#[tokio::test]
async fn assessments_are_made_read_changed_and_removed() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let router = sown(store).await;
        let path = format!("/api/3.0/mlflow/traces/{TRACE}/assessments");
        let sent = json!({"assessment": {"assessment_name": "ex", "source": {"source_type": "CODE"},
            "expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "{\"a\": [1]}"}}}});
        let (status, made) = call(&router, "POST", &path, Some(sent)).await;
        assert_eq!(status, 200, "{made}");
        let id = made["assessment"]["assessment_id"].as_str().unwrap();
        assert_eq!(made["assessment"]["expectation"]["serialized_value"]["value"], "{\"a\": [1]}");
        let one = format!("{path}/{id}");
        assert_eq!(call(&router, "GET", &one, None).await.1, made);
        let change = json!({"assessment": {"expectation": {"value": 3}, "assessment_name": "n"}, "update_mask": "expectation"});
        let (_, changed) = call(&router, "PATCH", &one, Some(change)).await;
        assert_eq!((&changed["assessment"]["expectation"]["value"], &changed["assessment"]["assessment_name"]), (&json!(3.0), &json!("ex")));
        let body = json!({"trace_id": TRACE, "assessment_id": id});
        assert_eq!(call(&router, "DELETE", &one, Some(body)).await, (200, json!({})));
        assert_eq!(call(&router, "GET", &one, None).await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn ids_that_are_not_there_are_told_in_every_position() {
    let router = sown(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
    let third = |path: &str| format!("/api/3.0/mlflow/{path}");
    let second = |path: &str| format!("/api/2.0/mlflow/{path}");
    let assessment = json!({"assessment": {"assessment_name": "q", "feedback": {"value": 1}}});
    let tag = json!({"key": "a", "value": "b"});
    for (method, path, body) in [
        ("GET", third("traces/tr-x"), None),
        ("GET", third("traces/get?trace_id=tr-x"), None),
        ("PATCH", third("traces/tr-x/tags"), Some(tag.clone())),
        ("DELETE", third("traces/tr-x/tags"), Some(tag.clone())),
        (
            "DELETE",
            third(&format!("traces/{TRACE}/tags")),
            Some(tag.clone()),
        ),
        ("POST", third("traces/tr-x/assessments"), Some(assessment.clone())),
        ("GET", third("traces/tr-x/assessments/a-x"), None),
        ("GET", third(&format!("traces/{TRACE}/assessments/a-x")), None),
        (
            "PATCH",
            third(&format!("traces/{TRACE}/assessments/a-x")),
            Some(json!({"assessment": {}, "update_mask": "rationale"})),
        ),
        (
            "POST",
            third("traces/link-to-run"),
            Some(json!({"trace_ids": [TRACE], "run_id": "ff"})),
        ),
        ("GET", second("traces/tr-x/info"), None),
        (
            "PATCH",
            second("traces/tr-x"),
            Some(json!({"timestamp_ms": 1, "status": "OK"})),
        ),
        ("PATCH", second("traces/tr-x/tags"), Some(tag.clone())),
        (
            "POST",
            second("traces/link-prompts"),
            Some(json!({"trace_id": "tr-x", "prompt_versions": [{"name": "p", "version": "1"}]})),
        ),
        (
            "POST",
            second("traces"),
            Some(json!({"experiment_id": "99", "timestamp_ms": 1})),
        ),
        (
            "GET",
            "/ajax-api/3.0/mlflow/get-trace-artifact?request_id=tr-x".into(),
            None,
        ),
        (
            "GET",
            format!("/ajax-api/3.0/mlflow/get-trace-artifact?request_id={TRACE}&path=..%2Fx"),
            None,
        ),
    ] {
        let (status, answer) = call(&router, method, &path, body).await;
        assert_eq!(
            (status, answer["error_code"].as_str()),
            (404, Some("RESOURCE_DOES_NOT_EXIST")),
            "{method} {path}: {answer}"
        );
    }
    for (method, path, body, expected) in [
        (
            "POST",
            third("traces/delete-traces"),
            json!({"experiment_id": "0", "request_ids": ["tr-x"]}),
            json!({"traces_deleted": 0}),
        ),
        (
            "DELETE",
            third("traces/tr-x/assessments/a-x"),
            json!({"trace_id": "tr-x"}),
            json!({}),
        ),
        (
            "POST",
            second("traces/link-to-run"),
            json!({"trace_ids": ["tr-x"], "run_id": RUN}),
            json!({}),
        ),
        (
            "POST",
            third("traces/batchGetInfos"),
            json!({"trace_ids": ["tr-x"]}),
            json!({"trace_infos": []}),
        ),
    ] {
        assert_eq!(
            call(&router, method, &path, Some(body)).await,
            (200, expected),
            "{method} {path}"
        );
    }
    let (status, answer) = call(&router, "GET", "/ajax-api/3.0/mlflow/get-trace-artifact", None).await;
    assert_eq!(
        (status, answer["error_code"].as_str()),
        (400, Some("BAD_REQUEST"))
    );
}

#[tokio::test]
async fn pages_ask_for_the_runs_of_a_trace() {
    let router = sown(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
    let link = json!({"trace_ids": [TRACE], "run_id": RUN});
    let path = "/api/3.0/mlflow/traces/link-to-run";
    assert_eq!(call(&router, "POST", path, Some(link)).await.0, 200);
    let runs = |query: &str| format!("/api/v1/tracking/traces/{TRACE}/runs{query}");
    let (status, answer) = call(&router, "GET", &runs(""), None).await;
    assert_eq!((status, answer), (200, json!({"items": [{"run_id": RUN}]})));
    assert_eq!(call(&router, "GET", &runs("?limit=0"), None).await.0, 400);
    let absent = "/api/v1/tracking/traces/tr-absent/runs";
    let (status, answer) = call(&router, "GET", absent, None).await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (404, Some("traces_not_found"))
    );
}

#[tokio::test]
async fn wrong_arguments_are_refused_and_never_an_internal_error() {
    let router = sown(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
    let location = json!([{"mlflow_experiment": {"experiment_id": "0"}}]);
    for (method, path, body, words) in [
        (
            "POST",
            "traces",
            json!({}),
            "Missing value for required parameter 'trace'.",
        ),
        (
            "POST",
            "traces",
            json!({"trace": {"trace_info": {}}}),
            "Missing value for required parameter 'trace_id'.",
        ),
        (
            "POST",
            "traces",
            json!({"trace": {"trace_info": {"trace_id": "a"}}}),
            "Missing value for required parameter 'experiment_id'.",
        ),
        (
            "POST",
            "traces/search",
            json!({}),
            "Missing value for required parameter 'locations'.",
        ),
        (
            "POST",
            "traces/search",
            json!({"locations": location, "max_results": 501}),
            "Invalid value 501 for parameter 'max_results'",
        ),
        (
            "POST",
            "traces/search",
            json!({"locations": location, "filter": "x = 'y'"}),
            "Invalid attribute key 'x'",
        ),
        (
            "POST",
            "traces/search",
            json!({"locations": location, "filter": 5}),
            "Invalid value 5 for parameter 'filter'",
        ),
        (
            "POST",
            "traces/search",
            json!({"locations": location, "order_by": ["sideways up"]}),
            "Invalid ordering key",
        ),
        (
            "POST",
            "traces/search",
            json!({"locations": [{"mlflow_experiment": {"experiment_id": "abc"}}]}),
            "Invalid experiment ID 'abc'",
        ),
        (
            "POST",
            "traces/delete-traces",
            json!({"experiment_id": "0"}),
            "Either `max_timestamp_millis` or `trace_ids`",
        ),
        (
            "POST",
            "traces/batchGetInfos",
            json!({}),
            "Missing value for required parameter 'trace_ids'.",
        ),
        (
            "POST",
            "traces/link-to-run",
            json!({"run_id": "x"}),
            "Missing value for required parameter 'trace_ids'.",
        ),
        (
            "POST",
            "traces/x/assessments",
            json!({"assessment": {"assessment_name": "q"}}),
            "Unknown assessment type",
        ),
        (
            "PATCH",
            "traces/x/tags",
            json!({"value": "v"}),
            "Missing value for required parameter 'key'.",
        ),
        (
            "PATCH",
            "traces/x/tags",
            json!([]),
            "The request body must be a JSON object.",
        ),
    ] {
        let (status, answer) = call(&router, method, &format!("/api/3.0/mlflow/{path}"), Some(body)).await;
        assert_eq!(
            (status, answer["error_code"].as_str()),
            (400, Some("INVALID_PARAMETER_VALUE")),
            "{path}: {answer}"
        );
        assert!(
            answer["message"].as_str().unwrap().contains(words),
            "{path}: {answer}"
        );
    }
    // NUL characters, which no database holds, in every text of a filter and a path.
    for (method, path, body) in [
        (
            "POST",
            "traces/search",
            Some(json!({"locations": location, "filter": "name = 'a\u{0}' AND tags.x = '\u{0}'"})),
        ),
        ("GET", "traces/tr-%00", None),
        ("DELETE", "traces/x/tags", Some(json!({"key": "a\u{0}"}))),
    ] {
        let (status, answer) = call(&router, method, &format!("/api/3.0/mlflow/{path}"), body).await;
        assert!((400..500).contains(&status), "{path}: {status} {answer}");
    }
    for (method, path) in [("POST", "traces/archive"), ("GET", "traces/x/y")] {
        let (_, answer) = call(&router, method, &format!("/api/3.0/mlflow/{path}"), None).await;
        assert_eq!(answer["error_code"], "ENDPOINT_NOT_FOUND", "{path}");
    }
}

#[tokio::test]
async fn bodies_cut_at_every_length_are_refused() {
    let router = sown(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
    let json_headers = [("content-type", "application/json")];
    let whole = info().to_string();
    for end in 1..whole.len() {
        let (status, _) = send(
            &router,
            "POST",
            "/api/3.0/mlflow/traces",
            &json_headers,
            whole.as_bytes()[..end].to_vec(),
        )
        .await;
        assert_eq!(status, 400, "{end}");
    }
    let whole = export().to_string();
    for end in 0..whole.len() {
        let (status, _) = send(
            &router,
            "POST",
            "/v1/traces",
            &TO_0,
            whole.as_bytes()[..end].to_vec(),
        )
        .await;
        assert_eq!(status, 400, "{end}");
    }
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(whole.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let headers = [TO_0[0], TO_0[1], ("content-encoding", "gzip")];
    for end in 0..packed.len() {
        let (status, _) = send(&router, "POST", "/v1/traces", &headers, packed[..end].to_vec()).await;
        assert_eq!(status, 400, "{end}");
    }
    assert_eq!(send(&router, "POST", "/v1/traces", &headers, packed).await.0, 200);
}

#[tokio::test]
async fn exporters_are_answered_as_opentelemetry_says() {
    let router = sown(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
    let post = |headers: Vec<(&'static str, &'static str)>, body: Vec<u8>| {
        let router = router.clone();
        async move { send(&router, "POST", "/v1/traces", &headers, body).await }
    };
    let protobuf = ("content-type", "application/x-protobuf");
    let to_0 = ("x-mlflow-experiment-id", "0");
    // One span without a parent, with ids and a name; and one whose id is too long.
    let span = |id: &[u8]| {
        [
            &[0x0a, 16][..],
            &[9; 16],
            &[0x12, id.len() as u8],
            id,
            &[0x2a, 1, b'n'],
        ]
        .concat()
    };
    let message = |field: u8, body: &[u8]| [&[field << 3 | 2, body.len() as u8][..], body].concat();
    let scope = [message(2, &span(&[1; 8])), message(2, &span(&[1; 9]))].concat();
    let request = message(1, &message(2, &scope));
    let (status, body) = post(vec![protobuf, to_0], request.clone()).await;
    assert_eq!(status, 200);
    let words = b"span 'n': span_id is longer than OpenTelemetry's ids are";
    assert_eq!(body, message(1, &[&[0x08, 1][..], &message(2, words)].concat()));
    let zlib = {
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&request).unwrap();
        packer.finish().unwrap()
    };
    for raw in [zlib.clone(), zlib[2..zlib.len() - 4].to_vec()] {
        assert_eq!(
            post(vec![protobuf, to_0, ("content-encoding", "deflate")], raw)
                .await
                .0,
            200
        );
    }
    assert_eq!(post(vec![protobuf, to_0], vec![]).await, (200, vec![]));
    for (headers, status) in [
        (vec![protobuf], 400),
        (vec![protobuf, ("x-mlflow-experiment-id", "abc")], 400),
        (vec![protobuf, ("x-mlflow-experiment-id", "99")], 404),
        (vec![("content-type", "text/plain"), to_0], 415),
        (vec![to_0], 415),
        (vec![protobuf, to_0, ("content-encoding", "br")], 400),
    ] {
        let (answered, body) = post(headers.clone(), request.clone()).await;
        assert_eq!(answered, status, "{headers:?}");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(body["error_code"].is_string() && body["message"].is_string());
    }
    let deleted = DELETED.to_string();
    let headers = [TO_0[0], ("x-mlflow-experiment-id", deleted.as_str())];
    assert_eq!(
        send(
            &router,
            "POST",
            "/v1/traces",
            &headers,
            export().to_string().into_bytes()
        )
        .await
        .0,
        400
    );
    let linked = [TO_0[0], TO_0[1], ("x-mlflow-run-id", RUN)];
    assert_eq!(
        send(
            &router,
            "POST",
            "/v1/traces",
            &linked,
            export().to_string().into_bytes()
        )
        .await
        .0,
        200
    );
    let search = json!({"locations": [{"mlflow_experiment": {"experiment_id": "0"}}], "filter": format!("run_id = '{RUN}'")});
    let (_, page) = call(&router, "POST", "/api/3.0/mlflow/traces/search", Some(search)).await;
    assert_eq!(page["traces"][0]["trace_id"], TRACE);
}

#[tokio::test]
async fn attachments_are_read_and_go_with_their_trace() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let files = Arc::new(Shelf::default());
    let traces = traces_with_files(store, files.clone());
    for trace in [1, 2] {
        traces.start_trace(ended(trace, 5)).await.unwrap();
        let location = format!("mlflow-artifacts:/0/traces/{}/artifacts", id(trace));
        let mut shelf = files.0.lock().unwrap();
        shelf.insert(format!("{location}/attachments/a-1"), vec![trace, 0, 255]);
        shelf.insert(format!("{location}/traces.json"), vec![]);
    }
    let router = router(traces);
    let ask = async |trace: u8, name: &str| {
        let path = format!(
            "/ajax-api/3.0/mlflow/get-trace-artifact?request_id={}&path={name}",
            id(trace)
        );
        send(&router, "GET", &path, &[], vec![]).await
    };
    assert_eq!(ask(1, "a-1").await, (200, vec![1, 0, 255]));
    for (trace, name) in [(1, "a-2"), (1, "..%2Ftraces.json"), (1, ".."), (3, "a-1")] {
        assert_eq!(ask(trace, name).await.0, 404, "{trace} {name}");
    }
    let body = json!({"experiment_id": "0", "request_ids": [id(1)]});
    let answer = call(
        &router,
        "POST",
        "/api/3.0/mlflow/traces/delete-traces",
        Some(body),
    )
    .await;
    assert_eq!(answer, (200, json!({"traces_deleted": 1})));
    assert_eq!(
        files.0.lock().unwrap().len(),
        2,
        "only what was the trace's is gone"
    );
    assert_eq!(ask(2, "a-1").await, (200, vec![2, 0, 255]));
}
