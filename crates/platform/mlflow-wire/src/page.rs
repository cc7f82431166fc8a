//! Page tokens as MLflow's clients pass them back: base64 of `{"offset": n}`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::WireError;

/// The token of the page that starts after `offset` items.
#[must_use]
pub fn token_of(offset: u64) -> String {
    STANDARD.encode(json!({ "offset": offset }).to_string())
}

/// How many items to skip; no token means none.
///
/// # Errors
/// The token is not one of ours.
pub fn offset_of(token: Option<&str>) -> Result<u64, WireError> {
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Ok(0);
    };
    let decoded = STANDARD
        .decode(token)
        .map_err(|_| WireError::new("Invalid page token, could not base64-decode"))?;
    let parsed: Option<Value> = serde_json::from_slice(&decoded).ok();
    parsed
        .as_ref()
        .and_then(|value| value.get("offset")?.as_u64())
        // PostgreSQL and SQLite take offsets as signed.
        .filter(|offset| *offset <= i64::MAX as u64)
        .ok_or_else(|| {
            WireError::new(format!(
                "Invalid page token, parsed value={}",
                String::from_utf8_lossy(&decoded)
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_rubbish_is_refused() {
        assert_eq!(offset_of(Some(&token_of(1000))).unwrap(), 1000);
        assert_eq!(offset_of(None).unwrap(), 0);
        for bad in ["???", "e30=", "MTIz"] {
            assert!(
                offset_of(Some(bad))
                    .unwrap_err()
                    .to_string()
                    .starts_with("Invalid page token"),
                "{bad}"
            );
        }
    }
}
