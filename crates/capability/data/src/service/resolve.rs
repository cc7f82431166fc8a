//! From what people write to the version that it means now.

use corliss_metastore::Tx;
use corliss_types::{CommitId, DatasetName, VersionId};

use super::DataService;
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
            let default = datasets::default_branch(tx, dataset)?;
            let default = default.ok_or_else(|| DataError::DatasetNotFound {
                name: dataset.clone(),
            })?;
            let (mut commit, branch) = match at {
                At::Latest => (named(tx, dataset, &default)?.0, Some(default)),
                At::Name(name) => match (named(tx, dataset, name), is_hex(name)) {
                    (Ok((commit, kind)), _) => (commit, (kind == RefKind::Branch).then(|| name.clone())),
                    // The beginning of a version's id without the `v_`.
                    (Err(DataError::RefNotFound { .. }), true) => {
                        let found = commits::versions_by_prefix(tx, dataset, &format!("v_{name}"))?;
                        return Ok(alone(only(found, format!("{dataset}@{name}"))?));
                    }
                    (Err(error), _) => return Err(error),
                },
                At::Prefix(prefix) if prefix.starts_with("c_") => {
                    let found = commits::by_prefix(tx, dataset, prefix)?;
                    (only(found, format!("{dataset}@{prefix}"))?, None)
                }
                At::Prefix(prefix) => {
                    let found = commits::versions_by_prefix(tx, dataset, prefix)?;
                    return Ok(alone(only(found, format!("{dataset}@{prefix}"))?));
                }
            };
            for _ in 0..*back {
                let parent = commits::parents(tx, &commit)?.into_iter().next();
                commit = parent.ok_or_else(|| DataError::BadReference {
                    reference: format!("{dataset}~{back}"),
                    problem: "goes back beyond the first commit",
                })?;
            }
            at_commit(tx, commit, branch.filter(|_| *back == 0))
        }
    }
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
    name.as_str().len() >= ID_PREFIX_MIN_LEN && name.as_str().bytes().all(|byte| byte.is_ascii_hexdigit())
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
