//! A twin of the transit engine, as far as the keyring speaks to it: its paths, its ciphertexts with a version
//! in front, versions that are archived, keys that are derived, and its refusals word by word, as OpenBao
//! 2.7.2 gave them. `conformance.rs` and `refusals.rs` run the same tests against it and a real OpenBao.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// The token of the policy that lets its holder use keys whose names start with `corliss`.
pub const LIMITED: &str = "limited";

/// What it does wrong.
#[derive(Default)]
pub struct Faults {
    /// So many requests for a key are refused first, after it was made.
    pub refusals: AtomicUsize,
    /// With which status, words and `Retry-After`.
    pub refusal: Option<(u16, String, Option<u64>)>,
    /// The namespace it answers in.
    pub namespace: Option<String>,
    /// How many requests for a key it has got.
    pub asked: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Key {
    derived: bool,
    kind: Option<String>,
    versions: Vec<[u8; 32]>,
    min_decryption: usize,
}

#[derive(Default)]
struct Twin {
    faults: Faults,
    keys: Mutex<BTreeMap<String, Key>>,
    sealed: Mutex<bool>,
}

type Answer = Result<Value, (u16, String)>;

/// Starts it on a free port; answers its address. It ends with the test's runtime.
pub async fn start(faults: Faults) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let app = router(faults);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

pub fn router(faults: Faults) -> Router {
    let twin = Twin {
        faults,
        ..Twin::default()
    };
    Router::new().fallback(answer).with_state(Arc::new(twin))
}

async fn answer(State(twin): State<Arc<Twin>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().trim_start_matches("/v1/").to_owned();
    let wait = twin.faults.refusal.as_ref().and_then(|refusal| refusal.2);
    let answer = match twin.fault(&path) {
        Some(fault) => Err(fault),
        None => twin.handle(&parts.method, &path, &parts.headers, &body),
    };
    match answer {
        Ok(data) => axum::Json(json!({"request_id": "x", "data": data, "auth": null})).into_response(),
        Err((status, words)) => {
            let errors: Vec<String> = if words.is_empty() { vec![] } else { vec![words] };
            let status = axum::http::StatusCode::from_u16(status).unwrap();
            let mut response = (status, axum::Json(json!({ "errors": errors }))).into_response();
            if let Some(seconds) = wait {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            if status.is_redirection() {
                let elsewhere = "http://127.0.0.1:9/elsewhere".parse().unwrap();
                response.headers_mut().insert("location", elsewhere);
            }
            response
        }
    }
}

fn refused(status: u16, words: &str) -> (u16, String) {
    (status, words.to_owned())
}

impl Twin {
    fn fault(&self, path: &str) -> Option<(u16, String)> {
        if !path.starts_with("transit/") || self.keys.lock().unwrap().is_empty() {
            return None;
        }
        self.faults.asked.fetch_add(1, Ordering::Relaxed);
        let one_less = |left: usize| left.checked_sub(1);
        let due = self
            .faults
            .refusals
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        due.ok()?;
        let (status, words, _) = self.faults.refusal.clone()?;
        Some((status, words))
    }

    fn handle(&self, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
        let token = headers
            .get("x-vault-token")
            .map_or(&b""[..], |value| value.as_bytes());
        let namespace = headers
            .get("x-vault-namespace")
            .map(|value| value.to_str().unwrap());
        if *self.sealed.lock().unwrap() {
            return Err(refused(503, "Vault is sealed"));
        }
        let is_operator = token == super::OPERATOR.as_bytes();
        if !is_operator && namespace != self.faults.namespace.as_deref() {
            return Err(refused(404, "namespace not found"));
        }
        let parts: Vec<&str> = path.split('/').collect();
        if !is_operator && !may(token, method, &parts) {
            return Err(refused(403, "1 error occurred:\n\t* permission denied\n\n"));
        }
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        match (method.as_str(), parts.as_slice()) {
            ("POST", ["sys", "seal"]) => {
                *self.sealed.lock().unwrap() = true;
                Ok(Value::Null)
            }
            ("GET", ["transit", "keys", name]) => {
                let keys = self.keys.lock().unwrap();
                let key = keys.get(*name).ok_or_else(|| refused(404, ""))?;
                Ok(key.info(name))
            }
            ("POST", ["transit", "keys", name, rest @ ..]) => {
                let mut keys = self.keys.lock().unwrap();
                keys.entry((*name).to_owned()).or_default().operate(rest, &body);
                Ok(Value::Null)
            }
            ("POST", ["transit", action @ ("encrypt" | "decrypt" | "rewrap"), name]) => {
                let keys = self.keys.lock().unwrap();
                let key = keys
                    .get(*name)
                    .ok_or_else(|| refused(400, "encryption key not found"))?;
                key.act(action, &body)
            }
            _ => {
                let words = format!("no handler for route \"{path}\". route entry not found.");
                Err((404, words))
            }
        }
    }
}

/// What the policy of the limited token allows.
fn may(token: &[u8], method: &Method, path: &[&str]) -> bool {
    let allowed = match path {
        ["transit", "keys", name] => method == Method::GET && name.starts_with("corliss"),
        ["transit", "encrypt" | "decrypt" | "rewrap", name] => name.starts_with("corliss"),
        _ => false,
    };
    token == LIMITED.as_bytes() && allowed
}

fn text<'value>(body: &'value Value, field: &str) -> &'value str {
    body[field].as_str().unwrap_or_default()
}

impl Key {
    fn info(&self, name: &str) -> Value {
        json!({
            "type": self.kind.as_deref().unwrap_or("aes256-gcm96"),
            "derived": self.derived,
            "latest_version": self.versions.len(),
            "min_decryption_version": self.min_decryption.max(1),
            "name": name,
            "supports_encryption": true,
        })
    }

    fn operate(&mut self, what: &[&str], body: &Value) {
        let random = || {
            let mut key = [0; 32];
            aws_lc_rs::rand::fill(&mut key).unwrap();
            key
        };
        match what {
            [] if self.versions.is_empty() => {
                self.derived = body["derived"].as_bool().unwrap_or(false);
                self.kind = body["type"].as_str().map(ToOwned::to_owned);
                self.versions.push(random());
            }
            ["rotate"] => self.versions.push(random()),
            ["config"] => {
                let version = body["min_decryption_version"].as_u64().unwrap();
                self.min_decryption = usize::try_from(version).unwrap();
            }
            _ => {}
        }
    }

    fn act(&self, action: &str, body: &Value) -> Answer {
        let context = BASE64_STANDARD.decode(text(body, "context")).unwrap();
        if self.derived && context.is_empty() {
            return Err(refused(
                400,
                "missing 'context' for key derivation; the key was created using a derived key",
            ));
        }
        // What rewrap is not given, it does not check: as the real one.
        let bound = if action == "rewrap" {
            ""
        } else {
            text(body, "associated_data")
        };
        let bound = BASE64_STANDARD.decode(bound).unwrap();
        if action == "encrypt" {
            let plain = BASE64_STANDARD.decode(text(body, "plaintext")).unwrap();
            return Ok(self.encrypt(&context, &bound, &plain));
        }
        let plain = self.decrypt(&context, &bound, text(body, "ciphertext"))?;
        match action {
            "decrypt" => Ok(json!({ "plaintext": BASE64_STANDARD.encode(plain) })),
            _ => Ok(self.encrypt(&context, &bound, &plain)),
        }
    }

    fn encrypt(&self, context: &[u8], bound: &[u8], plain: &[u8]) -> Value {
        let version = self.versions.len();
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).unwrap();
        let mut sealed = plain.to_vec();
        self.version(version, context)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut sealed)
            .unwrap();
        let bytes = BASE64_STANDARD.encode([&nonce[..], &sealed].concat());
        json!({ "ciphertext": format!("vault:v{version}:{bytes}"), "key_version": version })
    }

    fn decrypt(&self, context: &[u8], bound: &[u8], ciphertext: &str) -> Result<Vec<u8>, (u16, String)> {
        let wrong = |words: &str| refused(400, words);
        let rest = ciphertext.strip_prefix("vault:v");
        let rest = rest.ok_or_else(|| wrong("invalid ciphertext: no prefix"))?;
        let (version, bytes) = rest.split_once(':').unwrap();
        let version: usize = version.parse().unwrap();
        if version > self.versions.len() {
            return Err(wrong("invalid ciphertext: version is too new"));
        }
        if version < self.min_decryption {
            return Err(wrong(
                "ciphertext or signature version is disallowed by policy (too old)",
            ));
        }
        let bytes = BASE64_STANDARD.decode(bytes);
        let bytes = bytes.map_err(|_| wrong("invalid ciphertext: could not decode base64"))?;
        let Some((nonce, sealed)) = bytes.split_first_chunk::<NONCE_LEN>() else {
            return Err(wrong("invalid ciphertext length"));
        };
        let mut sealed = sealed.to_vec();
        let opened = self.version(version, context).open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(bound),
            &mut sealed,
        );
        let opened = opened.map_err(|_| wrong("cipher: message authentication failed"))?;
        Ok(opened.to_vec())
    }

    fn version(&self, version: usize, context: &[u8]) -> LessSafeKey {
        let mut key = self.versions[version - 1];
        if self.derived {
            let of_key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&key);
            let info = [context];
            let okm = of_key.expand(&info, hkdf::HKDF_SHA256).unwrap();
            okm.fill(&mut key).unwrap();
        }
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap())
    }
}
