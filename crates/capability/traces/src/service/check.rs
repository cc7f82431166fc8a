//! Checks of what clients send, in MLflow's words.

use std::collections::BTreeMap;

use corliss_mlflow_wire::{WireError, check_key, check_length};

use super::{NAME_TAG, OWN_TAGS};
use crate::json::{clean, cut};
use crate::{TracesError, limits};

/// A trace's id that may become part of an address.
pub(super) fn new_trace_id(trace_id: &str) -> Result<(), TracesError> {
    if trace_id.is_empty() {
        return Err(WireError::missing("trace_id").into());
    }
    check_length("trace_id", limits::TRACE_ID_LEN, trace_id)?;
    let bad = |c: char| matches!(c, '%' | '?' | '#' | '/' | '\\') || c.is_control();
    if trace_id.contains(bad) || matches!(trace_id, "." | "..") {
        return Err(WireError::invalid_value(
            "trace_id",
            trace_id,
            "must not contain '/', '\\', '%', '?', '#' or control characters",
        )
        .into());
    }
    Ok(())
}

/// A time that can be computed with.
pub(super) fn time(field: &str, ms: i64) -> Result<i64, WireError> {
    if limits::TIMES_MS.contains(&ms) {
        return Ok(ms);
    }
    let reason = "it must be a time from the year 0 to the year 9999";
    Err(WireError::invalid_value(field, &ms.to_string(), reason))
}

/// A duration that can be added up.
pub(super) fn duration(field: &str, ms: i64) -> Result<i64, WireError> {
    if ms.saturating_abs() <= limits::DURATION_MS {
        return Ok(ms);
    }
    let reason = "it must not exceed 584 years";
    Err(WireError::invalid_value(field, &ms.to_string(), reason))
}

/// Tags that come with a whole trace: those of the server are left out, long values are cut.
pub(super) fn tags_of_trace(tags: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, TracesError> {
    check_count("tags", tags.len())?;
    tags.into_iter()
        .filter(|(key, _)| !OWN_TAGS.contains(&key.as_str()) && key != NAME_TAG)
        .map(|(key, value)| {
            check_length("tags.key", limits::KEY_LEN, &key)?;
            Ok((clean(&key), clean(cut(&value, limits::TAG_VALUE_LEN))))
        })
        .collect()
}

/// Metadata that comes with a whole trace: long values are cut.
pub(super) fn metadata_of_trace(
    metadata: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, TracesError> {
    check_count("trace_metadata", metadata.len())?;
    metadata
        .into_iter()
        .map(|(key, value)| {
            check_length("trace_metadata.key", limits::KEY_LEN, &key)?;
            Ok((clean(&key), clean(cut(&value, limits::METADATA_VALUE_LEN))))
        })
        .collect()
}

fn check_count(field: &'static str, count: usize) -> Result<(), TracesError> {
    if count <= limits::PAIRS_PER_CALL {
        return Ok(());
    }
    Err(TracesError::too_many(
        field,
        "entries",
        limits::PAIRS_PER_CALL,
        "keep what is large in the attributes of a span",
    ))
}

/// A tag as it is kept.
pub(super) fn tag(key: &str, value: &str) -> Result<(String, String), WireError> {
    check_key("key", key)?;
    check_length("key", limits::KEY_LEN, key)?;
    Ok((key.to_owned(), clean(cut(value, limits::TAG_VALUE_LEN))))
}

/// A trace's name.
pub(super) fn name(name: &str) -> Result<String, WireError> {
    check_length("Trace name", limits::NAME_LEN, name)?;
    Ok(clean(name))
}

/// A session's id.
pub(super) fn session(id: &str) -> Result<String, WireError> {
    check_length("Session ID", limits::SESSION_LEN, id)?;
    Ok(clean(id))
}

/// Whether a client may set, or else delete, this tag.
pub(super) fn tag_may_change(key: &str, set: bool) -> Result<(), WireError> {
    // Deleting the mark of a failed archival is how a client asks for another try.
    let allowed = !OWN_TAGS.contains(&key) || (!set && key == "mlflow.trace.archivalFailure");
    if allowed {
        return Ok(());
    }
    let operation = if set { "set" } else { "deleted" };
    Err(WireError::new(format!(
        "Tag '{key}' is immutable and cannot be {operation} on a trace."
    )))
}
