//! What may be served, and that it is.

use corliss_model_format::Verdict;
use serde_json::json;

use super::approve::check_approved;
use super::{Registry, existing_version};
use crate::RegistryError;
use crate::contents::Contents;
use crate::events::{Action, By, ITSELF};
use crate::store::{decisions, events};

/// That an endpoint was told to serve a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// The endpoint.
    pub endpoint: String,
    /// What it was told to serve, such as `digits@champion`.
    pub reference: String,
    /// The model.
    pub name: String,
    /// The version that this meant.
    pub version: i64,
    /// Who told it; none if the endpoint followed an alias.
    pub by: Option<String>,
    /// Whether pickles were allowed.
    pub allow_pickle: bool,
    /// The same again is one event under this key.
    pub key: String,
}

impl Registry {
    /// Whether a version may be served: it is approved where its model demands that, none of its files is damaged, and
    /// none is a pickle, unless `allow_pickle` says that one may lie beside the file that an engine loads. A model that only
    /// Python loads is served if that runs no code of whoever made it, or `allow_pickle` says that it may.
    ///
    /// # Errors
    /// It may not, and why; or its files cannot be read.
    pub async fn clear_for_deployment(
        &self,
        name: String,
        number: i64,
        allow_pickle: bool,
    ) -> Result<(), RegistryError> {
        let model = name.clone();
        let version = self
            .store
            .read(move |tx| {
                let version = existing_version(tx, &model, number)?;
                if let Some(protection) = decisions::protection(tx, &model)? {
                    check_approved(tx, &protection, &version)?;
                }
                Ok::<_, RegistryError>(version)
            })
            .await?;
        let Some(files) = &version.source_version else {
            return Ok(());
        };
        check_contents(&self.known_contents(files).await?, &name, number, allow_pickle)
    }

    /// Why the files of a version would not be served, as far as somebody has looked at them; nothing otherwise.
    ///
    /// # Errors
    /// There is no such version, or the metadata store failed.
    pub(crate) async fn unfit(
        &self,
        name: String,
        number: i64,
    ) -> Result<Option<RegistryError>, RegistryError> {
        let version = self.version(name.clone(), number).await?;
        self.look_after_registering(&version).await;
        let contents = self.contents(&version).await?;
        Ok(contents.and_then(|contents| check_contents(&contents, &name, number, false).err()))
    }

    /// Adds to the log that an endpoint was told to serve a version; telling it again is harmless.
    ///
    /// # Errors
    /// The metadata store failed.
    pub async fn record_deployment(&self, deployed: Deployed) -> Result<(), RegistryError> {
        let by = By {
            actor: deployed.by.as_deref().unwrap_or(ITSELF).into(),
            now_ms: self.now_ms(),
        };
        let mut details = json!({ "endpoint": deployed.endpoint, "reference": deployed.reference });
        if deployed.allow_pickle
            && let Some(details) = details.as_object_mut()
        {
            details.insert("allow_pickle".to_owned(), json!(true));
        }
        self.store
            .write(move |tx| {
                let place = (deployed.name.as_str(), Some(deployed.version));
                let key = format!("deployed/{}", deployed.key);
                Ok(events::add_once(
                    tx,
                    &by,
                    place,
                    Action::Deployed,
                    &details,
                    &key,
                )?)
            })
            .await
    }
}

fn check_contents(
    contents: &Contents,
    name: &str,
    version: i64,
    allow_pickle: bool,
) -> Result<(), RegistryError> {
    let name = name.to_owned();
    if let Some(file) = contents.first(Verdict::Damaged) {
        let at = file
            .at_byte
            .map(|at| format!(" (at byte {at})"))
            .unwrap_or_default();
        return Err(RegistryError::Damaged {
            name,
            version,
            file: file.path.clone(),
            detail: format!("{}{at}", file.detail),
        });
    }
    let pickle = contents.first(Verdict::Unsafe);
    if contents.declared.python && contents.for_an_engine().is_none() {
        let Some(runs_code) = &contents.declared.runs_code else {
            return Ok(());
        };
        if allow_pickle {
            return Ok(());
        }
        let why = pickle.map(|file| format!("'{}' is {}", file.path, file.detail));
        return Err(RegistryError::RunsCode {
            name,
            version,
            detail: why.unwrap_or_else(|| runs_code.clone()),
        });
    }
    let Some(pickle) = pickle else {
        return Ok(());
    };
    let (file, detail) = (pickle.path.clone(), pickle.detail.clone());
    match contents.for_an_engine() {
        None => Err(RegistryError::OnlyPickled {
            name,
            version,
            file,
            detail,
        }),
        Some(_) if allow_pickle => Ok(()),
        Some(loaded) => Err(RegistryError::Pickled {
            name,
            version,
            file,
            detail,
            beside: loaded.path.clone(),
        }),
    }
}
