//! Parquet files, read column by column.
//!
//! The `parquet` crate decodes; what surrounds it here decides what it gets to decode. It was written for
//! files of friends: it allocates what headers claim, decompresses without bound and may panic. So footers
//! are walked first (`footer`), pages are read, checked and decompressed here (`page`, `codec`), and every
//! call into a decoder is guarded (`guarded`). Its record reader is not used, which panics on odd lists and
//! by its own word misreads some repeated fields; `column` puts rows together.

mod codec;
mod column;
mod footer;
mod header;
mod kinds;
mod leaf;
mod page;
mod rows;
mod thrift;
mod tree;
mod unfold;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use self::tree::Column;
use crate::source::RandomRead;
use crate::text::unique;
use crate::{Format, TabularError};

/// An opened Parquet file.
pub(crate) struct ParquetTable {
    source: Arc<dyn RandomRead>,
    metadata: ParquetMetaData,
    columns: Vec<Column>,
    repeated_names: usize,
    /// Rows of each group.
    groups: Vec<u64>,
    pub rows: u64,
}

impl ParquetTable {
    /// Reads the footer, and nothing else.
    pub fn open(source: Arc<dyn RandomRead>) -> Result<Self, TabularError> {
        let metadata = footer::read(source.as_ref())?;
        let schema = metadata.file_metadata().schema_descr();
        let mut columns = Vec::new();
        let mut leaves = 0;
        for field in schema.root_schema().get_fields() {
            let column = Column::of(field, leaves)?;
            leaves += column.node.leaves;
            columns.push(column);
        }
        let names = columns
            .iter_mut()
            .map(|column| std::mem::take(&mut column.name))
            .collect();
        let (names, repeated_names) = unique(names);
        for (column, name) in columns.iter_mut().zip(names) {
            column.name = name;
        }
        let mut groups = Vec::new();
        let mut rows = 0_u64;
        for group in metadata.row_groups() {
            let own = u64::try_from(group.num_rows())
                .map_err(|_| TabularError::parquet("a row group has a negative number of rows"))?;
            if group.num_columns() != leaves {
                return Err(TabularError::parquet(format!(
                    "a row group has {} columns where the schema has {leaves}",
                    group.num_columns()
                )));
            }
            // 2^63 rows at most in each of few groups.
            rows = rows
                .checked_add(own)
                .ok_or_else(|| TabularError::parquet("its row groups have more rows than can be counted"))?;
            groups.push(own);
        }
        Ok(Self {
            source,
            metadata,
            columns,
            repeated_names,
            groups,
            rows,
        })
    }
}

/// What a guarded call works on, for the error.
#[derive(Clone, Copy)]
enum Guarded<'a> {
    Footer,
    Column(&'a str),
}

/// Calls into the decoders of the `parquet` crate.
///
/// Those index and slice by numbers of the file and assert what a valid file fulfils, so damaged bytes that
/// pass the checks here may still panic there. A panic is taken for a damaged file; it leaves readers of
/// that file in an unknown state, which are then dropped without being used again, hence unwind safety may be
/// asserted. The panic hook is not touched: what happened is still told on standard error.
fn guarded<T>(what: Guarded<'_>, work: impl FnOnce() -> Result<T, Decoding>) -> Result<T, TabularError> {
    let place = || match what {
        Guarded::Footer => "its footer".to_owned(),
        Guarded::Column(name) => format!("column '{name}'"),
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(Decoding(error))) => Err(match error {
            // Our own errors, on their way through a decoder.
            ParquetError::External(inner) => match inner.downcast::<TabularError>() {
                Ok(own) => *own,
                Err(other) => TabularError::parquet(format!("{}: {other}", place())),
            },
            ParquetError::NYI(detail) => {
                TabularError::unsupported(Format::Parquet, format!("{}: {detail}", place()))
            }
            ParquetError::General(detail) | ParquetError::EOF(detail) => {
                TabularError::parquet(format!("{}: {detail}", place()))
            }
            other => TabularError::parquet(format!("{}: {other}", place())),
        }),
        Err(_) => Err(TabularError::parquet(format!("{} is damaged", place()))),
    }
}

/// An error of the decoders.
struct Decoding(ParquetError);

impl From<ParquetError> for Decoding {
    fn from(error: ParquetError) -> Self {
        Self(error)
    }
}
