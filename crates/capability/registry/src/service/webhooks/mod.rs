//! Webhooks: setting them up, and sending to them.

mod manage;

use corliss_webhook::{Call, HeaderNames, Outcome, Secret};

use super::Registry;
use crate::SealedSecret;
use crate::webhook::TIMEOUT;

impl Registry {
    /// Sends one request to a webhook, and says what came of it.
    async fn call(
        &self,
        webhook: &str,
        (url, secret): (&str, Option<&SealedSecret>),
        id: &str,
        body: String,
    ) -> Outcome {
        let call = Call {
            url,
            id,
            at: self.sources.clock.now(),
            body,
            timeout: TIMEOUT,
            headers: HeaderNames::MLFLOW,
        };
        let secret = secret.map(|sealed| self.open_secret(webhook, sealed));
        self.webhooks.call(call, secret).await
    }

    /// The secret of a webhook, or why it does not open.
    pub(crate) fn open_secret(&self, webhook: &str, sealed: &SealedSecret) -> Result<Secret, String> {
        let opened = self.ports.sealer.open(&context(webhook), sealed);
        opened.map_err(|error| error.to_string())
    }
}

/// A sealed secret opens for the webhook that it was sealed for.
fn context(webhook: &str) -> String {
    format!("corliss registry webhook secret 1 of {webhook}")
}
