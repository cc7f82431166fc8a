//! Where the artifacts of a run or model of a folder lie: where its description says, which may be far from its own folder,
//! or in that, if the store was moved since.

use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::TRASH;

/// The folder of artifacts within that of a run or model.
const ARTIFACTS: &str = "artifacts";

/// The address of the artifacts of the run or model in `folder`, whose description says `said`.
///
/// MLflow makes the own folder of every run, also if its files go elsewhere: an empty one proves nothing.
pub(super) fn artifacts_of(root: &Path, folder: &Path, said: Option<String>) -> String {
    let own = folder.join(ARTIFACTS);
    let said = match said {
        Some(uri) if !is_local(&uri) => return uri,
        Some(uri) if !holds_something(&own) => path_of(&uri),
        _ => return own.display().to_string(),
    };
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    // A relative path was meant from where MLflow ran, which is beside its store unless it was told otherwise.
    let place = match root.parent() {
        Some(beside) if said.is_relative() => beside.join(&said),
        _ => said,
    };
    match !place.is_dir() && is_in_store(&root, folder, &place) {
        true => own.display().to_string(),
        false => place.display().to_string(),
    }
}

/// Whether a path is that of the own folder in a store of this name, wherever that lay.
fn is_in_store(root: &Path, folder: &Path, place: &Path) -> bool {
    let mut tail = PathBuf::from(root.file_name().unwrap_or_default());
    let own: Vec<_> = folder.iter().collect();
    // What is deleted moves into another folder of the store, and says still where it lay.
    let at = own.iter().rposition(|part| *part == TRASH);
    let below = match (at, root.canonicalize(), folder.canonicalize()) {
        (Some(at), ..) => own[at + 1..].iter().collect(),
        (None, Ok(root), Ok(folder)) => match folder.strip_prefix(root) {
            Ok(below) => below.to_owned(),
            Err(_) => return false,
        },
        _ => return false,
    };
    tail.push(below);
    tail.push(ARTIFACTS);
    place.ends_with(tail)
}

fn holds_something(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Whether an address of artifacts names a place on a disk.
fn is_local(uri: &str) -> bool {
    uri.starts_with("file:") || !uri.contains("://") && !uri.starts_with("mlflow-artifacts:")
}

fn path_of(uri: &str) -> PathBuf {
    let Some(rest) = uri.strip_prefix("file:") else {
        return PathBuf::from(uri);
    };
    let path = rest
        .strip_prefix("//localhost")
        .or_else(|| rest.strip_prefix("//"))
        .unwrap_or(rest);
    PathBuf::from(percent_decode_str(path).decode_utf8_lossy().into_owned())
}
