//! What clients say about whole traces: in one call at the end (version 3 of the protocol), or in one at the start and
//! one at the end (version 2).

use std::collections::BTreeMap;

use corliss_metastore::Tx;
use corliss_mlflow_wire::check_length;

use super::assessments::{NewAssessment, as_kept, check_room};
use super::read::info_of;
use super::totals::{finite, whole};
use super::{
    ARTIFACTS_TAG, COST_KEY, FINAL_KEY, NAME_TAG, SESSION_KEY, Traces, USAGE_KEY, artifacts_of, check,
    preview,
};
use crate::span::hex;
use crate::store::{self, Head, Pair};
use crate::types::{Assessment, Cost, TokenUsage, TraceInfo, TraceState};
use crate::{AnyValue, TracesError, limits};

/// A whole trace, as its client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTrace {
    /// `tr-` and 32 hex digits, or what the client chose.
    pub trace_id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// When it began, in Unix milliseconds.
    pub request_ms: i64,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// How it ended.
    pub state: TraceState,
    /// The client's own id of the request.
    pub client_request_id: Option<String>,
    /// What was asked.
    pub request_preview: Option<String>,
    /// What was answered.
    pub response_preview: Option<String>,
    /// By key.
    pub metadata: BTreeMap<String, String>,
    /// By key.
    pub tags: BTreeMap<String, String>,
    /// Judgements that came with it.
    pub assessments: Vec<NewAssessment>,
}

/// A trace that begins (version 2).
#[derive(Debug, Clone, Default)]
pub struct StartedTrace {
    /// Its experiment.
    pub experiment_id: i64,
    /// Unix milliseconds.
    pub request_ms: i64,
    /// By key.
    pub metadata: BTreeMap<String, String>,
    /// By key.
    pub tags: BTreeMap<String, String>,
}

/// A trace that ends (version 2).
#[derive(Debug, Clone)]
pub struct EndedTrace {
    /// Its id.
    pub trace_id: String,
    /// Unix milliseconds.
    pub end_ms: i64,
    /// How it ended.
    pub state: TraceState,
    /// By key.
    pub metadata: BTreeMap<String, String>,
    /// By key.
    pub tags: BTreeMap<String, String>,
}

/// What metadata says that has columns of its own.
#[derive(Debug, Clone, Default)]
struct Promoted {
    session_id: Option<String>,
    usage: TokenUsage,
    cost: Cost,
}

impl Promoted {
    /// Takes these entries out of metadata.
    fn of(metadata: &mut BTreeMap<String, String>) -> Result<Self, TracesError> {
        let session_id = metadata
            .remove(SESSION_KEY)
            .map(|id| check::session(&id))
            .transpose()?;
        let mut figures = |key| metadata.remove(key).map(|text| AnyValue::of_text(&text));
        let (usage, cost) = (figures(USAGE_KEY), figures(COST_KEY));
        Ok(Self {
            session_id,
            usage: TokenUsage(TokenUsage::KEYS.map(|key| whole(usage.as_ref()?.get(key)?))),
            cost: Cost(Cost::KEYS.map(|key| finite(cost.as_ref()?.get(key)?))),
        })
    }

    fn put(&self, head: &mut Head) {
        if self.session_id.is_some() {
            head.session_id.clone_from(&self.session_id);
        }
        for (old, new) in head.usage.0.iter_mut().zip(self.usage.0) {
            *old = new.or(*old);
        }
        for (old, new) in head.cost.0.iter_mut().zip(self.cost.0) {
            *old = new.or(*old);
        }
    }
}

/// A trace without spans.
fn bare(number: i64, trace_id: String, experiment_id: i64) -> Head {
    Head {
        number,
        trace_id,
        experiment_id,
        request_ms: 0,
        duration_ms: None,
        state: TraceState::InProgress,
        name: None,
        session_id: None,
        client_request_id: None,
        request_preview: None,
        response_preview: None,
        is_final: false,
        usage: TokenUsage::default(),
        cost: Cost::default(),
        next_part: 0,
        spans: 0,
        span_bytes: 0,
        kinds: 0,
        kinds_whole: true,
    }
}

impl Traces {
    /// Keeps what a client says about a whole trace, whether its spans are here already or not.
    ///
    /// # Errors
    /// The experiment is deleted or absent, the trace is another experiment's, or an argument is wrong.
    pub async fn start_trace(&self, mut new: NewTrace) -> Result<TraceInfo, TracesError> {
        check::new_trace_id(&new.trace_id)?;
        if let Some(id) = &new.client_request_id {
            check_length("client_request_id", limits::CLIENT_REQUEST_ID_LEN, id)?;
        }
        check::time("request_time", new.request_ms)?;
        if let Some(duration_ms) = new.duration_ms {
            check::duration("execution_duration", duration_ms)?;
        }
        let name = new.tags.get(NAME_TAG).map(|name| check::name(name)).transpose()?;
        let mut metadata = std::mem::take(&mut new.metadata);
        let promoted = Promoted::of(&mut metadata)?;
        let mut metadata = check::metadata_of_trace(metadata)?;
        metadata.insert(FINAL_KEY.to_owned(), "true".to_owned());
        let experiment = self.active_experiment(new.experiment_id).await?;
        let mut tags = check::tags_of_trace(std::mem::take(&mut new.tags))?;
        tags.insert(ARTIFACTS_TAG.to_owned(), artifacts_of(&experiment, &new.trace_id));
        let assessments = self.assessments_with(&mut new)?;
        let short = |text: &Option<String>| {
            text.as_ref()
                .map(|text| preview::shortened(text, limits::PREVIEW_SENT_LEN))
        };
        let (request, response) = (short(&new.request_preview), short(&new.response_preview));
        let number = self.number();
        let (info, parts, number) = self
            .store
            .write(move |tx| {
                let found = store::head(tx, &new.trace_id)?;
                let is_new = found.is_none();
                let mut head = found.unwrap_or_else(|| bare(number, new.trace_id.clone(), new.experiment_id));
                check_experiment(&head, new.experiment_id)?;
                head.request_ms = new.request_ms;
                head.duration_ms = new.duration_ms;
                head.state = new.state;
                head.client_request_id.clone_from(&new.client_request_id);
                head.name = name.clone().or(head.name);
                head.request_preview = request.clone().or(head.request_preview);
                head.response_preview = response.clone().or(head.response_preview);
                head.is_final = true;
                promoted.put(&mut head);
                put(tx, &mut head, is_new, &metadata, &tags)?;
                put_assessments(tx, &head, &assessments)?;
                Ok::<_, TracesError>((info_of(tx, &head)?, head.next_part, head.number))
            })
            .await?;
        if parts > limits::PARTS_OF_A_LEVEL as i64 {
            // What was said is stored; joining is for readers.
            let _ = self.join_parts(number, &info.trace_id, true).await;
        }
        Ok(info)
    }

    /// Begins a trace under an id of its own.
    ///
    /// # Errors
    /// The experiment is deleted or absent, or an argument is wrong.
    pub async fn begin_trace(&self, mut new: StartedTrace) -> Result<TraceInfo, TracesError> {
        check::time("timestamp_ms", new.request_ms)?;
        let name = new.tags.get(NAME_TAG).map(|name| check::name(name)).transpose()?;
        let promoted = Promoted::of(&mut new.metadata)?;
        let metadata = check::metadata_of_trace(new.metadata)?;
        let experiment = self.active_experiment(new.experiment_id).await?;
        let trace_id = hex(&self.random::<16>());
        let mut tags = check::tags_of_trace(new.tags)?;
        tags.insert(ARTIFACTS_TAG.to_owned(), artifacts_of(&experiment, &trace_id));
        let mut head = bare(self.number(), trace_id, new.experiment_id);
        head.request_ms = new.request_ms;
        head.name = name;
        promoted.put(&mut head);
        self.store
            .write(move |tx| {
                let mut head = head.clone();
                put(tx, &mut head, true, &metadata, &tags)?;
                info_of(tx, &head)
            })
            .await
    }

    /// Ends a trace.
    ///
    /// # Errors
    /// There is no such trace, or an argument is wrong.
    pub async fn end_trace(&self, mut ended: EndedTrace) -> Result<TraceInfo, TracesError> {
        check::time("timestamp_ms", ended.end_ms)?;
        let name = ended
            .tags
            .get(NAME_TAG)
            .map(|name| check::name(name))
            .transpose()?;
        let promoted = Promoted::of(&mut ended.metadata)?;
        let metadata = check::metadata_of_trace(std::mem::take(&mut ended.metadata))?;
        let tags = check::tags_of_trace(std::mem::take(&mut ended.tags))?;
        self.store
            .write(move |tx| {
                let mut head = store::head(tx, &ended.trace_id)?
                    .ok_or_else(|| TracesError::trace_not_found(&ended.trace_id))?;
                let duration_ms = ended.end_ms.saturating_sub(head.request_ms);
                head.duration_ms = Some(check::duration("timestamp_ms", duration_ms)?);
                head.state = ended.state;
                head.name = name.clone().or(head.name);
                promoted.put(&mut head);
                put(tx, &mut head, false, &metadata, &tags)?;
                info_of(tx, &head)
            })
            .await
    }

    fn assessments_with(&self, new: &mut NewTrace) -> Result<Vec<Assessment>, TracesError> {
        if new.assessments.len() > limits::ASSESSMENTS_PER_TRACE {
            return Err(TracesError::too_many(
                "assessments",
                "assessments",
                limits::ASSESSMENTS_PER_TRACE,
                "log further ones by themselves",
            ));
        }
        let now_ms = self.now_ms();
        std::mem::take(&mut new.assessments)
            .into_iter()
            .map(|new| as_kept(new, &self.random(), now_ms))
            .collect()
    }
}

fn check_experiment(head: &Head, experiment_id: i64) -> Result<(), TracesError> {
    if head.experiment_id == experiment_id {
        return Ok(());
    }
    Err(TracesError::invalid(format!(
        "Trace with ID '{}' already exists in another experiment.",
        head.trace_id
    )))
}

fn put(
    tx: &mut dyn Tx,
    head: &mut Head,
    is_new: bool,
    metadata: &BTreeMap<String, String>,
    tags: &BTreeMap<String, String>,
) -> Result<(), TracesError> {
    if is_new {
        store::insert_head(tx, head)?;
    } else {
        store::update_head(tx, head)?;
    }
    put_pairs(tx, Pair::Metadata, head.number, metadata)?;
    put_pairs(tx, Pair::Tag, head.number, tags)
}

/// Sets pairs of a trace, which may have so many and no more.
pub(super) fn put_pairs(
    tx: &mut dyn Tx,
    table: Pair,
    number: i64,
    pairs: &BTreeMap<String, String>,
) -> Result<(), TracesError> {
    store::put_pairs(tx, table, number, pairs)?;
    if store::count_pairs(tx, table, number)? <= limits::PAIRS_PER_TRACE {
        return Ok(());
    }
    let (field, hint) = match table {
        Pair::Tag => ("tags", "delete those that are not needed"),
        Pair::Metadata => ("trace_metadata", "keep what is large in the attributes of a span"),
    };
    Err(TracesError::Limit {
        field,
        message: format!(
            "one trace has {} of its '{field}' at most",
            limits::PAIRS_PER_TRACE
        ),
        hint,
    })
}

fn put_assessments(tx: &mut dyn Tx, head: &Head, assessments: &[Assessment]) -> Result<(), TracesError> {
    for assessment in assessments {
        if !store::insert_assessment(tx, head.number, assessment)? {
            return Err(TracesError::invalid(format!(
                "Assessment with ID '{}' belongs to another trace.",
                assessment.id
            )));
        }
    }
    check_room(tx, head.number)
}
