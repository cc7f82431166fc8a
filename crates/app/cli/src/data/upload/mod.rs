//! Turns a local folder into a version on the server: hash here, send only what is missing there.

mod send;

use std::fs::File;
use std::path::{Path, PathBuf};

use corliss_data::snapshot::{self, Kind, Options, Snapshot};
use serde::Deserialize;
use serde_json::json;

use super::copies::Notes;
use super::local::Local;
use super::staging;
use super::tree::LocalTree;
use crate::api::{Api, segment};
use crate::error::{CliError, CliResult};
use crate::{progress, units};

/// How often what is missing is asked again when the server lost some of it meanwhile, as a collection may.
const ATTEMPTS: u32 = 3;
/// What the server answers then.
const LOST: [&str; 3] = ["data_tree_missing", "data_blob_missing", "blob_incomplete"];

/// What the server answered to a commit.
#[derive(Debug, Deserialize)]
pub struct Uploaded {
    /// The version.
    pub version: String,
    /// The branch whose head it is.
    #[serde(default)]
    pub branch: Option<String>,
    /// The commit at that head.
    #[serde(default)]
    pub commit: Option<String>,
    /// Whether there is a new commit.
    pub created: bool,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

/// Where a folder goes.
#[derive(Debug, Clone, Default)]
pub struct Destination {
    /// The dataset.
    pub dataset: String,
    /// The branch; none is the default one.
    pub branch: Option<String>,
    /// Where its head must be.
    pub expected: Option<String>,
    /// Why.
    pub message: String,
}

/// A folder that was read.
pub struct Taken {
    /// Its files.
    pub snapshot: Snapshot,
    /// Their tree.
    pub tree: LocalTree,
}

/// Reads a folder, except for what is remembered of it. With `store`, a server on this machine reads and stores it.
pub fn take(home: &Path, folder: &Path, options: &Options, store: Option<&Api>) -> CliResult<Taken> {
    if !folder.is_dir() {
        return Err(CliError::input(format!("{} is not a folder", folder.display()))
            .hint("name the folder that the file lies in: a version is a whole folder"));
    }
    let notes = Notes::on(home, folder)?;
    let mut memory = notes.memory(options.kind);
    // Another server does not know the links, and what is noted for this one stays.
    let is_foreign = match store {
        Some(api) if memory.has_links() => notes.copy()?.is_none_or(|copy| copy.server != api.url()),
        _ => false,
    };
    if is_foreign {
        memory = memory.without_links();
    }
    let failed = |error| CliError::diagnosed(&error);
    let mut listing = snapshot::list(folder, options, &memory).map_err(failed)?;
    let files = units::plural(listing.files(), "file");
    let what = format!("reading {}: {files}", folder.display());
    let bar = progress::bytes(&what, listing.unread_bytes());
    let opened = File::open(folder).ok();
    let reach = |api| Local::reach(api, home, opened.as_ref()?);
    if let Some(local) = store.and_then(reach) {
        local.store(&mut listing, &bar)?;
    }
    let snapshot = listing.read(&|bytes| bar.inc(bytes)).map_err(failed)?;
    bar.finish_and_clear();
    if !is_foreign {
        notes.remember(options.kind, &memory, &snapshot);
    }
    let tree = LocalTree::of(&snapshot)?;
    Ok(Taken { snapshot, tree })
}

/// Uploads a folder and commits it.
pub fn folder(
    api: &Api,
    home: &Path,
    folder: &Path,
    options: &Options,
    to: &Destination,
) -> CliResult<Uploaded> {
    commit(api, &take(home, folder, options, Some(api))?, to)
}

/// Sends what is missing of a folder.
pub fn send(api: &Api, taken: &Taken, dataset: &str) -> CliResult {
    let uploading = progress::bytes(&format!("uploading {dataset}"), 0);
    let sent = send::missing(api, taken, &uploading);
    uploading.finish_and_clear();
    sent
}

/// Sends what is missing of a folder and commits it.
pub fn commit(api: &Api, taken: &Taken, to: &Destination) -> CliResult<Uploaded> {
    let path = format!("/api/v1/data/datasets/{}/commits", segment(&to.dataset));
    let request = json!({
        "version": taken.tree.version,
        "branch": to.branch,
        "expected": to.expected,
        "message": to.message,
    });
    for attempt in 1.. {
        let sent = send(api, taken, &to.dataset);
        match sent.and_then(|()| api.post_list(&path, &request)) {
            Err(error) if attempt < ATTEMPTS && LOST.contains(&error.report.code.as_str()) => {}
            result => return result,
        }
    }
    Err(CliError::failed(
        "the server keeps losing what it is sent".to_owned(),
    ))
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

/// Refuses a folder that lies in the home, whose keys and databases are nobody's data.
pub fn check_outside(folder: &Path, home: &Path) -> CliResult {
    let is_within = |home: PathBuf| folder.canonicalize().is_ok_and(|folder| folder.starts_with(home));
    match home.canonicalize().is_ok_and(is_within) {
        false => Ok(()),
        true => Err(CliError::input(format!(
            "{} lies in Corliss's own home, {}",
            folder.display(),
            home.display()
        ))
        .hint("name a folder outside of it")),
    }
}

/// What is code: everything beside the project file but these folders and what tools make.
pub fn code_options(exclude: Vec<PathBuf>) -> Options {
    Options {
        exclude,
        ..Options::of(Kind::Code)
    }
}

/// What is data: everything but these folders, and what a checkout that was killed left.
pub fn data_options(mut exclude: Vec<PathBuf>) -> Options {
    exclude.push(staging::NAME.into());
    Options {
        exclude,
        ..Options::of(Kind::Data)
    }
}
