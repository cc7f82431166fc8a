//! Hooks: setting them up, asking them before something moves, and telling them after it has.

mod before;
mod deliver;
mod manage;

use bytes::Bytes;
use corliss_webhook::{HeaderNames, Message, Outcome, Secret, Target, Trouble};

use super::DataService;
use crate::DataError;
use crate::store::hooks::Sealed;

/// One call of a receiver.
struct Call<'a> {
    hook: &'a str,
    url: &'a str,
    secret: &'a Sealed,
    timeout_ms: u64,
    id: &'a str,
    body: String,
}

impl DataService {
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
        let secret = match self.open_secret(call.hook, call.secret) {
            Ok(secret) => secret,
            Err(error) => return setup(format!("its secret cannot be opened: {error}")),
        };
        let message = Message {
            target: &target,
            id: call.id,
            at: self.sources.clock.now(),
            secret: Some(&secret),
            body: Bytes::from(call.body),
            timeout: std::time::Duration::from_millis(call.timeout_ms),
            headers: HeaderNames::STANDARD,
        };
        self.webhooks.send(message).await
    }

    async fn seal_secret(&self, hook: &str, secret: &Secret) -> Result<Sealed, DataError> {
        let (key, bytes) = self.seal(&context(hook), secret).await?;
        Ok(Sealed { key, bytes })
    }

    fn open_secret(&self, hook: &str, sealed: &Sealed) -> Result<Secret, DataError> {
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
