//! The five kinds of value that both databases share.

use corliss_types::{
    CommitId, DatasetName, DurationMs, EndpointId, JobId, ModelName, PrincipalId, ReleaseId, ReplicaId,
    RunId, TaskId, Timestamp, TokenId, TrackingRunId, VersionId,
};

/// One parameter or column.
///
/// Not-a-number cannot be stored (SQLite turns it into NULL): keep such a value beside a flag column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// BIGINT.
    Integer(i64),
    /// DOUBLE PRECISION, never NaN.
    Real(f64),
    /// TEXT, without NUL characters (PostgreSQL cannot hold them).
    Text(String),
    /// BYTEA.
    Blob(Vec<u8>),
}

impl Value {
    /// The kind, as error messages name it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a real number",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
        }
    }
}

/// Builds a parameter list: `params![id, now, Some("x")]` is `&[Value; 3]`.
#[macro_export]
macro_rules! params {
    () => { &[] as &[$crate::Value] };
    ($($value:expr),+ $(,)?) => { &[$($crate::Value::from($value)),+] };
}

macro_rules! from_integer {
    ($($kind:ty),*) => { $(
        impl From<$kind> for Value {
            fn from(value: $kind) -> Self { Self::Integer(i64::from(value)) }
        }
    )* };
}
from_integer!(i64, i32, i16, u32, u16, u8);

impl From<bool> for Value {
    /// 0 or 1: the shared dialect has no booleans.
    fn from(value: bool) -> Self {
        Self::Integer(i64::from(value))
    }
}

impl From<u64> for Value {
    /// Amounts above `i64::MAX` (no byte count or duration of this world) are stored as `i64::MAX`.
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Integer(value.as_millis())
    }
}

impl From<DurationMs> for Value {
    fn from(value: DurationMs) -> Self {
        Self::from(value.0)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! from_id {
    ($($id:ty),* $(,)?) => { $(
        impl From<&$id> for Value {
            fn from(value: &$id) -> Self { Self::Text(value.as_str().to_owned()) }
        }
        impl From<$id> for Value {
            fn from(value: $id) -> Self { Self::from(&value) }
        }
    )* };
}
from_id!(
    DatasetName,
    EndpointId,
    JobId,
    ModelName,
    PrincipalId,
    ReleaseId,
    ReplicaId,
    RunId,
    TaskId,
    TokenId,
    TrackingRunId,
    CommitId,
    VersionId,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_booleans_become_plain_values() {
        let list: &[Value] = params![true, None::<i64>, Some("x"), 7_u32, u64::MAX];
        assert_eq!(list[0], Value::Integer(1));
        assert_eq!(list[1], Value::Null);
        assert_eq!(list[2], Value::Text("x".into()));
        assert_eq!(list[4], Value::Integer(i64::MAX));
        assert!(params![].is_empty());
    }
}
