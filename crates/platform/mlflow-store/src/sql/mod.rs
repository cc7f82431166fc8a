//! A store of MLflow in a database: the statements, written once for SQLite and PostgreSQL. All parameters are texts, so
//! that no driver has to guess the type of a column.

mod cell;
mod postgres;
mod registry;
mod rows;
mod schema;
mod sqlite;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;

use crate::error::SourceError;
use crate::model::{Experiment, LoggedModel, ModelVersion, RegisteredModel, Run};
use crate::source::{Each, MlflowStore};
use cell::Cell;
use schema::Optional;

/// A row: one cell for each column of the statement.
type Row = Vec<Cell>;

/// A database that is only read.
pub(crate) trait Database {
    /// Runs a statement whose parameters `$1`, `$2`… occur in this order, and hands its rows on as they come.
    fn each(
        &mut self,
        sql: &str,
        params: &[&str],
        row: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), SourceError>;

    /// A statement that answers one row for each column of the table `$1`: its name.
    const COLUMNS: &'static str;

    /// All rows of a statement.
    fn rows(&mut self, sql: &str, params: &[&str]) -> Result<Vec<Row>, SourceError> {
        let mut rows = Vec::new();
        self.each(sql, params, &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }
}

/// A store in a database.
pub(crate) struct SqlStore<D> {
    database: D,
    workspace: String,
    has: Optional,
    /// Ids of runs by experiment: read once, since no index leads from one to the other.
    run_ids: Option<BTreeMap<String, Vec<String>>>,
}

impl<D: Database> SqlStore<D> {
    /// Looks whether the tables are there.
    pub fn open(mut database: D, workspace: &str) -> Result<Self, SourceError> {
        let has = schema::check(&mut database)?;
        Ok(Self {
            database,
            workspace: workspace.to_owned(),
            has,
            run_ids: None,
        })
    }

    /// A statement with ` AND workspace = $1` in place of `{workspace}`, and its parameters; a store without workspaces is
    /// one.
    fn scoped<'a>(&'a self, sql: &str, params: &[&'a str]) -> (String, Vec<&'a str>) {
        let mut params = params.to_vec();
        if !self.has.workspaces {
            return (sql.replace("{workspace}", ""), params);
        }
        params.push(&self.workspace);
        let test = format!(" AND workspace = ${}", params.len());
        (sql.replace("{workspace}", &test), params)
    }

    fn scoped_rows(&mut self, sql: &str, params: &[&str]) -> Result<Vec<Row>, SourceError> {
        let (sql, params) = {
            let (sql, params) = self.scoped(sql, params);
            (sql, params.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let params: Vec<&str> = params.iter().map(String::as_str).collect();
        self.database.rows(&sql, &params)
    }

    /// Rows that hang on some ids, which stand in for `{ids}`.
    fn rows_of(&mut self, sql: &str, ids: &[String]) -> Result<Vec<Row>, SourceError> {
        let list: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
        let params: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.database
            .rows(&sql.replace("{ids}", &list.join(",")), &params)
    }
}

impl<D: Database> MlflowStore for SqlStore<D> {
    fn experiments(&mut self) -> Result<Vec<Experiment>, SourceError> {
        let rows = self.scoped_rows(
            "SELECT CAST(experiment_id AS VARCHAR(32)), name, lifecycle_stage, creation_time, last_update_time
             FROM experiments WHERE 1 = 1{workspace} ORDER BY name",
            &[],
        )?;
        let mut tags = rows::pairs_by_owner(
            "experiment_tags",
            self.database.rows(
                "SELECT CAST(experiment_id AS VARCHAR(32)), key, value FROM experiment_tags ORDER BY key",
                &[],
            )?,
        )?;
        rows.into_iter()
            .map(|row| {
                let mut experiment = rows::experiment(row)?;
                experiment.tags = tags.remove(&experiment.id).unwrap_or_default();
                Ok(experiment)
            })
            .collect()
    }

    fn run_ids(&mut self, experiment: &str) -> Result<Vec<String>, SourceError> {
        if self.run_ids.is_none() {
            let mut by_experiment: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let rows = self.database.rows(
                "SELECT CAST(experiment_id AS VARCHAR(32)), run_uuid FROM runs ORDER BY start_time, run_uuid",
                &[],
            )?;
            for row in rows {
                let mut cells = cell::Cells::of("runs", row);
                let experiment = cells.text("experiment_id")?;
                by_experiment
                    .entry(experiment)
                    .or_default()
                    .push(cells.text("run_uuid")?);
            }
            self.run_ids = Some(by_experiment);
        }
        let all = self.run_ids.as_ref();
        Ok(all
            .and_then(|all| all.get(experiment))
            .cloned()
            .unwrap_or_default())
    }

    fn runs(&mut self, _experiment: &str, ids: &[String]) -> Result<Vec<Run>, SourceError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.rows_of(
            "SELECT run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, deleted_time, artifact_uri
             FROM runs WHERE run_uuid IN ({ids}) ORDER BY start_time, run_uuid",
            ids,
        )?;
        let params = self.rows_of(
            "SELECT run_uuid, key, value FROM params WHERE run_uuid IN ({ids}) ORDER BY key",
            ids,
        )?;
        let tags = self.rows_of(
            "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({ids}) ORDER BY key",
            ids,
        )?;
        let counts = self.rows_of(
            "SELECT run_uuid, key, COUNT(*) FROM metrics WHERE run_uuid IN ({ids}) GROUP BY run_uuid, key",
            ids,
        )?;
        let mut params = rows::pairs_by_owner("params", params)?;
        let mut tags = rows::pairs_by_owner("tags", tags)?;
        let mut points = rows::counts(counts)?;
        let mut datasets = BTreeMap::new();
        let mut models = BTreeMap::new();
        if self.has.inputs {
            let found = self.rows_of(
                "SELECT i.destination_id, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema,
                     d.dataset_profile, t.name, t.value
                 FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id
                 LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid
                 WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id IN ({ids})
                 ORDER BY d.name, d.digest, t.name",
                ids,
            )?;
            datasets = rows::datasets(found)?;
            let found = self.rows_of(
                "SELECT source_id, destination_id, source_type, step FROM inputs
                 WHERE source_type IN ('RUN_INPUT', 'RUN_OUTPUT') AND source_id IN ({ids})
                 ORDER BY source_type, step, destination_id",
                ids,
            )?;
            models = rows::links(found)?;
        }
        found
            .into_iter()
            .map(|row| {
                let mut run = rows::run(row)?;
                run.params = params.remove(&run.run_id).unwrap_or_default();
                run.tags = tags.remove(&run.run_id).unwrap_or_default();
                run.points = points.remove(&run.run_id).unwrap_or_default();
                run.datasets = datasets.remove(&run.run_id).unwrap_or_default();
                run.models = models.remove(&run.run_id).unwrap_or_default();
                Ok(run)
            })
            .collect()
    }

    fn points(&mut self, _experiment: &str, run: &str, each: &mut Each<'_>) -> Result<(), SourceError> {
        let mut failed = None;
        self.database.each(
            "SELECT key, timestamp, step, value, CASE WHEN is_nan THEN 1 ELSE 0 END AS nan FROM metrics
             WHERE run_uuid = $1 ORDER BY key, timestamp, step, value, nan",
            &[run],
            &mut |row| match rows::point(row) {
                Ok(point) => each(point),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        failed.map_or(Ok(()), Err)
    }

    fn logged_models(&mut self, experiment: &str) -> Result<Vec<LoggedModel>, SourceError> {
        if !self.has.logged_models {
            return Ok(Vec::new());
        }
        let of = |columns: &str, table: &str, order: &str| {
            format!(
                "SELECT {columns} FROM {table} WHERE CAST(experiment_id AS VARCHAR(32)) = $1 ORDER BY {order}"
            )
        };
        let mut all = |columns: &str, table: &str, order: &str| {
            self.database.rows(&of(columns, table, order), &[experiment])
        };
        let models = all(
            "model_id, name, model_type, source_run_id, status, lifecycle_stage, creation_timestamp_ms,
             last_updated_timestamp_ms, artifact_location",
            "logged_models",
            "creation_timestamp_ms, model_id",
        )?;
        let params = all(
            "model_id, param_key, param_value",
            "logged_model_params",
            "param_key",
        )?;
        let tags = all("model_id, tag_key, tag_value", "logged_model_tags", "tag_key")?;
        let metrics = all(
            "model_id, run_id, metric_name, metric_timestamp_ms, metric_step, metric_value, dataset_name, dataset_digest",
            "logged_model_metrics",
            "metric_name, metric_timestamp_ms, metric_step, run_id",
        )?;
        let mut params = rows::pairs_by_owner("logged_model_params", params)?;
        let mut tags = rows::pairs_by_owner("logged_model_tags", tags)?;
        let mut metrics = rows::model_metrics(metrics)?;
        models
            .into_iter()
            .map(|row| {
                let mut model = rows::logged_model(row)?;
                model.params = params.remove(&model.model_id).unwrap_or_default();
                model.tags = tags.remove(&model.model_id).unwrap_or_default();
                model.metrics = metrics.remove(&model.model_id).unwrap_or_default();
                Ok(model)
            })
            .collect()
    }

    fn registered_models(&mut self) -> Result<Vec<RegisteredModel>, SourceError> {
        registry::models(self)
    }

    fn versions(&mut self, model: &str) -> Result<Vec<ModelVersion>, SourceError> {
        registry::versions(self, model)
    }
}
