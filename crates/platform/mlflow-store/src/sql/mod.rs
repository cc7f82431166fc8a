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
use crate::source::{DEFAULT_WORKSPACE, Each, MlflowStore, Remark, Remarks};
use cell::Cell;
use rows::ByOwner;
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
    remarks: Remarks,
}

impl<D: Database> SqlStore<D> {
    /// Looks whether the tables are there, and the workspace.
    pub fn open(mut database: D, workspace: &str) -> Result<Self, SourceError> {
        let has = schema::check(&mut database)?;
        if workspace != DEFAULT_WORKSPACE {
            schema::check_workspace(&mut database, has, workspace)?;
        }
        Ok(Self {
            database,
            workspace: workspace.to_owned(),
            has,
            run_ids: None,
            remarks: Remarks::default(),
        })
    }

    /// What rows say whose first column is an id; those that cannot be read are left out, and told by that.
    fn readable<R>(
        &mut self,
        what: &str,
        rows: Vec<Row>,
        mut read: impl FnMut(Row) -> Result<R, SourceError>,
    ) -> Result<Vec<R>, SourceError> {
        let mut found = Vec::new();
        for row in rows {
            let id = row.first().map(ToString::to_string).unwrap_or_default();
            match read(row) {
                Ok(one) => found.push(one),
                Err(error) => self.remarks.leave_out(&format!("{what} {id}"), error)?,
            }
        }
        Ok(found)
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
    fn remarks(&mut self) -> Vec<Remark> {
        self.remarks.take()
    }

    fn experiments(&mut self) -> Result<Vec<Experiment>, SourceError> {
        let rows = self.scoped_rows(
            "SELECT CAST(experiment_id AS VARCHAR(32)), name, lifecycle_stage, creation_time, last_update_time
             FROM experiments WHERE 1 = 1{workspace} ORDER BY name",
            &[],
        )?;
        let tags = self.database.rows(
            "SELECT CAST(experiment_id AS VARCHAR(32)), key, value FROM experiment_tags ORDER BY key",
            &[],
        )?;
        let mut tags = rows::pairs("experiment_tags", ["experiment_id", "key", "value"], tags)?;
        self.readable("experiment", rows, |row| {
            let mut experiment = rows::experiment(row)?;
            experiment.tags = tags.take(&experiment.id)?;
            Ok(experiment)
        })
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
                let read = cells
                    .text("experiment_id")
                    .and_then(|experiment| Ok((experiment, cells.text("run_uuid")?)));
                match read {
                    Ok((experiment, run)) => by_experiment.entry(experiment).or_default().push(run),
                    Err(error) => self.remarks.leave_out("a run", error)?,
                }
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
        let columns = ["run_uuid", "key", "value"];
        let mut params = rows::pairs("params", columns, params)?;
        let mut tags = rows::pairs("tags", columns, tags)?;
        let (mut datasets, mut models) = (ByOwner::none(), ByOwner::none());
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
        self.readable("run", found, |row| {
            let mut run = rows::run(row)?;
            run.params = params.take(&run.run_id)?;
            run.tags = tags.take(&run.run_id)?;
            run.datasets = datasets.take(&run.run_id)?;
            run.models = models.take(&run.run_id)?;
            Ok(run)
        })
    }

    fn points(&mut self, _experiment: &str, run: &str, each: &mut Each<'_>) -> Result<(), SourceError> {
        let mut failed = None;
        self.database.each(
            "SELECT key, timestamp, step, value, CASE WHEN is_nan THEN 1 ELSE 0 END AS nan FROM metrics
             WHERE run_uuid = $1 ORDER BY key, timestamp, step, CASE WHEN is_nan THEN 0 ELSE value END, nan",
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
        let mut params = rows::pairs(
            "logged_model_params",
            ["model_id", "param_key", "param_value"],
            params,
        )?;
        let mut tags = rows::pairs("logged_model_tags", ["model_id", "tag_key", "tag_value"], tags)?;
        let mut metrics = rows::model_metrics(metrics)?;
        self.readable("logged model", models, |row| {
            let mut model = rows::logged_model(row)?;
            model.params = params.take(&model.model_id)?;
            model.tags = tags.take(&model.model_id)?;
            model.metrics = metrics.take(&model.model_id)?;
            Ok(model)
        })
    }

    fn registered_models(&mut self) -> Result<Vec<RegisteredModel>, SourceError> {
        registry::models(self)
    }

    fn versions(&mut self, model: &str) -> Result<Vec<ModelVersion>, SourceError> {
        registry::versions(self, model)
    }
}
