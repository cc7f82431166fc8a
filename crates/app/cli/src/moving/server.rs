//! The server as an import sees it.

use std::collections::BTreeMap;

use corliss_mlflow_store::{LoggedModel, Pair, Point, Run};
use serde::Deserialize;
use serde_json::{Value, json};

use super::content::Content;
use crate::api::Api;
use crate::error::CliResult;

/// Runs or models of one call.
pub const PAGE: usize = 100;
/// Points of one call.
const POINTS: usize = 10_000;
/// Bytes of one call, beyond which the next begins.
const CALL_BYTES: usize = 8 * 1024 * 1024;
/// Metrics that speak of models, of one call.
const MODEL_METRICS: usize = 10_000;
/// The lifecycle stage of what is deleted and can be restored.
pub const DELETED: &str = "deleted";
const ROUTE: &str = "/api/v1/tracking/import";

/// The server, and where from it is told that things come.
pub struct Server {
    pub api: Api,
    pub source: String,
}

/// Where an experiment went.
#[derive(Deserialize)]
pub struct Moved {
    /// None if a dry run would make it.
    pub experiment_id: Option<i64>,
    /// Its name here.
    pub name: String,
    /// Whether it is deleted here.
    pub is_deleted: bool,
}

/// What became of what was sent.
#[derive(Default, Deserialize)]
pub struct Answer {
    pub taken: Vec<Taken>,
    pub refused: Vec<Refused>,
}

#[derive(Deserialize)]
pub struct Taken {
    pub id: String,
    pub artifact_uri: String,
}

#[derive(Deserialize)]
pub struct Refused {
    pub id: String,
    pub message: String,
}

/// What is here.
#[derive(Default, Deserialize)]
pub struct Here {
    pub runs: Vec<RunHere>,
    pub models: Vec<ModelHere>,
}

/// A run that is here; what it logged by digests.
#[derive(Deserialize)]
pub struct RunHere {
    pub run_id: String,
    pub experiment_id: i64,
    pub experiment_name: String,
    pub digest: Option<String>,
    pub lifecycle_stage: String,
    pub name: String,
    pub user: String,
    pub status: String,
    pub start_ms: i64,
    pub end_ms: Option<i64>,
    pub artifact_uri: String,
    pub params: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub datasets: Vec<String>,
    pub models: Vec<String>,
    pub points: BTreeMap<String, PointsHere>,
    pub artifacts: u64,
    pub artifact_bytes: u64,
}

/// The points of a metric.
#[derive(Default, Deserialize)]
pub struct PointsHere {
    pub count: u64,
    pub digest: String,
}

#[derive(Deserialize)]
pub struct ModelHere {
    pub model_id: String,
    pub experiment_id: i64,
    pub artifact_uri: String,
    pub artifacts: u64,
    pub artifact_bytes: u64,
}

#[derive(Deserialize)]
struct Listed {
    entries: Vec<Entry>,
}

/// An entry of a folder of artifacts; one without a file is a folder.
#[derive(Deserialize)]
struct Entry {
    name: String,
    file: Option<FileHere>,
}

/// A file that is here.
#[derive(Deserialize)]
pub struct FileHere {
    pub size_bytes: u64,
    /// The id of its content.
    pub id: String,
}

/// Texts that the server takes as they are.
pub fn pairs(pairs: &[Pair]) -> Value {
    pairs
        .iter()
        .map(|pair| json!({ "key": pair.key, "value": pair.value }))
        .collect()
}

impl Server {
    /// Finds or makes an experiment.
    pub fn experiment(&self, wish: &Value) -> CliResult<Moved> {
        self.api.post_list(&format!("{ROUTE}/experiments"), wish)
    }

    /// What is here of these.
    pub fn state(&self, run_ids: &[String], model_ids: &[String]) -> CliResult<Here> {
        let mut here = Here::default();
        for (field, ids) in [("run_ids", run_ids), ("model_ids", model_ids)] {
            for some in ids.chunks(PAGE) {
                let found: Here = self
                    .api
                    .post_list(&format!("{ROUTE}/state"), &json!({ field: some }))?;
                here.runs.extend(found.runs);
                here.models.extend(found.models);
            }
        }
        Ok(here)
    }

    /// Begins runs, or opens them again.
    pub fn begin(&self, experiment_id: i64, runs: &[(&Run, &Content)]) -> CliResult<Answer> {
        let mut answer = Answer::default();
        for call in calls(runs.iter().map(|(run, content)| (run_of(run, content), 0))) {
            let wish = json!({ "source": self.source, "experiment_id": experiment_id, "runs": call });
            let found: Answer = self.api.post_list(&format!("{ROUTE}/runs"), &wish)?;
            answer.taken.extend(found.taken);
            answer.refused.extend(found.refused);
        }
        Ok(answer)
    }

    /// Sends logged models.
    pub fn models(&self, experiment_id: i64, models: &[LoggedModel]) -> CliResult<Answer> {
        let mut answer = Answer::default();
        for call in calls(models.iter().map(|model| (model_of(model), model.metrics.len()))) {
            let wish = json!({ "experiment_id": experiment_id, "models": call });
            let found: Answer = self.api.post_list(&format!("{ROUTE}/logged-models"), &wish)?;
            answer.taken.extend(found.taken);
            answer.refused.extend(found.refused);
        }
        Ok(answer)
    }

    /// Says that everything of these runs is here: id, digest, and when each was deleted.
    pub fn finish(&self, runs: &[Value]) -> CliResult {
        for some in runs.chunks(PAGE) {
            let _: Value = self
                .api
                .post_list(&format!("{ROUTE}/finish"), &json!({ "runs": some }))?;
        }
        Ok(())
    }

    /// Every file under a folder of artifacts, by its path within.
    pub fn files(&self, root: &str) -> CliResult<BTreeMap<String, FileHere>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let prefix = if folder.is_empty() {
                String::new()
            } else {
                format!("{folder}/")
            };
            let whole = format!("{root}/{prefix}");
            let asked = json!({ "folder": whole.trim_end_matches('/') });
            let listed: Listed = self.api.post_list(&format!("{ROUTE}/artifacts"), &asked)?;
            for entry in listed.entries {
                let path = format!("{prefix}{}", entry.name);
                match entry.file {
                    Some(file) => drop(found.insert(path, file)),
                    None => folders.push(path),
                }
            }
        }
        Ok(found)
    }
}

/// Divides things into calls of bounded count and size; the number is that of the metrics of each.
fn calls(things: impl Iterator<Item = (Value, usize)>) -> Vec<Vec<Value>> {
    let mut calls: Vec<Vec<Value>> = Vec::new();
    let (mut bytes, mut metrics) = (0, 0);
    for (thing, more) in things {
        let size = thing.to_string().len();
        let fits = calls.last().is_some_and(|call| call.len() < PAGE)
            && bytes + size <= CALL_BYTES
            && metrics + more <= MODEL_METRICS;
        match calls.last_mut().filter(|_| fits) {
            Some(call) => call.push(thing),
            None => {
                calls.push(vec![thing]);
                (bytes, metrics) = (0, 0);
            }
        }
        bytes += size;
        metrics += more;
    }
    calls
}

/// When a run was deleted, if it is; a source that does not know when knows that it was after the run ended.
pub fn deleted_ms(run: &Run) -> Option<i64> {
    run.is_deleted
        .then(|| run.deleted_ms.or(run.end_ms).unwrap_or(run.start_ms))
}

fn run_of(run: &Run, content: &Content) -> Value {
    let datasets: Value = run
        .datasets
        .iter()
        .map(|dataset| {
            json!({
                "name": dataset.name, "digest": dataset.digest, "source_type": dataset.source_type,
                "source": dataset.source, "schema": dataset.schema, "profile": dataset.profile,
                "tags": pairs(&dataset.tags),
            })
        })
        .collect();
    let models: Value = run
        .models
        .iter()
        .map(|link| json!({ "model_id": link.model_id, "output": link.output, "step": link.step }))
        .collect();
    json!({
        "run_id": run.run_id, "name": run.name, "user": run.user, "status": run.status, "start_ms": run.start_ms,
        "end_ms": run.end_ms, "deleted_ms": deleted_ms(run), "params": pairs(&run.params), "tags": pairs(&run.tags), "datasets": datasets,
        "models": models, "metrics": content.metrics().collect::<Vec<_>>(),
    })
}

fn model_of(model: &LoggedModel) -> Value {
    let metrics: Value = model
        .metrics
        .iter()
        .map(|metric| {
            let point = &metric.point;
            json!({
                "run_id": metric.run_id, "key": point.key, "logged_ms": point.logged_ms, "step": point.step,
                "value": text(point.value), "dataset": metric.dataset,
            })
        })
        .collect();
    json!({
        "model_id": model.model_id, "name": model.name, "model_type": model.model_type,
        "source_run_id": model.source_run_id, "status": model.status, "is_deleted": model.is_deleted,
        "created_ms": model.created_ms, "updated_ms": model.updated_ms, "params": pairs(&model.params),
        "tags": pairs(&model.tags), "metrics": metrics,
    })
}

/// A value as the shortest text that is read as the same one.
fn text(value: f64) -> String {
    format!("{value:?}")
}

/// Points on their way, of several runs.
#[derive(Default)]
pub struct PointBuffer {
    runs: Vec<OfRun>,
    count: usize,
    /// How many were sent.
    pub sent: u64,
}

struct OfRun {
    run_id: String,
    metrics: Vec<OfMetric>,
}

struct OfMetric {
    key: String,
    /// Time, step, and the value as text.
    points: Vec<(i64, i64, String)>,
}

impl PointBuffer {
    /// Takes a point; sends what it holds when it is full.
    pub fn add(&mut self, server: &Server, run_id: &str, point: Point) -> CliResult {
        if self.runs.last().is_none_or(|of| of.run_id != run_id) {
            self.runs.push(OfRun {
                run_id: run_id.to_owned(),
                metrics: Vec::new(),
            });
        }
        let value = (point.logged_ms, point.step, text(point.value));
        if let Some(of) = self.runs.last_mut() {
            match of.metrics.last_mut().filter(|metric| metric.key == point.key) {
                Some(metric) => metric.points.push(value),
                None => of.metrics.push(OfMetric {
                    key: point.key,
                    points: vec![value],
                }),
            }
        }
        self.count += 1;
        if self.count == POINTS {
            return self.flush(server);
        }
        Ok(())
    }

    /// Sends what it holds.
    pub fn flush(&mut self, server: &Server) -> CliResult {
        if self.count == 0 {
            return Ok(());
        }
        let runs: Value = std::mem::take(&mut self.runs)
            .into_iter()
            .map(|of| {
                let metrics: Value = of
                    .metrics
                    .into_iter()
                    .map(|metric| json!({ "key": metric.key, "points": metric.points }))
                    .collect();
                json!({ "run_id": of.run_id, "metrics": metrics })
            })
            .collect();
        let _: Value = server
            .api
            .post_list(&format!("{ROUTE}/points"), &json!({ "runs": runs }))?;
        self.sent += self.count as u64;
        self.count = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_bounded_and_nothing_is_lost() {
        let things = (0..250).map(|number| (json!({ "number": number }), 0));
        let lengths: Vec<usize> = calls(things).iter().map(Vec::len).collect();
        assert_eq!(lengths, [100, 100, 50]);
        let large = "x".repeat(CALL_BYTES / 2);
        let lengths: Vec<usize> = calls((0..5).map(|_| (json!(large), 0)))
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(lengths.iter().sum::<usize>(), 5);
        assert!(lengths.iter().all(|length| *length <= 2), "{lengths:?}");
        let metrics: Vec<usize> = calls((0..3).map(|_| (json!(1), MODEL_METRICS)))
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(metrics, [1, 1, 1]);
    }

    #[test]
    fn a_value_comes_back_bit_by_bit() {
        for value in [0.1 + 0.2, 1e300, -5e-324, f64::MAX, f64::INFINITY, -0.0] {
            assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
        assert!(text(f64::NAN).parse::<f64>().unwrap().is_nan());
    }
}
