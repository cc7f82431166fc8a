//! The footer of a Parquet file: held against the limits, then decoded.

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::thrift::{Fault, Walk, kind};
use super::{Guarded, guarded};
use crate::format::PARQUET_MAGIC;
use crate::limits::{COLUMNS, FOOTER_BYTES, FOOTER_CHUNKS, FOOTER_STRUCTS, NESTING};
use crate::source::{RandomRead, read_exact};
use crate::{Format, TabularError};

/// Bytes at the end: the footer's length and the magic.
const TAIL: usize = 8;
const WHAT: &str = "its footer";

/// Reads and checks the footer.
pub(super) fn read(source: &dyn RandomRead) -> Result<ParquetMetaData, TabularError> {
    let size = source.len();
    if size < (PARQUET_MAGIC.len() + TAIL) as u64 {
        return Err(TabularError::parquet(format!(
            "it has {size} bytes, which is too few"
        )));
    }
    if read_exact(source, 0, PARQUET_MAGIC.len())?.as_ref() != PARQUET_MAGIC {
        return Err(TabularError::parquet("it does not begin with 'PAR1'"));
    }
    let tail = read_exact(source, size - TAIL as u64, TAIL)?;
    let length = match tail.as_ref() {
        [a, b, c, d, b'P', b'A', b'R', b'1'] => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
        [.., b'P', b'A', b'R', b'E'] => {
            return Err(TabularError::unsupported(Format::Parquet, "it is encrypted"));
        }
        _ => {
            return Err(TabularError::parquet(
                "it does not end with 'PAR1': it may be cut short",
            ));
        }
    };
    let start = (size - TAIL as u64)
        .checked_sub(length as u64)
        .filter(|start| *start >= PARQUET_MAGIC.len() as u64)
        .ok_or_else(|| {
            TabularError::parquet(format!("its footer claims {length} bytes of a file of {size}"))
        })?;
    if length > FOOTER_BYTES {
        return Err(TabularError::too_large(
            format!("a footer of {length} bytes"),
            format!("{FOOTER_BYTES} bytes"),
        ));
    }
    let bytes = read_exact(source, start, length)?;
    check(&bytes)?;
    guarded(Guarded::Footer, || {
        Ok(ParquetMetaDataReader::decode_metadata(&bytes)?)
    })
}

/// What a footer is held against before anything is made of it.
fn check(bytes: &[u8]) -> Result<(), TabularError> {
    let mut walk = Walk::new(bytes, FOOTER_STRUCTS);
    let mut children = Vec::new();
    let (mut chunks, mut has_schema) = (0_u64, false);
    walk.fields(0, |walk, id, field| match (id, field) {
        (2, kind::LIST) if !has_schema => {
            has_schema = true;
            schema(walk, &mut children)
        }
        (4, kind::LIST) => row_groups(walk, &mut chunks),
        (_, other) => walk.skip(other, 1),
    })
    .map_err(|fault| fault.of(WHAT))?;
    if chunks > FOOTER_CHUNKS as u64 {
        return Err(TabularError::too_large(
            format!("{chunks} column chunks"),
            FOOTER_CHUNKS.to_string(),
        ));
    }
    if children.len() > COLUMNS {
        return Err(TabularError::too_large(
            format!("a schema of {} elements", children.len()),
            format!("{COLUMNS} columns"),
        ));
    }
    nesting(&children)
}

/// Collects how many children each element of the schema claims.
fn schema(walk: &mut Walk<'_>, children: &mut Vec<i64>) -> Result<(), Fault> {
    let (element, count) = walk.list()?;
    if element != kind::STRUCT {
        return Err(Fault::Bad("its schema is no list of structures"));
    }
    for _ in 0..count {
        let mut own = 0;
        walk.fields(2, |walk, id, field| match (id, field) {
            (5, kind::I32) => {
                own = walk.signed()?;
                Ok(())
            }
            (_, other) => walk.skip(other, 3),
        })?;
        // Beyond the limit only the count matters.
        children.push(own);
    }
    Ok(())
}

fn row_groups(walk: &mut Walk<'_>, chunks: &mut u64) -> Result<(), Fault> {
    let (element, count) = walk.list()?;
    if element != kind::STRUCT {
        return Err(Fault::Bad("its row groups are no list of structures"));
    }
    for _ in 0..count {
        walk.fields(2, |walk, id, field| match (id, field) {
            (1, kind::LIST) => {
                let (element, count) = walk.list()?;
                if element != kind::STRUCT {
                    return Err(Fault::Bad("its columns are no list of structures"));
                }
                *chunks += count;
                (0..count).try_for_each(|_| walk.skip(kind::STRUCT, 3))
            }
            (_, other) => walk.skip(other, 3),
        })?;
    }
    Ok(())
}

/// The schema is a list of elements, each followed by its children: a tree that is built by recursion.
fn nesting(children: &[i64]) -> Result<(), TabularError> {
    let mut open: Vec<i64> = Vec::new();
    for (index, own) in children.iter().enumerate() {
        while open.last() == Some(&0) {
            open.pop();
        }
        match open.last_mut() {
            Some(left) => *left -= 1,
            None if index > 0 => return Err(TabularError::parquet("its schema has more than one root")),
            None => {}
        }
        if !(0..=COLUMNS as i64).contains(own) {
            return Err(TabularError::parquet(format!(
                "a part of its schema claims {own} children"
            )));
        }
        open.push(*own);
        if open.len() > NESTING {
            return Err(TabularError::too_large(
                "the nesting of its schema",
                format!("{NESTING} levels"),
            ));
        }
    }
    if open.iter().any(|left| *left > 0) {
        return Err(TabularError::parquet("its schema lacks elements that it claims"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_one_tree_of_bounded_depth() {
        assert!(nesting(&[2, 0, 1, 0]).is_ok());
        assert!(nesting(&[0]).is_ok());
        assert!(nesting(&[1, 0, 0]).is_err());
        assert!(nesting(&[2, 0]).is_err());
        assert!(nesting(&[-1]).is_err());
        assert!(nesting(&vec![1; 1_000_000]).is_err());
    }
}
