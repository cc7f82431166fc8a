//! Which commits and versions go: decided from a view of all of them, by a function of nothing else.

use std::collections::{BTreeMap, BTreeSet};

use corliss_types::{CommitId, Timestamp, VersionId};

use crate::store::upkeep::CommitNode;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Everything that a decision looks at.
pub(super) struct View {
    pub now: Timestamp,
    /// What was recorded less long ago is not touched.
    pub grace_ms: i64,
    /// Where histories begin, by the days for which their datasets keep files of older commits.
    pub starts: BTreeMap<Option<u64>, BTreeSet<CommitId>>,
    /// What names point at now.
    pub heads: BTreeSet<CommitId>,
    pub commits: BTreeMap<CommitId, CommitNode>,
    pub versions: BTreeMap<VersionId, Timestamp>,
    /// Versions that lineage or other rooms refer to.
    pub in_use: BTreeSet<VersionId>,
}

impl View {
    fn is_young(&self, recorded: Timestamp) -> bool {
        self.now.as_millis() - recorded.as_millis() < self.grace_ms
    }

    /// Visits commits and what they came after, each once; `enter` says whether to go on behind one.
    fn walk<'a>(
        &'a self,
        starts: impl IntoIterator<Item = &'a CommitId>,
        mut enter: impl FnMut(&'a CommitId, &'a CommitNode) -> bool,
    ) {
        let mut open: Vec<&CommitId> = starts.into_iter().collect();
        let mut seen: BTreeSet<&CommitId> = open.iter().copied().collect();
        while let Some(id) = open.pop() {
            if let Some(node) = self.commits.get(id)
                && enter(id, node)
            {
                open.extend(node.parents.iter().filter(|parent| seen.insert(parent)));
            }
        }
    }
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
    let mut reached: BTreeSet<&CommitId> = BTreeSet::new();
    let mut kept: BTreeSet<&VersionId> = view.in_use.iter().collect();
    // A walk per retention: a commit may be kept by one dataset and be too old for another.
    for (retention_days, starts) in &view.starts {
        let oldest = retention_days.map(|days| {
            let days = i64::try_from(days).unwrap_or(i64::MAX / DAY_MS);
            view.now.as_millis().saturating_sub(days.saturating_mul(DAY_MS))
        });
        view.walk(starts, |id, node| {
            let is_recent = oldest.is_none_or(|oldest| node.created_ms.as_millis() >= oldest);
            if is_recent || view.heads.contains(id) {
                kept.insert(&node.version);
            }
            reached.insert(id);
            true
        });
    }
    // Commits of a push come before the names that lead to them, and each relies on those before it.
    let arriving: Vec<&CommitId> = view
        .commits
        .iter()
        .filter(|(id, node)| view.is_young(node.recorded_ms) && !reached.contains(id))
        .map(|(id, _)| id)
        .collect();
    view.walk(arriving, |id, node| {
        let is_new = reached.insert(id);
        if is_new {
            kept.insert(&node.version);
        }
        is_new
    });
    let (reached, unreached): (Vec<_>, Vec<_>) =
        view.commits.iter().partition(|(id, _)| reached.contains(id));
    let of_reached: BTreeSet<&VersionId> = reached.into_iter().map(|(_, node)| &node.version).collect();
    let gone = view
        .versions
        .iter()
        .filter(|(id, recorded)| !kept.contains(id) && !view.is_young(**recorded));
    let (expired, versions) = gone
        .map(|(id, _)| id.clone())
        .partition(|id| of_reached.contains(id));
    Prune {
        commits: unreached.into_iter().map(|(id, _)| id.clone()).collect(),
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
        let node = |n: u8| CommitNode {
            version: version(n),
            created_ms: at(n),
            recorded_ms: at(n),
            parents: (n > 1).then(|| commit(n - 1)).into_iter().collect(),
        };
        let mut by_retention: BTreeMap<Option<u64>, BTreeSet<CommitId>> = BTreeMap::new();
        for (n, days) in starts {
            by_retention.entry(*days).or_default().insert(commit(*n));
        }
        View {
            now: at(100),
            grace_ms: DAY_MS,
            starts: by_retention,
            heads: heads.iter().map(|n| commit(*n)).collect(),
            commits: (1..=9).map(|n| (commit(n), node(n))).collect(),
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
        assert_eq!(
            decide(&view),
            Prune::default(),
            "9 is young and came after all others"
        );
        view.commits.clear();
        assert_eq!(decide(&view).versions, (1..=7).map(version).collect());
        view.grace_ms = 0;
        assert_eq!(
            decide(&view).versions,
            (1..=8).map(version).collect(),
            "without grace, what was recorded in this very millisecond goes too"
        );
    }

    #[test]
    fn commits_that_await_their_name_stay_with_all_before_them() {
        let mut view = view(&[(3, None)], &[3], &[]);
        // 7 was made long ago elsewhere and arrived just now; 8 and 9 were left behind.
        view.commits.get_mut(&commit(7)).unwrap().recorded_ms = view.now;
        let pruned = decide(&view);
        assert_eq!(pruned.commits, [8, 9].map(commit).into());
        assert_eq!(pruned.versions, [8, 9].map(version).into());
        assert!(pruned.expired.is_empty());
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
