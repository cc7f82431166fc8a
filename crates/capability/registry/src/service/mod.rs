//! The service: checks what is asked, makes times and numbers, and runs each operation as one transaction.

mod aliases;
mod approve;
mod check;
mod deploy;
mod history;
mod import;
mod models;
mod register;
mod resolve;
mod search;
mod source;
mod versions;
mod webhooks;

use std::sync::Arc;

use corliss_clock::Sources;
use corliss_diagnostics::nearest;
use corliss_metastore::{Metastore, Tx};
use corliss_mlflow_wire::{WireError, check_key, check_length};
use corliss_reconcile::Wake;
use corliss_types::Timestamp;
use corliss_webhook::WebhookClient;
use tokio::sync::Semaphore;

pub use aliases::Expected;
pub(crate) use approve::NewProtection;
pub use deploy::Deployed;
pub use import::{ImportRegistered, ImportVersion, RegisteredMoved};
pub use register::{NewForeign, NewVersion, Registered};
pub(crate) use search::Search;

use crate::events::{By, ITSELF};
use crate::types::{KeyValue, Model, ModelVersion, PROMPT_TEXT_TAG};
use crate::{Ports, RegistryError, store};

const KEY_LEN: usize = 250;
const TAG_VALUE_LEN: usize = 100_000;
const NAME_LEN: usize = 256;
const DESCRIPTION_LEN: usize = 100_000;
/// Versions of a model that one answer shows.
const VERSIONS_SHOWN: i64 = 1000;
/// Versions whose files are looked at at once.
const LOOKS_AT_ONCE: usize = 2;

/// The registry; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    store: Metastore,
    sources: Sources,
    ports: Ports,
    webhooks: WebhookClient,
    /// Signalled when there may be something to tell webhooks.
    wake: Wake,
    /// Whose changes these are.
    actor: Arc<str>,
    /// Looking into a file may take a header of 100 MB into memory, so few look at once.
    looks: Arc<Semaphore>,
}

impl Registry {
    /// The registry on this store, which must have [`crate::MIGRATIONS`].
    #[must_use]
    pub fn new(store: Metastore, sources: Sources, ports: Ports, webhooks: WebhookClient) -> Self {
        Self {
            store,
            sources,
            ports,
            webhooks,
            wake: Wake::new(),
            actor: ITSELF.into(),
            looks: Arc::new(Semaphore::new(LOOKS_AT_ONCE)),
        }
    }

    /// The same registry, for changes that this person makes: their name stands in the log.
    #[must_use]
    pub fn acting_as(&self, actor: &str) -> Self {
        Self {
            actor: actor.into(),
            ..self.clone()
        }
    }

    fn by(&self) -> By {
        By {
            actor: self.actor.clone(),
            now_ms: self.now_ms(),
        }
    }

    /// The signal that webhooks may have something to be told.
    pub(crate) fn wake(&self) -> Wake {
        self.wake.clone()
    }

    pub(crate) fn store(&self) -> &Metastore {
        &self.store
    }

    pub(crate) fn webhook_client(&self) -> &WebhookClient {
        &self.webhooks
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.sources.clock.now()
    }

    fn now_ms(&self) -> i64 {
        self.now().as_millis()
    }

    /// A random id in the form that MLflow's clients know (RFC 9562, version 4).
    pub(crate) fn new_uuid(&self) -> String {
        let mut bytes = [0_u8; 16];
        self.sources.entropy.fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..],
        ];
        parts.join("-")
    }

    /// A transaction that webhooks may be told of: whoever tells them looks at once.
    async fn change<T, F>(&self, change: F) -> Result<T, RegistryError>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, RegistryError> + Send + 'static,
        T: Send + 'static,
    {
        let changed = self.store.write(change).await?;
        self.wake.signal();
        Ok(changed)
    }
}

/// The model of this name, or an error that names the nearest.
fn existing(tx: &mut dyn Tx, name: &str) -> Result<Model, RegistryError> {
    check_plain_name(name)?;
    if let Some(model) = store::model(tx, name)? {
        return Ok(model);
    }
    let names = store::model_names(tx)?;
    let nearest = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
    Err(RegistryError::ModelNotFound {
        name: name.to_owned(),
        nearest,
    })
}

/// The version of this number, or an error that names the latest.
fn existing_version(tx: &mut dyn Tx, name: &str, number: i64) -> Result<ModelVersion, RegistryError> {
    check_plain_name(name)?;
    if let Some(version) = store::version(tx, name, number)? {
        return Ok(version);
    }
    // A model that does not exist has no version either; saying which of the two is the more helpful.
    let latest = store::model(tx, name)?.and_then(|model| model.latest_version);
    Err(RegistryError::VersionNotFound {
        name: name.to_owned(),
        version: number.to_string(),
        latest,
    })
}

fn check_tag(tag: &KeyValue) -> Result<(), RegistryError> {
    check_key("key", &tag.key)?;
    check_length("key", KEY_LEN, &tag.key)?;
    let checked = check_length("value", TAG_VALUE_LEN, &tag.value);
    if checked.is_err() && tag.key == PROMPT_TEXT_TAG {
        return Err(RegistryError::invalid(format!(
            "Prompt text exceeds max length of {TAG_VALUE_LEN} characters."
        )));
    }
    Ok(checked?)
}

fn check_description(text: &str) -> Result<(), RegistryError> {
    Ok(check_length("description", DESCRIPTION_LEN, text)?)
}

/// MLflow's rule for names of models.
fn check_plain_name(name: &str) -> Result<(), RegistryError> {
    if name.trim().is_empty() {
        return Err(WireError::new("Missing value for required parameter 'name'.").into());
    }
    if name.contains(['/', ':']) {
        let shown: String = name.chars().take(NAME_LEN).collect();
        return Err(RegistryError::invalid(format!(
            "Invalid model name '{shown}'. Names cannot contain '/' or ':'."
        )));
    }
    if name == "." || name == ".." {
        let reason = format!(
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. \
             This name would resolve to '{name}'"
        );
        return Err(WireError::invalid_value("name", name, &reason).into());
    }
    Ok(())
}

/// The name of a new model. `@` is refused beyond MLflow's own rule, because `name@alias` must have one meaning.
fn check_name(name: &str) -> Result<(), RegistryError> {
    check_plain_name(name)?;
    if name.contains('@') || name.chars().any(char::is_control) {
        return Err(RegistryError::invalid(format!(
            "Invalid model name '{name}'. Names cannot contain '@' or control characters."
        )));
    }
    Ok(check_length("name", NAME_LEN, name)?)
}
