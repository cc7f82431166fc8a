//! A history, newest first, and where two histories meet.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use corliss_metastore::Tx;
use corliss_types::{CommitId, Timestamp};

use super::DataService;
use crate::DataError;
use crate::history::CommitInfo;
use crate::store::commits;

/// Commits that one question may look at.
const VISITS_MAX: usize = 200_000;

/// Later generations first, then later times, then greater ids: no commit comes before what came after it.
type Order = (u64, Timestamp, CommitId);

impl DataService {
    /// The commits that led to one, itself first: `limit` of them after the first `skip`.
    ///
    /// # Errors
    /// There is no such commit, it skips too many, or the metadata store failed.
    pub async fn log(
        &self,
        from: &CommitId,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<CommitInfo>, DataError> {
        if skip > VISITS_MAX {
            return Err(DataError::TooMany {
                what: "commits to skip",
                limit: VISITS_MAX,
            });
        }
        let from = from.clone();
        self.store.read(move |tx| log(tx, &from, skip, limit)).await
    }

    /// One commit.
    ///
    /// # Errors
    /// There is none, or the metadata store failed.
    pub async fn commit_info(&self, id: &CommitId) -> Result<CommitInfo, DataError> {
        let id = id.clone();
        self.store.read(move |tx| known(tx, &id)).await
    }
}

pub(super) fn known(tx: &mut dyn Tx, id: &CommitId) -> Result<CommitInfo, DataError> {
    commits::get(tx, id)?.ok_or_else(|| DataError::VersionNotFound {
        version: id.to_string(),
    })
}

pub(super) fn log(
    tx: &mut dyn Tx,
    from: &CommitId,
    skip: usize,
    limit: usize,
) -> Result<Vec<CommitInfo>, DataError> {
    let first = known(tx, from)?;
    let mut seen = BTreeSet::from([from.clone()]);
    let mut open: BinaryHeap<Order> = BinaryHeap::from([order(&first)]);
    let mut infos = BTreeMap::from([(from.clone(), first)]);
    let mut history = Vec::new();
    let mut passed = 0;
    while history.len() < limit
        && let Some((_, _, id)) = open.pop()
    {
        let Some(info) = infos.remove(&id) else { continue };
        for parent in &info.what.parents {
            if seen.insert(parent.clone()) {
                let parent = known(tx, parent)?;
                open.push(order(&parent));
                infos.insert(parent.commit.clone(), parent);
            }
        }
        if passed >= skip {
            history.push(info);
        }
        passed += 1;
    }
    Ok(history)
}

fn order(info: &CommitInfo) -> Order {
    (info.generation, info.what.created_ms, info.commit.clone())
}

/// The latest commit that both have behind them; None if their histories have nothing in common. Of several, none
/// of which led to another, the one that comes first in a history (see [`Order`]).
pub(super) fn merge_base(
    tx: &mut dyn Tx,
    left: &CommitId,
    right: &CommitId,
) -> Result<Option<CommitId>, DataError> {
    let mut sides: BTreeMap<CommitId, u8> = BTreeMap::new();
    let mut open: BinaryHeap<Order> = BinaryHeap::new();
    for (id, side) in [(left, 1), (right, 2)] {
        *sides.entry(id.clone()).or_default() |= side;
        open.push(order(&known(tx, id)?));
    }
    let mut visits = 0;
    while let Some((_, _, id)) = open.pop() {
        let side = sides.get(&id).copied().unwrap_or_default();
        if side == 3 {
            return Ok(Some(id));
        }
        visits += 1;
        if visits > VISITS_MAX {
            return Err(DataError::TooMany {
                what: "commits between the two",
                limit: VISITS_MAX,
            });
        }
        for parent in commits::parents(tx, &id)? {
            let known_side = sides.entry(parent.clone()).or_default();
            if *known_side | side != *known_side {
                *known_side |= side;
                open.push(order(&known(tx, &parent)?));
            }
        }
    }
    Ok(None)
}
