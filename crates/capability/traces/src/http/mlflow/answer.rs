//! Our things in MLflow's JSON, which is protobuf's: absent members where a field has nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::spans;
use super::times::{duration, time};
use crate::json::{cut, spaced};
use crate::limits;
use crate::types::{Assessment, AssessmentValue, Trace, TraceInfo};

/// What is known about a trace, in version 3.
pub(super) fn info(info: &TraceInfo) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("trace_id", json!(info.trace_id));
    put(
        "trace_location",
        json!({
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": { "experiment_id": info.experiment_id.to_string() },
        }),
    );
    put("request_time", json!(time(info.request_ms)));
    put("state", json!(info.state.as_str()));
    put("trace_metadata", named(&info.metadata, limits::METADATA_SENT_LEN));
    put("tags", named(&info.tags, limits::TAG_SENT_LEN));
    for (name, text) in [
        ("client_request_id", &info.client_request_id),
        ("request_preview", &info.request_preview),
        ("response_preview", &info.response_preview),
    ] {
        if let Some(text) = text {
            put(name, json!(text));
        }
    }
    if let Some(duration_ms) = info.duration_ms {
        put("execution_duration", json!(duration(duration_ms)));
    }
    if !info.assessments.is_empty() {
        let assessments = info
            .assessments
            .iter()
            .map(|found| assessment(&info.trace_id, found));
        put("assessments", assessments.collect());
    }
    Value::Object(fields)
}

/// Texts by key, each no longer than MLflow sends them.
fn named(pairs: &BTreeMap<String, String>, limit: usize) -> Value {
    let members = pairs
        .iter()
        .map(|(key, value)| (key.clone(), json!(cut(value, limit))));
    Value::Object(members.collect())
}

/// What is known about a trace, in version 2.
pub(super) fn info_v2(info: &TraceInfo) -> Value {
    json!({
        "request_id": info.trace_id,
        "experiment_id": info.experiment_id.to_string(),
        "timestamp_ms": info.request_ms,
        "execution_time_ms": info.duration_ms.unwrap_or(0),
        "status": info.state.as_status(),
        "request_metadata": listed(&info.metadata, limits::METADATA_SENT_LEN),
        "tags": listed(&info.tags, limits::TAG_SENT_LEN),
    })
}

fn listed(pairs: &BTreeMap<String, String>, limit: usize) -> Value {
    pairs
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": cut(value, limit) }))
        .collect()
}

/// A trace with its spans.
pub(super) fn trace(trace: &Trace) -> Value {
    json!({
        "trace_info": info(&trace.info),
        "spans": trace.spans.iter().map(spans::span).collect::<Value>(),
    })
}

/// An assessment of a trace.
pub(super) fn assessment(trace_id: &str, assessment: &Assessment) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("assessment_id", json!(assessment.id));
    put("assessment_name", json!(assessment.name));
    put("trace_id", json!(trace_id));
    let mut source = json!({ "source_type": assessment.source.kind });
    if let (Some(id), Value::Object(source)) = (&assessment.source.id, &mut source) {
        source.insert("source_id".to_owned(), json!(id));
    }
    put("source", source);
    put("create_time", json!(time(assessment.created_ms)));
    put("last_update_time", json!(time(assessment.updated_ms)));
    match &assessment.value {
        AssessmentValue::Feedback { value, error: None } => put("feedback", json!({ "value": value })),
        AssessmentValue::Feedback {
            value,
            error: Some(error),
        } => put("feedback", json!({ "value": value, "error": error })),
        AssessmentValue::Expectation(value) => put("expectation", expectation(value)),
        AssessmentValue::Issue(name) => put("issue", json!({ "issue_name": name })),
    };
    for (name, text) in [
        ("rationale", &assessment.rationale),
        ("span_id", &assessment.span_id),
        ("overrides", &assessment.overrides),
    ] {
        if let Some(text) = text {
            put(name, json!(text));
        }
    }
    if !assessment.metadata.is_empty() {
        put("metadata", json!(assessment.metadata));
    }
    put("valid", json!(assessment.valid));
    Value::Object(fields)
}

/// Lists and objects travel as a JSON text within the JSON.
fn expectation(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => json!({ "value": value }),
        other => json!({
            "serialized_value": { "serialization_format": "JSON_FORMAT", "value": spaced(other) }
        }),
    }
}

/// A page: its items under a name, and the token of the next if there is one.
pub(super) fn page(name: &str, items: Value, next_page_token: Option<String>) -> Value {
    let mut fields = Map::new();
    fields.insert(name.to_owned(), items);
    if let Some(token) = next_page_token {
        fields.insert("next_page_token".to_owned(), json!(token));
    }
    Value::Object(fields)
}
