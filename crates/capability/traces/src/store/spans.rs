//! Spans: their parts, and the index of what they are called.

use std::collections::{BTreeMap, BTreeSet};

use corliss_metastore::{StoreError, Tx, Value, params};

/// Some spans of a trace, packed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// Grows with time; a later part's span replaces an earlier one's.
    pub(crate) part: i64,
    /// How often it was joined.
    pub(crate) level: i64,
    /// Bytes of the content, unpacked.
    pub(crate) raw_bytes: i64,
    /// What totals are computed from.
    pub(crate) nodes: Vec<u8>,
    /// The spans.
    pub(crate) content: Vec<u8>,
}

/// Adds a part.
pub(crate) fn insert_part(tx: &mut dyn Tx, number: i64, part: &Part) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO traces_spans (number, part, level, raw_bytes, nodes, content) VALUES ($1, $2, $3, $4, $5, $6)",
        params![
            number,
            part.part,
            part.level,
            part.raw_bytes,
            part.nodes.as_slice(),
            part.content.as_slice()
        ],
    )?;
    Ok(())
}

/// The parts of these traces, by number and in order, without what totals are computed from.
pub(crate) fn contents_of(tx: &mut dyn Tx, numbers: &[i64]) -> Result<BTreeMap<i64, Vec<Part>>, StoreError> {
    let mut found: BTreeMap<i64, Vec<Part>> = BTreeMap::new();
    for numbers in super::number_lists(numbers) {
        let sql = format!(
            "SELECT number, part, level, raw_bytes, content FROM traces_spans WHERE number IN ({})
             ORDER BY number, part",
            super::list(numbers.len())
        );
        for row in tx.query(&sql, &numbers)? {
            found.entry(row.integer("number")?).or_default().push(Part {
                part: row.integer("part")?,
                level: row.integer("level")?,
                raw_bytes: row.integer("raw_bytes")?,
                nodes: Vec::new(),
                content: row.blob("content")?,
            });
        }
    }
    Ok(found)
}

/// All parts of a trace, in order.
pub(crate) fn parts_of(tx: &mut dyn Tx, number: i64) -> Result<Vec<Part>, StoreError> {
    tx.query(
        "SELECT part, level, raw_bytes, nodes, content FROM traces_spans WHERE number = $1 ORDER BY part",
        params![number],
    )?
    .iter()
    .map(|row| {
        Ok(Part {
            part: row.integer("part")?,
            level: row.integer("level")?,
            raw_bytes: row.integer("raw_bytes")?,
            nodes: row.blob("nodes")?,
            content: row.blob("content")?,
        })
    })
    .collect()
}

/// What totals are computed from, of each part of a trace, in order.
pub(crate) fn nodes_of(tx: &mut dyn Tx, number: i64) -> Result<Vec<Vec<u8>>, StoreError> {
    tx.query(
        "SELECT nodes FROM traces_spans WHERE number = $1 ORDER BY part",
        params![number],
    )?
    .iter()
    .map(|row| row.blob("nodes"))
    .collect()
}

/// Number and level of each part of a trace, in order.
pub(crate) fn sizes_of(tx: &mut dyn Tx, number: i64) -> Result<Vec<(i64, i64)>, StoreError> {
    tx.query(
        "SELECT part, level FROM traces_spans WHERE number = $1 ORDER BY part",
        params![number],
    )?
    .iter()
    .map(|row| Ok((row.integer("part")?, row.integer("level")?)))
    .collect()
}

/// Puts one part in the place of several that follow each other, if they are all still there.
pub(crate) fn join_parts(
    tx: &mut dyn Tx,
    number: i64,
    old: &[i64],
    joined: &Part,
) -> Result<bool, StoreError> {
    let (Some(first), Some(last)) = (old.first(), old.last()) else {
        return Ok(false);
    };
    let there: Vec<i64> = sizes_of(tx, number)?
        .into_iter()
        .map(|(part, _)| part)
        .filter(|part| first <= part && part <= last)
        .collect();
    if there != old {
        return Ok(false);
    }
    tx.execute(
        "DELETE FROM traces_spans WHERE number = $1 AND part >= $2 AND part <= $3",
        params![number, *first, *last],
    )?;
    insert_part(tx, number, joined)?;
    Ok(true)
}

/// Adds to the index of a trace's spans; answers how many rows are new.
pub(crate) fn insert_kinds(
    tx: &mut dyn Tx,
    number: i64,
    kinds: &BTreeSet<(String, String, &'static str)>,
) -> Result<u64, StoreError> {
    let kinds: Vec<_> = kinds.iter().collect();
    let mut inserted = 0;
    for chunk in kinds.chunks(super::ROWS) {
        let values: Vec<Value> = chunk
            .iter()
            .flat_map(|(name, span_type, status)| {
                [
                    number.into(),
                    Value::from(name),
                    Value::from(span_type),
                    (*status).into(),
                ]
            })
            .collect();
        let sql = format!(
            "INSERT INTO traces_span_kinds (number, name, span_type, status) VALUES {} ON CONFLICT DO NOTHING",
            super::placeholders(chunk.len(), 4)
        );
        inserted += tx.execute(&sql, &values)?;
    }
    Ok(inserted)
}
