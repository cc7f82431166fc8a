//! Searches of traces on every database: every kind of filter and order, and pages.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_testkit::metastore::for_each_backend;
use corliss_traces::{
    AssessmentValue, MIGRATIONS, NewAssessment, SearchScope, Source, SpanStatus, TraceState, Traces,
    TracesError,
};
use serde_json::{Value, json};
use support::{RUN, batch, ended, id, pairs, span, traces_on, with};

fn assessed(name: &str, value: AssessmentValue) -> NewAssessment {
    NewAssessment {
        id: None,
        name: name.into(),
        source: Source {
            kind: "CODE".into(),
            id: None,
        },
        created_ms: None,
        updated_ms: None,
        value,
        rationale: None,
        metadata: pairs(&[]),
        span_id: None,
        overrides: None,
    }
}

fn feedback(name: &str, value: Value) -> NewAssessment {
    assessed(name, AssessmentValue::Feedback { value, error: None })
}

/// Four traces: 1 is a plain one, 2 failed, 3 goes on, 4 belongs to another experiment.
async fn sown(traces: &Traces) {
    let mut tool = with(
        span(1, 2, Some(1), 1000),
        &[("mlflow.spanType", "\"TOOL\""), ("model", "\"gpt-x\"")],
    );
    tool.name = "look up".into();
    let root = with(
        span(1, 1, None, 1000),
        &[("mlflow.spanType", "\"LLM\""), ("depth", "3")],
    );
    traces.log_spans(batch(vec![root, tool])).await.unwrap();
    let mut first = ended(1, 1000);
    first.client_request_id = Some("c1".into());
    first.tags = pairs(&[
        ("mlflow.traceName", "alpha"),
        ("colour", "blue"),
        ("long", &"x".repeat(300)),
    ]);
    first.metadata = pairs(&[
        ("mlflow.sourceRun", RUN),
        ("mlflow.trace.session", "s1"),
        ("mlflow.trace.tokenUsage", r#"{"input_tokens": 3}"#),
        ("m", "Ünder_100%"),
    ]);
    traces.start_trace(first).await.unwrap();
    traces
        .create_assessment(id(1), feedback("quality", json!(0.9)))
        .await
        .unwrap();
    traces
        .create_assessment(id(1), feedback("ok", json!("yes")))
        .await
        .unwrap();
    traces
        .create_assessment(
            id(1),
            assessed("answer", AssessmentValue::Expectation(json!("42"))),
        )
        .await
        .unwrap();

    let mut failed = with(span(2, 1, None, 2000), &[("mlflow.spanType", "\"LLM\"")]);
    failed.status = SpanStatus::Error;
    traces.log_spans(batch(vec![failed])).await.unwrap();
    let mut second = ended(2, 2000);
    second.state = TraceState::Error;
    second.duration_ms = Some(900);
    second.tags = pairs(&[("mlflow.traceName", "beta"), ("colour", "red")]);
    second.metadata = pairs(&[("mlflow.trace.session", "s1")]);
    traces.start_trace(second).await.unwrap();
    traces
        .create_assessment(id(2), feedback("quality", json!(0.2)))
        .await
        .unwrap();
    traces
        .create_assessment(id(2), assessed("i-1", AssessmentValue::Issue("slow".into())))
        .await
        .unwrap();
    traces.link_prompts(id(2), vec!["greet/2".into()]).await.unwrap();

    let open = with(span(3, 2, Some(1), 3000), &[("mlflow.spanType", "\"RETRIEVER\"")]);
    traces.log_spans(batch(vec![open])).await.unwrap();
    traces
        .link_to_run(vec![id(3), "tr-not-yet".into()], RUN.into())
        .await
        .unwrap();

    let mut other = ended(4, 4000);
    other.experiment_id = 1;
    other.tags = pairs(&[("colour", "blue")]);
    traces.start_trace(other).await.unwrap();
}

async fn found(traces: &Traces, filter: &str, order: &[&str]) -> String {
    let scope = SearchScope {
        experiment_ids: vec![0],
        filter: filter.to_owned(),
        order_by: order.iter().map(|clause| (*clause).to_owned()).collect(),
        ..SearchScope::default()
    };
    let page = traces
        .search(scope)
        .await
        .unwrap_or_else(|error| panic!("{filter}: {error}"));
    assert_eq!(page.next_page_token, None, "{filter}");
    page.items
        .iter()
        .map(|info| info.trace_id.chars().nth(4).unwrap())
        .collect()
}

#[tokio::test]
async fn filters_find_what_they_say() {
    const CASES: &[(&str, &str)] = &[
        ("", "321"),
        ("status = 'OK'", "1"),
        ("trace.status != 'OK'", "32"),
        ("attributes.status IN ('ERROR', 'IN_PROGRESS')", "32"),
        ("status RLIKE '^(OK|ERR)'", "21"),
        ("timestamp_ms > 1000", "32"),
        ("timestamp >= 1000 AND timestamp_ms <= '2000'", "21"),
        ("execution_time_ms > 500 AND execution_time < 950", "2"),
        ("end_time_ms = 1005", "1"),
        ("timestamp_ms > 999.5 AND timestamp_ms < 2000.5", "21"),
        ("timestamp_ms >= 1000.5 AND timestamp_ms <= 2999.5", "2"),
        ("timestamp_ms = 1000.5", ""),
        ("timestamp_ms != 1000.5", "321"),
        ("client_request_id LIKE 'c%'", "1"),
        ("name = 'alpha'", "1"),
        ("name != 'alpha'", "2"),
        ("name LIKE '%a'", "21"),
        ("tags.`mlflow.traceName` ILIKE 'BET%'", "2"),
        ("name IS NULL", "3"),
        ("tags.colour = 'blue'", "1"),
        ("tag.colour != 'blue'", "2"),
        ("tags.colour IS NULL", "3"),
        ("tags.colour IS NOT NULL", "21"),
        ("tags.colour RLIKE 'e$'", "1"),
        ("tags.`service.name` = 'app'", "321"),
        ("run_id = 'abababababababababababababababab'", "31"),
        ("metadata.`mlflow.sourceRun` LIKE 'abab%'", "1"),
        ("metadata.`mlflow.trace.session` = 's1'", "21"),
        ("metadata.`mlflow.trace.session` IS NULL", "3"),
        ("metadata.m LIKE 'Ünder_100%'", "1"),
        ("metadata.m RLIKE '^Ü.*100%$'", "1"),
        ("request_metadata.m = 'nothing'", ""),
        ("metadata.`mlflow.trace.tokenUsage` IS NOT NULL", "1"),
        (
            "metadata.`mlflow.trace.tokenUsage` = '{\"input_tokens\": 3}'",
            "1",
        ),
        (
            "metadata.`mlflow.trace.tokenUsage` != '{\"input_tokens\": 3}'",
            "",
        ),
        ("prompt = 'greet/2'", "2"),
        ("issue.id = 'i-1'", "2"),
        ("feedback.quality > 0.5", "1"),
        ("feedback.quality <= 0.9", "21"),
        ("feedback.quality = '0.9'", "1"),
        ("feedback.ok = 'yes'", "1"),
        ("feedback.ok != 'no'", "1"),
        ("feedback.ok LIKE '%ye%'", "1"),
        ("feedback.ok RLIKE '^.ye'", "1"),
        ("feedback.quality IS NULL", "3"),
        ("feedback.nothing IS NOT NULL", ""),
        ("expectation.answer = '42'", "1"),
        ("expectation.quality > 0", ""),
        ("span.name = 'look up'", "1"),
        ("span.name = 's1'", "21"),
        ("span.type IN ('TOOL', 'RETRIEVER')", "31"),
        ("span.status = 'ERROR'", "2"),
        ("span.name = 's1' AND span.type = 'TOOL'", ""),
        ("span.name LIKE 'look%' AND span.attributes.model = 'gpt-x'", "1"),
        ("span.attributes.model ILIKE '%GPT%'", "1"),
        ("span.attributes.model RLIKE '^gpt-.$'", "1"),
        ("span.attributes.depth = '3'", "1"),
        ("span.attributes.nothing != 'x'", ""),
        ("span.content LIKE '%\"model\": \"\\\"gpt-x%'", "1"),
        ("text ILIKE '%RETRIEVER%'", "3"),
        (
            "tags.colour = 'red' AND status = 'ERROR' AND span.status = 'ERROR' AND timestamp_ms = 2000",
            "2",
        ),
    ];
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        sown(&traces).await;
        for (filter, expected) in CASES {
            assert_eq!(found(&traces, filter, &[]).await, *expected, "{filter}");
        }
        let long = format!("tags.long = '{}'", "x".repeat(300));
        assert_eq!(found(&traces, &long, &[]).await, "1");
        let longer = format!("tags.long = '{}'", "x".repeat(301));
        assert_eq!(found(&traces, &longer, &[]).await, "");
    })
    .await;
}

#[tokio::test]
async fn a_judgement_about_a_session_counts_for_all_its_traces() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        sown(&traces).await;
        let mut about_all = feedback("polite", json!("no"));
        about_all.metadata = pairs(&[("mlflow.trace.session", "s1")]);
        traces.create_assessment(id(1), about_all).await.unwrap();
        for (filter, expected) in [
            ("feedback.polite = 'no'", "21"),
            ("feedback.polite = 'yes'", ""),
            ("feedback.polite IS NOT NULL", "21"),
            ("feedback.polite IS NULL", "3"),
        ] {
            assert_eq!(found(&traces, filter, &[]).await, expected, "{filter}");
        }
    })
    .await;
}

#[tokio::test]
async fn orders_put_what_is_absent_last() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        sown(&traces).await;
        for (order, expected) in [
            (&["timestamp_ms ASC"][..], "123"),
            (&["request_id DESC"], "321"),
            (&["execution_time_ms DESC"], "321"),
            (&["execution_time ASC"], "123"),
            (&["end_time DESC"], "321"),
            (&["name ASC"], "123"),
            (&["name DESC"], "213"),
            (&["tags.colour DESC"], "213"),
            (&["status ASC", "timestamp ASC"], "231"),
            (&["run_id"], "132"),
            (
                &["metadata.`mlflow.trace.session` ASC", "timestamp_ms DESC"],
                "213",
            ),
            (&["experiment_id"], "321"),
        ] {
            assert_eq!(found(&traces, "", order).await, expected, "{order:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_key_with_every_operator_is_answered_or_refused() {
    const KEYS: &[&str] = &[
        "status",
        "name",
        "timestamp_ms",
        "execution_time_ms",
        "end_time",
        "request_id",
        "client_request_id",
        "run_id",
        "prompt",
        "text",
        "trace.text",
        "tags.colour",
        "tags.`mlflow.traceName`",
        "metadata.m",
        "metadata.`mlflow.trace.session`",
        "metadata.`mlflow.trace.tokenUsage`",
        "metadata.`mlflow.trace.cost`",
        "feedback.quality",
        "expectation.answer",
        "issue.id",
        "span.name",
        "span.type",
        "span.status",
        "span.content",
        "span.attributes.depth",
    ];
    const OPERATORS: &[&str] = &[
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "LIKE",
        "ILIKE",
        "RLIKE",
        "IN",
        "NOT IN",
        "IS NULL",
        "IS NOT NULL",
    ];
    const OPERANDS: &[&str] = &["'a/1'", "'%'", "7", "0.5", "('OK', 'b')", ""];
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        sown(&traces).await;
        let mut answered = 0;
        for key in KEYS {
            for operator in OPERATORS {
                for operand in OPERANDS {
                    let filter = format!("{key} {operator} {operand}");
                    let order_by = if key.starts_with("tag") || *key == "status" {
                        vec![(*key).to_owned()]
                    } else {
                        vec![]
                    };
                    let scope = SearchScope {
                        experiment_ids: vec![0, 1],
                        filter: filter.clone(),
                        order_by,
                        ..SearchScope::default()
                    };
                    match traces.search(scope).await {
                        Ok(_) => answered += 1,
                        Err(TracesError::Request(_)) => {}
                        Err(error) => panic!("{filter}: {error}"),
                    }
                }
            }
        }
        // So many fit each other; the same were answered by MLflow's own server, which was asked them all.
        assert_eq!(answered, 259);
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_whatever_is_looked_into() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        for chunk in (0..=249_u8).collect::<Vec<_>>().chunks(50) {
            let spans = chunk.iter().map(|trace| {
                let text = if trace % 2 == 0 { "\"even\"" } else { "\"odd\"" };
                with(span(*trace, 1, None, u64::from(*trace)), &[("kind", text)])
            });
            traces.log_spans(batch(spans.collect())).await.unwrap();
        }
        for (filter, total) in [
            ("", 250),
            ("span.name = 's1'", 250),
            ("span.attributes.kind = 'even'", 125),
            ("tags.`service.name` RLIKE 'a'", 250),
        ] {
            let mut ids = Vec::new();
            let mut page_token = None;
            loop {
                let scope = SearchScope {
                    experiment_ids: vec![0, 1],
                    filter: filter.to_owned(),
                    max_results: Some(40),
                    page_token,
                    ..SearchScope::default()
                };
                let page = traces.search(scope).await.unwrap();
                assert!(page.items.len() <= 40);
                ids.extend(page.items.into_iter().map(|info| info.trace_id));
                page_token = page.next_page_token;
                if page_token.is_none() {
                    break;
                }
            }
            assert_eq!(ids.len(), total, "{filter}");
            assert!(
                ids.is_sorted_by(|left, right| left > right),
                "{filter}: newest first, none twice"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn pages_and_places_that_make_no_sense_are_refused() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let refused = |max_results, page_token: Option<&str>, experiments: usize| {
            traces.search(SearchScope {
                experiment_ids: vec![0; experiments],
                max_results,
                page_token: page_token.map(str::to_owned),
                ..SearchScope::default()
            })
        };
        for (max_results, words) in [
            (
                0,
                "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer",
            ),
            (501, "Invalid value 501 for parameter 'max_results' supplied"),
        ] {
            let error = refused(Some(max_results), None, 1).await.unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
        assert!(
            refused(None, Some("?"), 1)
                .await
                .unwrap_err()
                .to_string()
                .starts_with("Invalid page token")
        );
        assert!(refused(None, None, 1001).await.is_err());
        assert!(refused(None, None, 0).await.unwrap().items.is_empty());
    })
    .await;
}
