//! Protection and approval: a model may demand that people approve a version before it is served.

use corliss_metastore::Tx;
use corliss_mlflow_wire::check_length;
use serde_json::json;

use super::aliases::check_alias;
use super::{Registry, existing, existing_version};
use crate::RegistryError;
use crate::approval::{Decision, Protection};
use crate::events::Action;
use crate::store::{decisions, events};
use crate::types::ModelVersion;

/// People that may have to approve one version.
const APPROVALS_MAX: u32 = 10;
const ALIASES_MAX: usize = 100;
/// Characters of a reason; the log keeps all of them.
const REASON_LEN: usize = 1000;

/// What a model is to demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewProtection {
    pub approvals: u32,
    pub aliases: Vec<String>,
    pub self_approval: bool,
}

impl Registry {
    /// What a model demands before a version of it is served; nothing if it is not protected.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn protection(&self, name: String) -> Result<Option<Protection>, RegistryError> {
        self.store
            .read(move |tx| {
                existing(tx, &name)?;
                Ok(decisions::protection(tx, &name)?)
            })
            .await
    }

    /// Protects a model, or changes what it demands.
    ///
    /// # Errors
    /// There is no such model, or the number or an alias is wrong.
    pub(crate) async fn protect(
        &self,
        name: String,
        new: NewProtection,
    ) -> Result<Protection, RegistryError> {
        if !(1..=APPROVALS_MAX).contains(&new.approvals) {
            return Err(RegistryError::invalid(format!(
                "approvals is {} but must lie between 1 and {APPROVALS_MAX}",
                new.approvals
            )));
        }
        if new.aliases.len() > ALIASES_MAX {
            return Err(RegistryError::invalid(format!(
                "there are more than {ALIASES_MAX} aliases"
            )));
        }
        new.aliases.iter().try_for_each(|alias| check_alias(alias))?;
        let by = self.by();
        let protection = Protection {
            approvals: new.approvals,
            aliases: new.aliases,
            self_approval: new.self_approval,
            set_by: by.actor.to_string(),
            set_ms: by.now_ms,
        };
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                decisions::put_protection(tx, &name, &protection)?;
                let details = json!({
                    "approvals": protection.approvals,
                    "aliases": protection.aliases,
                    "self_approval": protection.self_approval,
                });
                events::add(tx, &by, (&name, None), Action::Protected, &details)?;
                Ok(protection.clone())
            })
            .await
    }

    /// Ends the protection of a model; answers whether it was protected.
    ///
    /// # Errors
    /// There is no such model.
    pub(crate) async fn unprotect(&self, name: String) -> Result<bool, RegistryError> {
        let by = self.by();
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                let ended = decisions::delete_protection(tx, &name)?;
                if ended {
                    events::add(tx, &by, (&name, None), Action::Unprotected, &json!({}))?;
                }
                Ok(ended)
            })
            .await
    }

    /// Approves or rejects a version, in place of what the same person said before. What it is of stays: an alias that a
    /// rejected version has goes on pointing at it.
    ///
    /// # Errors
    /// There is no such version, the reason is too long, or who registered it may not approve it.
    pub async fn decide(
        &self,
        name: String,
        number: i64,
        approved: bool,
        reason: String,
    ) -> Result<Vec<Decision>, RegistryError> {
        check_length("reason", REASON_LEN, &reason)?;
        let by = self.by();
        let decision = Decision {
            actor: by.actor.to_string(),
            approved,
            reason,
            decided_ms: by.now_ms,
        };
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                let version = existing_version(tx, &name, number)?;
                let protection = decisions::protection(tx, &name)?;
                let is_own = version.registered_by == decision.actor;
                if approved && is_own && protection.is_some_and(|protection| !protection.self_approval) {
                    return Err(RegistryError::OwnVersion {
                        name: name.clone(),
                        version: number,
                        actor: decision.actor.clone(),
                    });
                }
                decisions::put(tx, &name, number, &decision)?;
                let action = if approved {
                    Action::Approved
                } else {
                    Action::Rejected
                };
                let details = json!({ "reason": decision.reason });
                events::add(tx, &by, (&name, Some(number)), action, &details)?;
                Ok(decisions::of_version(tx, &name, number)?)
            })
            .await
    }

    /// What people said of a version, and what is missing for it to be served, if anything is.
    ///
    /// # Errors
    /// There is no such version.
    pub(crate) async fn standing(&self, name: String, number: i64) -> Result<Standing, RegistryError> {
        self.store
            .read(move |tx| {
                existing(tx, &name)?;
                let version = existing_version(tx, &name, number)?;
                let decisions = decisions::of_version(tx, &name, number)?;
                let missing = decisions::protection(tx, &name)?
                    .and_then(|protection| protection.met(&version.registered_by, &decisions).err());
                Ok(Standing { decisions, missing })
            })
            .await
    }
}

/// What people said of a version.
pub(crate) struct Standing {
    pub decisions: Vec<Decision>,
    /// What it lacks to be served.
    pub missing: Option<String>,
}

/// A version of a protected model must be approved.
pub(super) fn check_approved(
    tx: &mut dyn Tx,
    protection: &Protection,
    version: &ModelVersion,
) -> Result<(), RegistryError> {
    let decisions = decisions::of_version(tx, &version.name, version.version)?;
    protection
        .met(&version.registered_by, &decisions)
        .map_err(|problem| RegistryError::NotApproved {
            name: version.name.clone(),
            version: version.version,
            problem,
            self_approval: protection.self_approval,
            registered_by: version.registered_by.clone(),
        })
}

/// A protected model keeps its name: a new one of the same name would be protected by nothing.
pub(super) fn check_unprotected(tx: &mut dyn Tx, name: &str) -> Result<(), RegistryError> {
    match decisions::protection(tx, name)? {
        Some(_) => Err(RegistryError::Protected(name.to_owned())),
        None => Ok(()),
    }
}
