//! Reading traces.

use std::collections::BTreeSet;
use std::time::Duration;

use corliss_metastore::Tx;

use super::{COST_KEY, NAME_TAG, SESSION_KEY, SIZES_KEY, SPANS_TAG, Traces, USAGE_KEY, apart, parts};
use crate::store::{self, Head, Pair, Part};
use crate::types::{Trace, TraceInfo};
use crate::{TracesError, limits};

/// How long to wait for spans that a client has announced and that are still on their way.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

impl Traces {
    /// What is known about a trace.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn info(&self, trace_id: String) -> Result<TraceInfo, TracesError> {
        self.store
            .read(move |tx| {
                let head =
                    store::head(tx, &trace_id)?.ok_or_else(|| TracesError::trace_not_found(&trace_id))?;
                info_of(tx, &head)
            })
            .await
    }

    /// What is known about traces, in the order asked for; those that are not there are left out, and so are those of
    /// other experiments, if some are given.
    ///
    /// # Errors
    /// Too many are asked for.
    pub async fn infos(
        &self,
        trace_ids: Vec<String>,
        experiments: Option<Vec<i64>>,
    ) -> Result<Vec<TraceInfo>, TracesError> {
        check_count(&trace_ids)?;
        self.store
            .read(move |tx| {
                let heads = heads_of(tx, &trace_ids, experiments.as_deref())?;
                all_infos(tx, &heads)
            })
            .await
    }

    /// A trace with its spans. `partial` takes it as it stands; without, spans that its client has announced are
    /// waited for, for some seconds.
    ///
    /// # Errors
    /// There is none of this id, or its spans are not all here.
    pub async fn trace(&self, trace_id: String, partial: bool) -> Result<Trace, TracesError> {
        for wait in WAITS.into_iter().map(Some).chain([None]) {
            let trace = self.trace_now(trace_id.clone()).await?;
            if partial || is_whole(&trace) {
                return Ok(trace);
            }
            // Nothing will come of a trace whose spans its client keeps elsewhere.
            if !trace.info.tags.contains_key(SPANS_TAG) && !trace.info.metadata.contains_key(SIZES_KEY) {
                break;
            }
            if let Some(wait) = wait {
                tokio::time::sleep(wait).await;
            }
        }
        Err(TracesError::NotFound(format!(
            "Trace with ID {trace_id} is not fully exported yet, please try again later."
        )))
    }

    async fn trace_now(&self, trace_id: String) -> Result<Trace, TracesError> {
        let (info, parts) = self
            .store
            .read(move |tx| {
                let head = store::head(tx, &trace_id)?.ok_or_else(|| {
                    TracesError::NotFound(format!("Trace with ID {trace_id} is not found."))
                })?;
                let mut parts = store::contents_of(tx, &[head.number])?;
                let parts = parts.remove(&head.number).unwrap_or_default();
                Ok::<_, TracesError>((info_of(tx, &head)?, parts))
            })
            .await?;
        apart(move || with_spans(info, &parts)).await?
    }

    /// Traces with their spans, in the order asked for; those that are not there, or not whole, are left out, and so
    /// are those of other experiments, if some are given.
    ///
    /// # Errors
    /// Too many are asked for, or they are too large together.
    pub async fn traces(
        &self,
        trace_ids: Vec<String>,
        experiments: Option<Vec<i64>>,
    ) -> Result<Vec<Trace>, TracesError> {
        check_count(&trace_ids)?;
        let found = self
            .store
            .read(move |tx| {
                let heads = heads_of(tx, &trace_ids, experiments.as_deref())?;
                let bytes: u64 = heads.iter().map(|head| head.span_bytes.unsigned_abs()).sum();
                if bytes > limits::ANSWER_BYTES && heads.len() > 1 {
                    return Err(TracesError::Limit {
                        field: "trace_ids",
                        message: format!(
                            "the spans of these traces have {bytes} bytes, and one answer holds {}",
                            limits::ANSWER_BYTES
                        ),
                        hint: "ask for fewer traces at once",
                    });
                }
                let infos = all_infos(tx, &heads)?;
                let numbers: Vec<i64> = heads.iter().map(|head| head.number).collect();
                let mut parts = store::contents_of(tx, &numbers)?;
                let parts = numbers
                    .iter()
                    .map(|number| parts.remove(number).unwrap_or_default());
                Ok(infos
                    .into_iter()
                    .zip(parts)
                    .collect::<Vec<(TraceInfo, Vec<Part>)>>())
            })
            .await?;
        let traces: Vec<Trace> = apart(move || {
            found
                .into_iter()
                .map(|(info, parts)| with_spans(info, &parts))
                .collect::<Result<_, TracesError>>()
        })
        .await??;
        Ok(traces.into_iter().filter(is_whole).collect())
    }
}

fn check_count(trace_ids: &[String]) -> Result<(), TracesError> {
    if trace_ids.len() <= limits::TRACES_PER_CALL {
        return Ok(());
    }
    Err(TracesError::too_many(
        "trace_ids",
        "traces",
        limits::TRACES_PER_CALL,
        "ask for them in several calls",
    ))
}

fn with_spans(info: TraceInfo, parts: &[Part]) -> Result<Trace, TracesError> {
    let spans = parts::unpack(&info.trace_id, parts)?;
    Ok(Trace { info, spans })
}

/// Whether a trace has spans, and as many as its client says.
fn is_whole(trace: &Trace) -> bool {
    let announced = trace
        .info
        .metadata
        .get(SIZES_KEY)
        .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
        .and_then(|sizes| sizes.get("num_spans")?.as_u64())
        .unwrap_or(0);
    !trace.spans.is_empty() && trace.spans.len() as u64 >= announced
}

fn heads_of(
    tx: &mut dyn Tx,
    trace_ids: &[String],
    experiments: Option<&[i64]>,
) -> Result<Vec<Head>, TracesError> {
    let mut heads = store::heads(tx, trace_ids)?;
    let mut seen = BTreeSet::new();
    Ok(trace_ids
        .iter()
        .filter(|id| seen.insert(*id))
        .filter_map(|id| heads.remove(id))
        .filter(|head| experiments.is_none_or(|experiments| experiments.contains(&head.experiment_id)))
        .collect())
}

/// What is known about traces that a call names.
fn all_infos(tx: &mut dyn Tx, heads: &[Head]) -> Result<Vec<TraceInfo>, TracesError> {
    let infos = infos_within(tx, heads)?;
    if infos.len() == heads.len() {
        return Ok(infos);
    }
    Err(TracesError::Limit {
        field: "trace_ids",
        message: format!(
            "the tags, metadata and assessments of these traces have more than {} bytes",
            limits::INFOS_BYTES
        ),
        hint: "ask for fewer traces at once",
    })
}

/// What is known about one trace.
pub(super) fn info_of(tx: &mut dyn Tx, head: &Head) -> Result<TraceInfo, TracesError> {
    let mut infos = infos_of(tx, std::slice::from_ref(head))?;
    infos
        .pop()
        .ok_or_else(|| TracesError::trace_not_found(&head.trace_id))
}

/// What is known about the first of these traces: of as many as one answer holds, and one at least.
pub(super) fn infos_within(tx: &mut dyn Tx, heads: &[Head]) -> Result<Vec<TraceInfo>, TracesError> {
    const FIRST: usize = 4;
    let (mut infos, mut bytes, mut some) = (Vec::with_capacity(heads.len()), 0, FIRST);
    while infos.len() < heads.len() && bytes < limits::INFOS_BYTES {
        let rest = heads.get(infos.len()..).unwrap_or_default();
        let found = infos_of(tx, rest.get(..some).unwrap_or(rest))?;
        bytes += found.iter().map(TraceInfo::size_bytes).sum::<usize>();
        infos.extend(found);
        // Nearly all traces are small, so a page takes a few rounds; where they are large, no more are read than fit.
        let each = bytes / infos.len().max(1);
        let room = limits::INFOS_BYTES.saturating_sub(bytes) / each.max(1);
        some = (4 * some).min(room).max(1);
    }
    Ok(infos)
}

/// What is known about traces, in their order, in a few statements.
pub(super) fn infos_of(tx: &mut dyn Tx, heads: &[Head]) -> Result<Vec<TraceInfo>, TracesError> {
    let numbers: Vec<i64> = heads.iter().map(|head| head.number).collect();
    let mut tags = store::pairs_of(tx, Pair::Tag, &numbers)?;
    let mut metadata = store::pairs_of(tx, Pair::Metadata, &numbers)?;
    let mut assessments = store::assessments_of(tx, &numbers)?;
    Ok(heads
        .iter()
        .map(|head| {
            let mut tags = tags.remove(&head.number).unwrap_or_default();
            let mut metadata = metadata.remove(&head.number).unwrap_or_default();
            if let Some(name) = &head.name {
                tags.insert(NAME_TAG.to_owned(), name.clone());
            }
            for (key, text) in [
                (SESSION_KEY, head.session_id.clone()),
                (USAGE_KEY, head.usage.text()),
                (COST_KEY, head.cost.text()),
            ] {
                if let Some(text) = text {
                    metadata.insert(key.to_owned(), text);
                }
            }
            TraceInfo {
                trace_id: head.trace_id.clone(),
                experiment_id: head.experiment_id,
                request_ms: head.request_ms,
                duration_ms: head.duration_ms,
                state: head.state,
                client_request_id: head.client_request_id.clone(),
                request_preview: head.request_preview.clone(),
                response_preview: head.response_preview.clone(),
                metadata,
                tags,
                assessments: assessments.remove(&head.number).unwrap_or_default(),
            }
        })
        .collect())
}
