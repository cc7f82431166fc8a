//! Moving runs: a page at a time, only what is not here as the source has it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use corliss_mlflow_store::{Point, Run, SourceError};
use serde_json::{Value, json};

use super::artifacts::{self, Files, Unsent};
use super::content::{Content, Sums};
use super::names::{points_of, take_out_refused};
use super::report::Report;
use super::server::{DELETED, PointBuffer, RunHere, Server, deleted_ms};
use crate::error::CliResult;
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
    fn files(&mut self, run: &Run, report: &mut Report) -> Files;
}

/// How an import is done.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Look, and change nothing.
    pub dry_run: bool,
    /// Read the files that are on both sides, and compare what is in them.
    pub verify: bool,
}

/// Moves runs, and counts.
pub struct Mover<'a> {
    pub server: &'a Server,
    pub report: Report,
    pub way: Way,
    meter: Meter,
    done: u64,
    total: u64,
}

/// A run on its way.
struct OnWay {
    run: Run,
    content: Content,
    files: Files,
    here: Option<RunHere>,
}

impl OnWay {
    /// What tells its state in the source from another.
    fn digest(&self) -> String {
        self.content.digest(&self.run)
    }

    /// Whether it was moved in, and has not changed in the source since.
    fn is_settled(&self) -> bool {
        let here = self.here.as_ref();
        here.is_some_and(|here| here.digest.as_ref() == Some(&self.digest()))
    }

    /// Whether all of its files are here, or more of them.
    fn has_files(&self) -> bool {
        let here = self.here.as_ref();
        here.is_some_and(|here| {
            here.artifacts >= self.files.count() && here.artifact_bytes >= self.files.bytes()
        })
    }
}

impl<'a> Mover<'a> {
    pub fn new(server: &'a Server, total: u64, way: Way) -> Self {
        Self {
            server,
            report: Report::default(),
            way,
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
        let mut here = self.here(&ids)?;
        let mut to_send = Vec::new();
        for mut run in runs {
            let mut refused = take_out_refused(&mut run);
            let content = match read(&run, supply, &mut refused) {
                Ok(sums) => Content::of(&run, sums),
                Err(error) => {
                    let found = here.remove(&run.run_id);
                    self.leave_out(
                        &run,
                        error,
                        found.filter(|found| experiment == Some(found.experiment_id)),
                    )?;
                    continue;
                }
            };
            for name in refused {
                self.report.left_out(&format!("{}: {name}", named(&run)));
            }
            let files = supply.files(&run, &mut self.report);
            let one = OnWay {
                here: here.remove(&run.run_id),
                run,
                content,
                files,
            };
            if self.is_to_be_sent(experiment, &one)? {
                to_send.push(one);
            }
        }
        if let Some(experiment) = experiment.filter(|_| !to_send.is_empty()) {
            self.send(experiment, to_send, supply)?;
        }
        self.done += ids.len() as u64;
        self.show();
        Ok(())
    }

    fn here(&self, ids: &[String]) -> CliResult<BTreeMap<String, RunHere>> {
        let runs = self.server.state(ids, &[])?.runs.into_iter();
        Ok(runs.map(|run| (run.run_id.clone(), run)).collect())
    }

    /// Tells a run that cannot be read, if the rest of the source can; what is here of it is counted.
    fn leave_out(&mut self, run: &Run, error: SourceError, here: Option<RunHere>) -> CliResult {
        if !error.is_of_a_part() {
            return Err(super::failed(error));
        }
        self.report.left_out(&format!("{}: {error}", named(run)));
        here.iter().for_each(|here| self.count_here(here));
        Ok(())
    }

    /// Counts and tells a run that nothing is to be sent of; answers whether something is.
    fn is_to_be_sent(&mut self, experiment: Option<i64>, one: &OnWay) -> CliResult<bool> {
        let Some(here) = &one.here else {
            if self.way.dry_run {
                self.count_source(one);
            }
            return Ok(!self.way.dry_run);
        };
        if experiment != Some(here.experiment_id) {
            self.count_source(one);
            let place = (here.experiment_id, here.experiment_name.clone());
            self.report
                .elsewhere
                .entry(place)
                .or_default()
                .add(&one.run.run_id);
            return Ok(false);
        }
        if here.lifecycle_stage == DELETED && !one.run.is_deleted {
            self.count_source(one);
            self.count_here(here);
            self.report.deleted_here.add(&one.run.run_id);
            return Ok(false);
        }
        let is_settled = one.is_settled();
        let is_whole = is_settled && one.has_files() && !self.way.verify;
        if !(is_whole || self.way.dry_run) {
            return Ok(true);
        }
        if self.way.verify && here.artifacts > 0 {
            self.send_files(&named(&one.run), &one.files, &here.artifact_uri, true)?;
        }
        if here.digest.is_none() {
            self.differs(&one.run, "there is a run of this id here that was not moved in");
        }
        for difference in one.content.differences(here, is_settled) {
            if difference.stays {
                self.differs(&one.run, &difference.text);
            }
        }
        self.count_source(one);
        self.count_here(here);
        Ok(false)
    }

    fn send(&mut self, experiment: i64, runs: Vec<OnWay>, supply: &mut dyn Supply) -> CliResult {
        // One of which files alone can be missing is not opened again, unless it lacks some and takes none as it is.
        let (mut settled, mut others) = (Vec::new(), Vec::new());
        for one in runs {
            let place = one.here.as_ref().filter(|here| here.lifecycle_stage == DELETED);
            let is_to_be_opened = match place {
                _ if !one.is_settled() => true,
                Some(here) => {
                    artifacts::is_any_to_send(self.server, &one.files, &here.artifact_uri, self.way)?
                }
                None => false,
            };
            match is_to_be_opened {
                true => others.push(one),
                false => settled.push(one),
            }
        }
        let begun: Vec<(&Run, &Content)> = others.iter().map(|one| (&one.run, &one.content)).collect();
        let answer = self.server.begin(experiment, &begun)?;
        let refused: BTreeMap<String, String> = answer
            .refused
            .into_iter()
            .map(|refused| (refused.id, refused.message))
            .collect();
        let mut places: BTreeMap<String, String> = answer
            .taken
            .into_iter()
            .map(|taken| (taken.id, taken.artifact_uri))
            .collect();
        let mut sent = Vec::new();
        for one in others {
            match refused.get(&one.run.run_id) {
                Some(why) => {
                    self.count_source(&one);
                    one.here.iter().for_each(|here| self.count_here(here));
                    self.differs(&one.run, why);
                }
                None => sent.push(one),
            }
        }
        let mut sent = self.send_points(sent, supply)?;
        for one in &settled {
            let here = one.here.as_ref().filter(|here| here.lifecycle_stage != DELETED);
            places.extend(here.map(|here| (one.run.run_id.clone(), here.artifact_uri.clone())));
        }
        let mut unsent = BTreeMap::new();
        for one in sent.iter().chain(&settled) {
            if let Some(place) = places.get(&one.run.run_id).filter(|_| one.files.count() > 0) {
                let has_some = one.here.as_ref().is_some_and(|here| here.artifacts > 0);
                let not = self.send_files(&named(&one.run), &one.files, place, has_some)?;
                unsent.insert(one.run.run_id.clone(), not);
                self.show();
            }
        }
        let finished: Vec<Value> = sent.iter().map(finished).collect();
        self.server.finish(&finished)?;
        self.report.sent.runs += finished.len() as u64;
        sent.extend(settled);
        self.compare(&sent, &unsent)
    }

    /// Sends the points that are not here, and keeps what was read for the comparison; answers the runs that are whole.
    fn send_points(&mut self, runs: Vec<OnWay>, supply: &mut dyn Supply) -> CliResult<Vec<OnWay>> {
        let mut buffer = PointBuffer::default();
        let mut whole = Vec::new();
        for mut one in runs {
            let lacking = one.content.lacking(one.here.as_ref());
            if lacking.is_empty() {
                whole.push(one);
                continue;
            }
            let (mut failed, mut sums) = (None, Sums::default());
            let (server, before) = (self.server, self.report.sent.metric_points);
            let read = points_of(&one.run, supply, &mut |point| {
                // A metric that its writer began meanwhile comes along.
                if !lacking.contains(&point.key) && one.content.has_metric(&point.key) {
                    return ControlFlow::Continue(());
                }
                sums.add(&point);
                match buffer.add(server, &one.run.run_id, point) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            });
            if let Some(error) = failed {
                return Err(error);
            }
            match read {
                Ok(_) => {
                    one.content.reread(sums);
                    whole.push(one);
                }
                Err(error) => self.leave_out(&one.run, error, one.here)?,
            }
            self.report.sent.metric_points = before + std::mem::take(&mut buffer.sent);
            self.show();
        }
        buffer.flush(self.server)?;
        self.report.sent.metric_points += buffer.sent;
        Ok(whole)
    }

    /// Sends the files that are missing, or differ; a dry run tells those that differ. Answers those that could not be
    /// sent, which are told.
    pub fn send_files(&mut self, whose: &str, files: &Files, uri: &str, has_some: bool) -> CliResult<Unsent> {
        let outcome = artifacts::send(self.server, files, uri, has_some, self.way)?;
        self.report.sent.artifacts += outcome.files;
        self.report.sent.artifact_bytes += outcome.bytes;
        for told in outcome.told {
            self.report.differences.add(&format!("{whose}: {told}"));
        }
        Ok(outcome.unsent)
    }

    /// Asks what is here now, and says what is not as in the source.
    fn compare(&mut self, runs: &[OnWay], unsent: &BTreeMap<String, Unsent>) -> CliResult {
        let ids: Vec<String> = runs.iter().map(|one| one.run.run_id.clone()).collect();
        let here = self.here(&ids)?;
        for one in runs {
            self.count_source(one);
            let Some(found) = here.get(&one.run.run_id) else {
                self.differs(&one.run, "it is not here");
                continue;
            };
            for difference in one.content.differences(found, true) {
                self.differs(&one.run, &difference.text);
            }
            let (files, bytes) = (one.files.count(), one.files.bytes());
            // What could not be sent was told by its name.
            let not = unsent.get(&one.run.run_id).copied().unwrap_or_default();
            if found.artifacts + not.files < files || found.artifact_bytes + not.bytes < bytes {
                let text = format!(
                    "{} with {} in the source, {} with {} here",
                    units::plural(files, "artifact"),
                    units::bytes(bytes),
                    found.artifacts,
                    units::bytes(found.artifact_bytes)
                );
                self.differs(&one.run, &text);
            }
            self.count_here(found);
        }
        Ok(())
    }

    fn differs(&mut self, run: &Run, text: &str) {
        self.report.differences.add(&format!("{}: {text}", named(run)));
    }

    fn count_source(&mut self, one: &OnWay) {
        let counts = &mut self.report.source;
        counts.runs += 1;
        counts.params += one.content.params();
        counts.tags += one.content.tags();
        counts.datasets += one.content.datasets();
        counts.metric_points += one.content.metric_points();
        counts.artifacts += one.files.count();
        counts.artifact_bytes += one.files.bytes();
    }

    fn count_here(&mut self, here: &RunHere) {
        let counts = &mut self.report.here;
        counts.runs += 1;
        counts.params += here.params.len() as u64;
        counts.tags += here.tags.len() as u64;
        counts.datasets += here.datasets.len() as u64;
        counts.metric_points += here.points.values().map(|points| points.count).sum::<u64>();
        counts.artifacts += here.artifacts;
        counts.artifact_bytes += here.artifact_bytes;
    }
}

fn named(run: &Run) -> String {
    match run.name.as_str() {
        "" => format!("run {}", run.run_id),
        name => format!("run {} ({name})", run.run_id),
    }
}

/// The points of a run as they are now; metrics whose names are not taken go to `refused`.
fn read(run: &Run, supply: &mut dyn Supply, refused: &mut Vec<String>) -> Result<Sums, SourceError> {
    let mut sums = Sums::default();
    let mut early = None;
    let names = points_of(run, supply, &mut |point| {
        if point.logged_ms < 0 {
            early = Some(point.key);
            return ControlFlow::Break(());
        }
        sums.add(&point);
        ControlFlow::Continue(())
    })?;
    refused.extend(names);
    match early {
        Some(key) => Err(SourceError::Point {
            key,
            problem: "a time before 1970".to_owned(),
        }),
        None => Ok(sums),
    }
}

fn finished(one: &OnWay) -> Value {
    let run = &one.run;
    json!({ "run_id": run.run_id, "digest": one.digest(), "deleted_ms": deleted_ms(run) })
}
