//! Event files of TensorBoard: each folder that has some is a run, each of its scalar tags a metric.

mod event;
mod names;
mod record;
mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::SourceError;
use crate::model::{Pair, Point, Run};
use event::{Event, Value};
use names::Names;
use record::{Next, Records};

/// What the name of an event file holds.
const MARK: &str = "tfevents";
/// Folders within folders that are looked through.
const DEPTH: usize = 64;
/// Points of a run, which are held in memory: 24 bytes each.
const POINTS: usize = 50_000_000;

/// Seconds until the year 10000.
const YEAR_10000: f64 = 253_402_300_800.0;

/// A folder with event files somewhere in it.
#[derive(Debug)]
pub struct EventFiles {
    runs: Vec<EventFolder>,
    left_out: Vec<SourceError>,
}

/// A folder with event files right in it.
#[derive(Debug, Clone)]
struct EventFolder {
    name: String,
    files: Vec<PathBuf>,
}

/// What the event files of a folder hold.
#[derive(Debug)]
pub struct EventRun {
    /// The run. Its id is made of the experiment's name, its own, and the time of its first event.
    pub run: Run,
    /// Its points by metric, in order of time, step and value.
    pub points: BTreeMap<String, Vec<Point>>,
    /// What it holds beside, by kind: pictures, histograms and the like, and how many of each.
    pub left_out: BTreeMap<String, u64>,
    /// What is to be told and is no damage: a file whose last event is not complete, a tag that got another name.
    pub notices: Vec<String>,
    /// Files that are damaged, and what is wrong. What stood before the damage is read.
    pub damage: Vec<String>,
}

impl EventFiles {
    /// Looks for event files in a folder and the folders in it. Links are not followed.
    ///
    /// # Errors
    /// A folder cannot be read, or there are none.
    pub fn open(root: &Path) -> Result<Self, SourceError> {
        let mut found = Self {
            runs: Vec::new(),
            left_out: Vec::new(),
        };
        found.find(root, "", 0)?;
        let Self { mut runs, left_out } = found;
        if runs.is_empty() {
            return Err(SourceError::Nothing {
                path: root.to_owned(),
                what: "event file of TensorBoard (no file with 'tfevents' in its name)",
            });
        }
        let whole = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let own = whole.file_name().map(|name| name.to_string_lossy().into_owned());
        for run in &mut runs {
            if run.name.is_empty() {
                run.name = own.clone().unwrap_or_else(|| "run".to_owned());
            }
        }
        runs.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { runs, left_out })
    }

    /// Folders in it that cannot be read, and why.
    #[must_use]
    pub fn left_out(&self) -> &[SourceError] {
        &self.left_out
    }

    /// How many runs there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.runs.len()
    }

    /// Reads the runs one after the other, for an experiment of this name.
    pub fn runs(&self, experiment: &str) -> impl Iterator<Item = Result<EventRun, SourceError>> {
        self.runs.iter().map(move |folder| folder.read(experiment))
    }

    fn find(&mut self, folder: &Path, name: &str, depth: usize) -> Result<(), SourceError> {
        if depth > DEPTH {
            return Err(SourceError::damaged(folder, "folders lie too deep in each other"));
        }
        let entries = fs::read_dir(folder).map_err(|error| SourceError::read(folder, error))?;
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| SourceError::read(folder, error))?;
            let kind = entry
                .file_type()
                .map_err(|error| SourceError::read(&entry.path(), error))?;
            let own = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() {
                let below = if name.is_empty() {
                    own
                } else {
                    format!("{name}/{own}")
                };
                if let Err(error) = self.find(&entry.path(), &below, depth + 1) {
                    self.left_out.push(error);
                }
            } else if kind.is_file() && own.contains(MARK) {
                files.push(entry.path());
            }
        }
        if !files.is_empty() {
            files.sort();
            self.runs.push(EventFolder {
                name: name.to_owned(),
                files,
            });
        }
        Ok(())
    }
}

/// What is gathered while the files of a folder are read.
#[derive(Default)]
struct Gathered {
    names: Names,
    points: BTreeMap<String, Vec<Point>>,
    count: usize,
    params: BTreeMap<String, String>,
    left_out: BTreeMap<String, u64>,
    notices: Vec<String>,
    damage: Vec<String>,
    /// Events whose time is none.
    timeless: u64,
    /// Time of the first event of the first file, as it is written.
    first: Option<f64>,
    span_ms: Option<(i64, i64)>,
    /// The kind of each tag, which only the first of its values may say.
    kinds: BTreeMap<String, String>,
}

impl EventFolder {
    fn read(&self, experiment: &str) -> Result<EventRun, SourceError> {
        let mut gathered = Gathered::default();
        for path in &self.files {
            gathered.read_file(path)?;
        }
        Ok(gathered.finish(&self.name, experiment))
    }
}

impl Gathered {
    fn read_file(&mut self, path: &Path) -> Result<(), SourceError> {
        let file = File::open(path).map_err(|error| SourceError::read(path, error))?;
        let mut records = Records::new(file);
        loop {
            let at = records.offset();
            match records.next().map_err(|error| SourceError::read(path, error))? {
                Next::End => return Ok(()),
                Next::Cut => {
                    self.notices.push(format!(
                        "{}: the last event, at byte {at}, is not complete and was left out",
                        path.display()
                    ));
                    return Ok(());
                }
                Next::Damaged(problem) => {
                    self.damage.push(format!(
                        "{}: {problem} at byte {at}; what follows was not read",
                        path.display()
                    ));
                    return Ok(());
                }
                Next::Record(bytes) => match Event::read(&bytes) {
                    Some(event) => self.take(event, path)?,
                    None => self
                        .damage
                        .push(format!("{}: the record at byte {at} is no event", path.display())),
                },
            }
        }
    }

    fn take(&mut self, event: Event, path: &Path) -> Result<(), SourceError> {
        self.first.get_or_insert(event.wall_time);
        let Some(logged_ms) = milliseconds(event.wall_time) else {
            self.timeless += 1;
            return Ok(());
        };
        self.span_ms = Some(match self.span_ms {
            None => (logged_ms, logged_ms),
            Some((first, last)) => (first.min(logged_ms), last.max(logged_ms)),
        });
        for (tag, kind, value) in event.values {
            if let Some(kind) = kind.filter(|kind| !kind.is_empty()) {
                self.kinds.entry(tag.clone()).or_insert(kind);
            }
            match value {
                Value::Scalar(value) if self.is_scalar(&tag) => {
                    if self.count == POINTS {
                        return Err(SourceError::damaged(
                            path,
                            format!("the run has more than {POINTS} points"),
                        ));
                    }
                    self.count += 1;
                    let key = self.names.of(&tag).to_owned();
                    let point = Point {
                        key: String::new(),
                        logged_ms,
                        step: event.step,
                        value,
                    };
                    self.points.entry(key).or_default().push(point);
                }
                Value::Hparams(params) => self.params.extend(params),
                Value::Scalar(_) | Value::Other => {
                    let kind = self
                        .kinds
                        .get(&tag)
                        .cloned()
                        .unwrap_or_else(|| "other".to_owned());
                    *self.left_out.entry(kind).or_default() += 1;
                }
                Value::Kind(kind) => *self.left_out.entry(kind.to_owned()).or_default() += 1,
            }
        }
        Ok(())
    }

    fn is_scalar(&self, tag: &str) -> bool {
        self.kinds.get(tag).is_none_or(|kind| kind == "scalars")
    }

    fn finish(self, name: &str, experiment: &str) -> EventRun {
        let mut points = self.points;
        for (key, points) in &mut points {
            points.sort_by(Point::order);
            points.dedup_by(|one, other| one.order(other).is_eq());
            points.iter_mut().for_each(|point| point.key.clone_from(key));
        }
        let (start_ms, end_ms) = self.span_ms.unwrap_or_default();
        let mut notices = self.notices;
        notices.extend(self.names.told());
        let run = Run {
            run_id: run_id(experiment, name, self.first.unwrap_or_default()),
            name: name.to_owned(),
            user: String::new(),
            status: "FINISHED".to_owned(),
            start_ms,
            end_ms: Some(end_ms),
            is_deleted: false,
            deleted_ms: None,
            artifact_uri: String::new(),
            params: self
                .params
                .into_iter()
                .map(|(key, value)| Pair::new(key, value))
                .collect(),
            tags: vec![Pair::new("mlflow.runName", name)],
            datasets: Vec::new(),
            models: Vec::new(),
        };
        let mut damage = self.damage;
        if self.timeless > 0 {
            let events = if self.timeless == 1 { "event" } else { "events" };
            damage.push(format!(
                "left out: {} {events} of the run '{name}', whose time is none",
                self.timeless
            ));
        }
        EventRun {
            run,
            points,
            left_out: self.left_out,
            notices,
            damage,
        }
    }
}

/// Seconds as milliseconds; none if they are no time of ours, as a writer with a broken clock leaves them.
#[expect(clippy::cast_possible_truncation, reason = "what is not in the range is none")]
fn milliseconds(wall_time: f64) -> Option<i64> {
    (0.0..YEAR_10000)
        .contains(&wall_time)
        .then(|| (wall_time * 1000.0).round() as i64)
}

/// The same for the same run wherever its folder lies; another one in another experiment.
fn run_id(experiment: &str, name: &str, first: f64) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in ["tensorboard", experiment, name] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&first.to_bits().to_le_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}
