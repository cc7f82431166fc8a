//! Moving runs: a page at a time, only what is not here as the source has it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use corliss_mlflow_store::{Point, Run, SourceError};
use serde_json::{Value, json};

use super::artifacts::{self, Files};
use super::report::Report;
use super::server::{PointBuffer, RunHere, Server};
use crate::error::{CliError, CliResult};
use crate::progress::Meter;
use crate::units;

/// What runs logged, as their source gives it.
pub trait Supply {
    /// The points of a run, metric by metric.
    fn points(
        &mut self,
        run: &Run,
        each: &mut dyn FnMut(Point) -> ControlFlow<()>,
    ) -> Result<(), SourceError>;

    /// The files of a run.
    fn files(&mut self, run: &Run, report: &mut Report) -> CliResult<Files>;
}

/// Moves runs, and counts.
pub struct Mover<'a> {
    pub server: &'a Server,
    pub report: Report,
    pub dry_run: bool,
    meter: Meter,
    done: u64,
    total: u64,
}

/// A run on its way.
struct OnWay {
    run: Run,
    digest: String,
    files: Files,
    here: Option<RunHere>,
}

impl OnWay {
    /// Whether it is here as the source has it.
    fn is_same(&self) -> bool {
        self.here.as_ref().is_some_and(|here| {
            here.digest.as_ref() == Some(&self.digest)
                && here.artifacts == self.files.count()
                && here.artifact_bytes == self.files.bytes()
        })
    }

    /// Whether it is here, and all of its files too, or more of them.
    fn has_files(&self) -> bool {
        let here = self.here.as_ref();
        here.is_some_and(|here| {
            here.artifacts >= self.files.count() && here.artifact_bytes >= self.files.bytes()
        })
    }

    /// Metrics of which not all points are here.
    fn wanted(&self) -> BTreeSet<&String> {
        let here = self.here.as_ref();
        let count = |key: &String| here.and_then(|here| here.points.get(key)).copied().unwrap_or(0);
        let points = self.run.points.iter();
        points
            .filter(|(key, points)| count(key) < **points)
            .map(|(key, _)| key)
            .collect()
    }
}

impl<'a> Mover<'a> {
    pub fn new(server: &'a Server, total: u64, dry_run: bool) -> Self {
        Self {
            server,
            report: Report::default(),
            dry_run,
            meter: Meter::new("looking at what is here"),
            done: 0,
            total,
        }
    }

    /// Takes the progress off the screen, and gives what was counted.
    pub fn finish(self) -> Report {
        self.meter.clear();
        self.report
    }

    fn show(&mut self) {
        let sent = &self.report.sent;
        let what = format!(
            "runs; {}, {}",
            units::plural(sent.metric_points, "point"),
            units::bytes(sent.artifact_bytes)
        );
        self.meter.things(&what, self.done, self.total);
    }

    /// Moves some runs into an experiment; a dry run of one that would be made has no number for it.
    pub fn page(&mut self, experiment: Option<i64>, runs: Vec<Run>, supply: &mut dyn Supply) -> CliResult {
        let ids: Vec<String> = runs.iter().map(|run| run.run_id.clone()).collect();
        let state = self.server.state(&ids, &[])?;
        let mut here: BTreeMap<String, RunHere> = state
            .runs
            .into_iter()
            .map(|run| (run.run_id.clone(), run))
            .collect();
        let mut on_way = Vec::new();
        for run in runs {
            let files = supply.files(&run, &mut self.report)?;
            self.count_source(&run, &files);
            on_way.push(OnWay {
                digest: run.digest(),
                here: here.remove(&run.run_id),
                run,
                files,
            });
        }
        let (same, other): (Vec<OnWay>, Vec<OnWay>) = on_way.into_iter().partition(OnWay::is_same);
        for one in &same {
            self.count_here(one.here.as_ref());
        }
        match experiment.filter(|_| !self.dry_run) {
            Some(experiment) if !other.is_empty() => self.send(experiment, &other, supply)?,
            _ => other.iter().for_each(|one| self.count_here(one.here.as_ref())),
        }
        self.done += ids.len() as u64;
        self.show();
        Ok(())
    }

    fn send(&mut self, experiment: i64, runs: &[OnWay], supply: &mut dyn Supply) -> CliResult {
        // One whose files alone were added to here since has nothing to be sent.
        let is_wanted = |one: &&OnWay| {
            let here = one.here.as_ref();
            !(one.has_files() && here.is_some_and(|here| here.digest.as_ref() == Some(&one.digest)))
        };
        let wanted: Vec<&OnWay> = runs.iter().filter(is_wanted).collect();
        let begun: Vec<&Run> = wanted.iter().map(|one| &one.run).collect();
        let answer = self.server.begin(experiment, &begun)?;
        for refused in answer.refused {
            let told = format!("run {}: {}", refused.id, refused.message);
            self.report.differences.add(told);
        }
        let places: BTreeMap<String, String> = answer
            .taken
            .into_iter()
            .map(|taken| (taken.id, taken.artifact_uri))
            .collect();
        let taken: Vec<(&OnWay, &String)> = wanted
            .into_iter()
            .filter_map(|one| Some((one, places.get(&one.run.run_id)?)))
            .collect();
        self.send_points(&taken, supply)?;
        for (one, place) in &taken {
            if one.files.count() > 0 {
                let has_some = one.here.as_ref().is_some_and(|here| here.artifacts > 0);
                let (files, bytes) =
                    artifacts::send(self.server, &one.files, place, has_some, &mut self.report)?;
                self.report.sent.artifacts += files;
                self.report.sent.artifact_bytes += bytes;
                self.show();
            }
        }
        let finished: Vec<Value> = taken.iter().map(|(one, _)| finished(one)).collect();
        self.server.finish(&finished)?;
        self.report.sent.runs += finished.len() as u64;
        let refused: BTreeSet<&String> = runs
            .iter()
            .map(|one| &one.run.run_id)
            .filter(|id| begun.iter().any(|run| run.run_id == **id) && !places.contains_key(*id))
            .collect();
        self.compare(runs, &refused)
    }

    fn send_points(&mut self, taken: &[(&OnWay, &String)], supply: &mut dyn Supply) -> CliResult {
        let mut buffer = PointBuffer::default();
        for (one, _) in taken {
            let wanted = one.wanted();
            if wanted.is_empty() {
                continue;
            }
            let mut failed = None;
            let (server, before) = (self.server, self.report.sent.metric_points);
            let read = supply.points(&one.run, &mut |point| {
                if !wanted.contains(&point.key) {
                    return ControlFlow::Continue(());
                }
                match buffer.add(server, &one.run.run_id, point) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            });
            read.map_err(|error| CliError::diagnosed(&error))?;
            if let Some(error) = failed {
                return Err(error);
            }
            self.report.sent.metric_points = before + std::mem::take(&mut buffer.sent);
            self.show();
        }
        buffer.flush(self.server)?;
        self.report.sent.metric_points += buffer.sent;
        Ok(())
    }

    /// Asks what is here now, and says what is missing.
    fn compare(&mut self, runs: &[OnWay], refused: &BTreeSet<&String>) -> CliResult {
        let ids: Vec<String> = runs.iter().map(|one| one.run.run_id.clone()).collect();
        let mut here: BTreeMap<String, RunHere> = self
            .server
            .state(&ids, &[])?
            .runs
            .into_iter()
            .map(|run| (run.run_id.clone(), run))
            .collect();
        for one in runs.iter().filter(|one| !refused.contains(&one.run.run_id)) {
            let found = here.remove(&one.run.run_id);
            for missing in missing(&one.run, &one.files, found.as_ref()) {
                let told = format!("run {} ({}): {missing}", one.run.run_id, one.run.name);
                self.report.differences.add(told);
            }
            self.count_here(found.as_ref());
        }
        Ok(())
    }

    fn count_source(&mut self, run: &Run, files: &Files) {
        let counts = &mut self.report.source;
        counts.runs += 1;
        counts.params += run.params.len() as u64;
        counts.tags += run.tags.len() as u64;
        counts.datasets += run.datasets.len() as u64;
        counts.metric_points += run.points.values().sum::<u64>();
        counts.artifacts += files.count();
        counts.artifact_bytes += files.bytes();
    }

    fn count_here(&mut self, here: Option<&RunHere>) {
        let Some(here) = here else { return };
        let counts = &mut self.report.here;
        counts.runs += 1;
        counts.params += here.params;
        counts.tags += here.tags;
        counts.datasets += here.datasets;
        counts.metric_points += here.points.values().sum::<u64>();
        counts.artifacts += here.artifacts;
        counts.artifact_bytes += here.artifact_bytes;
    }
}

fn finished(one: &OnWay) -> Value {
    let run = &one.run;
    // A source that does not know when it was deleted knows that it was after it ended.
    let deleted_ms = run
        .is_deleted
        .then(|| run.deleted_ms.or(run.end_ms).unwrap_or(run.start_ms));
    json!({ "run_id": run.run_id, "digest": one.digest, "deleted_ms": deleted_ms })
}

/// What of a run is not here.
fn missing(run: &Run, files: &Files, here: Option<&RunHere>) -> Vec<String> {
    let Some(here) = here else {
        return vec!["it is not here".to_owned()];
    };
    let mut missing = Vec::new();
    for (what, source, found) in [
        ("parameters", run.params.len() as u64, here.params),
        ("tags", run.tags.len() as u64, here.tags),
        ("datasets", run.datasets.len() as u64, here.datasets),
        ("artifacts", files.count(), here.artifacts),
        ("bytes of artifacts", files.bytes(), here.artifact_bytes),
    ] {
        if found < source {
            missing.push(format!("{source} {what} in the source, {found} here"));
        }
    }
    for (key, source) in &run.points {
        let found = here.points.get(key).copied().unwrap_or(0);
        if found < *source {
            missing.push(format!("{source} points of '{key}' in the source, {found} here"));
        }
    }
    missing
}
