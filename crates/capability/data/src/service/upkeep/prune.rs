//! Which commits and versions go: decided from a view of all of them, by a function of nothing else.

use std::collections::{BTreeMap, BTreeSet};

use corliss_types::{CommitId, DatasetName, Timestamp, VersionId};

use crate::store::upkeep::Stub;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Everything that a decision looks at.
pub(super) struct View {
    pub now: Timestamp,
    /// Before this nothing is touched.
    pub grace_ms: i64,
    /// Where histories begin, with the days for which files of older commits are kept.
    pub starts: Vec<(DatasetName, CommitId, Option<u64>)>,
    /// What names point at now.
    pub heads: BTreeSet<CommitId>,
    pub commits: BTreeMap<CommitId, Stub>,
    pub versions: BTreeMap<VersionId, Timestamp>,
    /// Versions that lineage or other rooms refer to.
    pub in_use: BTreeSet<VersionId>,
}

/// What goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prune {
    /// Commits to which no name leads.
    pub commits: BTreeSet<CommitId>,
    /// Versions that nothing has.
    pub versions: BTreeSet<VersionId>,
    /// Versions that only commits have which are older than their dataset keeps files.
    pub expired: BTreeSet<VersionId>,
}

pub(super) fn decide(view: &View) -> Prune {
    let mut reached: BTreeSet<CommitId> = BTreeSet::new();
    let mut kept: BTreeSet<VersionId> = view.in_use.clone();
    for (_, start, retention_days) in &view.starts {
        let oldest = retention_days.map(|days| {
            let days = i64::try_from(days).unwrap_or(i64::MAX / DAY_MS);
            view.now.as_millis().saturating_sub(days.saturating_mul(DAY_MS))
        });
        // Each start on its own: a commit may be kept by one dataset and be too old for another.
        let mut open = vec![start.clone()];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            let Some(stub) = view.commits.get(&id) else {
                continue;
            };
            if !seen.insert(id.clone()) {
                continue;
            }
            let is_recent = oldest.is_none_or(|oldest| stub.created_ms.as_millis() >= oldest);
            if is_recent || view.heads.contains(&id) {
                kept.insert(stub.version.clone());
            }
            open.extend(stub.parents.iter().cloned());
            reached.insert(id);
        }
    }
    let commits: BTreeSet<CommitId> = view
        .commits
        .keys()
        .filter(|id| !reached.contains(*id))
        .cloned()
        .collect();
    let of_reached: BTreeSet<&VersionId> = view
        .commits
        .iter()
        .filter(|(id, _)| reached.contains(*id))
        .map(|(_, stub)| &stub.version)
        .collect();
    let is_old = |recorded: &Timestamp| view.now.as_millis() - recorded.as_millis() > view.grace_ms;
    let gone = view
        .versions
        .iter()
        .filter(|(id, recorded)| !kept.contains(*id) && is_old(recorded));
    let (expired, versions) = gone
        .map(|(id, _)| id.clone())
        .partition(|id| of_reached.contains(id));
    Prune {
        commits,
        versions,
        expired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(byte: u8) -> CommitId {
        CommitId::from_digest([byte; 32])
    }

    fn version(byte: u8) -> VersionId {
        VersionId::from_digest([byte; 32])
    }

    /// Commit n has version n, came after n - 1 and was made on day n.
    fn view(starts: &[(u8, Option<u64>)], heads: &[u8], in_use: &[u8]) -> View {
        let at = |day: u8| Timestamp::from_millis(i64::from(day) * DAY_MS);
        let stub = |n: u8| Stub {
            version: version(n),
            created_ms: at(n),
            parents: (n > 1).then(|| commit(n - 1)).into_iter().collect(),
        };
        View {
            now: at(100),
            grace_ms: DAY_MS,
            starts: starts
                .iter()
                .map(|(n, days)| ("d".parse().unwrap(), commit(*n), *days))
                .collect(),
            heads: heads.iter().map(|n| commit(*n)).collect(),
            commits: (1..=9).map(|n| (commit(n), stub(n))).collect(),
            versions: (1..=9).map(|n| (version(n), at(n))).collect(),
            in_use: in_use.iter().map(|n| version(*n)).collect(),
        }
    }

    #[test]
    fn what_a_name_leads_to_stays() {
        assert_eq!(decide(&view(&[(9, None)], &[9], &[])), Prune::default());
        let behind = decide(&view(&[(5, None)], &[5], &[8]));
        assert_eq!(behind.commits, (6..=9).map(commit).collect());
        assert_eq!(
            behind.versions,
            [6, 7, 9].map(version).into(),
            "8 is in use elsewhere"
        );
        assert!(behind.expired.is_empty());
        let none = decide(&view(&[], &[], &[]));
        assert_eq!((none.commits.len(), none.versions.len()), (9, 9));
    }

    #[test]
    fn what_is_young_stays() {
        let mut view = view(&[], &[], &[]);
        view.now = Timestamp::from_millis(8 * DAY_MS);
        assert_eq!(decide(&view).versions, (1..=6).map(version).collect());
    }

    #[test]
    fn retention_ends_files_and_leaves_commits_and_heads() {
        let pruned = decide(&view(&[(9, Some(94))], &[9], &[2]));
        assert!(pruned.commits.is_empty() && pruned.versions.is_empty());
        assert_eq!(pruned.expired, [1, 3, 4, 5].map(version).into());
        let shared = decide(&view(&[(9, Some(94)), (4, None)], &[9, 4], &[]));
        assert_eq!(
            shared.expired,
            [5].map(version).into(),
            "another dataset keeps the others"
        );
        let all = decide(&view(&[(9, Some(0))], &[9, 3], &[]));
        assert_eq!(all.expired, [1, 2, 4, 5, 6, 7, 8].map(version).into());
    }
}
