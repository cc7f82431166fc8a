//! What a comparison asks of a text table: fingerprints of all rows, and some rows again.

use super::TextTable;
use crate::TabularError;
use crate::table::{Example, Pair};
use crate::value::{Value, short};

impl TextTable {
    /// Hands a pair of fingerprints of every row to `each`, made of the key's columns and of the others'.
    ///
    /// Cells beyond the columns count with the others, so that a row that grew one is not the same.
    pub fn fingerprints(
        &self,
        key: &[usize],
        rest: &[usize],
        most_bytes: u64,
        each: &mut dyn FnMut(Pair) -> Result<(), TabularError>,
    ) -> Result<(), TabularError> {
        let mut scan = self.scan()?;
        while let Some(values) = scan.next()? {
            if scan.position() > most_bytes {
                return Err(TabularError::too_large(
                    "what has to be compared",
                    format!("{most_bytes} bytes"),
                ));
            }
            let digest = |columns: &[usize], beyond: &[Value]| {
                let mut hasher = blake3::Hasher::new();
                for column in columns {
                    values.get(*column).unwrap_or(&Value::Null).feed(&mut hasher);
                }
                beyond.iter().for_each(|value| value.feed(&mut hasher));
                short(&hasher)
            };
            each(Pair {
                key: digest(key, &[]),
                rest: digest(rest, self.beyond(&values)),
            })?;
        }
        Ok(())
    }

    fn beyond<'a>(&self, values: &'a [Value]) -> &'a [Value] {
        values.get(self.columns.len()..).unwrap_or_default()
    }

    /// The rows of the given numbers, which ascend, with the values of some columns, and all cells beyond
    /// the columns as one list.
    pub fn rows_at(&self, numbers: &[u64], columns: &[usize]) -> Result<Vec<Example>, TabularError> {
        let mut scan = self.scan()?;
        let mut examples = Vec::new();
        let mut at = 0;
        for number in numbers {
            let values = loop {
                let Some(values) = scan.next()? else {
                    return Ok(examples);
                };
                at += 1;
                if at > *number {
                    break values;
                }
            };
            let mut example = Example::new(*number);
            for column in columns {
                example.push(values.get(*column).unwrap_or(&Value::Null));
            }
            let beyond = self.beyond(&values);
            if !beyond.is_empty() {
                example.push(&Value::List(beyond.to_vec()));
            }
            examples.push(example);
        }
        Ok(examples)
    }
}
