//! Webhooks: setting them up, and telling them what has happened.

mod deliver;
mod manage;

use std::time::Duration;

use bytes::Bytes;
use corliss_webhook::{HeaderNames, Message, Outcome, Target, Trouble};

use super::Registry;
use crate::SealedSecret;

/// How long a receiver may take, as with MLflow's own server.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One call of a receiver.
struct Call<'a> {
    webhook: &'a str,
    url: &'a str,
    secret: Option<&'a SealedSecret>,
    /// What the requests of one event have in common.
    id: &'a str,
    body: String,
}

impl Registry {
    /// Sends one request, and says what came of it.
    async fn call(&self, call: Call<'_>) -> Outcome {
        let setup = |message: String| Outcome::Failed {
            trouble: Trouble::Setup,
            message,
        };
        let target: Target = match call.url.parse() {
            Ok(target) => target,
            Err(error) => return setup(format!("its address cannot be used: {error}")),
        };
        let opened = call
            .secret
            .map(|sealed| self.ports.sealer.open(&context(call.webhook), sealed));
        let secret = match opened.transpose() {
            Ok(secret) => secret,
            Err(error) => return setup(format!("its secret cannot be opened: {error}")),
        };
        let message = Message {
            target: &target,
            id: call.id,
            at: self.sources.clock.now(),
            secret: secret.as_ref(),
            body: Bytes::from(call.body),
            timeout: TIMEOUT,
            headers: HeaderNames::MLFLOW,
        };
        self.webhooks.send(message).await
    }
}

/// A sealed secret opens for the webhook that it was sealed for.
fn context(webhook: &str) -> String {
    format!("corliss registry webhook secret 1 of {webhook}")
}
