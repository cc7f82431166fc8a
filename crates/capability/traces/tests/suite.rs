//! Traces on every database: what is sent comes back, in whatever order and pieces it arrives, and what must be
//! refused is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::sync::Arc;

use corliss_testkit::metastore::for_each_backend;
use corliss_traces::{
    AssessmentChange, AssessmentValue, DeleteScope, EndedTrace, MIGRATIONS, NewAssessment, Source, SpanBatch,
    SpanStatus, StartedTrace, TraceState, Traces, TracesError,
};
use serde_json::json;
use support::{
    DELETED, Meeting, RUN, batch, ended, id, pairs, span, traces_on, traces_with_files, traces_without, with,
};

const USAGE: &str = "mlflow.chat.tokenUsage";

fn feedback(name: &str, value: serde_json::Value) -> NewAssessment {
    NewAssessment {
        id: None,
        name: name.into(),
        source: Source {
            kind: "HUMAN".into(),
            id: Some("ada".into()),
        },
        created_ms: Some(1),
        updated_ms: Some(1),
        value: AssessmentValue::Feedback { value, error: None },
        rationale: Some("because".into()),
        metadata: pairs(&[("a", "b")]),
        span_id: None,
        overrides: None,
    }
}

#[tokio::test]
async fn spans_alone_make_a_trace() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let child = with(
            span(1, 2, Some(1), 150),
            &[(
                USAGE,
                r#"{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}"#,
            )],
        );
        let taken = traces.log_spans(batch(vec![child])).await.unwrap();
        assert_eq!((taken.rejected, taken.message), (0, None));
        let open = traces.info(id(1)).await.unwrap();
        assert_eq!(
            (open.state, open.request_ms, open.duration_ms),
            (TraceState::InProgress, 150, Some(1000))
        );

        let mut root = with(
            span(1, 1, None, 100),
            &[
                ("mlflow.spanInputs", r#"{"q": "hi"}"#),
                ("mlflow.spanOutputs", "\"yes\""),
                ("session.id", "\"s1\""),
                ("user.id", "\"u1\""),
                ("mlflow.traceTag.colour", "\"blue\""),
                ("mlflow.traceTag.mlflow.traceName", "\"named\""),
                ("mlflow.traceTag.mlflow.artifactLocation", "\"elsewhere\""),
            ],
        );
        root.status = SpanStatus::Error;
        root.end_ns = Some(3_000_000_000);
        traces.log_spans(batch(vec![root])).await.unwrap();
        let trace = traces.trace(id(1), false).await.unwrap();
        let info = &trace.info;
        assert_eq!(
            (info.state, info.request_ms, info.duration_ms),
            (TraceState::Error, 100, Some(2900))
        );
        assert_eq!(
            (info.request_preview.as_deref(), info.response_preview.as_deref()),
            (Some(r#"{"q": "hi"}"#), Some("\"yes\""))
        );
        for (key, value) in [
            ("colour", "blue"),
            ("service.name", "app"),
            ("mlflow.traceName", "named"),
            ("mlflow.trace.spansLocation", "TRACKING_STORE"),
        ] {
            assert_eq!(info.tags.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert_eq!(
            info.tags["mlflow.artifactLocation"],
            format!("mlflow-artifacts:/0/traces/{}/artifacts", id(1))
        );
        assert!(!info.tags.contains_key("telemetry.sdk.name"));
        assert_eq!(info.metadata["mlflow.trace.session"], "s1");
        assert_eq!(info.metadata["mlflow.trace.user"], "u1");
        assert_eq!(
            info.metadata["mlflow.trace.tokenUsage"],
            r#"{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}"#
        );
        let names: Vec<&str> = trace.spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["s1", "s2"], "the root comes first");
    })
    .await;
}

#[tokio::test]
async fn what_a_client_says_wins_over_spans_in_either_order() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let spans = |trace| {
            batch(vec![
                with(
                    span(trace, 1, None, 100),
                    &[("mlflow.spanInputs", "\"from spans\"")],
                ),
                with(
                    span(trace, 2, Some(1), 100),
                    &[(USAGE, r#"{"input_tokens": 1}"#), ("session.id", "\"spans\"")],
                ),
            ])
        };
        for (trace, spans_first) in [(1, true), (2, false)] {
            let mut said = ended(trace, 42);
            said.state = TraceState::Error;
            said.request_preview = Some("said".into());
            said.client_request_id = Some("mine".into());
            said.tags = pairs(&[
                ("mlflow.traceName", "n"),
                ("t", "v"),
                ("mlflow.artifactLocation", "mine"),
            ]);
            said.metadata = pairs(&[
                (
                    "mlflow.trace.tokenUsage",
                    r#"{"input_tokens": 10, "total_tokens": 12}"#,
                ),
                ("mlflow.trace.session", "said"),
                ("mlflow.sourceRun", RUN),
            ]);
            if spans_first {
                traces.log_spans(spans(trace)).await.unwrap();
            }
            let answered = traces.start_trace(said).await.unwrap();
            if !spans_first {
                traces.log_spans(spans(trace)).await.unwrap();
            }
            let info = traces.trace(id(trace), false).await.unwrap().info;
            if spans_first {
                assert_eq!(answered, info);
            }
            assert_eq!(
                (info.state, info.request_ms, info.duration_ms),
                (TraceState::Error, 42, Some(5))
            );
            assert_eq!(info.request_preview.as_deref(), Some("said"));
            assert_eq!(info.client_request_id.as_deref(), Some("mine"));
            assert_eq!(
                (info.tags["mlflow.traceName"].as_str(), info.tags["t"].as_str()),
                ("n", "v")
            );
            assert!(info.tags["mlflow.artifactLocation"].starts_with("mlflow-artifacts:/0/traces/"));
            assert_eq!(info.metadata["mlflow.trace.session"], "said");
            assert_eq!(info.metadata["mlflow.trace.infoFinalized"], "true");
            let usage = &info.metadata["mlflow.trace.tokenUsage"];
            assert!(
                usage.contains("\"input_tokens\": 10") && usage.contains("\"total_tokens\": 12"),
                "{usage}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_trace_that_arrives_span_by_span_lies_in_few_parts() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store.clone());
        for number in (1..=200_u8).rev() {
            let parent = (number > 1).then_some(1);
            let mut sent = with(
                span(1, number, parent, u64::from(number)),
                &[(USAGE, r#"{"input_tokens": 1}"#)],
            );
            if number == 1 {
                sent.attributes.truncate(1);
            }
            traces.log_spans(batch(vec![sent])).await.unwrap();
        }
        let parts = |store: corliss_metastore::Metastore| async move {
            let count = |tx: &mut dyn corliss_metastore::Tx| {
                tx.query_one("SELECT COUNT(*) AS n FROM traces_spans", &[])?
                    .integer("n")
            };
            store
                .read::<_, corliss_metastore::StoreError, _>(count)
                .await
                .unwrap()
        };
        assert!(parts(store.clone()).await <= 21, "{}", parts(store).await);
        let trace = traces.trace(id(1), false).await.unwrap();
        assert_eq!(trace.spans.len(), 200);
        assert_eq!(
            trace.info.metadata["mlflow.trace.tokenUsage"],
            r#"{"input_tokens": 199, "output_tokens": 0, "total_tokens": 0}"#
        );

        // Sent again, a span replaces itself: nothing is counted twice.
        let again = with(
            span(1, 2, Some(1), 2),
            &[(USAGE, r#"{"input_tokens": 5}"#), ("again", "true")],
        );
        traces.log_spans(batch(vec![again])).await.unwrap();
        traces.start_trace(ended(1, 1)).await.unwrap();
        assert!(parts(store).await <= 8);
        let trace = traces.trace(id(1), false).await.unwrap();
        assert_eq!(trace.spans.len(), 200);
        let replaced = trace.spans.iter().find(|span| span.id == [2; 8]).unwrap();
        assert_eq!(replaced.attribute("again"), Some("true"));
        assert_eq!(
            trace.info.metadata["mlflow.trace.tokenUsage"],
            r#"{"input_tokens": 203, "output_tokens": 0, "total_tokens": 0}"#
        );
    })
    .await;
}

#[tokio::test]
async fn many_clients_at_once_lose_nothing() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let clients = (0..20_u8).map(|client| {
            let traces = traces.clone();
            tokio::spawn(async move {
                for number in 0..5_u8 {
                    let trace = client * 5 + number;
                    // Everybody also adds to one trace.
                    let shared = span(255, trace + 1, Some(250), 10);
                    let own = span(trace, 1, None, u64::from(trace));
                    traces.log_spans(batch(vec![own, shared])).await.unwrap();
                    traces.start_trace(ended(trace, i64::from(trace))).await.unwrap();
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        assert_eq!(traces.trace(id(255), true).await.unwrap().spans.len(), 100);
        for trace in 0..100 {
            assert_eq!(
                traces.trace(id(trace), false).await.unwrap().spans.len(),
                1,
                "{trace}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_must_be_refused_is() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let to = |experiment_id| SpanBatch {
            experiment_id,
            ..batch(vec![span(1, 1, None, 1)])
        };
        assert_eq!(
            traces.log_spans(to(99)).await.unwrap_err().to_string(),
            "No Experiment with id=99 exists"
        );
        let deleted = traces.log_spans(to(DELETED)).await.unwrap_err().to_string();
        assert!(
            deleted.contains("must be in the 'active' state. Current state is deleted."),
            "{deleted}"
        );
        traces.log_spans(to(0)).await.unwrap();
        let moved = format!("Trace with ID '{}' already exists in another experiment.", id(1));
        assert_eq!(traces.log_spans(to(1)).await.unwrap_err().to_string(), moved);
        let mut other = ended(1, 1);
        other.experiment_id = 1;
        assert_eq!(traces.start_trace(other).await.unwrap_err().to_string(), moved);
        for bad in ["", "a/b", "tr-%", "..", "tr-\n", &"x".repeat(51)] {
            let mut wrong = ended(1, 1);
            wrong.trace_id = bad.to_owned();
            assert!(traces.start_trace(wrong).await.is_err(), "{bad:?}");
        }
        let mut long = ended(2, 1);
        long.metadata = pairs(&[("mlflow.trace.session", &"s".repeat(251))]);
        assert_eq!(
            traces.start_trace(long).await.unwrap_err().to_string(),
            "'Session ID' exceeds the maximum length of 250 characters"
        );
        let mut many = ended(2, 1);
        many.tags = (0..1001)
            .map(|index| (format!("k{index}"), String::new()))
            .collect();
        assert!(matches!(
            traces.start_trace(many).await.unwrap_err(),
            TracesError::Limit { field: "tags", .. }
        ));

        // A span beyond the limits is left out; the others are taken.
        let mut wide = span(3, 2, Some(1), 1);
        wide.attributes = (0..2001)
            .map(|index| (format!("k{index}"), "1".to_owned()))
            .collect();
        let taken = traces
            .log_spans(batch(vec![span(3, 1, None, 1), wide.clone()]))
            .await
            .unwrap();
        assert_eq!(taken.rejected, 1);
        assert!(
            taken
                .message
                .unwrap()
                .contains("has 2001 attributes, and 2000 are taken")
        );
        assert_eq!(traces.trace(id(3), false).await.unwrap().spans.len(), 1);
        assert!(matches!(
            traces.log_spans(batch(vec![wide])).await,
            Err(TracesError::Malformed(_))
        ));
        let too_many = batch(vec![span(4, 1, None, 1); 20_001]);
        assert!(matches!(
            traces.log_spans(too_many).await,
            Err(TracesError::Limit {
                field: "resource_spans",
                ..
            })
        ));
    })
    .await;
}

#[tokio::test]
async fn texts_that_databases_cannot_hold_are_replaced() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let mut said = ended(1, 1);
        said.request_preview = Some("a\0b".into());
        said.tags = pairs(&[("t", "a\0b"), ("mlflow.traceName", "n\0")]);
        said.metadata = pairs(&[("m", "a\0b"), ("mlflow.trace.session", "s\0")]);
        let info = traces.start_trace(said).await.unwrap();
        assert_eq!(info.request_preview.as_deref(), Some("a\u{fffd}b"));
        assert_eq!(
            (info.tags["t"].as_str(), info.metadata["m"].as_str()),
            ("a\u{fffd}b", "a\u{fffd}b")
        );
        let mut odd = with(
            span(1, 1, None, 1),
            &[
                ("mlflow.spanInputs", "\"x\\u0000y\""),
                ("user.id", "\"u\\u0000\""),
            ],
        );
        odd.name = "n\0m".into();
        traces.log_spans(batch(vec![odd])).await.unwrap();
        assert_eq!(traces.trace(id(1), false).await.unwrap().spans[0].name, "n\0m");
        let mut assessed = feedback("q", json!("a\u{0}b"));
        assessed.rationale = Some("r\0".into());
        traces.create_assessment(id(1), assessed).await.unwrap();
        let mut bad = feedback("q\0", json!(1.0));
        bad.metadata = pairs(&[]);
        assert!(traces.create_assessment(id(1), bad).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_trace_waits_for_announced_spans_and_says_so() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let mut said = ended(1, 1);
        said.metadata = pairs(&[("mlflow.trace.sizeStats", r#"{"num_spans": 2}"#)]);
        traces.log_spans(batch(vec![span(1, 1, None, 1)])).await.unwrap();
        traces.start_trace(said).await.unwrap();
        assert_eq!(traces.trace(id(1), true).await.unwrap().spans.len(), 1);
        assert!(traces.traces(vec![id(1)], None).await.unwrap().is_empty());
        let late = traces.clone();
        let asked = tokio::spawn(async move { late.trace(id(1), false).await });
        traces
            .log_spans(batch(vec![span(1, 2, Some(1), 1)]))
            .await
            .unwrap();
        assert_eq!(asked.await.unwrap().unwrap().spans.len(), 2);
        traces.start_trace(ended(2, 1)).await.unwrap();
        assert_eq!(
            traces.trace(id(2), false).await.unwrap_err().to_string(),
            format!(
                "Trace with ID {} is not fully exported yet, please try again later.",
                id(2)
            )
        );
        assert_eq!(
            traces.trace("tr-x".into(), false).await.unwrap_err().to_string(),
            "Trace with ID tr-x is not found."
        );
        let ids = vec![id(2), "tr-x".into(), id(1), id(1)];
        let infos = traces.infos(ids.clone(), None).await.unwrap();
        assert_eq!(
            infos.iter().map(|info| info.trace_id.clone()).collect::<Vec<_>>(),
            [id(2), id(1)]
        );
        assert!(traces.infos(ids, Some(vec![5])).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn version_2_begins_and_ends_traces() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let begun = traces
            .begin_trace(StartedTrace {
                experiment_id: 0,
                request_ms: 100,
                metadata: pairs(&[("a", "1"), ("mlflow.trace.session", "s")]),
                tags: pairs(&[
                    ("mlflow.traceName", "n"),
                    ("t", "1"),
                    ("mlflow.artifactLocation", "x"),
                ]),
            })
            .await
            .unwrap();
        assert_eq!((begun.trace_id.len(), begun.state), (32, TraceState::InProgress));
        assert!(begun.tags["mlflow.artifactLocation"].starts_with("mlflow-artifacts:/0/traces/"));
        let ended = traces
            .end_trace(EndedTrace {
                trace_id: begun.trace_id.clone(),
                end_ms: 350,
                state: TraceState::Ok,
                metadata: pairs(&[("b", "2")]),
                tags: pairs(&[("t", "2"), ("mlflow.artifactLocation", "y")]),
            })
            .await
            .unwrap();
        assert_eq!((ended.state, ended.duration_ms), (TraceState::Ok, Some(250)));
        assert_eq!(
            (ended.tags["t"].as_str(), ended.tags["mlflow.traceName"].as_str()),
            ("2", "n")
        );
        assert_eq!(
            ended.metadata,
            pairs(&[("a", "1"), ("b", "2"), ("mlflow.trace.session", "s")])
        );
        let absent = EndedTrace {
            trace_id: "x".into(),
            end_ms: 1,
            state: TraceState::Ok,
            metadata: pairs(&[]),
            tags: pairs(&[]),
        };
        assert_eq!(
            traces.end_trace(absent).await.unwrap_err().to_string(),
            "Trace with ID 'x' not found."
        );
    })
    .await;
}

#[tokio::test]
async fn tags_are_set_and_removed() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        traces.start_trace(ended(1, 1)).await.unwrap();
        let set = |key: &str, value: &str| traces.set_tag(id(1), key.into(), value.into());
        set("a", "1").await.unwrap();
        set("a", &"ü".repeat(9000)).await.unwrap();
        set("mlflow.traceName", "name").await.unwrap();
        let tags = traces.info(id(1)).await.unwrap().tags;
        assert_eq!(
            (tags["a"].chars().count(), tags["mlflow.traceName"].as_str()),
            (8000, "name")
        );
        for (key, words) in [
            (
                "mlflow.artifactLocation",
                "Tag 'mlflow.artifactLocation' is immutable and cannot be set on a trace.",
            ),
            ("a;b", "Names may only contain"),
            (
                &"k".repeat(251),
                "'key' exceeds the maximum length of 250 characters",
            ),
        ] {
            let refused = set(key, "x").await.unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
        traces.delete_tag(id(1), "a".into()).await.unwrap();
        traces.delete_tag(id(1), "mlflow.traceName".into()).await.unwrap();
        for (trace, key) in [(id(1), "a"), (id(1), "mlflow.traceName"), ("tr-x".into(), "a")] {
            let refused = traces
                .delete_tag(trace.clone(), key.into())
                .await
                .unwrap_err()
                .to_string();
            assert_eq!(
                refused,
                format!("No trace tag with key '{key}' for trace with ID '{trace}'")
            );
        }
        assert!(
            traces
                .set_tag("tr-x".into(), "a".into(), "b".into())
                .await
                .is_err()
        );
        assert!(
            traces
                .delete_tag(id(1), "mlflow.artifactLocation".into())
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn assessments_live_and_stand_for_each_other() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        traces.start_trace(ended(1, 1)).await.unwrap();
        let first = traces
            .create_assessment(id(1), feedback("q", json!(true)))
            .await
            .unwrap();
        assert!(first.id.starts_with("a-") && first.id.len() == 34 && first.valid);
        let mut over = feedback("q", json!(1.5));
        over.overrides = Some(first.id.clone());
        let second = traces.create_assessment(id(1), over).await.unwrap();
        assert!(!traces.assessment(id(1), first.id.clone()).await.unwrap().valid);
        let change = AssessmentChange {
            name: Some("r".into()),
            value: Some(AssessmentValue::Feedback {
                value: json!("good"),
                error: None,
            }),
            rationale: Some("new".into()),
            metadata: pairs(&[("c", "d")]),
        };
        let changed = traces
            .update_assessment(id(1), first.id.clone(), change)
            .await
            .unwrap();
        assert_eq!(
            (changed.name.as_str(), changed.rationale.as_deref(), changed.valid),
            ("r", Some("new"), false)
        );
        assert_eq!(changed.metadata, pairs(&[("a", "b"), ("c", "d")]));
        assert!(changed.updated_ms > 1 && changed.created_ms == 1);
        let of_another_kind = AssessmentChange {
            value: Some(AssessmentValue::Expectation(json!(1.0))),
            ..AssessmentChange::default()
        };
        assert_eq!(
            traces
                .update_assessment(id(1), first.id.clone(), of_another_kind)
                .await
                .unwrap_err()
                .to_string(),
            "Cannot update expectation value on a Feedback assessment."
        );
        let listed = traces.info(id(1)).await.unwrap().assessments;
        assert_eq!(listed.len(), 2);
        traces.delete_assessment(id(1), second.id.clone()).await.unwrap();
        traces.delete_assessment(id(1), second.id).await.unwrap();
        traces
            .delete_assessment("tr-x".into(), "a-x".into())
            .await
            .unwrap();
        assert!(traces.assessment(id(1), first.id.clone()).await.unwrap().valid);
        nobody_elses(&traces, &first.id).await;
    })
    .await;
}

/// Ids that are not there, and those of another trace, in every position.
async fn nobody_elses(traces: &Traces, theirs: &str) {
    traces.start_trace(ended(2, 1)).await.unwrap();
    let absent = |id: &str, trace: &str| format!("Assessment with ID '{id}' not found for trace '{trace}'");
    let read = traces.assessment(id(2), theirs.into()).await.unwrap_err();
    assert_eq!(read.to_string(), absent(theirs, &id(2)));
    let read = traces.assessment("tr-x".into(), theirs.into()).await.unwrap_err();
    assert_eq!(read.to_string(), "Trace with request_id 'tr-x' not found");
    let written = traces
        .create_assessment("tr-x".into(), feedback("q", json!(1.0)))
        .await
        .unwrap_err();
    assert_eq!(written.to_string(), "Trace with ID 'tr-x' not found.");
    let mut over = feedback("q", json!(1.0));
    over.overrides = Some(theirs.to_owned());
    assert_eq!(
        traces
            .create_assessment(id(2), over)
            .await
            .unwrap_err()
            .to_string(),
        absent(theirs, &id(2))
    );
    let mut taken = feedback("q", json!(1.0));
    taken.id = Some(theirs.to_owned());
    assert!(traces.create_assessment(id(2), taken.clone()).await.is_err());
    let mut with_it = ended(2, 1);
    with_it.assessments = vec![taken];
    assert_eq!(
        traces.start_trace(with_it).await.unwrap_err().to_string(),
        format!("Assessment with ID '{theirs}' belongs to another trace.")
    );
    traces.delete_assessment(id(2), theirs.into()).await.unwrap();
    assert!(traces.assessment(id(1), theirs.into()).await.is_ok());
    let mut nameless = feedback("", json!(1.0));
    nameless.metadata = pairs(&[]);
    assert!(traces.create_assessment(id(1), nameless).await.is_err());
    let large = feedback("q", json!("x".repeat(1024 * 1024)));
    assert!(matches!(
        traces.create_assessment(id(1), large).await,
        Err(TracesError::Limit {
            field: "assessment",
            ..
        })
    ));
}

#[tokio::test]
async fn traces_go_when_their_experiment_is_no_more() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store.clone());
        for (trace, experiment_id) in [(1, 0), (2, 3), (3, 3), (4, 6)] {
            let mut batch = batch(vec![span(trace, 1, None, 1)]);
            batch.experiment_id = experiment_id;
            traces.log_spans(batch).await.unwrap();
        }
        assert_eq!(traces.delete_orphans().await.unwrap(), 0);
        for (ids, count) in [(vec![], 0), (vec![3], 2), (vec![3, 6, 3, 5], 3)] {
            let found = corliss_traces::count_traces(&store, ids.clone()).await;
            assert_eq!(found.unwrap(), count, "{ids:?}");
        }
        let purged = traces_without(store, 3);
        assert_eq!(purged.delete_orphans().await.unwrap(), 2);
        for (trace, is_there) in [(1, true), (2, false), (3, false), (4, true)] {
            assert_eq!(traces.info(id(trace)).await.is_ok(), is_there, "{trace}");
        }
        assert_eq!(purged.delete_orphans().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_trace_has_the_run_that_made_it_and_those_it_was_linked_to() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store);
        let mut made = ended(1, 1);
        made.metadata = pairs(&[("mlflow.sourceRun", "0e")]);
        traces.start_trace(made).await.unwrap();
        traces.start_trace(ended(2, 1)).await.unwrap();
        for trace in [1, 1, 3] {
            traces.link_to_run(vec![id(trace)], RUN.into()).await.unwrap();
        }
        let runs = |trace, after: &str, limit| traces.runs_of(id(trace), after.into(), limit);
        let all = runs(1, "", 5).await.unwrap();
        assert_eq!(
            (all.items, all.next_page_token),
            (vec!["0e".to_owned(), RUN.to_owned()], None)
        );
        let first = runs(1, "", 1).await.unwrap();
        assert_eq!(
            (first.items, first.next_page_token.as_deref()),
            (vec!["0e".to_owned()], Some("0e"))
        );
        let rest = runs(1, "0e", 1).await.unwrap();
        assert_eq!((rest.items, rest.next_page_token), (vec![RUN.to_owned()], None));
        assert!(runs(2, "", 5).await.unwrap().items.is_empty());
        // Linked before it is there.
        assert!(matches!(runs(3, "", 5).await, Err(TracesError::NotFound(_))));
    })
    .await;
}

#[tokio::test]
async fn traces_are_deleted_with_all_that_hangs_on_them() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let traces = traces_on(store.clone());
        for trace in 1..=6 {
            traces
                .log_spans(batch(vec![span(trace, 1, None, u64::from(trace))]))
                .await
                .unwrap();
            traces.start_trace(ended(trace, i64::from(trace))).await.unwrap();
            traces
                .create_assessment(id(trace), feedback("q", json!(true)))
                .await
                .unwrap();
            traces.link_prompts(id(trace), vec!["p/1".into()]).await.unwrap();
        }
        traces.link_to_run(vec![id(1)], RUN.into()).await.unwrap();
        let delete = |until_ms, most, trace_ids: &[String]| {
            traces.delete_traces(DeleteScope {
                experiment_id: 0,
                until_ms,
                most,
                trace_ids: trace_ids.to_vec(),
            })
        };
        for (until_ms, most, ids, words) in [
            (
                None,
                None,
                vec![],
                "Either `max_timestamp_millis` or `trace_ids` must be specified.",
            ),
            (
                Some(1),
                None,
                vec![id(1)],
                "Only one of `max_timestamp_millis` and `trace_ids` can be specified.",
            ),
            (
                None,
                Some(1),
                vec![id(1)],
                "`max_traces` can't be specified if `trace_ids` is specified.",
            ),
            (
                Some(1),
                Some(0),
                vec![],
                "`max_traces` must be a positive integer, received 0.",
            ),
        ] {
            assert_eq!(delete(until_ms, most, &ids).await.unwrap_err().to_string(), words);
        }
        assert_eq!(delete(None, None, &["tr-x".into(), id(6)]).await.unwrap(), 1);
        assert_eq!(delete(Some(5), Some(2), &[]).await.unwrap(), 2);
        assert!(traces.info(id(1)).await.is_err() && traces.info(id(3)).await.is_ok());
        let elsewhere = DeleteScope {
            experiment_id: 1,
            until_ms: Some(100),
            ..DeleteScope::default()
        };
        assert_eq!(traces.delete_traces(elsewhere).await.unwrap(), 0);
        assert_eq!(delete(Some(5), None, &[]).await.unwrap(), 3);
        for table in [
            "info",
            "tags",
            "metadata",
            "spans",
            "span_kinds",
            "assessments",
            "run_links",
            "prompt_links",
        ] {
            let sql = format!("SELECT COUNT(*) AS n FROM traces_{table}");
            let left = store
                .read::<_, corliss_metastore::StoreError, _>(move |tx| tx.query_one(&sql, &[])?.integer("n"))
                .await
                .unwrap();
            assert_eq!(left, 0, "{table}");
        }
        // A trace of the same id is a new one.
        traces.log_spans(batch(vec![span(1, 9, None, 1)])).await.unwrap();
        assert_eq!(traces.trace(id(1), false).await.unwrap().spans.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn each_trace_is_counted_by_one_of_those_who_delete_at_once() {
    const TRACES: u8 = 40;
    for_each_backend(&[MIGRATIONS], |store| async move {
        // Nobody deletes before both have looked.
        let meeting = Arc::new(Meeting::of(2));
        let traces = traces_with_files(store, meeting.clone());
        let spans = (1..=TRACES).map(|trace| span(trace, 1, None, u64::from(trace)));
        traces.log_spans(batch(spans.collect())).await.unwrap();
        let all = || {
            traces.delete_traces(DeleteScope {
                until_ms: Some(i64::MAX),
                ..DeleteScope::default()
            })
        };
        let (one, other) = tokio::join!(all(), all());
        assert_eq!(one.unwrap() + other.unwrap(), i64::from(TRACES));
        assert!(meeting.was_held(), "both looked before anybody deleted");
    })
    .await;
}
