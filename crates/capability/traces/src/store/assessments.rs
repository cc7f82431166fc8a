//! Assessments. A value is kept as the JSON text that filters compare with, and as a number where it is one.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, Value, params};
use serde_json::Value as Json;

use crate::json::{canonical, spaced};
use crate::types::{Assessment, AssessmentValue, Source};

/// The metadata key by which an assessment says that it is about a whole session.
const SESSION_KEY: &str = "mlflow.trace.session";

const COLUMNS: &str =
    "assessment_id, number, name, kind, value, error, source_kind, source_id, created_ms, updated_ms,
    rationale, metadata, span_id, run_id, overrides, valid";

fn malformed(column: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Malformed {
        column: column.to_owned(),
        message: error.to_string(),
    }
}

fn from_row(row: &Row) -> Result<Assessment, StoreError> {
    let parsed = |column: &str, text: &str| -> Result<Json, StoreError> {
        serde_json::from_str(text).map_err(|error| malformed(column, &error))
    };
    let value = parsed("value", &row.text("value")?)?;
    let value = match row.text("kind")?.as_str() {
        "expectation" => AssessmentValue::Expectation(value),
        "issue" => AssessmentValue::Issue(value["issue_name"].as_str().unwrap_or_default().to_owned()),
        _ => AssessmentValue::Feedback {
            value,
            error: row
                .opt_text("error")?
                .map(|text| parsed("error", &text))
                .transpose()?,
        },
    };
    let metadata: BTreeMap<String, String> =
        serde_json::from_str(&row.text("metadata")?).map_err(|error| malformed("metadata", &error))?;
    Ok(Assessment {
        id: row.text("assessment_id")?,
        name: row.text("name")?,
        source: Source {
            kind: row.text("source_kind")?,
            id: row.opt_text("source_id")?,
        },
        created_ms: row.integer("created_ms")?,
        updated_ms: row.integer("updated_ms")?,
        value,
        rationale: row.opt_text("rationale")?,
        metadata,
        span_id: row.opt_text("span_id")?,
        run_id: row.opt_text("run_id")?,
        overrides: row.opt_text("overrides")?,
        valid: row.boolean("valid")?,
    })
}

/// The number that a value is compared as; and whether it is one, or only stands for one (`true`, `"yes"`).
fn number_of(value: &AssessmentValue) -> Option<f64> {
    let (AssessmentValue::Feedback { value, .. } | AssessmentValue::Expectation(value)) = value else {
        return None;
    };
    value.as_f64().filter(|number| number.is_finite())
}

/// The values that change with an assessment, in the order of [`update_assessment`].
fn changing(assessment: &Assessment) -> Vec<Value> {
    let (value, error) = match &assessment.value {
        AssessmentValue::Feedback { value, error } => (canonical(value), error.as_ref().map(spaced)),
        AssessmentValue::Expectation(value) => (canonical(value), None),
        AssessmentValue::Issue(name) => (spaced(&serde_json::json!({ "issue_name": name })), None),
    };
    vec![
        Value::from(&assessment.name),
        value.into(),
        error.into(),
        assessment.updated_ms.into(),
        assessment.rationale.as_deref().into(),
        spaced(&assessment.metadata).into(),
        number_of(&assessment.value).into(),
        assessment.metadata.contains_key(SESSION_KEY).into(),
    ]
}

/// Inserts an assessment, or replaces it where this trace has it already; answers false where its id is another
/// trace's.
pub(crate) fn insert_assessment(
    tx: &mut dyn Tx,
    number: i64,
    assessment: &Assessment,
) -> Result<bool, StoreError> {
    let mut values = changing(assessment);
    values.extend([
        Value::from(&assessment.id),
        number.into(),
        assessment.value.kind().into(),
        Value::from(&assessment.source.kind),
        assessment.source.id.as_deref().into(),
        assessment.created_ms.into(),
        assessment.span_id.as_deref().into(),
        assessment.run_id.as_deref().into(),
        assessment.overrides.as_deref().into(),
        assessment.valid.into(),
    ]);
    let inserted = tx.execute(
        "INSERT INTO traces_assessments AS a (name, value, error, updated_ms, rationale, metadata, number_value,
             of_session, assessment_id, number, kind, source_kind, source_id, created_ms, span_id, run_id, overrides,
             valid)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
         ON CONFLICT (assessment_id) DO UPDATE SET name = excluded.name, value = excluded.value,
             error = excluded.error, updated_ms = excluded.updated_ms, rationale = excluded.rationale,
             metadata = excluded.metadata, number_value = excluded.number_value, of_session = excluded.of_session,
             kind = excluded.kind, source_kind = excluded.source_kind, source_id = excluded.source_id,
             created_ms = excluded.created_ms, span_id = excluded.span_id, run_id = excluded.run_id,
             overrides = excluded.overrides, valid = excluded.valid
         WHERE a.number = excluded.number",
        &values,
    )?;
    Ok(inserted == 1)
}

/// Writes what may change of an assessment.
pub(crate) fn update_assessment(tx: &mut dyn Tx, assessment: &Assessment) -> Result<(), StoreError> {
    let mut values = changing(assessment);
    values.push(Value::from(&assessment.id));
    tx.execute(
        "UPDATE traces_assessments SET name = $1, value = $2, error = $3, updated_ms = $4, rationale = $5,
             metadata = $6, number_value = $7, of_session = $8 WHERE assessment_id = $9",
        &values,
    )?;
    Ok(())
}

/// Says whether another stands for an assessment of this trace; answers whether there is such an assessment.
pub(crate) fn set_valid(tx: &mut dyn Tx, number: i64, id: &str, valid: bool) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE traces_assessments SET valid = $1 WHERE assessment_id = $2 AND number = $3",
        params![valid, id, number],
    )?;
    Ok(changed == 1)
}

/// An assessment of this trace.
pub(crate) fn assessment(tx: &mut dyn Tx, number: i64, id: &str) -> Result<Option<Assessment>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM traces_assessments WHERE assessment_id = $1 AND number = $2");
    tx.query_opt(&sql, params![id, number])?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// How many assessments a trace has, and the characters of what of them may be long.
pub(crate) fn assessments_size(tx: &mut dyn Tx, number: i64) -> Result<(u64, i64), StoreError> {
    let row = tx.query_one(
        "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(LENGTH(value) + LENGTH(metadata) + COALESCE(LENGTH(rationale), 0)
             + COALESCE(LENGTH(error), 0)), 0) AS BIGINT) AS chars FROM traces_assessments WHERE number = $1",
        params![number],
    )?;
    Ok((row.unsigned("n")?, row.integer("chars")?))
}

/// Removes an assessment.
pub(crate) fn delete_assessment(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM traces_assessments WHERE assessment_id = $1",
        params![id],
    )?;
    Ok(())
}

/// The assessments of these traces, by number, oldest first.
pub(crate) fn assessments_of(
    tx: &mut dyn Tx,
    numbers: &[i64],
) -> Result<BTreeMap<i64, Vec<Assessment>>, StoreError> {
    let mut found: BTreeMap<i64, Vec<Assessment>> = BTreeMap::new();
    for numbers in super::number_lists(numbers) {
        let sql = format!(
            "SELECT {COLUMNS} FROM traces_assessments WHERE number IN ({}) ORDER BY number, created_ms, assessment_id",
            super::list(numbers.len())
        );
        for row in tx.query(&sql, &numbers)? {
            found
                .entry(row.integer("number")?)
                .or_default()
                .push(from_row(&row)?);
        }
    }
    Ok(found)
}
