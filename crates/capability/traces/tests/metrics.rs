//! Statistics and correlations on every database. The figures are those that MLflow's server 3.17.2 answers for such traces.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_metastore::Metastore;
use corliss_testkit::metastore::for_each_backend;
use corliss_traces::{
    AssessmentValue, Correlation, CorrelationScope, MIGRATIONS, NewAssessment, SearchScope, Source,
    TraceState, Traces,
};
use serde_json::{Value, json};
use support::{batch, call, ended, id, pairs, router, span, traces_on, with};

const HOUR: i64 = 3_600_000;

/// Six traces, an hour from one to the next: 0 to 5, of two names, the last a failure; two have a session.
async fn six(traces: &Traces) {
    for number in 0..6_u8 {
        let n = i64::from(number);
        let mut trace = ended(number + 1, n * HOUR);
        trace.duration_ms = Some(n * 10);
        trace.state = if n == 5 { TraceState::Error } else { TraceState::Ok };
        let name = if n % 2 == 0 { "even" } else { "odd" };
        let parity = (n % 2).to_string();
        trace.tags = pairs(&[("mlflow.traceName", name), ("t", &parity)]);
        let usage = json!({"input_tokens": 10 * n, "output_tokens": n, "total_tokens": 11 * n}).to_string();
        trace.metadata = pairs(&[("mlflow.trace.tokenUsage", &usage)]);
        if n < 4 {
            let session = format!("s{}", n % 2);
            trace.metadata.insert("mlflow.trace.session".into(), session);
        }
        traces.start_trace(trace).await.unwrap();
        for (name, value) in [
            ("correct", json!(n % 2 == 0)),
            ("score", json!(n as f64 / 2.0)),
            ("words", json!("maybe")),
        ] {
            assess(traces, number + 1, name, value, None).await;
        }
    }
}

async fn assess(traces: &Traces, trace: u8, name: &str, value: Value, overrides: Option<String>) -> String {
    let new = NewAssessment {
        id: None,
        name: name.into(),
        source: Source {
            kind: "HUMAN".into(),
            id: None,
        },
        created_ms: None,
        updated_ms: None,
        value: AssessmentValue::Feedback { value, error: None },
        rationale: None,
        metadata: pairs(&[]),
        span_id: None,
        overrides,
    };
    traces.create_assessment(id(trace), new).await.unwrap().id
}

struct House {
    router: corliss_http::App,
}

impl House {
    async fn ask(&self, view: &str, metric: &str, aggregations: Value, more: Value) -> (u16, Value) {
        let mut body = json!({"experiment_ids": ["0"], "view_type": view, "metric_name": metric, "aggregations": aggregations});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        call(&self.router, "POST", "/api/3.0/mlflow/traces/metrics", Some(body)).await
    }

    /// Dimensions and values of each point.
    async fn points(&self, view: &str, metric: &str, kinds: &[&str], more: Value) -> Vec<(Value, Value)> {
        let aggregations: Vec<Value> = kinds
            .iter()
            .map(|kind| match kind.strip_prefix('P') {
                Some(percent) => json!({"aggregation_type": "PERCENTILE", "percentile_value": percent.parse::<f64>().unwrap()}),
                None => json!({"aggregation_type": kind}),
            })
            .collect();
        let (status, answer) = self.ask(view, metric, json!(aggregations), more).await;
        assert_eq!(status, 200, "{answer}");
        let points = answer["data_points"].as_array().unwrap();
        points
            .iter()
            .map(|point| {
                assert_eq!(point["metric_name"], metric);
                (point["dimensions"].clone(), point["values"].clone())
            })
            .collect()
    }
}

#[tokio::test]
async fn traces_are_counted_in_groups() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        six(&traces).await;
        let house = House {
            router: router(traces),
        };
        let points = async |metric: &str, kinds: &[&str], more: Value| {
            house.points("TRACES", metric, kinds, more).await
        };
        assert_eq!(
            points("trace_count", &["COUNT"], json!({})).await,
            [(Value::Null, json!({"COUNT": 6.0}))]
        );
        assert_eq!(
            points("session_count", &["COUNT"], json!({})).await,
            [(Value::Null, json!({"COUNT": 2.0}))]
        );
        assert_eq!(
            points(
                "trace_count",
                &["COUNT"],
                json!({"dimensions": ["trace_name", "trace_status"]})
            )
            .await,
            [
                (
                    json!({"trace_name": "even", "trace_status": "OK"}),
                    json!({"COUNT": 3.0})
                ),
                (
                    json!({"trace_name": "odd", "trace_status": "ERROR"}),
                    json!({"COUNT": 1.0})
                ),
                (
                    json!({"trace_name": "odd", "trace_status": "OK"}),
                    json!({"COUNT": 2.0})
                ),
            ]
        );
        assert_eq!(
            points(
                "latency",
                &["AVG", "MIN", "MAX", "P50", "P99.5"],
                json!({"dimensions": ["trace_name"]})
            )
            .await,
            [
                (
                    json!({"trace_name": "even"}),
                    json!({"AVG": 20.0, "MIN": 0.0, "MAX": 40.0, "P50.0": 20.0, "P99.5": 39.8})
                ),
                (
                    json!({"trace_name": "odd"}),
                    json!({"AVG": 30.0, "MIN": 10.0, "MAX": 50.0, "P50.0": 30.0, "P99.5": 49.8})
                ),
            ]
        );
        assert_eq!(
            points("input_tokens", &["SUM", "AVG", "P25"], json!({})).await,
            [(Value::Null, json!({"SUM": 150.0, "AVG": 25.0, "P25.0": 12.5}))]
        );
        assert_eq!(points("cache_read_input_tokens", &["SUM"], json!({})).await, []);

        for (filter, expected) in [
            ("trace.status = 'OK'", 5.0),
            ("trace.tag.t = '1'", 3.0),
            ("trace.metadata.`mlflow.trace.session` = 's1'", 2.0),
            ("trace.tag.`mlflow.traceName` = 'even'", 3.0),
            ("trace.tag.nope = 'x'", 0.0),
        ] {
            let found = points("trace_count", &["COUNT"], json!({"filters": [filter]})).await;
            assert_eq!(found, [(Value::Null, json!({"COUNT": expected}))], "{filter}");
        }
        let both = json!({"filters": ["trace.status = 'OK'", "trace.tag.t = '1'"]});
        assert_eq!(
            points("trace_count", &["COUNT"], both).await[0].1,
            json!({"COUNT": 2.0})
        );

        // The limits of the time belong to it.
        let times = json!({"start_time_ms": HOUR, "end_time_ms": 3 * HOUR, "time_interval_seconds": 7200});
        assert_eq!(
            points("trace_count", &["COUNT"], times).await,
            [
                (
                    json!({"time_bucket": "1970-01-01T00:00:00+00:00"}),
                    json!({"COUNT": 1.0})
                ),
                (
                    json!({"time_bucket": "1970-01-01T02:00:00+00:00"}),
                    json!({"COUNT": 2.0})
                ),
            ]
        );
        assert_eq!(
            points("trace_count", &["COUNT"], json!({"start_time_ms": 5 * HOUR + 1})).await[0].1,
            json!({"COUNT": 0.0})
        );
        assert_eq!(
            points("latency", &["AVG"], json!({"start_time_ms": 5 * HOUR + 1})).await,
            []
        );
        let other = json!({"experiment_ids": ["1"]});
        assert_eq!(
            points("trace_count", &["COUNT"], other).await[0].1,
            json!({"COUNT": 0.0})
        );
    })
    .await;
}

#[tokio::test]
async fn groups_come_in_pages() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        six(&traces).await;
        let house = House { router: router(traces) };
        for (view, metric, kinds) in [
            ("TRACES", "latency", json!([{"aggregation_type": "AVG"}, {"aggregation_type": "PERCENTILE", "percentile_value": 50}])),
            ("ASSESSMENTS", "assessment_value", json!([{"aggregation_type": 4, "percentile_value": 50}])),
        ] {
            let times = json!({"start_time_ms": 0, "end_time_ms": 9 * HOUR, "time_interval_seconds": 3600});
            let (_, whole) = house.ask(view, metric, kinds.clone(), times.clone()).await;
            let (mut found, mut token) = (Vec::new(), Value::Null);
            loop {
                let mut more = times.clone();
                more["max_results"] = json!(4);
                more["page_token"] = token;
                let (_, page) = house.ask(view, metric, kinds.clone(), more).await;
                found.extend(page["data_points"].as_array().unwrap().clone());
                token = page["next_page_token"].clone();
                if token.is_null() {
                    break;
                }
            }
            assert_eq!(found.len(), 6);
            assert_eq!(json!(found), whole["data_points"]);
        }
    })
    .await;
}

#[tokio::test]
async fn assessments_are_counted_in_groups() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        six(&traces).await;
        let first = assess(&traces, 1, "again", json!("yes"), None).await;
        assess(&traces, 1, "again", json!("no"), Some(first)).await;
        let house = House { router: router(traces) };
        let points = async |metric: &str, kinds: &[&str], more: Value| house.points("ASSESSMENTS", metric, kinds, more).await;
        assert_eq!(
            points("assessment_count", &["COUNT"], json!({"dimensions": ["assessment_name"]})).await,
            [("again", 1.0), ("correct", 6.0), ("score", 6.0), ("words", 6.0)]
                .map(|(name, count)| (json!({"assessment_name": name}), json!({"COUNT": count})))
        );
        let by_value = json!({"dimensions": ["assessment_name", "assessment_value"], "filters": ["assessment.name = 'correct'"]});
        assert_eq!(
            points("assessment_count", &["COUNT"], by_value).await,
            ["false", "true"].map(|value| (json!({"assessment_name": "correct", "assessment_value": value}), json!({"COUNT": 3.0})))
        );
        // Words that are no verdict have no value; the one that stands for another counts alone.
        assert_eq!(
            points("assessment_value", &["AVG", "P50"], json!({"dimensions": ["assessment_name"]})).await,
            [("again", 0.0), ("correct", 0.5), ("score", 1.25)]
                .map(|(name, value)| (json!({"assessment_name": name}), json!({"AVG": value, "P50.0": value})))
        );
        let odd = json!({"filters": ["trace.tag.t = '1'", "assessment.type = 'feedback'"]});
        assert_eq!(points("assessment_count", &["COUNT"], odd).await[0].1, json!({"COUNT": 9.0}));
        let none = json!({"filters": ["assessment.type = 'expectation'"]});
        assert_eq!(points("assessment_count", &["COUNT"], none).await[0].1, json!({"COUNT": 0.0}));
    })
    .await;
}

#[tokio::test]
async fn spans_are_counted_in_groups() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        for trace in 1..=3_u8 {
            let cost = format!("{{\"input_cost\": 0.5, \"total_cost\": {trace}}}");
            let model = with(
                span(trace, 2, Some(1), 3_600_000),
                &[
                    ("mlflow.spanType", "\"LLM\""),
                    ("mlflow.llm.cost", &cost),
                    ("mlflow.llm.model", "\"m\""),
                ],
            );
            let mut root = span(trace, 1, None, 0);
            root.end_ns = Some(u64::from(trace) * 2_500_000);
            traces.log_spans(batch(vec![root, model])).await.unwrap();
        }
        let house = House {
            router: router(traces),
        };
        let points = async |metric: &str, kinds: &[&str], more: Value| {
            house.points("SPANS", metric, kinds, more).await
        };
        assert_eq!(
            points("span_count", &["COUNT"], json!({})).await,
            [(Value::Null, json!({"COUNT": 6.0}))]
        );
        assert_eq!(
            points(
                "span_count",
                &["COUNT"],
                json!({"dimensions": ["span_name", "span_type", "span_status"]})
            )
            .await,
            [("s1", "UNKNOWN"), ("s2", "LLM")].map(|(name, kind)| (
                json!({"span_name": name, "span_type": kind, "span_status": "OK"}),
                json!({"COUNT": 3.0})
            ))
        );
        assert_eq!(
            points(
                "latency",
                &["AVG", "MAX", "P50"],
                json!({"filters": ["span.name = 's1'"]})
            )
            .await,
            [(Value::Null, json!({"AVG": 14.0 / 3.0, "MAX": 7.0, "P50.0": 5.0}))]
        );
        assert_eq!(
            points(
                "total_cost",
                &["SUM", "P50"],
                json!({"dimensions": ["span_model_name"]})
            )
            .await,
            [(json!({"span_model_name": "m"}), json!({"SUM": 6.0, "P50.0": 2.0}))]
        );
        assert_eq!(points("output_cost", &["SUM"], json!({})).await, []);
        // A span belongs to the time when it began; which traces are meant, their own time says.
        let times = json!({"start_time_ms": 0, "end_time_ms": 10, "time_interval_seconds": 3600});
        assert_eq!(
            points("span_count", &["COUNT"], times).await,
            ["00", "01"].map(|hour| (
                json!({"time_bucket": format!("1970-01-01T{hour}:00:00+00:00")}),
                json!({"COUNT": 3.0})
            ))
        );
        let later = json!({"start_time_ms": 1, "filters": ["span.type = 'LLM'"]});
        assert_eq!(
            points("span_count", &["COUNT"], later).await,
            [(Value::Null, json!({"COUNT": 0.0}))]
        );
    })
    .await;
}

#[tokio::test]
async fn filters_are_correlated_whatever_they_speak_of() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        six(&traces).await;
        for trace in [2, 4, 6] {
            let late = with(span(trace, 9, None, 0), &[("mlflow.spanType", "\"TOOL\"")]);
            traces.log_spans(batch(vec![late])).await.unwrap();
        }
        let compare = async |base: &str, first: &str, second: &str| {
            let scope = CorrelationScope {
                experiment_ids: vec![0],
                base: base.into(),
                first: first.into(),
                second: second.into(),
            };
            let found: Correlation = traces.correlation(scope).await.unwrap();
            (
                found.first,
                found.second,
                found.both,
                found.total,
                found.npmi.map(|npmi| (npmi * 1e6).round() / 1e6),
            )
        };
        // The same question in words that an index answers, and in words that mean to look into traces.
        for odd in ["tags.t = '1'", "tags.t RLIKE '^1$'", "span.type = 'TOOL'"] {
            assert_eq!(
                compare("", "status = 'OK'", odd).await,
                (5, 3, 2, 6, Some(-0.203114)),
                "{odd}"
            );
            assert_eq!(
                compare("name = 'odd'", "status = 'OK'", odd).await,
                (2, 3, 2, 3, Some(0.0)),
                "{odd}"
            );
            assert_eq!(
                compare(odd, "status = 'OK'", "name = 'odd'").await,
                (2, 3, 2, 3, Some(0.0)),
                "{odd}"
            );
            assert_eq!(
                compare("", "tags.t = '0'", odd).await,
                (3, 3, 0, 6, Some(-1.0)),
                "{odd}"
            );
            assert_eq!(
                compare("", "tags.t = 'x'", odd).await,
                (0, 3, 0, 6, None),
                "{odd}"
            );
        }
        // What a search finds is what is counted.
        let found = traces
            .search(SearchScope {
                experiment_ids: vec![0],
                filter: "span.type = 'TOOL'".into(),
                ..SearchScope::default()
            })
            .await
            .unwrap();
        assert_eq!(found.items.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_in_mlflows_words() {
    let house = House {
        router: router(traces_on(Metastore::in_memory(&[MIGRATIONS]).await.unwrap())),
    };
    let count = || json!([{"aggregation_type": "COUNT"}]);
    let of = |kind: &str| json!([{"aggregation_type": kind}]);
    for (view, metric, aggregations, more, message) in [
        (
            "TRACES",
            "nope",
            count(),
            json!({}),
            "metric_name must be one of ['trace_count', 'session_count', 'latency', 'input_tokens', 'output_tokens', 'total_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'], got 'nope'",
        ),
        (
            "SPANS",
            "trace_count",
            count(),
            json!({}),
            "metric_name must be one of ['span_count', 'latency', 'input_cost', 'output_cost', 'total_cost'], got 'trace_count'",
        ),
        (
            "TRACES",
            "trace_count",
            of("SUM"),
            json!({}),
            "Found invalid aggregation_type(s): ['SUM']. Supported aggregation types: ['COUNT']",
        ),
        (
            "TRACES",
            "trace_count",
            json!([]),
            json!({}),
            "Missing value for required parameter 'aggregations'",
        ),
        (
            "TRACES",
            "trace_count",
            of("BAD"),
            json!({}),
            "it must be one of COUNT, SUM, AVG",
        ),
        (
            "BAD",
            "trace_count",
            count(),
            json!({}),
            "it must be one of TRACES, SPANS, ASSESSMENTS",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"dimensions": ["bad"]}),
            "Found invalid dimension(s): ['bad']. Supported dimensions: ['trace_name', 'trace_status']",
        ),
        (
            "TRACES",
            "session_count",
            count(),
            json!({"dimensions": ["trace_name"]}),
            "Found invalid dimension(s): ['trace_name']. Supported dimensions: []",
        ),
        (
            "TRACES",
            "latency",
            of("PERCENTILE"),
            json!({}),
            "Missing value for required parameter 'percentile_value'",
        ),
        (
            "TRACES",
            "latency",
            json!([{"aggregation_type": "PERCENTILE", "percentile_value": 101}]),
            json!({}),
            "it must be from 0 to 100",
        ),
        (
            "TRACES",
            "latency",
            json!([{"aggregation_type": "PERCENTILE", "percentile_value": "NaN"}]),
            json!({}),
            "it must be from 0 to 100",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"time_interval_seconds": 60}),
            "start_time_ms and end_time_ms are required if time_interval_seconds is set",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"time_interval_seconds": -1}),
            "it must not be negative",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"max_results": 0}),
            "It must be a positive integer",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"page_token": "junk"}),
            "Invalid page token",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"filters": ["span.name = 'x'"]}),
            "Filtering by span is only supported for SPANS view type, got TRACES",
        ),
        (
            "SPANS",
            "span_count",
            count(),
            json!({"filters": ["assessment.name = 'x'"]}),
            "Filtering by assessment is only supported for ASSESSMENTS view type, got SPANS",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"filters": ["tags.t = '1'"]}),
            "Invalid view type 'tags'. Valid values are dict_keys(['trace', 'span', 'assessment'])",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"filters": ["trace.status != 'OK'"]}),
            "Invalid comparator: '!=', only '=' operator is supported",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"filters": ["trace.status = 5"]}),
            "Got value 5",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"filters": ["trace.name = 'a'"]}),
            "Invalid entity 'name' specified for view type 'trace'. Valid entities are ['status', 'tag', 'metadata']",
        ),
        (
            "SPANS",
            "span_count",
            count(),
            json!({"filters": ["span.foo = 'a'"]}),
            "Invalid entity 'foo' specified for view type 'span'. Valid entities are ['name', 'status', 'type']",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"filters": ["trace.status = 'OK' AND trace.tag.a = 'b'"]}),
            "Invalid clause(s) in filter string: AND",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"filters": ["trace.metadata.`mlflow.trace.cost` = 'x'"]}),
            "Statistics cannot be filtered by",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"experiment_ids": ["x"]}),
            "Invalid experiment ID 'x'",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"experiment_ids": null}),
            "Missing value for required parameter 'experiment_ids'",
        ),
        (
            "TRACES",
            "trace_count",
            count(),
            json!({"experiment_ids": vec!["0"; 1001]}),
            "'experiment_ids' holds more than 1000 experiments",
        ),
        (
            "TRACES",
            "trace_count",
            json!(vec![json!({"aggregation_type": "COUNT"}); 21]),
            json!({}),
            "'aggregations' holds more than 20 items",
        ),
    ] {
        let (status, answer) = house.ask(view, metric, aggregations, more.clone()).await;
        let said = answer["message"].as_str().unwrap_or_default();
        assert!(
            (status == 400 || status == 413) && said.contains(message),
            "{view} {metric} {more}: {status} {said}"
        );
    }
    for (body, message) in [
        (json!({}), "Missing value for required parameter 'experiment_ids'"),
        (
            json!({"experiment_ids": ["0"], "filter_string1": "status = 'OK'"}),
            "Missing value for required parameter 'filter_string2'",
        ),
        (
            json!({"experiment_ids": ["0"], "filter_string1": "bad", "filter_string2": "status = 'OK'"}),
            "Invalid",
        ),
    ] {
        let path = "/api/3.0/mlflow/traces/calculate-filter-correlation";
        let (status, answer) = call(&house.router, "POST", path, Some(body)).await;
        let said = answer["message"].as_str().unwrap_or_default();
        assert!(status == 400 && said.contains(message), "{status} {said}");
    }
}
