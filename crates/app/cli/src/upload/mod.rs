//! Turns a local folder into a version on the server: hash here, send only what is missing there.

mod send;

use std::path::{Path, PathBuf};

use corliss_data::snapshot::{self, Kind, Options, Progress};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::json;

use crate::api::{Api, segment};
use crate::error::{CliError, CliResult};
use crate::{progress, units};

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
    let reading = Reading(progress::bytes(&format!("reading {}", folder.display()), 0));
    let snapshot = snapshot::take(folder, options, &reading).map_err(|error| CliError::diagnosed(&error))?;
    reading.0.finish_and_clear();
    let uploading = progress::bytes(&format!("uploading {dataset}"), 0);
    send::missing(api, &snapshot, &uploading)?;
    uploading.finish_and_clear();
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

/// Shows how far the folder is read.
struct Reading(ProgressBar);

impl Progress for Reading {
    fn found(&self, files: u64, bytes: u64) {
        self.0.set_length(bytes);
        self.0
            .set_message(format!("{}: {}", self.0.message(), units::plural(files, "file")));
    }
    fn read(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}
