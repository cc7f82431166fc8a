//! Setting webhooks up, trying them, and looking at what they were told.

use corliss_metastore::Tx;
use corliss_mlflow_wire::{WireError, check_length, offset_of, token_of};
use corliss_webhook::{Outcome, Secret, Target, Verdict, WebhookError};

use super::context;
use crate::service::{DESCRIPTION_LEN, Registry};
use crate::store::outbox;
use crate::webhook::{
    NewWebhook, WEBHOOKS_MAX, Webhook, WebhookChange, WebhookDelivery, WebhookEvent, WebhookTest, example,
    is_name,
};
use crate::{RegistryError, SealedSecret, store};

const PAGE: i64 = 100;
const PAGE_MAX: i64 = 1000;
const DELIVERIES_SHOWN: u32 = 1000;
/// Bytes of a secret.
const SECRET_LEN: usize = 1000;

impl Registry {
    /// Adds a webhook.
    ///
    /// # Errors
    /// Something about it cannot be, there are too many, or a store failed.
    pub async fn create_webhook(&self, new: NewWebhook, by: &str) -> Result<Webhook, RegistryError> {
        check_webhook_name(&new.name)?;
        self.check_url(&new.url)?;
        check_length("description", DESCRIPTION_LEN, &new.description)?;
        let now_ms = self.now_ms();
        let webhook = Webhook {
            id: self.new_uuid(),
            name: new.name,
            url: new.url,
            description: new.description,
            events: in_order(new.events)?,
            is_active: new.is_active,
            created_by: by.to_owned(),
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        let sealed = self.sealed(&webhook.id, new.secret.as_deref()).await?;
        self.store
            .write(move |tx| {
                if store::count_webhooks(tx)? >= WEBHOOKS_MAX {
                    return Err(RegistryError::TooManyWebhooks(WEBHOOKS_MAX));
                }
                store::insert_webhook(tx, &webhook, sealed.as_ref())?;
                Ok(webhook.clone())
            })
            .await
    }

    /// A page of webhooks, the newest first, and the token of the next page if there is one.
    ///
    /// # Errors
    /// The page cannot be, or the metadata store failed.
    pub async fn list_webhooks(
        &self,
        max_results: Option<i64>,
        page_token: Option<String>,
    ) -> Result<(Vec<Webhook>, Option<String>), RegistryError> {
        let limit = max_results.filter(|limit| *limit != 0).unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(RegistryError::invalid("max_results must be between 1 and 1000."));
        }
        let offset = i64::try_from(offset_of(page_token.as_deref())?).unwrap_or(i64::MAX);
        let mut webhooks = self
            .store
            .read(move |tx| Ok::<_, RegistryError>(store::list_webhooks(tx, limit + 1, offset)?))
            .await?;
        let keep = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = webhooks.len() > keep;
        webhooks.truncate(keep);
        let next = u64::try_from(offset.saturating_add(limit)).unwrap_or(0);
        Ok((webhooks, more.then(|| token_of(next))))
    }

    /// One webhook.
    ///
    /// # Errors
    /// There is none of this id, or the metadata store failed.
    pub async fn webhook(&self, id: &str) -> Result<Webhook, RegistryError> {
        Ok(self.known_webhook(id).await?.0)
    }

    async fn known_webhook(&self, id: &str) -> Result<store::WithSecret, RegistryError> {
        let id = id.to_owned();
        self.store.read(move |tx| known(tx, &id)).await
    }

    /// Changes a webhook. What waits to be delivered goes to the new address, signed with the new secret.
    ///
    /// # Errors
    /// As [`Self::create_webhook`]; also if there is none of this id.
    pub async fn change_webhook(&self, id: &str, change: WebhookChange) -> Result<Webhook, RegistryError> {
        self.webhook(id).await?;
        if let Some(name) = &change.name {
            check_webhook_name(name)?;
        }
        if let Some(url) = &change.url {
            self.check_url(url)?;
        }
        if let Some(description) = &change.description {
            check_length("description", DESCRIPTION_LEN, description)?;
        }
        let events = change.events.map(in_order).transpose()?;
        let secret = match &change.secret {
            None => None,
            Some(text) => Some(self.sealed(id, Some(text.as_str())).await?),
        };
        let (id, now_ms) = (id.to_owned(), self.now_ms());
        // What waited while the webhook was switched off goes now.
        self.change(move |tx| {
            let (mut webhook, _) = known(tx, &id)?;
            let replace = |old: &mut String, new: &Option<String>| {
                if let Some(new) = new {
                    old.clone_from(new);
                }
            };
            replace(&mut webhook.name, &change.name);
            replace(&mut webhook.url, &change.url);
            replace(&mut webhook.description, &change.description);
            if let Some(events) = &events {
                webhook.events.clone_from(events);
            }
            webhook.is_active = change.is_active.unwrap_or(webhook.is_active);
            // A change is always later than the one before, also within a millisecond.
            webhook.updated_ms = now_ms.max(webhook.updated_ms + 1);
            store::update_webhook(tx, &webhook, secret.as_ref().map(Option::as_ref))?;
            Ok(webhook)
        })
        .await
    }

    /// Removes a webhook, with what it was yet to be told.
    ///
    /// # Errors
    /// There is none of this id, or the metadata store failed.
    pub async fn delete_webhook(&self, id: &str) -> Result<(), RegistryError> {
        let id = id.to_owned();
        self.store
            .write(move |tx| {
                known(tx, &id)?;
                store::delete_webhook(tx, &id)?;
                Ok(())
            })
            .await
    }

    /// Sends an example of an event, or of the webhook's first one, at once and once, and says what came of it. One that
    /// is disabled can be tried too.
    ///
    /// # Errors
    /// There is no webhook of this id, or the metadata store failed.
    pub async fn test_webhook(
        &self,
        id: &str,
        event: Option<WebhookEvent>,
    ) -> Result<WebhookTest, RegistryError> {
        let (webhook, secret) = self.known_webhook(id).await?;
        let event = event.or_else(|| webhook.events.first().copied());
        let event = event.unwrap_or(WebhookEvent::RegisteredModelCreated);
        let receiver = (webhook.url.as_str(), secret.as_ref());
        let body = example(event).body(self.now_ms());
        let outcome = self.call(&webhook.id, receiver, &self.new_uuid(), body).await;
        let accepted = outcome.verdict() == Verdict::Accepted;
        Ok(match outcome {
            Outcome::Answered { status, said, .. } => WebhookTest {
                accepted,
                status: Some(status),
                said: Some(said),
                failure: None,
            },
            failed @ Outcome::Failed { .. } => WebhookTest {
                accepted,
                status: None,
                said: None,
                failure: Some(format!("Failed to test webhook: {}", failed.told())),
            },
        })
    }

    /// What a webhook was told and is yet to be told, newest first, at most a thousand events.
    ///
    /// # Errors
    /// There is none of this id, or the metadata store failed.
    pub async fn webhook_deliveries(&self, id: &str) -> Result<Vec<WebhookDelivery>, RegistryError> {
        let id = id.to_owned();
        self.store
            .read(move |tx| {
                known(tx, &id)?;
                Ok(outbox::deliveries(tx, &id, DELIVERIES_SHOWN)?)
            })
            .await
    }

    async fn sealed(&self, id: &str, secret: Option<&str>) -> Result<Option<SealedSecret>, RegistryError> {
        let Some(secret) = secret.filter(|secret| !secret.is_empty()) else {
            return Ok(None);
        };
        check_length("secret", SECRET_LEN, secret)?;
        let secret = Secret::from_key(secret.as_bytes());
        Ok(Some(self.ports.sealer.seal(&context(id), &secret).await?))
    }

    /// Whether this can be sent to. The words are MLflow's; it asks what a name leads to, here that is asked each time
    /// that something is sent.
    fn check_url(&self, url: &str) -> Result<(), RegistryError> {
        if url.trim().is_empty() {
            let message = format!("Webhook URL cannot be empty or just whitespace: '{url}'");
            return Err(RegistryError::invalid(message));
        }
        let (scheme, rest) = scheme_of(url);
        if !matches!(scheme.as_str(), "https" | "http") {
            return Err(bad_scheme(&scheme));
        }
        if host_of(rest).is_empty() {
            let message = format!("Webhook URL must include a hostname: '{url}'");
            return Err(RegistryError::invalid(message));
        }
        let reach = self.webhooks.reach();
        let target: Target = url
            .parse()
            .map_err(|error: WebhookError| RegistryError::invalid(format!("Invalid webhook URL: {error}")))?;
        // What is sent is somebody's work, so it is encrypted, unless the administrator vouches for the way.
        if !target.is_encrypted() && !target.is_named(reach) {
            return Err(bad_scheme(&scheme));
        }
        target.check(reach).map_err(|error| match error {
            WebhookError::Forbidden { address } => RegistryError::invalid(format!(
                "Webhook URL must not resolve to a non-public IP address. '{}' resolves to {address}. An administrator \
                 may name it under `allow` in the section [webhooks] of config.toml.",
                host_of(rest)
            )),
            other => RegistryError::invalid(format!("Invalid webhook URL: {other}")),
        })
    }
}

fn bad_scheme(scheme: &str) -> RegistryError {
    RegistryError::invalid(format!(
        "Invalid webhook URL scheme: '{scheme}'. Allowed schemes are: https."
    ))
}

/// The scheme of an address, in small letters, and what follows; no scheme is an empty one.
fn scheme_of(url: &str) -> (String, &str) {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    match url.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
        _ => (String::new(), url),
    }
}

/// The host in what follows a scheme.
fn host_of(rest: &str) -> &str {
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn check_webhook_name(name: &str) -> Result<(), RegistryError> {
    if is_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(100).collect();
    Err(WireError::new(format!(
        "Webhook name '{shown}' is invalid. It must start and end with a letter or digit, be less than 63 characters \
         long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
    ))
    .into())
}

/// Each once, by their names, as MLflow tells them.
fn in_order(mut events: Vec<WebhookEvent>) -> Result<Vec<WebhookEvent>, RegistryError> {
    events.sort_by_key(|event| event.name());
    events.dedup();
    match events.is_empty() {
        false => Ok(events),
        true => Err(RegistryError::invalid(
            "Webhook events must be a non-empty list of WebhookEvent objects: [].",
        )),
    }
}

fn known(tx: &mut dyn Tx, id: &str) -> Result<store::WithSecret, RegistryError> {
    let not_found = || RegistryError::WebhookNotFound(id.chars().take(100).collect());
    // No id has one, and no database takes it.
    if id.contains('\0') {
        return Err(not_found());
    }
    store::webhook_of(tx, id)?.ok_or_else(not_found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_fall_into_scheme_and_host() {
        for (url, scheme, host) in [
            ("https://example.org/x?y#z", "https", "example.org"),
            ("HTTPS://a@b.org:8443", "https", "b.org"),
            ("http://[::1]:80/", "http", "::1"),
            ("1.1.1.1/hook", "", ""),
            ("https://", "https", ""),
            ("https:///x", "https", ""),
            ("mailto:a@b.org", "mailto", ""),
        ] {
            let (found, rest) = scheme_of(url);
            assert_eq!((found.as_str(), host_of(rest)), (scheme, host), "{url}");
        }
    }
}
