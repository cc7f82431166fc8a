//! From what people write to the version that it means now.

use corliss_metastore::Tx;
use corliss_types::{CommitId, DatasetName, VersionId};

use super::DataService;
use crate::error::shortened;
use crate::history::{At, ID_PREFIX_MIN_LEN, RefKind, RefName};
use crate::store::{commits, datasets, refs, versions};
use crate::types::Resolved;
use crate::{DataError, Reference};

impl DataService {
    /// The version that a reference means now, and the commit.
    ///
    /// # Errors
    /// It means none, or more than one.
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved, DataError> {
        let reference = reference.clone();
        self.store.read(move |tx| resolve(tx, &reference)).await
    }
}

/// The same, where a name of another dataset is refused.
pub(super) fn resolve_in(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    reference: &Reference,
) -> Result<Resolved, DataError> {
    match reference {
        Reference::Named { dataset: other, .. } if other != dataset => Err(DataError::BadReference {
            reference: other.to_string(),
            problem: "is another dataset",
        }),
        _ => resolve(tx, reference),
    }
}

fn resolve(tx: &mut dyn Tx, reference: &Reference) -> Result<Resolved, DataError> {
    match reference {
        Reference::Version(version) => match versions::get(tx, version)? {
            Some(found) => Ok(alone(found.version)),
            None => Err(not_found(version.to_string())),
        },
        Reference::Commit(commit) => at_commit(tx, commit.clone(), None),
        Reference::Prefix(prefix) if prefix.starts_with("c_") => {
            let commit = only(commits::any_by_prefix(tx, prefix)?, prefix.clone())?;
            at_commit(tx, commit, None)
        }
        Reference::Prefix(prefix) => {
            let version = only(versions::by_prefix(tx, prefix)?, prefix.clone())?;
            Ok(alone(version))
        }
        Reference::Named { dataset, at, back } => {
            let (commit, branch) = match start(tx, dataset, at)? {
                Start::Commit { commit, branch } => (commit, branch),
                Start::Version(version) if *back == 0 => return Ok(alone(version)),
                // A version is in a history as often as it was committed.
                Start::Version(version) => return Err(DataError::NoCommit { version }),
            };
            let before = before(tx, commit, *back)?.ok_or_else(|| DataError::BadReference {
                reference: shortened(&reference.to_string()),
                problem: "goes back beyond the first commit",
            })?;
            at_commit(tx, before, branch.filter(|_| *back == 0))
        }
    }
}

/// What stands after the `@`, looked up.
enum Start {
    Commit {
        commit: CommitId,
        branch: Option<RefName>,
    },
    Version(VersionId),
}

fn start(tx: &mut dyn Tx, dataset: &DatasetName, at: &At) -> Result<Start, DataError> {
    let default = datasets::default_branch(tx, dataset)?;
    let default = default.ok_or_else(|| DataError::DatasetNotFound {
        name: dataset.clone(),
    })?;
    match at {
        At::Latest => Ok(Start::Commit {
            commit: named(tx, dataset, &default)?.0,
            branch: Some(default),
        }),
        At::Name(name) => match named(tx, dataset, name) {
            Ok((commit, kind)) => Ok(Start::Commit {
                commit,
                branch: (kind == RefKind::Branch).then(|| name.clone()),
            }),
            // It may be the beginning of a version's id without the `v_`.
            Err(error @ DataError::RefNotFound { .. }) if is_hex(name) => {
                let found = commits::versions_by_prefix(tx, dataset, &format!("v_{name}"))?;
                if found.is_empty() {
                    return Err(error);
                }
                Ok(Start::Version(only(found, format!("{dataset}@v_{name}"))?))
            }
            Err(error) => Err(error),
        },
        At::Prefix(prefix) if prefix.starts_with("c_") => {
            let found = commits::by_prefix(tx, dataset, prefix)?;
            Ok(Start::Commit {
                commit: only(found, format!("{dataset}@{prefix}"))?,
                branch: None,
            })
        }
        At::Prefix(prefix) => {
            let found = commits::versions_by_prefix(tx, dataset, prefix)?;
            Ok(Start::Version(only(found, format!("{dataset}@{prefix}"))?))
        }
    }
}

/// So many commits before one, along the first parents; None if there are not so many.
fn before(tx: &mut dyn Tx, mut commit: CommitId, back: u32) -> Result<Option<CommitId>, DataError> {
    for _ in 0..back {
        match commits::parents(tx, &commit)?.into_iter().next() {
            Some(parent) => commit = parent,
            None => return Ok(None),
        }
    }
    Ok(Some(commit))
}

fn named(tx: &mut dyn Tx, dataset: &DatasetName, name: &RefName) -> Result<(CommitId, RefKind), DataError> {
    for kind in [RefKind::Branch, RefKind::Tag] {
        if let Some(found) = refs::get(tx, dataset, kind, name)? {
            return Ok((found.commit, kind));
        }
    }
    Err(DataError::RefNotFound {
        dataset: dataset.clone(),
        kind: RefKind::Branch,
        name: name.clone(),
    })
}

fn at_commit(tx: &mut dyn Tx, commit: CommitId, branch: Option<RefName>) -> Result<Resolved, DataError> {
    let found = commits::get(tx, &commit)?.ok_or_else(|| not_found(commit.to_string()))?;
    Ok(Resolved {
        version: found.what.version,
        commit: Some(commit),
        branch,
    })
}

const fn alone(version: VersionId) -> Resolved {
    Resolved {
        version,
        commit: None,
        branch: None,
    }
}

fn is_hex(name: &RefName) -> bool {
    name.as_str().len() >= ID_PREFIX_MIN_LEN
        && name
            .as_str()
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn only<T>(mut found: Vec<T>, text: String) -> Result<T, DataError> {
    match (found.pop(), found.is_empty()) {
        (Some(found), true) => Ok(found),
        (None, _) => Err(not_found(text)),
        (Some(_), false) => Err(DataError::Ambiguous { reference: text }),
    }
}

const fn not_found(version: String) -> DataError {
    DataError::VersionNotFound { version }
}
