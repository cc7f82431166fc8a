//! What differs between a folder here and a version on a server.

use std::cmp::Ordering;

use corliss_data::Entry;
use serde::Serialize;

use super::tree::{self, LocalTree};
use crate::api::Api;
use crate::error::CliResult;

/// A file that differs.
#[derive(Debug, Clone, Serialize)]
pub struct LocalChange {
    /// Where it lies.
    pub path: String,
    /// `added`, `removed`, `changed` or `mode`, seen from the version.
    pub change: &'static str,
    /// As it is in the version.
    #[serde(skip)]
    pub theirs: Option<Entry>,
    /// As it is in the folder.
    #[serde(skip)]
    pub here: Option<Entry>,
}

/// The files that differ, in order of their paths. Of the version, only what lies in `only` counts, if anything is
/// named there.
pub fn since(api: &Api, version: &str, here: &LocalTree, only: &[String]) -> CliResult<Vec<LocalChange>> {
    if only.is_empty() && here.version.as_str() == version {
        return Ok(Vec::new());
    }
    let theirs = tree::beyond(api, tree::root_of(version)?, &here.ids())?;
    let here = here.entries_beyond(&theirs.shared);
    let theirs = theirs
        .entries
        .into_iter()
        .filter(|entry| is_within(entry, only))
        .collect();
    Ok(compare(theirs, here))
}

/// Whether a file is one of those named, or lies in a folder that is.
pub fn is_within(entry: &Entry, only: &[String]) -> bool {
    only.is_empty()
        || only.iter().any(|named| {
            let rest = entry.path.as_str().strip_prefix(named.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

fn compare(theirs: Vec<Entry>, here: Vec<Entry>) -> Vec<LocalChange> {
    let mut changes = Vec::new();
    let (mut theirs, mut here) = (theirs.into_iter().peekable(), here.into_iter().peekable());
    loop {
        let order = match (theirs.peek(), here.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(theirs), Some(here)) => theirs.path.cmp(&here.path),
        };
        let theirs = theirs.next_if(|_| order != Ordering::Greater);
        let here = here.next_if(|_| order != Ordering::Less);
        let change = match (&theirs, &here) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(theirs), Some(here)) if theirs == here => continue,
            (Some(theirs), Some(here)) if theirs.has_bytes_of(here) => "mode",
            _ => "changed",
        };
        let path = theirs
            .as_ref()
            .or(here.as_ref())
            .map(|entry| entry.path.to_string());
        changes.push(LocalChange {
            path: path.unwrap_or_default(),
            change,
            theirs,
            here,
        });
    }
}

#[cfg(test)]
mod tests {
    use corliss_blobstore::BlobId;

    use super::*;

    fn entry(path: &str, text: &str, executable: bool) -> Entry {
        Entry {
            path: path.parse().unwrap(),
            blob: BlobId::of(text.as_bytes()),
            size_bytes: text.len() as u64,
            executable,
            link: false,
        }
    }

    #[test]
    fn every_way_to_differ_is_told() {
        let theirs = vec![
            entry("a", "1", false),
            entry("b", "1", false),
            entry("c", "1", false),
            entry("d", "1", false),
        ];
        let here = vec![
            entry("a", "1", false),
            entry("b", "2", false),
            entry("bb", "1", false),
            entry("d", "1", true),
        ];
        let told: Vec<(String, &str)> = compare(theirs, here)
            .into_iter()
            .map(|change| (change.path, change.change))
            .collect();
        let expected = [("b", "changed"), ("bb", "added"), ("c", "removed"), ("d", "mode")];
        assert_eq!(told, expected.map(|(path, change)| (path.to_owned(), change)));
    }

    #[test]
    fn a_part_is_files_and_folders_and_not_what_begins_like_them() {
        let only = ["train".to_owned(), "a/b/".to_owned()];
        for (path, expected) in [
            ("train", true),
            ("train/x", true),
            ("training", false),
            ("a/b/c", true),
            ("a/c", false),
        ] {
            assert_eq!(is_within(&entry(path, "", false), &only), expected, "{path}");
        }
    }
}
