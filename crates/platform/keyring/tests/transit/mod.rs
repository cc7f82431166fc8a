//! A transit engine to test against: the twin in this process, or a real OpenBao. Both are set up by the same
//! requests of an operator, so that a test cannot tell them apart.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses a part of it"
)]

mod bao;
pub mod twin;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use corliss_keyring::{KeyError, Token, TransitRootKey, TransitSettings};
use serde_json::{Value, json};

/// The token of the operator.
pub const OPERATOR: &str = "root";

/// A running engine.
pub struct Engine {
    pub address: String,
    /// Of a policy that only lets it use keys whose names start with `corliss`.
    pub token: String,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    _server: Option<bao::Server>,
}

impl Engine {
    /// The twin.
    pub async fn twin() -> Self {
        let address = twin::start(twin::Faults::default()).await;
        Self::over(address, None, twin::LIMITED.to_owned())
    }

    /// The twin, with what it does wrong.
    pub async fn faulty(faults: twin::Faults) -> Self {
        let engine = Self::over(twin::start(faults).await, None, OPERATOR.to_owned());
        engine.make_key("corliss", false).await;
        engine
    }

    /// OpenBao, whose binary `CORLISS_TEST_BAO` names.
    pub async fn bao() -> Self {
        let server = bao::Server::start().await;
        let mut engine = Self::over(server.address.clone(), Some(server), String::new());
        engine
            .operate("POST", "sys/mounts/transit", json!({"type": "transit"}))
            .await;
        let policy = r#"
            path "transit/keys/corliss*" { capabilities = ["read"] }
            path "transit/encrypt/corliss*" { capabilities = ["update"] }
            path "transit/decrypt/corliss*" { capabilities = ["update"] }
            path "transit/rewrap/corliss*" { capabilities = ["update"] }"#;
        engine
            .operate("POST", "sys/policies/acl/corliss", json!({ "policy": policy }))
            .await;
        let made = engine
            .operate("POST", "auth/token/create", json!({"policies": ["corliss"]}))
            .await;
        engine.token = made["auth"]["client_token"].as_str().unwrap().to_owned();
        engine
    }

    fn over(address: String, server: Option<bao::Server>, token: String) -> Self {
        Self {
            address,
            token,
            folder: tempfile::tempdir().unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _server: server,
        }
    }

    /// What an operator does by hand.
    pub async fn operate(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/v1/{path}", self.address);
        let request = self
            .http
            .request(method.parse().unwrap(), url)
            .body(body.to_string());
        let response = request.header("x-vault-token", OPERATOR).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub async fn make_key(&self, key: &str, derived: bool) {
        self.operate(
            "POST",
            &format!("transit/keys/{key}"),
            json!({ "derived": derived }),
        )
        .await;
    }

    pub async fn rotate(&self, key: &str) {
        self.operate("POST", &format!("transit/keys/{key}/rotate"), json!({}))
            .await;
    }

    /// A file with a token, for its owner only.
    pub fn token_file(&self, token: &str) -> PathBuf {
        let path = self.folder.path().join("token");
        fs::write(&path, format!("{token}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub fn settings(&self, key: &str) -> TransitSettings {
        let token = Token::File(self.token_file(&self.token));
        let mut settings = TransitSettings::new(&self.address, key, token);
        settings.timeout = Duration::from_secs(20);
        settings
    }

    pub async fn open(&self, key: &str) -> Result<TransitRootKey, KeyError> {
        TransitRootKey::open(&self.settings(key)).await
    }
}
