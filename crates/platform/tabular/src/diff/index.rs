//! Fingerprints of the rows of both tables, within a bound of memory.
//!
//! When a table has more rows than fit, only those are kept whose fingerprint begins low; the tables are
//! then read again for the next part. Fingerprints are spread evenly, so parts are of about one size.
//! Files on a disk would spare the second reading, but they would leave what is encrypted elsewhere lying
//! about, if only as digests.

use crate::TabularError;
use crate::table::{Pair, Table};
use crate::value::{Digest, short};

/// A row, or several that are the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// What rows are matched by: the key's fingerprint, or that of the whole row.
    pub id: Digest,
    /// The fingerprint of the other columns.
    pub rest: Digest,
    /// The first of the rows.
    pub row: u64,
    pub count: u64,
}

/// One table and how it is read.
pub(super) struct Side<'a> {
    /// `old` or `new`.
    pub name: &'static str,
    pub table: &'a Table,
    pub key: Vec<usize>,
    pub rest: Vec<usize>,
}

/// What all passes share.
pub(super) struct Passes<'a> {
    pub key: &'a [String],
    pub most_rows: u64,
    pub most_bytes: u64,
    /// Entries of one side.
    pub capacity: usize,
    /// The part that this pass keeps: ids whose first 64 bits are from `start` up to `end`.
    start: u128,
    width: u128,
}

/// All rows of a table, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    pub rows: u64,
    pub order: Digest,
}

const ALL: u128 = 1 << 64;

impl<'a> Passes<'a> {
    pub fn new(key: &'a [String], most_rows: u64, most_bytes: u64, memory_bytes: usize) -> Self {
        Self {
            key,
            most_rows,
            most_bytes,
            // Two sides; a few entries at least, so that halving can end.
            capacity: (memory_bytes / 2 / size_of::<Entry>()).max(64),
            start: 0,
            width: ALL,
        }
    }

    /// Whether all parts have been read.
    pub fn done(&self) -> bool {
        self.start >= ALL
    }

    /// Goes on to the part behind this one.
    pub fn advance(&mut self) {
        self.start += self.width;
    }

    fn keeps(&self, id: &Digest) -> bool {
        let [a, b, c, d, e, f, g, h, ..] = *id;
        let first = u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        first >= self.start && first - self.start < self.width
    }

    /// Drops what a narrower part, chosen for the other side, no longer holds.
    pub fn narrow(&self, entries: &mut Vec<Entry>) {
        entries.retain(|entry| self.keeps(&entry.id));
    }

    /// Reads one side. The entries come sorted by their id, one for each.
    pub fn read(&mut self, side: &Side<'_>) -> Result<(Vec<Entry>, Whole), TabularError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut whole = Whole::default();
        let mut order = blake3::Hasher::new();
        side.table
            .fingerprints(&side.key, &side.rest, self.most_bytes, &mut |pair: Pair| {
                if whole.rows >= self.most_rows {
                    return Err(too_many(side.name, self.most_rows));
                }
                let id = if side.key.is_empty() { pair.rest } else { pair.key };
                order.update(&pair.key);
                order.update(&pair.rest);
                if self.keeps(&id) {
                    entries.push(Entry {
                        id,
                        rest: pair.rest,
                        row: whole.rows,
                        count: 1,
                    });
                }
                whole.rows += 1;
                if entries.len() >= self.capacity {
                    self.shrink(side, &mut entries)?;
                }
                Ok(())
            })?;
        whole.order = short(&order);
        self.merge(side, &mut entries)?;
        Ok((entries, whole))
    }

    /// Makes room: equal rows become one entry, then the part is halved.
    fn shrink(&mut self, side: &Side<'_>, entries: &mut Vec<Entry>) -> Result<(), TabularError> {
        self.merge(side, entries)?;
        while entries.len() > self.capacity / 2 && self.width > 1 {
            self.width /= 2;
            self.narrow(entries);
        }
        Ok(())
    }

    fn merge(&self, side: &Side<'_>, entries: &mut Vec<Entry>) -> Result<(), TabularError> {
        entries.sort_unstable_by(|left, right| left.id.cmp(&right.id).then(left.row.cmp(&right.row)));
        if !side.key.is_empty() {
            let twice = entries.windows(2).find(|pair| pair[0].id == pair[1].id);
            return match twice {
                Some([first, second]) => Err(TabularError::KeyNotUnique {
                    side: side.name,
                    columns: self.key.join(", "),
                    first: first.row,
                    second: second.row,
                }),
                _ => Ok(()),
            };
        }
        entries.dedup_by(|later, first| {
            let same = later.id == first.id;
            if same {
                first.count += later.count;
            }
            same
        });
        Ok(())
    }
}

/// A table has more rows than may be compared.
pub(super) fn too_many(side: &str, most: u64) -> TabularError {
    TabularError::too_large(
        format!("the number of rows of the {side} table"),
        format!("{most} rows"),
    )
}
