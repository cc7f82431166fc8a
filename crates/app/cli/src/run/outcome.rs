//! What a run has led to: the last words of the step that failed, or where its endpoints are to be asked.

use crate::api::{Api, segment};
use crate::output;
use crate::text;
use crate::units;
use crate::views::{EndpointView, JobView, LogPage, ModelView, RunDetail, RunModel, StepView};

const LAST_LINES: usize = 10;
const LINE_CHARS: usize = 2000;

/// Tells it. What cannot be asked for now is left out: the run's end is known without it.
pub fn tell(api: &Api, run: &RunDetail, live: bool) {
    match run.summary.state.as_str() {
        "succeeded" => {
            for model in &run.models {
                tell_metrics(api, model);
            }
            for endpoint in &run.endpoints {
                tell_address(api, &endpoint.name);
            }
        }
        "failed" => {
            if let Some(step) = run.steps.iter().find(|step| step.state == "failed") {
                tell_last_words(api, step, live);
            }
        }
        _ => {}
    }
}

/// The end of the failed worker's log. Plain lines have shown the first worker's already.
fn tell_last_words(api: &Api, step: &StepView, live: bool) {
    let Some(job) = &step.job_id else { return };
    let path = format!("/api/v1/jobs/{}", segment(job));
    let rank = api
        .get::<JobView>(&path)
        .map_or(0, |job| failed_rank(&job).unwrap_or(0));
    if !live && rank == 0 {
        return;
    }
    let path = format!("{path}/logs?rank={rank}&stream=both&tail={LAST_LINES}&limit={LAST_LINES}");
    let Ok(page) = api.get::<LogPage>(&path) else {
        return;
    };
    let worker = if step.workers > 1 {
        format!(" (worker {rank})")
    } else {
        String::new()
    };
    let from = page.lines.len().saturating_sub(LAST_LINES);
    for line in &page.lines[from..] {
        output::say(&format!(
            "{}{worker} | {}",
            step.name,
            text::tame(&text::colourless(&line.text), LINE_CHARS)
        ));
    }
}

/// The worker that ended by itself with an error: the others of its gang are ended because of it.
fn failed_rank(job: &JobView) -> Option<u32> {
    let failed = |kind: &'static str| {
        job.tasks.iter().find(move |task| {
            task.exit
                .as_ref()
                .is_some_and(|exit| exit.kind == kind && exit.code != Some(0))
        })
    };
    let by_itself = failed("exited").or_else(|| failed("out_of_memory"));
    by_itself.or_else(|| failed("signaled")).map(|task| task.rank)
}

/// `digits/3  accuracy 0.9778`
fn tell_metrics(api: &Api, made: &RunModel) {
    let Some(number) = made.version else { return };
    let Ok(model) = api.get::<ModelView>(&format!("/api/v1/models/{}", segment(&made.name))) else {
        return;
    };
    let Some(version) = model.versions.iter().find(|version| version.version == number) else {
        return;
    };
    if !version.metrics.is_empty() {
        let metrics: Vec<String> = version
            .metrics
            .iter()
            .map(|(name, value)| format!("{name} {}", units::metric(*value)))
            .collect();
        output::say(&format!("model {}: {}", made.label(), metrics.join(", ")));
    }
}

/// Where a client sends its questions, once there is somebody to answer them.
fn tell_address(api: &Api, name: &str) {
    let Ok(endpoint) = api.get::<EndpointView>(&format!("/api/v1/endpoints/{}", segment(name))) else {
        return;
    };
    if endpoint.state != "ready" {
        return;
    }
    let url = api.url();
    match endpoint.flavor.as_str() {
        "gguf" => output::say(&format!(
            "endpoint {name}: POST {url}/v1/chat/completions with \"model\": \"{name}\""
        )),
        "onnx" => output::say(&format!(
            "endpoint {name}: POST {url}/v2/models/{}/infer",
            segment(name)
        )),
        _ => {}
    }
}
