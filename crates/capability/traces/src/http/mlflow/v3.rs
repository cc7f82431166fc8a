//! `traces`, `traces/{search,get,batchGet,batchGetInfos}` and `traces/{trace_id}`.

use axum::extract::State;
use corliss_http::{Json, Path};
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::times::{read_duration, read_time};
use super::{Answer, answer, assessments};
use crate::TracesError;
use crate::service::{NewTrace, SearchScope, Traces, apart, experiment_id};
use crate::types::TraceState;

pub(super) async fn start(State(traces): State<Traces>, args: Args) -> Answer {
    let trace = args.object("trace")?.ok_or_else(|| WireError::missing("trace"))?;
    let info = trace.object("trace_info")?.unwrap_or_default();
    let info = traces.start_trace(read_info(&info)?).await?;
    Ok(Json(json!({ "trace": { "trace_info": answer::info(&info) } })))
}

fn read_info(info: &Args) -> Result<NewTrace, TracesError> {
    let trace_id = info.text("trace_id")?.unwrap_or_default();
    if trace_id.is_empty() {
        return Err(WireError::missing("trace_id").into());
    }
    let location = info.object("trace_location")?.unwrap_or_default();
    let time = |name: &str| info.value(name).filter(|value| !value.is_null());
    Ok(NewTrace {
        trace_id,
        experiment_id: experiment_of(&location)?.ok_or_else(|| WireError::missing("experiment_id"))?,
        request_ms: time("request_time").map_or(Ok(0), |value| read_time("request_time", value))?,
        duration_ms: time("execution_duration")
            .map(|value| read_duration("execution_duration", value))
            .transpose()?,
        state: read_state(info, "state")?,
        client_request_id: info.text("client_request_id")?,
        request_preview: info.text("request_preview")?,
        response_preview: info.text("response_preview")?,
        metadata: info.named_texts("trace_metadata")?,
        tags: info.named_texts("tags")?,
        assessments: info
            .objects("assessments")?
            .iter()
            .map(assessments::read)
            .collect::<Result<_, _>>()?,
    })
}

/// A state by its name or number; absent is unspecified.
pub(super) fn read_state(args: &Args, name: &str) -> Result<TraceState, WireError> {
    let text = match args.text(name) {
        Ok(text) => text,
        Err(_) => args.integer(name)?.map(|number| number.to_string()),
    };
    match text {
        None => Ok(TraceState::Unspecified),
        Some(text) => TraceState::parse(&text).ok_or_else(|| WireError::invalid_value(name, &text, "")),
    }
}

/// The experiment of a location; none if it is a location of another kind.
fn experiment_of(location: &Args) -> Result<Option<i64>, TracesError> {
    let Some(experiment) = location.object("mlflow_experiment")? else {
        return Ok(None);
    };
    experiment
        .text("experiment_id")?
        .map(|id| experiment_id(&id))
        .transpose()
}

pub(super) async fn info(State(traces): State<Traces>, Path(trace_id): Path<String>) -> Answer {
    let info = traces.info(trace_id).await?;
    Ok(Json(json!({ "trace": { "trace_info": answer::info(&info) } })))
}

pub(super) async fn get(State(traces): State<Traces>, args: Args) -> Answer {
    let trace_id = args.required_text("trace_id")?;
    let trace = traces.trace(trace_id, args.flag("allow_partial")?).await?;
    Ok(Json(
        apart(move || json!({ "trace": answer::trace(&trace) })).await?,
    ))
}

fn named(args: &Args) -> Result<(Vec<String>, Option<Vec<i64>>), TracesError> {
    let ids = args.texts("trace_ids")?;
    if ids.is_empty() {
        return Err(WireError::missing("trace_ids").into());
    }
    let experiments = args
        .has("experiment_ids")
        .then(|| experiments(args))
        .transpose()?;
    Ok((ids, experiments))
}

pub(super) fn experiments(args: &Args) -> Result<Vec<i64>, TracesError> {
    args.texts("experiment_ids")?
        .iter()
        .map(|id| experiment_id(id))
        .collect()
}

pub(super) async fn batch_get(State(traces): State<Traces>, args: Args) -> Answer {
    let (ids, experiments) = named(&args)?;
    let found = traces.traces(ids, experiments).await?;
    let answer = apart(move || json!({ "traces": found.iter().map(answer::trace).collect::<Value>() }));
    Ok(Json(answer.await?))
}

pub(super) async fn batch_get_infos(State(traces): State<Traces>, args: Args) -> Answer {
    let (ids, experiments) = named(&args)?;
    let found = traces.infos(ids, experiments).await?;
    Ok(Json(
        json!({ "trace_infos": found.iter().map(answer::info).collect::<Value>() }),
    ))
}

pub(super) async fn search(State(traces): State<Traces>, args: Args) -> Answer {
    let locations = args.objects("locations")?;
    if locations.is_empty() {
        return Err(WireError::missing("locations").into());
    }
    let mut experiment_ids = Vec::new();
    for location in &locations {
        experiment_ids.extend(experiment_of(location)?);
    }
    let page = traces.search(scope(&args, experiment_ids)?).await?;
    let items: Value = page.items.iter().map(answer::info).collect();
    Ok(Json(answer::page("traces", items, page.next_page_token)))
}

/// What both versions call the parts of a search.
pub(super) fn scope(args: &Args, experiment_ids: Vec<i64>) -> Result<SearchScope, TracesError> {
    Ok(SearchScope {
        experiment_ids,
        filter: args.text("filter")?.unwrap_or_default(),
        order_by: args.texts("order_by")?,
        max_results: args.integer("max_results")?,
        page_token: args.text("page_token")?,
    })
}
