//! Assessments: create, read, change, delete.

use std::collections::BTreeMap;

use corliss_metastore::Tx;
use corliss_mlflow_wire::{WireError, check_length};
use serde_json::Value;

use super::Traces;
use crate::json::{clean, spaced};
use crate::span::hex;
use crate::types::{Assessment, AssessmentValue, Source};
use crate::{TracesError, limits, store};

/// The metadata that names the run an assessment was made in.
const RUN_KEY: &str = "mlflow.assessment.sourceRunId";

/// A judgement to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAssessment {
    /// Its id; made if absent.
    pub id: Option<String>,
    /// What about.
    pub name: String,
    /// Who judged.
    pub source: Source,
    /// When it was made, in Unix milliseconds; now if absent.
    pub created_ms: Option<i64>,
    /// When it was changed last, in Unix milliseconds; now if absent.
    pub updated_ms: Option<i64>,
    /// What was said.
    pub value: AssessmentValue,
    /// Why.
    pub rationale: Option<String>,
    /// By key.
    pub metadata: BTreeMap<String, String>,
    /// The span it is about.
    pub span_id: Option<String>,
    /// The assessment that it stands for from now on.
    pub overrides: Option<String>,
}

/// What to change of an assessment; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct AssessmentChange {
    /// Another name.
    pub name: Option<String>,
    /// Another value, of the same kind.
    pub value: Option<AssessmentValue>,
    /// Another reason; an expectation has none.
    pub rationale: Option<String>,
    /// Entries to add or replace.
    pub metadata: BTreeMap<String, String>,
}

impl Traces {
    /// Keeps a judgement about a trace. The one that it overrides is valid no more.
    ///
    /// # Errors
    /// There is no such trace, or no such assessment to override, or an argument is wrong.
    pub async fn create_assessment(
        &self,
        trace_id: String,
        new: NewAssessment,
    ) -> Result<Assessment, TracesError> {
        let assessment = as_kept(new, &self.random(), self.now_ms())?;
        self.store
            .write(move |tx| {
                let (number, _) = store::numbers_of(tx, &trace_id)?
                    .ok_or_else(|| TracesError::trace_not_found(&trace_id))?;
                if let Some(overridden) = &assessment.overrides
                    && !store::set_valid(tx, number, overridden, false)?
                {
                    return Err(not_found(&trace_id, overridden));
                }
                let taken = store::assessment(tx, number, &assessment.id)?.is_some();
                if taken || !store::insert_assessment(tx, number, &assessment)? {
                    return Err(TracesError::invalid(format!(
                        "Assessment with ID '{}' already exists.",
                        assessment.id
                    )));
                }
                check_room(tx, number)?;
                Ok(assessment.clone())
            })
            .await
    }

    /// An assessment of a trace.
    ///
    /// # Errors
    /// There is no such trace or assessment.
    pub async fn assessment(&self, trace_id: String, id: String) -> Result<Assessment, TracesError> {
        self.store
            .read(move |tx| existing(tx, &trace_id, &id).map(|(_, found)| found))
            .await
    }

    /// Changes an assessment.
    ///
    /// # Errors
    /// There is no such trace or assessment, or the new value is of another kind.
    pub async fn update_assessment(
        &self,
        trace_id: String,
        id: String,
        change: AssessmentChange,
    ) -> Result<Assessment, TracesError> {
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                let (number, mut assessment) = existing(tx, &trace_id, &id)?;
                apply(&mut assessment, &change)?;
                assessment.updated_ms = now_ms;
                check(&assessment)?;
                store::update_assessment(tx, &assessment)?;
                check_room(tx, number)?;
                Ok(assessment)
            })
            .await
    }

    /// Removes an assessment; the one that it stood for is valid again. What is not there is removed already.
    ///
    /// # Errors
    /// The store failed.
    pub async fn delete_assessment(&self, trace_id: String, id: String) -> Result<(), TracesError> {
        self.store
            .write(move |tx| {
                let Some((number, _)) = store::numbers_of(tx, &trace_id)? else {
                    return Ok(());
                };
                let Some(found) = store::assessment(tx, number, &id)? else {
                    return Ok(());
                };
                if let Some(overridden) = &found.overrides {
                    store::set_valid(tx, number, overridden, true)?;
                }
                Ok(store::delete_assessment(tx, &id)?)
            })
            .await
    }
}

/// A trace has so many assessments, and so long ones, and no more.
pub(super) fn check_room(tx: &mut dyn Tx, number: i64) -> Result<(), TracesError> {
    const HINT: &str = "delete those that are not needed";
    let (count, chars) = store::assessments_size(tx, number)?;
    if count > limits::ASSESSMENTS_PER_TRACE as u64 {
        return Err(TracesError::too_many(
            "assessment",
            "assessments for one trace",
            limits::ASSESSMENTS_PER_TRACE,
            HINT,
        ));
    }
    if chars > limits::ASSESSMENTS_CHARS {
        return Err(TracesError::Limit {
            field: "assessment",
            message: format!(
                "the assessments of the trace would have {chars} characters, and {} are taken",
                limits::ASSESSMENTS_CHARS
            ),
            hint: HINT,
        });
    }
    Ok(())
}

fn existing(tx: &mut dyn Tx, trace_id: &str, id: &str) -> Result<(i64, Assessment), TracesError> {
    let (number, _) = store::numbers_of(tx, trace_id)?
        .ok_or_else(|| TracesError::NotFound(format!("Trace with request_id '{trace_id}' not found")))?;
    let found = store::assessment(tx, number, id)?.ok_or_else(|| not_found(trace_id, id))?;
    Ok((number, found))
}

fn not_found(trace_id: &str, id: &str) -> TracesError {
    TracesError::NotFound(format!(
        "Assessment with ID '{id}' not found for trace '{trace_id}'"
    ))
}

fn apply(assessment: &mut Assessment, change: &AssessmentChange) -> Result<(), TracesError> {
    match (&mut assessment.value, &change.value) {
        (_, None) => {}
        (old @ AssessmentValue::Expectation(_), Some(new @ AssessmentValue::Expectation(_)))
        | (old @ AssessmentValue::Feedback { .. }, Some(new @ AssessmentValue::Feedback { .. })) => {
            *old = new.clone()
        }
        (_, Some(AssessmentValue::Expectation(_))) => {
            return Err(TracesError::invalid(
                "Cannot update expectation value on a Feedback assessment.",
            ));
        }
        (_, Some(_)) => {
            return Err(TracesError::invalid(
                "Cannot update feedback value on an Expectation assessment.",
            ));
        }
    }
    if let Some(name) = &change.name {
        assessment.name.clone_from(name);
    }
    if let (Some(rationale), AssessmentValue::Feedback { .. }) = (&change.rationale, &assessment.value) {
        assessment.rationale = Some(clean(rationale));
    }
    for (key, value) in &change.metadata {
        assessment.metadata.insert(key.clone(), value.clone());
    }
    Ok(())
}

/// A new assessment as it is kept.
pub(super) fn as_kept(new: NewAssessment, random: &[u8; 16], now_ms: i64) -> Result<Assessment, TracesError> {
    let assessment = Assessment {
        id: new.id.unwrap_or_else(|| format!("a-{}", hex(random))),
        name: new.name,
        source: new.source,
        created_ms: new.created_ms.unwrap_or(now_ms),
        updated_ms: new.updated_ms.unwrap_or(now_ms),
        value: new.value,
        rationale: new.rationale.map(|rationale| clean(&rationale)),
        run_id: new.metadata.get(RUN_KEY).cloned(),
        metadata: new.metadata,
        span_id: new.span_id,
        overrides: new.overrides,
        valid: true,
    };
    check(&assessment)?;
    Ok(assessment)
}

fn check(assessment: &Assessment) -> Result<(), TracesError> {
    if assessment.name.is_empty() {
        return Err(WireError::missing("assessment_name").into());
    }
    let source_id = assessment.source.id.as_deref();
    for (field, limit, text) in [
        (
            "assessment_name",
            limits::ASSESSMENT_NAME_LEN,
            Some(assessment.name.as_str()),
        ),
        (
            "assessment_id",
            limits::ASSESSMENT_ID_LEN,
            Some(assessment.id.as_str()),
        ),
        (
            "source_type",
            limits::ASSESSMENT_ID_LEN,
            Some(assessment.source.kind.as_str()),
        ),
        ("source_id", limits::ASSESSMENT_NAME_LEN, source_id),
        (
            "span_id",
            limits::ASSESSMENT_ID_LEN,
            assessment.span_id.as_deref(),
        ),
        (
            "overrides",
            limits::ASSESSMENT_ID_LEN,
            assessment.overrides.as_deref(),
        ),
        (RUN_KEY, limits::ASSESSMENT_NAME_LEN, assessment.run_id.as_deref()),
    ] {
        let text = text.unwrap_or_default();
        check_length(field, limit, text)?;
        if text.contains('\0') {
            return Err(WireError::invalid_value(field, text, "must not contain NUL characters").into());
        }
    }
    let said = match &assessment.value {
        AssessmentValue::Feedback { value, error } => spaced(value).len() + error.as_ref().map_or(0, size),
        AssessmentValue::Expectation(value) => size(value),
        AssessmentValue::Issue(name) => name.len(),
    };
    let bytes =
        said + assessment.rationale.as_ref().map_or(0, String::len) + spaced(&assessment.metadata).len();
    if bytes > limits::ASSESSMENT_BYTES {
        return Err(TracesError::Limit {
            field: "assessment",
            message: format!(
                "the assessment has {bytes} bytes, and {} are taken",
                limits::ASSESSMENT_BYTES
            ),
            hint: "keep what is large in a dataset or an artifact, and name it in the metadata",
        });
    }
    Ok(())
}

fn size(value: &Value) -> usize {
    spaced(value).len()
}
