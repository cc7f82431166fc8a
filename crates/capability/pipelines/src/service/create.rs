//! Accepting a run: its file is whole, its data is pinned, its code is there; then it is stored.

use std::collections::{BTreeMap, BTreeSet};

use corliss_diagnostics::nearest;
use corliss_policy_access::{Decision, decide};
use corliss_types::{DatasetName, Permission, Principal, Role, RunId, Timestamp, TrackingRunId, VersionId};
use serde::Deserialize;

use super::Pipelines;
use crate::error::PipelinesError;
use crate::project_file::{self, ProjectFile, variable_name};
use crate::store::{self, NewRunRow, NewStepRow};
use crate::types::ShellEnvironment;

/// How far ahead a run may be told to begin.
const BEGIN_MAX_MS: i64 = 366 * 86_400_000;
const MAX_PARAMS: usize = 100;
const MAX_VALUE_BYTES: usize = 32 * 1024;

/// A run to create.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// The project file's text.
    pub project_file: String,
    /// Its name, for messages.
    pub file_name: String,
    /// The code snapshot, uploaded before.
    pub source: VersionId,
    /// Versions of data sources, uploaded before; a source that is not named here is pinned to the newest
    /// version of the dataset of its name.
    #[serde(default)]
    pub data: BTreeMap<String, VersionId>,
    /// Parameters, given to every step as `$CORLISS_PARAM_<NAME>`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Before when none of its steps is started, in milliseconds since 1970.
    #[serde(default)]
    pub begin_ms: Option<Timestamp>,
    /// The submitting shell's environment.
    pub environment: ShellEnvironment,
}

impl Pipelines {
    pub(super) async fn parse(&self, text: &str) -> Result<ProjectFile, PipelinesError> {
        let site = self.context.ports.jobs.site().await?;
        project_file::parse(text, Some(&site)).map_err(|problems| PipelinesError::ProjectFile { problems })
    }

    /// Accepts a run; when this returns it is stored and will be carried out.
    ///
    /// # Errors
    /// The file has problems or asks for what the submitter may not do, data cannot be pinned, or something
    /// named does not exist.
    pub async fn create_run(&self, new: NewRun, submitter: &Principal) -> Result<RunId, PipelinesError> {
        let file = self.parse(&new.project_file).await?;
        may_release(&file, submitter.role)?;
        check_params(&new.params)?;
        check_environment(&new.environment)?;
        if new.file_name.len() > 1024 || new.file_name.contains('\0') {
            return Err(invalid(
                "file_name",
                "the file's name is longer than 1024 bytes or holds a NUL",
                None,
            ));
        }
        if let Some(begin) = new.begin_ms {
            check_begin(begin, self.context.sources.clock.now())?;
        }
        let data = self.pin(&file, &new).await?;
        let steps = file.steps.iter().map(|step| NewStepRow {
            name: step.name.clone(),
            tracking_run: self.tracking_run(),
            use_cache: true,
            cached_from: None,
            outputs: BTreeMap::new(),
        });
        let row = NewRunRow {
            id: RunId::new(self.context.sources.id_seed()),
            project: file.project.clone(),
            file_name: new.file_name,
            project_file: new.project_file,
            source: new.source,
            environment: json(&new.environment)?,
            params: json(&new.params)?,
            submitted_by: submitter.name.clone(),
            rerun_of: None,
            created: self.context.sources.clock.now(),
            begin: new.begin_ms,
            data,
            steps: steps.collect(),
            models: file.models.iter().map(|model| model.name.to_string()).collect(),
            endpoints: file
                .endpoints
                .iter()
                .map(|endpoint| endpoint.name.clone())
                .collect(),
        };
        self.insert(row).await
    }

    pub(super) async fn insert(&self, row: NewRunRow) -> Result<RunId, PipelinesError> {
        let id = row.id.clone();
        self.context
            .store
            .write::<_, PipelinesError, _>(move |tx| Ok(store::insert(tx, &row)?))
            .await?;
        self.changed(&id);
        Ok(id)
    }

    pub(super) fn tracking_run(&self) -> TrackingRunId {
        let mut random = [0_u8; 16];
        self.context.sources.entropy.fill(&mut random);
        TrackingRunId::new(random)
    }

    /// The version of every data source; all of them, and the code, exist.
    async fn pin(
        &self,
        file: &ProjectFile,
        new: &NewRun,
    ) -> Result<BTreeMap<String, VersionId>, PipelinesError> {
        let known: Vec<&str> = file.data.iter().map(|source| source.name.as_str()).collect();
        if let Some(extra) = new.data.keys().find(|name| !known.contains(&name.as_str())) {
            let hint = nearest(extra, known.iter().copied()).map(|name| format!("did you mean '{name}'?"));
            return Err(invalid(
                "data",
                &format!("the file has no data source '{extra}'"),
                hint,
            ));
        }
        let given: BTreeSet<VersionId> = new.data.values().chain([&new.source]).cloned().collect();
        let given: Vec<VersionId> = given.into_iter().collect();
        let missing = self.context.ports.datasets.missing(&given).await?;
        if let Some(version) = missing.first() {
            let name = new
                .data
                .iter()
                .find(|(_, given)| *given == version)
                .map(|(name, _)| format!("data.{name}"));
            let field = name.unwrap_or_else(|| "source".to_owned());
            return Err(PipelinesError::VersionMissing {
                field,
                version: version.to_string(),
            });
        }
        let mut data = new.data.clone();
        for source in known.into_iter().filter(|name| !new.data.contains_key(*name)) {
            data.insert(source.to_owned(), self.latest(source).await?);
        }
        Ok(data)
    }

    async fn latest(&self, name: &str) -> Result<VersionId, PipelinesError> {
        let field = format!("data.{name}");
        let dataset: DatasetName = name
            .parse()
            .map_err(|error| invalid(&field, &format!("{error}"), None))?;
        self.context
            .ports
            .datasets
            .latest(&dataset)
            .await?
            .ok_or_else(|| {
                let hint = "name a version of it, or add it with `corliss data add`".to_owned();
                invalid(
                    &field,
                    &format!("no version is given for '{name}' and there is no such dataset"),
                    Some(hint),
                )
            })
    }
}

/// What a run does at its end in its submitter's name needs what doing it by hand needs.
pub(super) fn may_release(file: &ProjectFile, role: Role) -> Result<(), PipelinesError> {
    let aliases = file.models.iter().filter(|model| model.alias.is_some());
    let aliases = aliases.map(|model| (format!("models.{}.alias", model.name), Permission::ModelsPromote));
    let endpoints = file.endpoints.iter();
    let endpoints = endpoints.map(|one| (format!("endpoints.{}", one.name), Permission::EndpointsWrite));
    for (field, permission) in aliases.chain(endpoints) {
        if let Decision::Deny(reason) = decide(role, permission) {
            return Err(PipelinesError::NotAllowed { field, reason });
        }
    }
    Ok(())
}

/// A start that is past is now.
fn check_begin(begin: Timestamp, now: Timestamp) -> Result<(), PipelinesError> {
    let latest = now.as_millis().saturating_add(BEGIN_MAX_MS);
    if (0..=latest).contains(&begin.as_millis()) {
        return Ok(());
    }
    Err(invalid(
        "begin_ms",
        "it lies more than a year ahead, or before 1970",
        None,
    ))
}

fn check_params(params: &BTreeMap<String, String>) -> Result<(), PipelinesError> {
    if params.len() > MAX_PARAMS {
        return Err(invalid(
            "params",
            &format!("there are more than {MAX_PARAMS} parameters"),
            None,
        ));
    }
    let mut seen = BTreeSet::new();
    for (name, value) in params {
        let field = format!("params.{name}");
        if name.is_empty() || name.len() > 63 || !seen.insert(variable_name(name)) {
            return Err(invalid(
                &field,
                "the name is empty, too long, or shares its variable with another",
                None,
            ));
        }
        if value.len() > MAX_VALUE_BYTES || value.contains('\0') {
            return Err(invalid(
                &field,
                "the value is longer than 32 KiB or holds a NUL",
                None,
            ));
        }
    }
    Ok(())
}

fn check_environment(environment: &ShellEnvironment) -> Result<(), PipelinesError> {
    for (name, value) in environment.variables() {
        if value.len() > MAX_VALUE_BYTES || value.contains('\0') {
            let field = format!("environment.{name}");
            return Err(invalid(
                &field,
                "the value is longer than 32 KiB or holds a NUL",
                None,
            ));
        }
    }
    Ok(())
}

fn invalid(field: &str, message: &str, hint: Option<String>) -> PipelinesError {
    PipelinesError::Invalid {
        field: field.to_owned(),
        message: message.to_owned(),
        hint,
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, PipelinesError> {
    serde_json::to_string(value).map_err(|error| PipelinesError::Task(error.to_string()))
}
