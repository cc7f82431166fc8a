//! Columns that hold JSON.

use corliss_metastore::{Row, StoreError, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the column holds.
pub fn read<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(&row.text(column)?).map_err(|error| malformed(column, &error))
}

/// What the column is to hold.
pub fn written<T: Serialize>(column: &str, value: &T) -> Result<Value, StoreError> {
    let text = serde_json::to_string(value).map_err(|error| malformed(column, &error))?;
    Ok(Value::from(text))
}

fn malformed(column: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Malformed {
        column: column.to_owned(),
        message: error.to_string(),
    }
}
