//! What the index says of a pack.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::pack::{PackId, Row};
use crate::piece::Kind;

/// Sums over pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub chunks: u64,
    pub nodes: u64,
    pub records: u64,
    /// Content of chunks, before compression.
    pub content_bytes: u64,
    /// What all pieces take in packs.
    pub sealed_bytes: u64,
}

impl Sums {
    pub fn add(&mut self, row: &Row) {
        match row.kind {
            Kind::Chunk => {
                self.chunks += 1;
                self.content_bytes += u64::from(row.piece_bytes);
            }
            Kind::Node(_) => self.nodes += 1,
            Kind::Record => self.records += 1,
        }
        self.sealed_bytes += u64::from(row.sealed_bytes);
    }
}

/// A pack that the index knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackInfo {
    pub id: PackId,
    /// Its length.
    pub bytes: u64,
    /// Rows of its table.
    pub rows: u32,
    /// When the index came to know it, by this machine's clock: no other clock takes part in ages.
    pub seen_ms: u64,
    /// Over what it held when it became known, less what was collected since.
    pub sums: Sums,
}

const INFO_BYTES: usize = 16 + 8 + 4 + 8 + 5 * 8;

impl PackInfo {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(INFO_BYTES);
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out.extend_from_slice(&self.rows.to_be_bytes());
        let sums = &self.sums;
        for number in [
            self.seen_ms,
            sums.chunks,
            sums.nodes,
            sums.records,
            sums.content_bytes,
            sums.sealed_bytes,
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out
    }

    /// None also for the form of an earlier index, which is then made anew.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; INFO_BYTES] = bytes.try_into().ok()?;
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (rows, rest) = rest.split_first_chunk::<4>()?;
        let number = |at: usize| {
            let eight = rest.get(8 * at..8 * at + 8)?;
            eight.try_into().ok().map(u64::from_be_bytes)
        };
        Some(Self {
            id: PackId(*id),
            bytes: u64::from_be_bytes(*length),
            rows: u32::from_be_bytes(*rows),
            seen_ms: number(0)?,
            sums: Sums {
                chunks: number(1)?,
                nodes: number(2)?,
                records: number(3)?,
                content_bytes: number(4)?,
                sealed_bytes: number(5)?,
            },
        })
    }
}

/// Packs by their numbers.
pub(super) type Numbers = BTreeMap<u32, PackInfo>;

/// This machine's clock as it was when the process began, and the time since: a clock that is set meanwhile makes
/// no pack older.
pub(super) struct Clock {
    began_ms: u64,
    since: Instant,
}

impl Clock {
    pub fn start() -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            began_ms: began.map_or(0, |began| u64::try_from(began.as_millis()).unwrap_or(u64::MAX)),
            since: Instant::now(),
        }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        let since = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began_ms.saturating_add(since)
    }
}
