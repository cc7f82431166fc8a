//! Keys that were destroyed: who did it and when, so that they are never taken for lost.

use std::fmt;

use corliss_types::{Timestamp, civil_date};
use serde::Serialize;

use super::form;
use super::kept::{self, Content};
use super::shelf::Shelf;
use crate::KeyError;

/// That a tenant's keys were destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Destroyed {
    /// Whose keys.
    pub tenant: String,
    /// When.
    pub at: Timestamp,
    /// Who had it done.
    pub by: String,
    /// How many data keys there were; None if what lay there could not be read.
    pub data_keys: Option<usize>,
}

impl fmt::Display for Destroyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, at, by, .. } = self;
        write!(f, "the keys of '{tenant}' were destroyed by {by} on {}", utc(*at))
    }
}

/// Destroys a tenant's keys where they lie. No root key is needed, so that a tenant can be deleted when its
/// keeper is out of reach, and keys that are damaged are destroyed as well. What was destroyed before stays
/// as it is, with its first date. A tenant without keys gets none from now on.
///
/// Copies elsewhere are not reached: backups, and blocks that the disk has not used again. Whoever has one
/// and the root key can open it; [`crate::FileRootKey::retire`], or a new version of the transit key and a
/// higher `min_decryption_version`, makes those useless too.
///
/// # Errors
/// The keys are another tenant's, or the shelf failed; then destroy again.
pub async fn destroy(
    tenant: &str,
    shelf: &dyn Shelf,
    by: &str,
    at: Timestamp,
) -> Result<Destroyed, KeyError> {
    let data_keys = match shelf.load().await? {
        None => Some(0),
        Some(bytes) => match kept::read(tenant, &bytes) {
            Ok(Content::Destroyed(before)) => return Ok(before),
            Ok(Content::Keys(kept)) => Some(kept.data_keys.len()),
            Err(error) if is_anothers(tenant, &bytes) => return Err(error),
            Err(_) => None,
        },
    };
    let destroyed = Destroyed {
        tenant: tenant.to_owned(),
        at,
        by: by.to_owned(),
        data_keys,
    };
    shelf.save(kept::tombstone(&destroyed)?).await?;
    match shelf.load().await? {
        Some(bytes) if matches!(kept::read(tenant, &bytes), Ok(Content::Destroyed(_))) => {}
        _ => return Err(form(tenant, &"they are still there after they were destroyed")),
    }
    tracing::warn!(tenant, by, data_keys, "destroyed the keys of a tenant");
    Ok(destroyed)
}

/// Whether bytes that are not this tenant's name another one: a shelf that was mixed up is not wiped.
fn is_anothers(tenant: &str, bytes: &[u8]) -> bool {
    let parsed = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let named = parsed.as_ref().and_then(|value| value.get("tenant")?.as_str());
    named.is_some_and(|named| named != tenant)
}

/// A time to the second, as people write it; the years of the common calendar.
fn utc(at: Timestamp) -> String {
    let seconds = at.as_millis().div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        for (millis, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (951_868_799_999, "2000-02-29 23:59:59 UTC"),
            (1_795_302_672_000, "2026-11-21 23:11:12 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(utc(Timestamp::from_millis(millis)), text);
        }
    }
}
