//! Hooks: setting them up, asking them before something moves, and telling them after it has.

mod before;
mod manage;

use std::time::Duration;

use corliss_webhook::{Call, HeaderNames, Outcome, SealedSecret, Secret};

use super::DataService;
use crate::DataError;
use crate::hook::Hook;

impl DataService {
    /// Sends one request to a hook, and says what came of it.
    async fn call(&self, hook: &Hook, secret: &SealedSecret, id: &str, body: String) -> Outcome {
        let call = Call {
            url: &hook.url,
            id,
            at: self.sources.clock.now(),
            body,
            timeout: Duration::from_millis(hook.timeout_ms),
            headers: HeaderNames::STANDARD,
        };
        let secret = self.open_secret(&hook.id, secret);
        self.webhooks
            .call(call, Some(secret.map_err(|error| error.to_string())))
            .await
    }

    async fn seal_secret(&self, hook: &str, secret: &Secret) -> Result<SealedSecret, DataError> {
        let (key, bytes) = self.seal(&context(hook), secret).await?;
        Ok(SealedSecret { key, bytes })
    }

    pub(crate) fn open_secret(&self, hook: &str, sealed: &SealedSecret) -> Result<Secret, DataError> {
        let opened = self.unseal(&context(hook), sealed.key, &sealed.bytes)?;
        opened.ok_or_else(|| DataError::HookSecret {
            hook: hook.to_owned(),
        })
    }
}

/// A sealed secret opens for the hook that it was sealed for.
fn context(hook: &str) -> Vec<u8> {
    format!("corliss hook secret 1 of {hook}").into_bytes()
}
