//! The root key in the transit engine of HashiCorp Vault or OpenBao, which it never leaves.
//!
//! What binds a wrapped key to what it is: `context` with a key that was made with `derived=true`, else
//! `associated_data`. Both make another ciphertext than this one fail to open; a derived key lets the engine
//! rewrap without telling the key, since its `rewrap` takes no `associated_data`.
//!
//! The token needs `update` on `encrypt`, `decrypt` and `rewrap` of the key and `read` on the key itself. It
//! should have no `create`: with that, the engine would make a missing key by itself, which is refused here
//! by looking at the key first.

mod client;
mod settings;
mod trouble;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::client::TransitClient;
use crate::key::{KEY_BYTES, KeyBytes};
use crate::{KeyError, RootKey, Wrapped};

pub use settings::{Token, TransitSettings};
pub use trouble::Trouble;

/// What the id of every root key in a transit engine starts with. Name and version of the key follow; the
/// address and the mount do not, so that both may change.
pub(crate) const ID_PREFIX: &str = "transit:";

/// A root key in the transit engine of Vault or OpenBao.
pub struct TransitRootKey {
    client: TransitClient,
    key: String,
    /// Address, mount and key, for people.
    place: String,
}

/// The engine's description of a key, as far as it matters.
#[derive(Debug, Deserialize)]
struct KeyInfo {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    derived: bool,
    latest_version: u32,
    supports_encryption: bool,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

/// What is sent; the fields that are not set are left out.
#[derive(Default, Serialize)]
struct Request<'request> {
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<&'request str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<&'request str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'request str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    associated_data: Option<&'request str>,
}

impl Request<'_> {
    /// In memory that is wiped, and never grows: that would leave what it held behind.
    fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let fields = [
            self.plaintext,
            self.ciphertext,
            self.context,
            self.associated_data,
        ];
        let text: usize = fields.iter().flatten().map(|field| field.len()).sum();
        let mut json = Zeroizing::new(Vec::with_capacity(2 * text + 256));
        serde_json::to_writer(&mut *json, self)?;
        Ok(json)
    }
}

impl TransitRootKey {
    /// Checks the settings, and that the key is there and fit to wrap keys.
    ///
    /// # Errors
    /// A setting cannot be; the engine is not there, is sealed, refuses the token or has no such key.
    pub async fn open(settings: &TransitSettings) -> Result<Self, KeyError> {
        let place = format!(
            "the key '{}' of {}/{}",
            settings.key,
            settings.address.trim_end_matches('/'),
            settings.mount.trim_matches('/')
        );
        let client = TransitClient::new(settings).map_err(|trouble| KeyError::Transit {
            // The address may hold a password, which is what is wrong with it.
            place: "the settings of Vault or OpenBao".to_owned(),
            trouble,
        })?;
        let opened = Self {
            client,
            key: settings.key.clone(),
            place,
        };
        opened.info().await?;
        Ok(opened)
    }

    fn failed(&self, trouble: Trouble) -> KeyError {
        KeyError::Transit {
            place: self.place.clone(),
            trouble,
        }
    }

    fn id(&self, version: u32) -> String {
        format!("{ID_PREFIX}{}:v{version}", self.key)
    }

    /// The key as it is now: it may have been rotated since. Asked for before each wrapping, which is rare.
    async fn info(&self) -> Result<KeyInfo, KeyError> {
        let info = self.client.ask::<KeyInfo>("keys", None).await;
        let info = info.map_err(|trouble| self.failed(trouble))?;
        // The types whose ciphertexts are authenticated together with what they are bound to.
        let authenticates = [
            "aes128-gcm96",
            "aes256-gcm96",
            "chacha20-poly1305",
            "xchacha20-poly1305",
        ];
        if !info.supports_encryption || !authenticates.contains(&info.kind.as_str()) {
            return Err(self.failed(Trouble::KeyType { kind: info.kind }));
        }
        Ok(info)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        action: &str,
        request: &Request<'_>,
    ) -> Result<T, KeyError> {
        let body = request.to_json().map_err(|error| {
            let problem = error.to_string();
            self.failed(Trouble::Answer { problem })
        })?;
        let asked = self.client.ask(action, Some(body)).await;
        asked.map_err(|trouble| self.failed(trouble))
    }

    async fn encrypt(&self, info: &KeyInfo, context: &str, key: &KeyBytes) -> Result<Wrapped, KeyError> {
        let plaintext = Zeroizing::new(BASE64_STANDARD.encode(key.as_ref()));
        let bound = BASE64_STANDARD.encode(context);
        let request = Request {
            plaintext: Some(&plaintext),
            ..Self::bound(info, &bound)
        };
        let answer: Encrypted = self.ask("encrypt", &request).await?;
        self.wrapped(answer.ciphertext)
    }

    fn bound<'request>(info: &KeyInfo, bound: &'request str) -> Request<'request> {
        let (context, associated_data) = if info.derived {
            (Some(bound), None)
        } else {
            (None, Some(bound))
        };
        Request {
            context,
            associated_data,
            ..Request::default()
        }
    }

    /// The version is part of what the engine answers: `vault:v3:…`.
    fn wrapped(&self, ciphertext: String) -> Result<Wrapped, KeyError> {
        let mut parts = ciphertext.splitn(3, ':').skip(1);
        let version = parts.next().and_then(|part| part.strip_prefix('v')?.parse().ok());
        let version: u32 = version.ok_or_else(|| {
            let problem = "the ciphertext names no version".to_owned();
            self.failed(Trouble::Answer { problem })
        })?;
        Ok(Wrapped {
            by: self.id(version),
            bytes: ciphertext,
        })
    }

    async fn decrypt(
        &self,
        info: &KeyInfo,
        tenant: &str,
        context: &str,
        wrapped: &Wrapped,
    ) -> Result<KeyBytes, KeyError> {
        #[derive(Deserialize)]
        struct Decrypted {
            plaintext: String,
        }
        self.check_keeper(tenant, wrapped)?;
        let bound = BASE64_STANDARD.encode(context);
        let request = Request {
            ciphertext: Some(&wrapped.bytes),
            ..Self::bound(info, &bound)
        };
        let answer = self.ask::<Decrypted>("decrypt", &request).await;
        let plaintext = answer
            .map_err(|error| self.told(error, context, wrapped))?
            .plaintext;
        let plaintext = Zeroizing::new(plaintext);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let decoded = BASE64_STANDARD.decode(plaintext.as_bytes()).map(Zeroizing::new);
        match decoded {
            Ok(decoded) if decoded.len() == KEY_BYTES => key.copy_from_slice(&decoded),
            _ => return Err(sealed(context)),
        }
        Ok(key)
    }

    /// What a refusal says about this wrapped key.
    fn told(&self, error: KeyError, context: &str, wrapped: &Wrapped) -> KeyError {
        let KeyError::Transit { place, trouble } = error else {
            return error;
        };
        match &trouble {
            Trouble::Refused { status: 400, message } if message.contains("too old") => {
                let id = wrapped.by.clone();
                self.failed(Trouble::TooOld { id })
            }
            Trouble::Refused { status: 400, message }
                if ["authentication failed", "invalid ciphertext", "too new"]
                    .iter()
                    .any(|words| message.contains(words)) =>
            {
                sealed(context)
            }
            _ => KeyError::Transit { place, trouble },
        }
    }

    fn check_keeper(&self, tenant: &str, wrapped: &Wrapped) -> Result<(), KeyError> {
        if self.keeps(&wrapped.by) {
            return Ok(());
        }
        Err(KeyError::RootMissing {
            tenant: tenant.to_owned(),
            wanted: wrapped.by.clone(),
            place: self.place.clone(),
        })
    }
}

fn sealed(context: &str) -> KeyError {
    KeyError::Sealed {
        what: context.to_owned(),
    }
}

#[async_trait]
impl RootKey for TransitRootKey {
    async fn wrap(&self, context: &str, key: &KeyBytes) -> Result<Wrapped, KeyError> {
        let info = self.info().await?;
        self.encrypt(&info, context, key).await
    }

    async fn unwrap(&self, tenant: &str, context: &str, wrapped: &Wrapped) -> Result<KeyBytes, KeyError> {
        let info = self.info().await?;
        self.decrypt(&info, tenant, context, wrapped).await
    }

    async fn rewrap(
        &self,
        tenant: &str,
        context: &str,
        wrapped: &Wrapped,
    ) -> Result<Option<Wrapped>, KeyError> {
        let info = self.info().await?;
        if wrapped.by == self.id(info.latest_version) {
            return Ok(None);
        }
        if !info.derived {
            let key = self.decrypt(&info, tenant, context, wrapped).await?;
            return self.encrypt(&info, context, &key).await.map(Some);
        }
        self.check_keeper(tenant, wrapped)?;
        let bound = BASE64_STANDARD.encode(context);
        let request = Request {
            ciphertext: Some(&wrapped.bytes),
            ..Self::bound(&info, &bound)
        };
        let answer: Result<Encrypted, KeyError> = self.ask("rewrap", &request).await;
        let answer = answer.map_err(|error| self.told(error, context, wrapped))?;
        self.wrapped(answer.ciphertext).map(Some)
    }

    fn keeps(&self, id: &str) -> bool {
        let name = id.strip_prefix(ID_PREFIX).and_then(|rest| rest.rsplit_once(":v"));
        name.is_some_and(|(name, _)| name == self.key)
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}
