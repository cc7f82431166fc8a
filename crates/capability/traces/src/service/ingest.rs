//! Taking in spans, of any number of traces at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use corliss_metastore::Tx;

use super::prepare::{Prepared, prepare, refusal};
use super::{ARTIFACTS_TAG, SPANS_HERE, SPANS_TAG, Traces, USER_KEY, apart, artifacts_of, totals};
use crate::json::cut;
use crate::ports::ExperimentState;
use crate::span::Span;
use crate::store::{self, Head, Pair, Part};
use crate::types::{Cost, TokenUsage, TraceState};
use crate::{AnyValue, TracesError, limits};

/// A span as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedSpan {
    /// The span.
    pub span: Span,
    /// What its process says of itself.
    pub resource: Arc<Vec<(String, AnyValue)>>,
}

/// Spans that arrived together.
#[derive(Debug, Clone, Default)]
pub struct SpanBatch {
    /// Where new traces go.
    pub experiment_id: i64,
    /// The run to link traces to whose root is among them.
    pub run_id: Option<String>,
    /// The spans.
    pub spans: Vec<ReceivedSpan>,
    /// Why others of the same call were left out before they got here.
    pub refused: Vec<String>,
}

/// What became of spans.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ingested {
    /// How many were not taken.
    pub rejected: usize,
    /// Why not, and what to do.
    pub message: Option<String>,
}

/// A trace that took spans.
struct Taken {
    number: i64,
    trace_id: String,
    parts: i64,
    is_final: bool,
}

/// What is the same for all traces of a call.
#[derive(Clone)]
struct Target {
    experiment_id: i64,
    experiment: ExperimentState,
    first_number: i64,
    run_id: Option<String>,
}

impl Traces {
    /// Takes in spans; each trace of them is made if it is not there. Spans beyond the limits are left out, and the
    /// answer says so.
    ///
    /// # Errors
    /// There is no such experiment, a trace belongs to another one, there are too many spans, or none can be taken.
    pub async fn log_spans(&self, batch: SpanBatch) -> Result<Ingested, TracesError> {
        let SpanBatch {
            experiment_id,
            run_id,
            spans,
            mut refused,
        } = batch;
        if spans.len() > limits::SPANS_PER_CALL {
            return Err(TracesError::too_many(
                "resource_spans",
                "spans",
                limits::SPANS_PER_CALL,
                "send them in several calls",
            ));
        }
        let experiment = self.active_experiment(experiment_id).await?;
        let (prepared, more) = apart(move || sorted(spans)).await??;
        refused.extend(more);
        let run_id = match run_id {
            // Spans are worth more than the link: a run that is not there only costs the link.
            Some(run_id) if self.runs.exists(&run_id).await? => Some(run_id),
            _ => None,
        };
        let target = Target {
            experiment_id,
            experiment,
            first_number: self.number(),
            run_id,
        };
        let (taken, over) = self
            .store
            .write(move |tx| take_all(tx, &target, &prepared))
            .await?;
        refused.extend(over);
        if taken.is_empty() && !refused.is_empty() {
            return Err(TracesError::Malformed(summary(&refused)));
        }
        for taken in taken {
            let complete = taken.is_final && taken.parts > limits::PARTS_OF_A_LEVEL as i64;
            if complete || taken.parts % limits::PARTS_OF_A_LEVEL as i64 == 0 {
                // The spans are stored; joining them is for readers, and the next call that is due tries again.
                let _ = self.join_parts(taken.number, &taken.trace_id, complete).await;
            }
        }
        Ok(Ingested {
            rejected: refused.len(),
            message: (!refused.is_empty()).then(|| summary(&refused)),
        })
    }
}

/// One sentence about all that was left out.
fn summary(refused: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = refused.iter().take(SHOWN).map(String::as_str).collect();
    let more = refused.len().saturating_sub(SHOWN);
    let tail = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{tail}", shown.join("; "))
}

/// Spans by trace, made ready; and why some were left out.
fn sorted(spans: Vec<ReceivedSpan>) -> Result<(Vec<Prepared>, Vec<String>), TracesError> {
    let mut refused = Vec::new();
    // In order of ids, so that two calls about the same traces meet in the same order.
    let mut traces: BTreeMap<String, Vec<ReceivedSpan>> = BTreeMap::new();
    for received in spans {
        match refusal(&received.span) {
            Some(reason) => refused.push(reason),
            None => traces.entry(received.span.trace_id()).or_default().push(received),
        }
    }
    let prepared = traces
        .into_iter()
        .map(|(trace_id, spans)| prepare(trace_id, spans));
    Ok((prepared.collect::<Result<_, _>>()?, refused))
}

fn take_all(
    tx: &mut dyn Tx,
    target: &Target,
    prepared: &[Prepared],
) -> Result<(Vec<Taken>, Vec<String>), TracesError> {
    let ids: Vec<String> = prepared
        .iter()
        .map(|prepared| prepared.trace_id.clone())
        .collect();
    let mut heads = store::heads(tx, &ids)?;
    let mut taken = Vec::new();
    let mut refused = Vec::new();
    for (index, prepared) in (0_i64..).zip(prepared) {
        let head = heads.remove(&prepared.trace_id);
        if let Some(reason) = full(head.as_ref(), prepared) {
            refused.extend((0..prepared.spans).map(|_| reason.clone()));
            continue;
        }
        taken.push(match head {
            Some(head) => add(tx, target, head, prepared)?,
            None => create(tx, target, target.first_number + index, prepared)?,
        });
        if let Some(run_id) = &target.run_id
            && prepared.root_state.is_some()
        {
            store::link_runs(tx, run_id, std::slice::from_ref(&prepared.trace_id))?;
        }
    }
    Ok((taken, refused))
}

/// Why a trace takes no more spans; none if it does.
fn full(head: Option<&Head>, prepared: &Prepared) -> Option<String> {
    let (spans, bytes) = head.map_or((0, 0), |head| (head.spans, head.span_bytes));
    let over = |what: &str, limit: i64| {
        format!(
            "trace '{}' would hold more than {limit} {what}: begin a new trace",
            prepared.trace_id
        )
    };
    if spans.saturating_add(prepared.spans) > limits::SPANS_PER_TRACE {
        return Some(over("spans", limits::SPANS_PER_TRACE));
    }
    (bytes.saturating_add(prepared.raw_bytes) > limits::TRACE_BYTES)
        .then(|| over("bytes of spans", limits::TRACE_BYTES))
}

fn create(tx: &mut dyn Tx, target: &Target, number: i64, prepared: &Prepared) -> Result<Taken, TracesError> {
    let mut head = Head {
        number,
        trace_id: prepared.trace_id.clone(),
        experiment_id: target.experiment_id,
        request_ms: prepared.start_ms,
        duration_ms: prepared.end_ms.map(|end_ms| end_ms - prepared.start_ms),
        state: prepared.root_state.unwrap_or(TraceState::InProgress),
        name: prepared.name.clone(),
        session_id: prepared.session_id.clone(),
        client_request_id: None,
        request_preview: prepared.request_preview.clone(),
        response_preview: prepared.response_preview.clone(),
        is_final: false,
        usage: prepared.usage,
        cost: prepared.cost,
        next_part: 1,
        spans: prepared.spans,
        span_bytes: prepared.raw_bytes,
        kinds: i64::try_from(prepared.kinds.len()).unwrap_or(i64::MAX),
        kinds_whole: prepared.kinds_whole,
    };
    store::insert_head(tx, &mut head)?;
    store::insert_kinds(tx, head.number, &prepared.kinds)?;
    let location = artifacts_of(&target.experiment, &head.trace_id);
    store::put_pairs(
        tx,
        Pair::Tag,
        head.number,
        &BTreeMap::from([(ARTIFACTS_TAG.to_owned(), location)]),
    )?;
    finish(tx, &head, 0, prepared, prepared.tags.clone())
}

fn add(tx: &mut dyn Tx, target: &Target, mut head: Head, prepared: &Prepared) -> Result<Taken, TracesError> {
    if head.experiment_id != target.experiment_id {
        return Err(TracesError::invalid(format!(
            "Trace with ID '{}' already exists in another experiment.",
            head.trace_id
        )));
    }
    if !head.is_final {
        stretch(&mut head, prepared);
    }
    if matches!(head.state, TraceState::InProgress | TraceState::Unspecified)
        && let Some(state) = prepared.root_state
    {
        head.state = state;
    }
    add_totals(tx, &mut head, prepared)?;
    if prepared.name.is_some() {
        head.name.clone_from(&prepared.name);
    }
    let fill = |old: &mut Option<String>, new: &Option<String>| {
        if old.is_none() {
            old.clone_from(new);
        }
    };
    fill(&mut head.session_id, &prepared.session_id);
    fill(&mut head.request_preview, &prepared.request_preview);
    fill(&mut head.response_preview, &prepared.response_preview);
    add_kinds(tx, &mut head, prepared)?;
    let part = head.next_part;
    head.next_part += 1;
    head.spans += prepared.spans;
    head.span_bytes += prepared.raw_bytes;
    store::update_head(tx, &head)?;
    let tags = tags_with_room(tx, head.number, prepared)?;
    finish(tx, &head, part, prepared, tags)
}

/// The tags of the spans; none if a trace would have too many. Spans are worth more than tags.
fn tags_with_room(
    tx: &mut dyn Tx,
    number: i64,
    prepared: &Prepared,
) -> Result<BTreeMap<String, String>, TracesError> {
    if prepared.tags.is_empty() {
        return Ok(BTreeMap::new());
    }
    let there = store::count_pairs(tx, Pair::Tag, number)?;
    let fits = there.saturating_add(prepared.tags.len() as u64) <= limits::PAIRS_PER_TRACE;
    Ok(if fits {
        prepared.tags.clone()
    } else {
        BTreeMap::new()
    })
}

/// Lets a trace begin with its first span and end with its last.
fn stretch(head: &mut Head, prepared: &Prepared) {
    let end_ms = head
        .duration_ms
        .map(|duration_ms| head.request_ms.saturating_add(duration_ms));
    head.request_ms = head.request_ms.min(prepared.start_ms);
    if let Some(new_end_ms) = prepared.end_ms {
        let end_ms = end_ms.map_or(new_end_ms, |end_ms| end_ms.max(new_end_ms));
        head.duration_ms = Some(end_ms.saturating_sub(head.request_ms));
    }
}

/// Counts tokens and money over all spans of the trace, unless a client has said what they are.
fn add_totals(tx: &mut dyn Tx, head: &mut Head, prepared: &Prepared) -> Result<(), TracesError> {
    let count_usage = !prepared.usage.is_empty() && (!head.is_final || head.usage.is_empty());
    let count_cost = !prepared.cost.is_empty() && (!head.is_final || head.cost.is_empty());
    if !count_usage && !count_cost {
        return Ok(());
    }
    let stored = store::nodes_of(tx, head.number)?;
    let nodes = stored
        .iter()
        .flat_map(|bytes| totals::unpack(bytes))
        .chain(prepared.nodes.iter().cloned());
    let (usage, cost): (TokenUsage, Cost) = totals::totals(nodes);
    if count_usage {
        for (old, new) in head.usage.0.iter_mut().zip(usage.0) {
            *old = new.or(*old);
        }
    }
    if count_cost {
        for (old, new) in head.cost.0.iter_mut().zip(cost.0) {
            *old = new.or(*old);
        }
    }
    Ok(())
}

fn add_kinds(tx: &mut dyn Tx, head: &mut Head, prepared: &Prepared) -> Result<(), TracesError> {
    head.kinds_whole &= prepared.kinds_whole;
    if head.kinds >= limits::KINDS_PER_TRACE as i64 {
        // Nothing tells whether the index has these already, so the trace counts as one to look into.
        head.kinds_whole = false;
        return Ok(());
    }
    let added = store::insert_kinds(tx, head.number, &prepared.kinds)?;
    head.kinds += i64::try_from(added).unwrap_or(i64::MAX);
    Ok(())
}

/// What is the same for a new trace and one that was there.
fn finish(
    tx: &mut dyn Tx,
    head: &Head,
    part: i64,
    prepared: &Prepared,
    mut tags: BTreeMap<String, String>,
) -> Result<Taken, TracesError> {
    store::insert_part(
        tx,
        head.number,
        &Part {
            part,
            level: 0,
            raw_bytes: prepared.raw_bytes,
            nodes: prepared.packed_nodes.clone(),
            content: prepared.content.clone(),
        },
    )?;
    if part == 0 {
        tags.insert(SPANS_TAG.to_owned(), SPANS_HERE.to_owned());
    }
    store::put_pairs(tx, Pair::Tag, head.number, &tags)?;
    if let Some(user) = &prepared.user {
        store::add_metadata(tx, head.number, USER_KEY, cut(user, limits::METADATA_VALUE_LEN))?;
    }
    Ok(Taken {
        number: head.number,
        trace_id: head.trace_id.clone(),
        parts: head.next_part,
        is_final: head.is_final,
    })
}
