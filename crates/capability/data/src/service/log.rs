//! A history, newest first, and where two histories meet.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::slice;

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
        self.store
            .read(move |tx| log(tx, slice::from_ref(&from), skip, limit))
            .await
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

/// These commits and what came before them: `limit` of them after the first `skip`.
pub(super) fn log(
    tx: &mut dyn Tx,
    from: &[CommitId],
    skip: usize,
    limit: usize,
) -> Result<Vec<CommitInfo>, DataError> {
    let mut seen: BTreeSet<CommitId> = BTreeSet::new();
    let mut open: BinaryHeap<Order> = BinaryHeap::new();
    let mut infos = BTreeMap::new();
    let mut next = from.to_vec();
    let mut history = Vec::new();
    let mut passed = 0;
    while history.len() < limit {
        for id in next.drain(..).filter(|id| seen.insert(id.clone())) {
            let info = known(tx, &id)?;
            open.push(order(&info));
            infos.insert(id, info);
        }
        let Some((_, _, id)) = open.pop() else { break };
        let Some(info) = infos.remove(&id) else { continue };
        next.clone_from(&info.what.parents);
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
