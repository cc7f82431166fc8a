//! Tables and SQL: limits of callers, what they have used, and what requests on their way may use. Nothing here
//! decides.

use corliss_metastore::{Migrations, StoreError, Tx, Value};
use corliss_policy_serving::limits::{Ask, Limits, Usage};
use corliss_types::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The schema.
pub const MIGRATIONS: Migrations = Migrations {
    component: "gateway",
    steps: &["
    CREATE TABLE gateway_limits (
        name TEXT NOT NULL PRIMARY KEY,
        limits TEXT NOT NULL,
        updated_ms BIGINT NOT NULL
    );
    CREATE TABLE gateway_usage (
        name TEXT NOT NULL PRIMARY KEY,
        used TEXT NOT NULL
    );
    CREATE TABLE gateway_reservations (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        tokens BIGINT NOT NULL,
        micros BIGINT NOT NULL,
        at_ms BIGINT NOT NULL
    );
    "],
};

/// What a request on its way may use at most.
pub(crate) struct Reservation {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) ask: Ask,
}

/// Who has limits, and which.
pub(crate) fn list_limits(tx: &mut dyn Tx) -> Result<Vec<(String, Limits)>, StoreError> {
    let rows = tx.query("SELECT name, limits FROM gateway_limits ORDER BY name", &[])?;
    rows.iter()
        .map(|row| Ok((row.text("name")?, read("limits", &row.text("limits")?)?)))
        .collect()
}

pub(crate) fn get_limits(tx: &mut dyn Tx, name: &str) -> Result<Option<Limits>, StoreError> {
    let row = tx.query_opt(
        "SELECT limits FROM gateway_limits WHERE name = $1",
        &[name.into()],
    )?;
    row.map(|row| read("limits", &row.text("limits")?)).transpose()
}

pub(crate) fn set_limits(
    tx: &mut dyn Tx,
    name: &str,
    limits: &Limits,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO gateway_limits (name, limits, updated_ms) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET limits = $2, updated_ms = $3",
        &[name.into(), written("limits", limits)?, now.into()],
    )?;
    Ok(())
}

/// False if there were none.
pub(crate) fn remove_limits(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM gateway_limits WHERE name = $1", &[name.into()])? == 1)
}

pub(crate) fn get_usage(tx: &mut dyn Tx, name: &str) -> Result<Usage, StoreError> {
    let row = tx.query_opt("SELECT used FROM gateway_usage WHERE name = $1", &[name.into()])?;
    row.map_or(Ok(Usage::default()), |row| read("used", &row.text("used")?))
}

pub(crate) fn set_usage(tx: &mut dyn Tx, name: &str, usage: &Usage) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO gateway_usage (name, used) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET used = $2",
        &[name.into(), written("used", usage)?],
    )?;
    Ok(())
}

pub(crate) fn insert_reservation(
    tx: &mut dyn Tx,
    reservation: &Reservation,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Reservation { id, name, ask } = reservation;
    tx.execute(
        "INSERT INTO gateway_reservations (id, name, tokens, micros, at_ms) VALUES ($1, $2, $3, $4, $5)",
        &[
            id.into(),
            name.into(),
            ask.tokens.into(),
            ask.micros.into(),
            now.into(),
        ],
    )?;
    Ok(())
}

/// False if it is not there: it was settled before.
pub(crate) fn remove_reservation(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM gateway_reservations WHERE id = $1", &[id.into()])? == 1)
}

pub(crate) fn list_reservations(tx: &mut dyn Tx) -> Result<Vec<Reservation>, StoreError> {
    let rows = tx.query("SELECT * FROM gateway_reservations ORDER BY id", &[])?;
    rows.iter()
        .map(|row| {
            Ok(Reservation {
                id: row.text("id")?,
                name: row.text("name")?,
                ask: Ask {
                    tokens: row.unsigned("tokens")?,
                    micros: row.unsigned("micros")?,
                },
            })
        })
        .collect()
}

/// What cannot be read refuses the request: a limit that is not understood is not one that does not bind.
fn read<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| malformed(column, &error))
}

fn written<T: Serialize>(column: &str, value: &T) -> Result<Value, StoreError> {
    let text = serde_json::to_string(value).map_err(|error| malformed(column, &error))?;
    Ok(Value::from(text))
}

fn malformed(column: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Malformed {
        column: column.to_owned(),
        message: error.to_string(),
    }
}
