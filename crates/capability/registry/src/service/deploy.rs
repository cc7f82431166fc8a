//! What may be served, and that it is.

use corliss_model_format::Verdict;
use serde_json::json;

use super::approve::check_approved;
use super::{Registry, existing_version};
use crate::RegistryError;
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
    /// none is a pickle unless `allow_pickle` says that this is all right.
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
        let contents = self.known_contents(files).await?;
        if let Some(file) = contents.first(Verdict::Damaged) {
            let at = file
                .at_byte
                .map(|at| format!(" (at byte {at})"))
                .unwrap_or_default();
            return Err(RegistryError::Damaged {
                name,
                version: number,
                file: file.path.clone(),
                detail: format!("{}{at}", file.detail),
            });
        }
        match contents.first(Verdict::Unsafe) {
            Some(file) if !allow_pickle => Err(RegistryError::Pickled {
                name,
                version: number,
                file: file.path.clone(),
                detail: file.detail.clone(),
            }),
            _ => Ok(()),
        }
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
