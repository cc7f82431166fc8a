//! Setting hooks up, and looking at them.

use corliss_metastore::Tx;
use corliss_types::DatasetName;
use corliss_webhook::{SealedSecret, Secret, Target, Verdict};

use crate::DataError;
use crate::error::shortened;
use crate::hook::{
    BranchPattern, HOOKS_MAX, Hook, HookChange, HookDelivery, HookEvent, HookTest, HookWithSecret, NewHook,
    PATTERNS_MAX, TIMEOUT_MS, message_id, test_body,
};
use crate::service::DataService;
use crate::service::refs::is_there;
use crate::store::{hooks, outbox};

impl DataService {
    /// Adds a hook to a dataset.
    ///
    /// # Errors
    /// There is no such dataset, it has too many hooks, something about the hook cannot be, or a store failed.
    pub async fn create_hook(
        &self,
        dataset: &DatasetName,
        new: NewHook,
        by: &str,
    ) -> Result<HookWithSecret, DataError> {
        self.check_hook(&new.url, &new.branches, new.timeout_ms)?;
        let secret = match &new.secret {
            Some(text) => text.parse()?,
            None => Secret::generate()?,
        };
        let seed = self.sources.id_seed();
        let digits: String = seed.random[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // The time is first, so that ids are in the order in which hooks were made.
        let id = format!("hook_{:012x}{digits}", seed.at.as_millis().max(0));
        let hook = Hook {
            dataset: dataset.clone(),
            url: new.url,
            events: in_order(new.events)?,
            branches: new.branches,
            when: new.when,
            enabled: new.enabled,
            disabled_reason: None,
            timeout_ms: new.timeout_ms,
            created_by: by.to_owned(),
            created_ms: seed.at,
            updated_ms: seed.at,
            pending: 0,
            dropped: 0,
            id,
        };
        let sealed = self.seal_secret(&hook.id, &secret).await?;
        let hook = self
            .store
            .write(move |tx| {
                is_there(tx, &hook.dataset)?;
                if hooks::list(tx, &hook.dataset)?.len() >= HOOKS_MAX {
                    return Err(DataError::TooMany {
                        what: "hooks",
                        limit: HOOKS_MAX,
                    });
                }
                hooks::insert(tx, &hook, &sealed)?;
                Ok(hook.clone())
            })
            .await?;
        Ok(HookWithSecret {
            hook,
            secret: Some(secret.expose()),
        })
    }

    /// All hooks of a dataset, oldest first.
    ///
    /// # Errors
    /// There is no such dataset, or the metadata store failed.
    pub async fn hooks(&self, dataset: &DatasetName) -> Result<Vec<Hook>, DataError> {
        let dataset = dataset.clone();
        self.store
            .read(move |tx| {
                is_there(tx, &dataset)?;
                Ok(hooks::list(tx, &dataset)?)
            })
            .await
    }

    /// One hook.
    ///
    /// # Errors
    /// There is none of this id, or the metadata store failed.
    pub async fn hook(&self, dataset: &DatasetName, id: &str) -> Result<Hook, DataError> {
        Ok(self.known_hook(dataset, id).await?.0)
    }

    async fn known_hook(&self, dataset: &DatasetName, id: &str) -> Result<(Hook, SealedSecret), DataError> {
        let (dataset, id) = (dataset.clone(), id.to_owned());
        self.store.read(move |tx| known(tx, &dataset, &id)).await
    }

    /// Changes a hook. What waits to be delivered goes to the new address, signed with the new secret.
    ///
    /// # Errors
    /// As [`Self::create_hook`].
    pub async fn change_hook(
        &self,
        dataset: &DatasetName,
        id: &str,
        change: HookChange,
    ) -> Result<HookWithSecret, DataError> {
        let secret: Option<Secret> = match &change.secret {
            Some(_) if change.new_secret => {
                return Err(DataError::BadHook {
                    field: "new_secret",
                    problem: "cannot be set where a secret is given",
                });
            }
            Some(text) => Some(text.parse()?),
            None if change.new_secret => Some(Secret::generate()?),
            None => None,
        };
        let sealed = match &secret {
            Some(secret) => Some(self.seal_secret(id, secret).await?),
            None => None,
        };
        // What does not change was checked when it was set; whether its address is still allowed is asked again when
        // it is sent to.
        let before = self.hook(dataset, id).await?;
        let url = change.url.as_deref();
        let branches = change.branches.as_deref().unwrap_or(&before.branches);
        let timeout_ms = change.timeout_ms.unwrap_or(before.timeout_ms);
        match url {
            Some(url) => self.check_hook(url, branches, timeout_ms)?,
            None => check_bounds(branches, timeout_ms)?,
        }
        let change = HookChange {
            events: change.events.map(in_order).transpose()?,
            ..change
        };
        let (dataset, id, now) = (dataset.clone(), id.to_owned(), self.sources.clock.now());
        let hook = self
            .write_refs(move |tx| {
                let (mut hook, _) = known(tx, &dataset, &id)?;
                apply(&mut hook, &change);
                hook.updated_ms = now;
                hooks::update(tx, &hook, sealed.as_ref())?;
                Ok(hook)
            })
            .await?;
        Ok(HookWithSecret {
            hook,
            secret: secret.map(|secret| secret.expose()),
        })
    }

    /// Removes a hook, with what it was yet to be told.
    ///
    /// # Errors
    /// There is none of this id, or the metadata store failed.
    pub async fn delete_hook(&self, dataset: &DatasetName, id: &str) -> Result<(), DataError> {
        let (dataset, id) = (dataset.clone(), id.to_owned());
        self.store
            .write(move |tx| match hooks::delete(tx, &dataset, &id)? {
                true => Ok(()),
                false => Err(not_found(&id)),
            })
            .await
    }

    /// Sends a hook's receiver a request that is about nothing, also if the hook is disabled, and says what came of
    /// it.
    ///
    /// # Errors
    /// There is no hook of this id, or the metadata store failed. What the receiver does is no error.
    pub async fn test_hook(&self, dataset: &DatasetName, id: &str, by: &str) -> Result<HookTest, DataError> {
        let (hook, secret) = self.known_hook(dataset, id).await?;
        let seed = self.sources.id_seed();
        let digits: String = seed.random.iter().map(|byte| format!("{byte:02x}")).collect();
        let begun = self.sources.clock.monotonic();
        let id = message_id(&hook.id, digits);
        let body = test_body(dataset, &hook.id, by, seed.at);
        let outcome = self.call(&hook, &secret, &id, body).await;
        let took = self.sources.clock.monotonic().saturating_sub(begun);
        Ok(HookTest {
            accepted: outcome.verdict() == Verdict::Accepted,
            status: outcome.status(),
            outcome: outcome.told(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// A page of what a hook was told and is yet to be told, newest first, from before the number `before` on.
    ///
    /// # Errors
    /// There is no hook of this id, or the metadata store failed.
    pub async fn hook_deliveries(
        &self,
        dataset: &DatasetName,
        id: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<HookDelivery>, DataError> {
        let (dataset, id) = (dataset.clone(), id.to_owned());
        self.store
            .read(move |tx| {
                known(tx, &dataset, &id)?;
                Ok(outbox::list(tx, &id, before, limit)?)
            })
            .await
    }

    /// That an address may be sent to and everything is within its limits.
    fn check_hook(&self, url: &str, branches: &[BranchPattern], timeout_ms: u64) -> Result<(), DataError> {
        let target: Target = url.parse()?;
        target.check(self.webhooks.reach())?;
        check_bounds(branches, timeout_ms)
    }
}

fn check_bounds(branches: &[BranchPattern], timeout_ms: u64) -> Result<(), DataError> {
    if branches.len() > PATTERNS_MAX {
        return Err(DataError::TooMany {
            what: "branches of a hook",
            limit: PATTERNS_MAX,
        });
    }
    match TIMEOUT_MS.contains(&timeout_ms) {
        true => Ok(()),
        false => Err(DataError::BadHook {
            field: "timeout_ms",
            problem: "must be 1000 to 30000",
        }),
    }
}

fn apply(hook: &mut Hook, change: &HookChange) {
    let HookChange {
        url,
        events,
        branches,
        when,
        enabled,
        timeout_ms,
        ..
    } = change.clone();
    hook.url = url.unwrap_or_else(|| std::mem::take(&mut hook.url));
    hook.events = events.unwrap_or_else(|| std::mem::take(&mut hook.events));
    hook.branches = branches.unwrap_or_else(|| std::mem::take(&mut hook.branches));
    hook.when = when.unwrap_or(hook.when);
    hook.timeout_ms = timeout_ms.unwrap_or(hook.timeout_ms);
    if let Some(enabled) = enabled {
        (hook.enabled, hook.disabled_reason) = (enabled, None);
    }
}

/// Each once, in the order of their list.
fn in_order(mut events: Vec<HookEvent>) -> Result<Vec<HookEvent>, DataError> {
    events.sort_unstable();
    events.dedup();
    match events.is_empty() {
        false => Ok(events),
        true => Err(DataError::BadHook {
            field: "events",
            problem: "must name at least one",
        }),
    }
}

fn known(tx: &mut dyn Tx, dataset: &DatasetName, id: &str) -> Result<(Hook, SealedSecret), DataError> {
    is_there(tx, dataset)?;
    // No id has one, and no database takes it.
    if id.contains('\0') {
        return Err(not_found(id));
    }
    hooks::get(tx, dataset, id)?.ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> DataError {
    DataError::HookNotFound { id: shortened(id) }
}
