//! Scorers and their versions.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_mlflow_wire::Sql;

use crate::evaluation::Scorer;

const SELECT: &str = "SELECT s.scorer_id, s.experiment_id, s.name, v.version, v.serialized, v.created_ms
     FROM evaluation_scorers s JOIN evaluation_scorer_versions v ON v.scorer_id = s.scorer_id";

fn from_row(row: &Row) -> Result<Scorer, StoreError> {
    Ok(Scorer {
        id: row.text("scorer_id")?,
        experiment_id: row.integer("experiment_id")?,
        name: row.text("name")?,
        version: row.integer("version")?,
        serialized: row.text("serialized")?,
        created_ms: row.integer("created_ms")?,
    })
}

/// The id of a scorer, which is this one if it is new, and the number of its next version.
pub(crate) fn next_scorer_version(
    tx: &mut dyn Tx,
    experiment_id: i64,
    name: &str,
    new_id: &str,
) -> Result<(String, i64), StoreError> {
    let row = tx.query_one(
        "INSERT INTO evaluation_scorers AS s (scorer_id, experiment_id, name, last_version) VALUES ($1, $2, $3, 1)
         ON CONFLICT (experiment_id, name) DO UPDATE SET last_version = s.last_version + 1
         RETURNING scorer_id, last_version",
        params![new_id, experiment_id, name],
    )?;
    Ok((row.text("scorer_id")?, row.integer("last_version")?))
}

/// What a version takes at least, so that the limit of bytes also limits how many there are.
const VERSION_BYTES: usize = 512;

/// Inserts a version whose number is new.
pub(crate) fn insert_scorer_version(tx: &mut dyn Tx, scorer: &Scorer) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO evaluation_scorer_versions (scorer_id, version, created_ms, bytes, serialized)
         VALUES ($1, $2, $3, $4, $5)",
        params![
            &scorer.id,
            scorer.version,
            scorer.created_ms,
            scorer.serialized.len() + VERSION_BYTES,
            &scorer.serialized
        ],
    )?;
    Ok(())
}

/// What all versions of all scorers of these experiments take, in bytes.
pub(crate) fn scorer_bytes(tx: &mut dyn Tx, experiments: &[i64]) -> Result<i64, StoreError> {
    let mut sql = Sql::new(
        "SELECT CAST(COALESCE(SUM(v.bytes), 0) AS BIGINT) AS bytes FROM evaluation_scorer_versions v",
    );
    sql.push(" JOIN evaluation_scorers s ON s.scorer_id = v.scorer_id WHERE s.experiment_id IN ")
        .bind_list(experiments.iter().map(|id| (*id).into()));
    let (text, values) = sql.finish();
    tx.query_one(&text, &values)?.integer("bytes")
}

/// The latest version of each scorer of these experiments, by experiment and name.
pub(crate) fn latest_scorers(tx: &mut dyn Tx, experiments: &[i64]) -> Result<Vec<Scorer>, StoreError> {
    let mut sql = Sql::new(SELECT);
    sql.push(" WHERE s.experiment_id IN ")
        .bind_list(experiments.iter().map(|id| (*id).into()));
    sql.push(" AND v.version = (SELECT MAX(l.version) FROM evaluation_scorer_versions l");
    sql.push(" WHERE l.scorer_id = s.scorer_id) ORDER BY s.experiment_id, s.name");
    let (text, values) = sql.finish();
    tx.query(&text, &values)?.iter().map(from_row).collect()
}

/// All versions of a scorer, the oldest first.
pub(crate) fn scorer_versions(
    tx: &mut dyn Tx,
    experiment_id: i64,
    name: &str,
) -> Result<Vec<Scorer>, StoreError> {
    let sql = format!("{SELECT} WHERE s.experiment_id = $1 AND s.name = $2 ORDER BY v.version");
    tx.query(&sql, params![experiment_id, name])?
        .iter()
        .map(from_row)
        .collect()
}

/// A version of a scorer, or its latest.
pub(crate) fn scorer(
    tx: &mut dyn Tx,
    experiment_id: i64,
    name: &str,
    version: Option<i64>,
) -> Result<Option<Scorer>, StoreError> {
    let found = match version {
        Some(version) => {
            let sql = format!("{SELECT} WHERE s.experiment_id = $1 AND s.name = $2 AND v.version = $3");
            tx.query_opt(&sql, params![experiment_id, name, version])?
        }
        None => {
            let sql = format!(
                "{SELECT} WHERE s.experiment_id = $1 AND s.name = $2 ORDER BY v.version DESC LIMIT 1"
            );
            tx.query_opt(&sql, params![experiment_id, name])?
        }
    };
    found.as_ref().map(from_row).transpose()
}

/// Removes a version of a scorer, or all of them; answers whether there was one. A scorer without versions goes too.
pub(crate) fn delete_scorer(
    tx: &mut dyn Tx,
    experiment_id: i64,
    name: &str,
    version: Option<i64>,
) -> Result<bool, StoreError> {
    let Some(found) = scorer(tx, experiment_id, name, version)? else {
        return Ok(false);
    };
    match version {
        Some(version) => tx.execute(
            "DELETE FROM evaluation_scorer_versions WHERE scorer_id = $1 AND version = $2",
            params![&found.id, version],
        )?,
        None => tx.execute(
            "DELETE FROM evaluation_scorer_versions WHERE scorer_id = $1",
            params![&found.id],
        )?,
    };
    tx.execute(
        "DELETE FROM evaluation_scorers WHERE scorer_id = $1
         AND NOT EXISTS (SELECT 1 FROM evaluation_scorer_versions v WHERE v.scorer_id = $1)",
        params![&found.id],
    )?;
    Ok(true)
}
