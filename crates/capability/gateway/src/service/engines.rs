//! What the engines behind an endpoint say of themselves, each by itself: a counter that goes with its engine takes
//! nothing from the others.

use corliss_engine::client::EngineClient;
use corliss_engine::protocol::{Stats, TOKEN_GAP_BOUNDS_US};
use corliss_types::ReplicaId;
use futures_util::future::join_all;
use serde::Serialize;

use crate::service::endpoint::Endpoint;

/// One engine of a language model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineView {
    /// Its replica.
    pub replica: ReplicaId,
    /// Sequences that it computes now.
    pub running: u64,
    /// The most that it computes at once.
    pub sequences_max: u64,
    /// Requests that wait for a place.
    pub waiting: u64,
    /// Share of its KV caches that is promised to requests, in thousandths.
    pub kv_permille: u64,
    /// Batches that it computed since it started.
    pub batches_total: u64,
    /// Sequences in these, all together.
    pub batched_total: u64,
    /// Upper bounds of `token_gap_buckets`, in microseconds.
    pub token_gap_bounds_us: &'static [u64],
    /// Times between the tokens of answers; a last bucket holds those beyond the bounds.
    pub token_gap_buckets: Vec<u64>,
}

impl Endpoint {
    /// The engines that answer, if a language model stands behind it.
    pub(crate) async fn engine_views(&self) -> Vec<EngineView> {
        if !self.speaks() {
            return Vec::new();
        }
        let asked = self
            .engines()
            .into_iter()
            .map(|(replica, client)| view(replica, client));
        join_all(asked).await.into_iter().flatten().collect()
    }
}

async fn view(replica: ReplicaId, client: EngineClient) -> Option<EngineView> {
    let stats = client.stats().await.ok()?;
    Some(EngineView {
        replica,
        running: stats.running,
        sequences_max: stats.sequences_max,
        waiting: stats.waiting,
        kv_permille: (stats.kv_tokens_reserved * 1_000)
            .checked_div(stats.kv_tokens_total)
            .unwrap_or(0),
        batches_total: stats.batch_sizes.values().sum(),
        batched_total: members(&stats),
        token_gap_bounds_us: &TOKEN_GAP_BOUNDS_US,
        token_gap_buckets: stats.token_gaps.counts,
    })
}

fn members(stats: &Stats) -> u64 {
    let sizes = stats.batch_sizes.iter();
    sizes.map(|(size, count)| u64::from(*size) * count).sum()
}
