//! Turns a local folder into a version on the server: hash here, send only what is missing there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use corliss_data::snapshot::{self, Kind, Options, Snapshot};
use corliss_data::{Entry, EntryPath};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::blocking::Body;
use serde::Deserialize;
use serde_json::json;

use crate::api::{Api, segment};
use crate::error::{CliError, CliResult};
use crate::{output, text};

/// Blobs asked about in one request.
const QUESTION_BLOBS: usize = 1000;
/// Characters of a message beside a progress bar.
const WIDEST: usize = 500;

/// What the server answered to a new version.
#[derive(Debug, Deserialize)]
pub struct Uploaded {
    /// The version.
    pub version: String,
    /// Whether the dataset's name was moved.
    pub created: bool,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

/// Uploads a folder as a new version of a dataset.
pub fn folder(
    api: &Api,
    folder: &Path,
    options: &Options,
    dataset: &str,
    message: &str,
) -> CliResult<Uploaded> {
    if !folder.is_dir() {
        return Err(CliError::input(format!("{} is not a folder", folder.display()))
            .hint("name the folder that the file lies in: a version is a whole folder"));
    }
    let progress = spinner(format!("reading {}", folder.display()));
    let snapshot = snapshot::take(folder, options).map_err(|error| CliError::diagnosed(&error))?;
    progress.finish_and_clear();
    send_missing(api, &snapshot, dataset)?;
    let path = format!("/api/v1/data/datasets/{}/versions", segment(dataset));
    api.post_list(
        &path,
        &json!({ "entries": snapshot.tree().entries(), "message": message }),
    )
}

/// A folder's path relative to another, if it lies in it. A Corliss home that lies in a project is neither
/// code nor data.
pub fn within(root: &Path, folder: &Path) -> Option<PathBuf> {
    let (root, folder) = (
        std::fs::canonicalize(root).ok()?,
        std::fs::canonicalize(folder).ok()?,
    );
    let relative = folder.strip_prefix(root).ok()?;
    (!relative.as_os_str().is_empty()).then(|| relative.to_path_buf())
}

/// What is code: everything beside the project file but these folders and what tools make.
pub fn code_options(exclude: Vec<PathBuf>) -> Options {
    Options {
        exclude,
        ..Options::of(Kind::Code)
    }
}

/// What is data: everything but these folders.
pub fn data_options(exclude: Vec<PathBuf>) -> Options {
    Options {
        exclude,
        ..Options::of(Kind::Data)
    }
}

fn send_missing(api: &Api, snapshot: &Snapshot, dataset: &str) -> CliResult {
    let by_blob: BTreeMap<String, &Entry> = snapshot
        .tree()
        .entries()
        .iter()
        .map(|entry| (entry.blob.to_string(), entry))
        .collect();
    let ids: Vec<&String> = by_blob.keys().collect();
    let mut missing: Vec<String> = Vec::new();
    for some in ids.chunks(QUESTION_BLOBS) {
        #[derive(Deserialize)]
        struct Answer {
            missing: Vec<String>,
        }
        let answer: Answer = api.post("/api/v1/data/blobs/missing", &json!({ "ids": some }))?;
        missing.extend(answer.missing);
    }
    let wanted: Vec<&Entry> = missing.iter().filter_map(|id| by_blob.get(id).copied()).collect();
    let progress = bar(
        wanted.iter().map(|entry| entry.size_bytes).sum(),
        format!("uploading {dataset}"),
    );
    for entry in wanted {
        send(
            api,
            snapshot,
            &entry.path,
            &entry.blob.to_string(),
            entry.size_bytes,
        )?;
        progress.inc(entry.size_bytes);
    }
    progress.finish_and_clear();
    Ok(())
}

fn send(api: &Api, snapshot: &Snapshot, path: &EntryPath, blob: &str, size_bytes: u64) -> CliResult {
    let file = snapshot.open(path).map_err(|error| CliError::diagnosed(&error))?;
    let body = Body::sized(file, size_bytes);
    api.upload(&format!("/api/v1/data/blobs/{blob}"), body)
        .map_err(|mut error| {
            error.report.message = format!("cannot upload {path}: {}", error.report.message);
            error
        })
}

/// Progress goes to standard error and only to a terminal, so that output can be piped.
fn bar(bytes: u64, what: String) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    let bar = ProgressBar::with_draw_target(Some(bytes), target()).with_message(text::tame(&what, WIDEST));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn target() -> ProgressDrawTarget {
    if output::can_draw(&std::io::stderr()) {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

fn spinner(what: String) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(text::tame(&what, WIDEST));
    spinner.set_draw_target(target());
    spinner.enable_steady_tick(std::time::Duration::from_millis(120));
    spinner
}
