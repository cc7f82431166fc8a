//! Removing for good what was deleted.

use corliss_metastore::{StoreError, Tx, Value, params};
use corliss_mlflow_wire::Sql;

use super::artifacts::{delete_artifact, files_under};
use crate::types::LifecycleStage;

/// Which of what was deleted goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deleted<'a> {
    /// Deleted until then, in Unix milliseconds.
    pub until_ms: i64,
    /// Of these experiments; of all, if there are none.
    pub experiment_ids: &'a [i64],
}

/// A deleted run or logged model.
pub(crate) struct Remains {
    /// Its number, or the model's id.
    pub id: Value,
    pub artifact_uri: String,
}

impl Deleted<'_> {
    fn of(&self, sql: &mut Sql, time: &'static str) {
        sql.push(" WHERE lifecycle_stage = 'deleted' AND COALESCE(")
            .push(time);
        sql.push(", 0) <= ").bind(self.until_ms);
        if !self.experiment_ids.is_empty() {
            let ids = self.experiment_ids.iter().map(|id| Value::from(*id));
            sql.push(" AND experiment_id IN ").bind_list(ids);
        }
    }

    /// Some deleted runs.
    pub fn runs(&self, tx: &mut dyn Tx, most: i64) -> Result<Vec<Remains>, StoreError> {
        let mut sql = Sql::new("SELECT run_no AS id, artifact_uri FROM tracking_runs");
        self.of(&mut sql, "deleted_ms");
        sql.push(" ORDER BY run_no LIMIT ").bind(most);
        remains(tx, sql)
    }

    /// Some deleted logged models.
    pub fn models(&self, tx: &mut dyn Tx, most: i64) -> Result<Vec<Remains>, StoreError> {
        let mut sql = Sql::new("SELECT model_id AS id, artifact_uri FROM tracking_logged_models");
        self.of(&mut sql, "updated_ms");
        sql.push(" ORDER BY model_id LIMIT ").bind(most);
        remains(tx, sql)
    }

    /// How many runs and logged models there are.
    pub fn count(&self, tx: &mut dyn Tx) -> Result<(u64, u64), StoreError> {
        let mut count = |table: &'static str, time: &'static str| {
            let mut sql = Sql::new("SELECT COUNT(*) AS found FROM ");
            sql.push(table);
            self.of(&mut sql, time);
            let (sql, values) = sql.finish();
            tx.query_one(&sql, &values)?.unsigned("found")
        };
        Ok((
            count("tracking_runs", "deleted_ms")?,
            count("tracking_logged_models", "updated_ms")?,
        ))
    }

    /// Deleted experiments in which nothing would be left.
    pub fn experiments(&self, tx: &mut dyn Tx) -> Result<Vec<i64>, StoreError> {
        let mut sql = Sql::new("SELECT experiment_id FROM tracking_experiments");
        self.of(&mut sql, "updated_ms");
        // `Default` is always there. What hangs on an experiment and is not to go keeps it.
        sql.push(" AND experiment_id <> 0");
        for (table, time) in [
            ("tracking_runs", "deleted_ms"),
            ("tracking_logged_models", "updated_ms"),
        ] {
            sql.push(" AND NOT EXISTS (SELECT 1 FROM ").push(table);
            sql.push(" x WHERE x.experiment_id = tracking_experiments.experiment_id");
            sql.push(" AND (x.lifecycle_stage = 'active' OR COALESCE(x.")
                .push(time);
            sql.push(", 0) > ").bind(self.until_ms).push("))");
        }
        sql.push(" ORDER BY experiment_id");
        let (sql, values) = sql.finish();
        let rows = tx.query(&sql, &values)?;
        rows.iter().map(|row| row.integer("experiment_id")).collect()
    }
}

fn remains(tx: &mut dyn Tx, sql: Sql) -> Result<Vec<Remains>, StoreError> {
    let (sql, values) = sql.finish();
    let rows = tx.query(&sql, &values)?;
    rows.iter()
        .map(|row| {
            Ok(Remains {
                id: row.value("id")?.clone(),
                artifact_uri: row.text("artifact_uri")?,
            })
        })
        .collect()
}

/// Removes a run with all that it logged.
pub(crate) fn purge_run(tx: &mut dyn Tx, run_no: &Value) -> Result<(), StoreError> {
    for table in [
        "tracking_params",
        "tracking_run_tags",
        "tracking_latest",
        "tracking_batches",
        "tracking_points",
        "tracking_dataset_tags",
        "tracking_datasets",
        "tracking_run_models",
        "tracking_imported_runs",
        "tracking_runs",
    ] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE run_no = $1"),
            std::slice::from_ref(run_no),
        )?;
    }
    Ok(())
}

/// Removes a logged model.
pub(crate) fn purge_model(tx: &mut dyn Tx, model_id: &Value) -> Result<(), StoreError> {
    for table in [
        "tracking_model_params",
        "tracking_model_tags",
        "tracking_model_metrics",
        "tracking_run_models",
        "tracking_logged_models",
    ] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE model_id = $1"),
            std::slice::from_ref(model_id),
        )?;
    }
    Ok(())
}

/// Removes a deleted experiment that has nothing left. Its number is never given to another one.
pub(crate) fn purge_experiment(tx: &mut dyn Tx, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_numbers (what, next) VALUES ('experiment', $1)
         ON CONFLICT (what) DO UPDATE SET next = excluded.next WHERE tracking_numbers.next < excluded.next",
        params![id + 1],
    )?;
    for table in ["tracking_experiment_tags", "tracking_imported_experiments"] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE experiment_id = $1"),
            params![id],
        )?;
    }
    tx.execute(
        "DELETE FROM tracking_experiments WHERE experiment_id = $1 AND lifecycle_stage = $2",
        params![id, LifecycleStage::Deleted.as_str()],
    )?;
    Ok(())
}

/// Removes the artifacts at a path; answers how many there were, and their bytes.
pub(crate) fn purge_artifacts(tx: &mut dyn Tx, path: &str) -> Result<(u64, u64), StoreError> {
    let files = files_under(tx, path, usize::MAX)?;
    let bytes = files.iter().map(|file| file.size_bytes).sum();
    delete_artifact(tx, path)?;
    Ok((files.len() as u64, bytes))
}
