//! What aliases point at.

use corliss_metastore::{StoreError, Tx, params};

pub(crate) fn alias_of(tx: &mut dyn Tx, name: &str, alias: &str) -> Result<Option<i64>, StoreError> {
    tx.query_opt(
        "SELECT version FROM registry_aliases WHERE name = $1 AND alias = $2",
        params![name, alias],
    )?
    .map(|row| row.integer("version"))
    .transpose()
}

pub(crate) fn put_alias(tx: &mut dyn Tx, name: &str, alias: &str, version: i64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO registry_aliases (name, alias, version) VALUES ($1, $2, $3)
         ON CONFLICT (name, alias) DO UPDATE SET version = excluded.version",
        params![name, alias, version],
    )?;
    Ok(())
}

pub(crate) fn delete_alias(tx: &mut dyn Tx, name: &str, alias: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM registry_aliases WHERE name = $1 AND alias = $2";
    Ok(tx.execute(sql, params![name, alias])? == 1)
}
