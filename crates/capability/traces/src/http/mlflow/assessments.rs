//! `traces/{trace_id}/assessments` and `traces/{trace_id}/assessments/{assessment_id}`.

use axum::extract::State;
use corliss_http::{Json, Path};
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Number, Value, json};

use super::times::read_time;
use super::{Answer, answer};
use crate::service::{AssessmentChange, NewAssessment, Traces};
use crate::types::{AssessmentValue, Source};

/// An assessment as sent.
pub(super) fn read(args: &Args) -> Result<NewAssessment, WireError> {
    let source = args.object("source")?.unwrap_or_default();
    let filled = |args: &Args, name: &str| args.text(name).map(|text| text.filter(|text| !text.is_empty()));
    let time = |name: &str| {
        let value = args.value(name).filter(|value| !value.is_null());
        value.map(|value| read_time(name, value)).transpose()
    };
    Ok(NewAssessment {
        id: filled(args, "assessment_id")?,
        name: args.text("assessment_name")?.unwrap_or_default(),
        source: Source {
            kind: source_kind(&source)?,
            id: filled(&source, "source_id")?,
        },
        created_ms: time("create_time")?,
        updated_ms: time("last_update_time")?,
        value: read_value(args)?.ok_or_else(|| WireError::new("Unknown assessment type: None"))?,
        rationale: filled(args, "rationale")?,
        metadata: args.named_texts("metadata")?,
        span_id: filled(args, "span_id")?,
        overrides: filled(args, "overrides")?,
    })
}

/// The kind of a source, by its name or number.
fn source_kind(source: &Args) -> Result<String, WireError> {
    const KINDS: [&str; 4] = ["SOURCE_TYPE_UNSPECIFIED", "HUMAN", "LLM_JUDGE", "CODE"];
    match source.text("source_type") {
        Ok(kind) => Ok(kind.unwrap_or_else(|| KINDS[0].to_owned())),
        Err(error) => {
            let number = source
                .integer("source_type")?
                .and_then(|number| usize::try_from(number).ok());
            number
                .and_then(|number| KINDS.get(number))
                .map(|kind| (*kind).to_owned())
                .ok_or(error)
        }
    }
}

/// What was said, if anything was.
fn read_value(args: &Args) -> Result<Option<AssessmentValue>, WireError> {
    if let Some(feedback) = args.object("feedback")? {
        let error = feedback.value("error").filter(|error| !error.is_null());
        if let Some(error) = error.filter(|error| !error.is_object()) {
            return Err(WireError::wrong_type("feedback.error", error));
        }
        return Ok(Some(AssessmentValue::Feedback {
            value: reals(feedback.value("value").cloned().unwrap_or(Value::Null)),
            error: error.cloned(),
        }));
    }
    if let Some(expectation) = args.object("expectation")? {
        return read_expectation(&expectation).map(Some);
    }
    let Some(issue) = args.object("issue")? else {
        return Ok(None);
    };
    Ok(Some(AssessmentValue::Issue(
        issue.text("issue_name")?.unwrap_or_default(),
    )))
}

fn read_expectation(args: &Args) -> Result<AssessmentValue, WireError> {
    let Some(serialized) = args.object("serialized_value")? else {
        let value = args.value("value").cloned().unwrap_or(Value::Null);
        return match reals(value) {
            Value::Null => Err(WireError::new("The `value` field must be specified.")),
            value => Ok(AssessmentValue::Expectation(value)),
        };
    };
    let format = serialized.text("serialization_format")?.unwrap_or_default();
    if format != "JSON_FORMAT" {
        return Err(WireError::new(format!(
            "Unknown serialization format: {format}. Only JSON_FORMAT is supported."
        )));
    }
    let text = serialized.text("value")?.unwrap_or_default();
    serde_json::from_str(&text)
        .map(AssessmentValue::Expectation)
        .map_err(|_| WireError::invalid_value("expectation.serialized_value.value", &text, "it is not JSON"))
}

/// Protobuf's values know no integers: `1` is `1.0`, also in a filter.
fn reals(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let real = number.as_f64().and_then(Number::from_f64);
            Value::Number(real.unwrap_or(number))
        }
        Value::Array(items) => items.into_iter().map(reals).collect(),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| (key, reals(value)))
                .collect(),
        ),
        other => other,
    }
}

pub(super) async fn create(State(traces): State<Traces>, Path(trace_id): Path<String>, args: Args) -> Answer {
    let assessment = args
        .object("assessment")?
        .ok_or_else(|| WireError::missing("assessment"))?;
    let created = traces
        .create_assessment(trace_id.clone(), read(&assessment)?)
        .await?;
    Ok(Json(
        json!({ "assessment": answer::assessment(&trace_id, &created) }),
    ))
}

pub(super) async fn get(
    State(traces): State<Traces>,
    Path((trace_id, assessment_id)): Path<(String, String)>,
) -> Answer {
    let found = traces.assessment(trace_id.clone(), assessment_id).await?;
    Ok(Json(
        json!({ "assessment": answer::assessment(&trace_id, &found) }),
    ))
}

pub(super) async fn update(
    State(traces): State<Traces>,
    Path((trace_id, assessment_id)): Path<(String, String)>,
    args: Args,
) -> Answer {
    let assessment = args
        .object("assessment")?
        .ok_or_else(|| WireError::missing("assessment"))?;
    let mask = args.required_text("update_mask")?;
    let change = read_change(&assessment, &mask)?;
    let updated = traces
        .update_assessment(trace_id.clone(), assessment_id, change)
        .await?;
    Ok(Json(
        json!({ "assessment": answer::assessment(&trace_id, &updated) }),
    ))
}

/// What an update names in its mask, whose paths are in camel case.
fn read_change(assessment: &Args, mask: &str) -> Result<AssessmentChange, WireError> {
    let mut change = AssessmentChange::default();
    for path in mask.split(',').map(str::trim) {
        match path {
            "assessmentName" | "assessment_name" => change.name = assessment.text("assessment_name")?,
            "feedback" | "expectation" => {
                if change.value.is_some() {
                    return Err(WireError::new(
                        "Cannot specify both `expectation` and `feedback` parameters.",
                    ));
                }
                change.value = read_value(assessment)?;
            }
            "rationale" => change.rationale = assessment.text("rationale")?,
            "metadata" => change.metadata = assessment.named_texts("metadata")?,
            // Others cannot be changed, and the reference server passes over them too.
            _ => {}
        }
    }
    Ok(change)
}

pub(super) async fn delete(
    State(traces): State<Traces>,
    Path((trace_id, assessment_id)): Path<(String, String)>,
) -> Answer {
    traces.delete_assessment(trace_id, assessment_id).await?;
    Ok(Json(json!({})))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn values_are_read_as_protobuf_has_them() {
        let read = |value: Value| read_value(&Args::of_json(&value));
        let feedback = |value| Some(AssessmentValue::Feedback { value, error: None });
        assert_eq!(
            read(json!({"feedback": {"value": 1}})).unwrap(),
            feedback(json!(1.0))
        );
        assert_eq!(
            read(json!({"feedback": {"value": null}})).unwrap(),
            feedback(Value::Null)
        );
        assert_eq!(
            read(json!({"expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "[1]"}}}))
                .unwrap(),
            Some(AssessmentValue::Expectation(json!([1])))
        );
        assert_eq!(read(json!({})).unwrap(), None);
        for bad in [
            json!({"expectation": {}}),
            json!({"expectation": {"serialized_value": {"serialization_format": "X"}}}),
            json!({"expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "["}}}),
            json!({"feedback": 3}),
            json!({"feedback": {"error": "x"}}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mask_says_what_changes() {
        let sent = Args::of_json(&json!({"assessment_name": "n", "rationale": "r", "metadata": {"a": "b"}}));
        let change = read_change(&sent, "assessmentName,metadata").unwrap();
        assert_eq!(
            (change.name.as_deref(), change.rationale, change.metadata),
            (
                Some("n"),
                None,
                BTreeMap::from([("a".to_owned(), "b".to_owned())])
            )
        );
    }
}
