//! What a trace may hold over many calls, and what one answer does.
#![allow(clippy::unwrap_used, reason = "a failed unwrap here is a failed test")]

mod support;

use std::collections::BTreeMap;

use corliss_diagnostics::Diagnose;
use corliss_metastore::Metastore;
use corliss_testkit::metastore::for_each_backend;
use corliss_traces::{
    AssessmentValue, EndedTrace, MIGRATIONS, NewAssessment, SearchScope, Source, StartedTrace, TraceState,
    Traces, TracesError,
};
use serde_json::json;
use support::{batch, ended, id, span, traces_on, with};

const MEGABYTE: usize = 1024 * 1024;

fn feedback(rationale: usize) -> NewAssessment {
    NewAssessment {
        id: None,
        name: "q".into(),
        source: Source {
            kind: "HUMAN".into(),
            id: None,
        },
        created_ms: None,
        updated_ms: None,
        value: AssessmentValue::Feedback {
            value: json!(true),
            error: None,
        },
        rationale: Some("x".repeat(rationale)),
        metadata: BTreeMap::new(),
        span_id: None,
        overrides: None,
    }
}

fn numbered(from: usize, count: usize) -> BTreeMap<String, String> {
    (from..from + count)
        .map(|number| (format!("k{number}"), "v".to_owned()))
        .collect()
}

fn is_limit<T: std::fmt::Debug>(result: Result<T, TracesError>, wanted: &str) {
    let error = result.unwrap_err();
    assert!(
        matches!(&error, TracesError::Limit { field, .. } if *field == wanted),
        "{error}"
    );
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn assessments_of_a_trace_have_a_limit_over_all_calls() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let many = |count: usize| {
            let mut new = ended(1, 1);
            new.assessments = (0..count).map(|_| feedback(1)).collect();
            new
        };
        traces.start_trace(many(600)).await.unwrap();
        is_limit(traces.start_trace(many(600)).await, "assessment");
        assert_eq!(traces.info(id(1)).await.unwrap().assessments.len(), 600);
        traces.start_trace(many(400)).await.unwrap();
        is_limit(traces.create_assessment(id(1), feedback(1)).await, "assessment");

        traces.start_trace(ended(2, 1)).await.unwrap();
        for _ in 0..32 {
            traces
                .create_assessment(id(2), feedback(MEGABYTE - 100))
                .await
                .unwrap();
        }
        is_limit(
            traces.create_assessment(id(2), feedback(MEGABYTE - 100)).await,
            "assessment",
        );
    })
    .await;
}

#[tokio::test]
async fn tags_and_metadata_of_a_trace_have_a_limit_over_all_calls() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let tagged = |from| {
            let mut new = ended(1, 1);
            new.tags = numbered(from, 990);
            new
        };
        traces.start_trace(tagged(0)).await.unwrap();
        traces.start_trace(tagged(990)).await.unwrap();
        is_limit(traces.start_trace(tagged(1980)).await, "tags");
        for number in 0..19 {
            traces
                .set_tag(id(1), format!("t{number}"), "v".into())
                .await
                .unwrap();
        }
        is_limit(traces.set_tag(id(1), "one".into(), "v".into()).await, "tags");
        // One that is there may change, and spans come in without the tags that they carry.
        traces.set_tag(id(1), "t1".into(), "w".into()).await.unwrap();
        let late = with(
            span(1, 1, None, 1),
            &[("mlflow.traceTag.one", "v"), ("mlflow.traceTag.two", "v")],
        );
        traces.log_spans(batch(vec![late])).await.unwrap();
        let found = traces.trace(id(1), true).await.unwrap();
        assert_eq!((found.spans.len(), found.info.tags.get("one")), (1, None));

        let described = |from| {
            let mut new = ended(2, 1);
            new.metadata = numbered(from, 999);
            new
        };
        traces.start_trace(described(0)).await.unwrap();
        traces.start_trace(described(999)).await.unwrap();
        is_limit(traces.start_trace(described(1998)).await, "trace_metadata");
    })
    .await;
}

#[tokio::test]
async fn times_that_cannot_be_computed_with_are_refused() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let refused = |error: TracesError, field: &str| {
            assert_eq!(error.field().as_deref(), Some(field), "{error}");
        };
        for bad in [i64::MAX, i64::MIN] {
            let begun = StartedTrace {
                request_ms: bad,
                ..StartedTrace::default()
            };
            refused(traces.begin_trace(begun).await.unwrap_err(), "timestamp_ms");
            let mut new = ended(1, 1);
            new.duration_ms = Some(bad);
            refused(traces.start_trace(new).await.unwrap_err(), "execution_duration");
            refused(
                traces.start_trace(ended(1, bad)).await.unwrap_err(),
                "request_time",
            );
        }
        let begun = traces.begin_trace(StartedTrace::default()).await.unwrap();
        let end = |end_ms| EndedTrace {
            trace_id: begun.trace_id.clone(),
            end_ms,
            state: TraceState::Ok,
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        refused(
            traces.end_trace(end(253_402_300_799_999)).await.unwrap_err(),
            "timestamp_ms",
        );
        traces.end_trace(end(5)).await.unwrap();
        let mut longest = ended(2, 1);
        longest.duration_ms = Some(18_446_744_073_709);
        traces.start_trace(longest).await.unwrap();
        // What is taken can be searched for.
        for filter in ["end_time_ms > 5", "execution_time_ms > 5"] {
            let scope = SearchScope {
                experiment_ids: vec![0],
                filter: filter.into(),
                ..SearchScope::default()
            };
            assert_eq!(traces.search(scope).await.unwrap().items.len(), 1, "{filter}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_of_large_traces_ends_early_and_goes_on() {
    let traces = traces_on(Metastore::in_memory(&[MIGRATIONS]).await.unwrap());
    for trace in 1..=5 {
        let mut new = ended(trace, i64::from(trace));
        new.assessments = (0..25).map(|_| feedback(MEGABYTE - 100)).collect();
        traces.start_trace(new).await.unwrap();
    }
    // The store answers the first, and the second is looked into.
    for filter in ["", "request_id RLIKE 'tr'"] {
        assert_eq!(pages(&traces, filter).await, [5, 4, 3, 2, 1].map(id), "{filter}");
    }
    is_limit(traces.infos((1..=5).map(id).collect(), None).await, "trace_ids");
    assert_eq!(traces.infos(vec![id(1), id(2)], None).await.unwrap().len(), 2);
}

/// The ids of all pages, of which the first is not all.
async fn pages(traces: &Traces, filter: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut page_token = None;
    loop {
        let scope = SearchScope {
            experiment_ids: vec![0],
            filter: filter.into(),
            page_token,
            ..SearchScope::default()
        };
        let page = traces.search(scope).await.unwrap();
        assert!(page.items.len() < 5, "an answer has a limit of bytes");
        found.extend(page.items.into_iter().map(|info| info.trace_id));
        page_token = page.next_page_token;
        if page_token.is_none() {
            return found;
        }
    }
}
