//! Rows of `serving_services`. Keys are sealed before they come here.

use corliss_metastore::{Row, StoreError, Tx, Value};
use corliss_policy_serving::Routing;
use corliss_types::{ServiceDialect, Timestamp};

use super::Target;
use crate::ports::SealedKey;
use crate::store::{json, routing};

/// A service as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRow {
    pub name: String,
    pub dialect: ServiceDialect,
    pub model: String,
    pub targets: Vec<Target>,
    pub key: Option<SealedKey>,
    pub routing: Routing,
    pub created_by: String,
    pub created: Timestamp,
    pub updated: Timestamp,
}

fn service(row: &Row) -> Result<ServiceRow, StoreError> {
    let key = match row.opt_unsigned("secret_key")? {
        None => None,
        Some(key) => Some(SealedKey {
            key: u32::try_from(key).unwrap_or(u32::MAX),
            bytes: row.blob("secret")?,
        }),
    };
    let dialect = row.text("dialect")?;
    Ok(ServiceRow {
        name: row.text("name")?,
        dialect: ServiceDialect::from_name(&dialect).ok_or_else(|| StoreError::Malformed {
            column: "dialect".to_owned(),
            message: format!("'{dialect}' is nothing that services speak"),
        })?,
        model: row.text("model")?,
        targets: json::read(row, "targets")?,
        key,
        routing: routing(&row.text("routing")?),
        created_by: row.text("created_by")?,
        created: row.timestamp("created_ms")?,
        updated: row.timestamp("updated_ms")?,
    })
}

/// Every one, by name.
pub fn list_services(tx: &mut dyn Tx) -> Result<Vec<ServiceRow>, StoreError> {
    tx.query("SELECT * FROM serving_services ORDER BY name", &[])?
        .iter()
        .map(service)
        .collect()
}

/// The one of this name.
pub fn get_service(tx: &mut dyn Tx, name: &str) -> Result<Option<ServiceRow>, StoreError> {
    tx.query_opt("SELECT * FROM serving_services WHERE name = $1", &[name.into()])?
        .as_ref()
        .map(service)
        .transpose()
}

/// Stores one, new or changed; how it is routed, and who made it when, stays.
pub fn put_service(tx: &mut dyn Tx, row: &ServiceRow) -> Result<(), StoreError> {
    let params: [Value; 9] = [
        (&row.name).into(),
        row.dialect.as_str().into(),
        (&row.model).into(),
        json::written("targets", &row.targets)?,
        row.key.as_ref().map(|key| key.bytes.as_slice()).into(),
        row.key.as_ref().map(|key| key.key).into(),
        (&row.created_by).into(),
        row.created.into(),
        row.updated.into(),
    ];
    tx.execute(
        "INSERT INTO serving_services (name, dialect, model, targets, secret, secret_key, routing, created_by,
             created_ms, updated_ms)
         VALUES ($1, $2, $3, $4, $5, $6, '{}', $7, $8, $9)
         ON CONFLICT (name) DO UPDATE SET dialect = $2, model = $3, targets = $4, secret = $5, secret_key = $6,
             updated_ms = $9",
        &params,
    )?;
    Ok(())
}

/// Stores how its requests are routed; false if there is no such service.
pub fn set_service_routing(
    tx: &mut dyn Tx,
    name: &str,
    routing: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE serving_services SET routing = $2, updated_ms = $3 WHERE name = $1",
        &[name.into(), routing.into(), now.into()],
    )?;
    Ok(changed == 1)
}

/// Removes it; false if there is none.
pub fn delete_service(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM serving_services WHERE name = $1", &[name.into()])? == 1)
}
