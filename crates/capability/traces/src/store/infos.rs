//! The row of a trace.

use std::collections::{BTreeMap, BTreeSet};

use corliss_metastore::lists::in_lists;
use corliss_metastore::{Row, StoreError, Tx, Value, params};

use crate::TracesError;
use crate::json::cut;
use crate::limits;
use crate::types::{Cost, TokenUsage, TraceState};

/// What stands in a trace's own row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Head {
    pub(crate) number: i64,
    pub(crate) trace_id: String,
    pub(crate) experiment_id: i64,
    pub(crate) request_ms: i64,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) state: TraceState,
    pub(crate) name: Option<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) client_request_id: Option<String>,
    pub(crate) request_preview: Option<String>,
    pub(crate) response_preview: Option<String>,
    /// A client has said what the whole trace is; its spans change that no more.
    pub(crate) is_final: bool,
    pub(crate) usage: TokenUsage,
    pub(crate) cost: Cost,
    pub(crate) next_part: i64,
    /// Spans that were ever taken, counting those that were sent again.
    pub(crate) spans: i64,
    /// Their bytes, unpacked.
    pub(crate) span_bytes: i64,
    /// Rows of its index of spans.
    pub(crate) kinds: i64,
    /// That index knows every span.
    pub(crate) kinds_whole: bool,
}

const COLUMNS: &str = "number, trace_id, experiment_id, request_ms, duration_ms, state, name, session_id,
    client_request_id, request_preview, response_preview, is_final, input_tokens, output_tokens, total_tokens,
    cache_read_input_tokens, cache_creation_input_tokens, cache_creation_input_tokens_above_1hr, input_cost,
    output_cost, total_cost, next_part, spans, span_bytes, kinds, kinds_whole";

pub(super) fn from_row(row: &Row) -> Result<Head, StoreError> {
    let mut usage = TokenUsage::default();
    for (key, count) in TokenUsage::KEYS.iter().zip(&mut usage.0) {
        *count = row.opt_integer(key)?;
    }
    let mut cost = Cost::default();
    for (key, amount) in Cost::KEYS.iter().zip(&mut cost.0) {
        *amount = row.opt_real(key)?;
    }
    Ok(Head {
        number: row.integer("number")?,
        trace_id: row.text("trace_id")?,
        experiment_id: row.integer("experiment_id")?,
        request_ms: row.integer("request_ms")?,
        duration_ms: row.opt_integer("duration_ms")?,
        state: TraceState::parse(&row.text("state")?).unwrap_or(TraceState::Unspecified),
        name: row.opt_text("name")?,
        session_id: row.opt_text("session_id")?,
        client_request_id: row.opt_text("client_request_id")?,
        request_preview: row.opt_text("request_preview")?,
        response_preview: row.opt_text("response_preview")?,
        is_final: row.boolean("is_final")?,
        usage,
        cost,
        next_part: row.integer("next_part")?,
        spans: row.integer("spans")?,
        span_bytes: row.integer("span_bytes")?,
        kinds: row.integer("kinds")?,
        kinds_whole: row.boolean("kinds_whole")?,
    })
}

/// The columns of a head behind an alias, for a search.
pub(super) const ALIASED: &str =
    "t.number, t.trace_id, t.experiment_id, t.request_ms, t.duration_ms, t.state, t.name,
    t.session_id, t.client_request_id, t.request_preview, t.response_preview, t.is_final, t.input_tokens,
    t.output_tokens, t.total_tokens, t.cache_read_input_tokens, t.cache_creation_input_tokens,
    t.cache_creation_input_tokens_above_1hr, t.input_cost, t.output_cost, t.total_cost, t.next_part, t.spans,
    t.span_bytes, t.kinds, t.kinds_whole";

/// The trace of this id.
pub(crate) fn head(tx: &mut dyn Tx, trace_id: &str) -> Result<Option<Head>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM traces_info WHERE trace_id = $1");
    tx.query_opt(&sql, params![trace_id])?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// The traces of these ids, by id.
pub(crate) fn heads(tx: &mut dyn Tx, trace_ids: &[String]) -> Result<BTreeMap<String, Head>, StoreError> {
    let mut found = BTreeMap::new();
    for ids in super::text_lists(trace_ids) {
        let sql = format!(
            "SELECT {COLUMNS} FROM traces_info WHERE trace_id IN ({})",
            super::list(ids.len())
        );
        for row in tx.query(&sql, &ids)? {
            let head = from_row(&row)?;
            found.insert(head.trace_id.clone(), head);
        }
    }
    Ok(found)
}

/// The number of a trace, and its experiment.
pub(crate) fn numbers_of(tx: &mut dyn Tx, trace_id: &str) -> Result<Option<(i64, i64)>, StoreError> {
    tx.query_opt(
        "SELECT number, experiment_id FROM traces_info WHERE trace_id = $1",
        params![trace_id],
    )?
    .map(|row| Ok((row.integer("number")?, row.integer("experiment_id")?)))
    .transpose()
}

/// Inserts a trace whose id is new, under its number or the next one that is free.
///
/// # Errors
/// The store failed; also if so many numbers in a row are taken that something must be wrong.
pub(crate) fn insert_head(tx: &mut dyn Tx, head: &mut Head) -> Result<(), StoreError> {
    const TRIES: i64 = 64;
    let sql = format!(
        "INSERT INTO traces_info ({COLUMNS}, name_head) VALUES {} ON CONFLICT (number) DO NOTHING",
        super::placeholders(1, 27)
    );
    for _ in 0..TRIES {
        let mut values = vec![
            head.number.into(),
            Value::from(&head.trace_id),
            head.experiment_id.into(),
        ];
        values.extend(changing(head));
        if tx.execute(&sql, &values)? == 1 {
            return Ok(());
        }
        head.number += 1;
    }
    Err(StoreError::UniqueViolation {
        constraint: "traces_info.number".to_owned(),
    })
}

/// What may change of a trace, in the order of the columns, and the head of its name.
fn changing(head: &Head) -> Vec<Value> {
    let mut values: Vec<Value> = vec![
        head.request_ms.into(),
        head.duration_ms.into(),
        head.state.as_str().into(),
        head.name.as_deref().into(),
        head.session_id.as_deref().into(),
        head.client_request_id.as_deref().into(),
        head.request_preview.as_deref().into(),
        head.response_preview.as_deref().into(),
        head.is_final.into(),
    ];
    values.extend(head.usage.0.map(Value::from));
    values.extend(head.cost.0.map(Value::from));
    values.extend([
        head.next_part.into(),
        head.spans.into(),
        head.span_bytes.into(),
        head.kinds.into(),
        head.kinds_whole.into(),
        head.name
            .as_deref()
            .map(|name| cut(name, limits::HEAD_LEN))
            .into(),
    ]);
    values
}

/// Writes everything that may change of a trace.
pub(crate) fn update_head(tx: &mut dyn Tx, head: &Head) -> Result<(), StoreError> {
    let mut values = changing(head);
    values.push(head.number.into());
    tx.execute(
        "UPDATE traces_info SET request_ms = $1, duration_ms = $2, state = $3, name = $4, session_id = $5,
             client_request_id = $6, request_preview = $7, response_preview = $8, is_final = $9, input_tokens = $10,
             output_tokens = $11, total_tokens = $12, cache_read_input_tokens = $13,
             cache_creation_input_tokens = $14, cache_creation_input_tokens_above_1hr = $15, input_cost = $16,
             output_cost = $17, total_cost = $18, next_part = $19, spans = $20, span_bytes = $21, kinds = $22,
             kinds_whole = $23, name_head = $24 WHERE number = $25",
        &values,
    )?;
    Ok(())
}

/// The experiments that have something here. One step in an index for each, however much it has.
pub(crate) fn experiments_here(tx: &mut dyn Tx) -> Result<BTreeSet<i64>, TracesError> {
    let mut found = BTreeSet::new();
    for table in [
        "traces_info",
        "evaluation_dataset_experiments",
        "evaluation_scorers",
    ] {
        let sql = format!(
            "SELECT experiment_id FROM {table} WHERE experiment_id > $1 ORDER BY experiment_id LIMIT 1"
        );
        let mut last = -1;
        while let Some(row) = tx.query_opt(&sql, params![last])? {
            last = row.integer("experiment_id")?;
            found.insert(last);
        }
    }
    Ok(found)
}

/// How many traces these experiments have.
pub(crate) fn count_of(tx: &mut dyn Tx, experiment_ids: &[i64]) -> Result<u64, StoreError> {
    let mut ids: Vec<i64> = experiment_ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut count = 0;
    for ids in super::number_lists(&ids) {
        let sql = format!(
            "SELECT COUNT(*) AS found FROM traces_info WHERE experiment_id IN ({})",
            super::list(ids.len())
        );
        count += tx.query_one(&sql, &ids)?.unsigned("found")?;
    }
    Ok(count)
}

/// The numbers and ids of traces to delete, oldest first: those named, or those that began no later than a time.
pub(crate) fn doomed(
    tx: &mut dyn Tx,
    experiment_id: i64,
    trace_ids: &[String],
    until_ms: Option<i64>,
    limit: i64,
) -> Result<Vec<(i64, String)>, StoreError> {
    let mut found = Vec::new();
    if let Some(until_ms) = until_ms {
        let rows = tx.query(
            "SELECT number, trace_id FROM traces_info WHERE experiment_id = $1 AND request_ms <= $2
             ORDER BY request_ms, trace_id LIMIT $3",
            params![experiment_id, until_ms, limit],
        )?;
        for row in rows {
            found.push((row.integer("number")?, row.text("trace_id")?));
        }
        return Ok(found);
    }
    for mut ids in super::text_lists(trace_ids) {
        let sql = format!(
            "SELECT number, trace_id FROM traces_info WHERE trace_id IN ({}) AND experiment_id = ${}",
            super::list(ids.len()),
            ids.len() + 1
        );
        ids.push(experiment_id.into());
        for row in tx.query(&sql, &ids)? {
            found.push((row.integer("number")?, row.text("trace_id")?));
        }
    }
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// Removes traces with all that hangs on them; answers how many were still there.
pub(crate) fn delete_traces(tx: &mut dyn Tx, doomed: &[(i64, String)]) -> Result<u64, StoreError> {
    const OF_NUMBERS: [&str; 6] = [
        "traces_tags",
        "traces_metadata",
        "traces_spans",
        "traces_span_kinds",
        "traces_assessments",
        "traces_prompt_links",
    ];
    let mut deleted = 0;
    for ids in in_lists(doomed, |(_, id)| id.into()) {
        let sql = format!(
            "DELETE FROM traces_run_links WHERE trace_id IN ({})",
            super::list(ids.len())
        );
        tx.execute(&sql, &ids)?;
    }
    for numbers in in_lists(doomed, |(number, _)| (*number).into()) {
        let list = super::list(numbers.len());
        for table in OF_NUMBERS {
            tx.execute(&format!("DELETE FROM {table} WHERE number IN ({list})"), &numbers)?;
        }
        let sql = format!("DELETE FROM traces_info WHERE number IN ({list})");
        deleted += tx.execute(&sql, &numbers)?;
    }
    Ok(deleted)
}
