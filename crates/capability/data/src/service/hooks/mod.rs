//! Hooks: setting them up, asking them before something moves, and telling them after it has.

mod before;
mod deliver;
mod manage;

pub(crate) use deliver::Tried;

use bytes::Bytes;
use corliss_blobstore::BlobError;
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
            secret: &secret,
            body: Bytes::from(call.body),
            timeout: std::time::Duration::from_millis(call.timeout_ms),
            headers: HeaderNames::STANDARD,
        };
        self.webhooks.send(message).await
    }

    /// Seals a secret with the key that the tenant's data is sealed with, for one hook.
    async fn seal_secret(&self, hook: &str, secret: &Secret) -> Result<Sealed, DataError> {
        let keyring = self.blobs.keyring();
        let (key, seal) = keyring.current(1).map_err(BlobError::from)?;
        let mut bytes = Vec::new();
        seal.seal(&context(hook), secret.key(), &mut bytes)
            .map_err(BlobError::from)?;
        keyring.settle().await.map_err(BlobError::from)?;
        Ok(Sealed { key, bytes })
    }

    fn open_secret(&self, hook: &str, sealed: &Sealed) -> Result<Secret, DataError> {
        let seal = self.blobs.keyring().get(sealed.key).map_err(BlobError::from)?;
        let mut bytes = sealed.bytes.clone();
        let opened = seal
            .open(&context(hook), &mut bytes)
            .map(|key| Secret::from_key(key));
        // The buffer held the secret in the clear.
        bytes.fill(0);
        opened.ok_or_else(|| DataError::HookSecret {
            hook: hook.to_owned(),
        })
    }
}

/// A sealed secret opens for the hook that it was sealed for.
fn context(hook: &str) -> Vec<u8> {
    format!("corliss hook secret 1 of {hook}").into_bytes()
}

/// What came of a call, as one paragraph of a bounded length.
fn told(outcome: &Outcome) -> String {
    const LINES: usize = 5;
    const CHARS: usize = 500;
    let text = outcome.to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let told: String = lines[..lines.len().min(LINES)]
        .join("; ")
        .chars()
        .take(CHARS)
        .collect();
    told
}
