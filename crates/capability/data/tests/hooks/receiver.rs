//! A receiver of hooks: a real HTTP server on this machine that answers as it is told and keeps what it was sent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use bytes::Bytes;
use corliss_types::Timestamp;
use corliss_webhook::Secret;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// One request.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: String,
    pub timestamp_s: i64,
    pub signature: String,
    pub text: String,
    pub body: Value,
}

impl Seen {
    pub fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    pub fn data(&self, field: &str) -> &Value {
        &self.body["data"][field]
    }

    pub fn is_signed_with(&self, secret: &str) -> bool {
        let secret: Secret = secret.parse().unwrap();
        let at = Timestamp::from_millis(self.timestamp_s * 1000);
        secret.sign(&self.id, at, self.text.as_bytes()) == self.signature
    }
}

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    /// An answer takes one of these.
    turns: Arc<Semaphore>,
}

pub struct Receiver {
    at: SocketAddr,
    shared: Shared,
    server: JoinHandle<()>,
}

impl Receiver {
    /// One that says 200 to everything.
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let at = listener.local_addr().unwrap();
        let shared = Shared {
            seen: Arc::default(),
            answers: Arc::default(),
            turns: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { at, shared, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?token=t0ken", self.at)
    }

    /// What it says next, and next after; then 200 again.
    pub fn says(&self, answers: &[(u16, &'static str)]) {
        self.shared.answers.lock().unwrap().extend(answers);
    }

    /// Takes requests and answers none from now on.
    pub fn falls_silent(&self) {
        self.shared.turns.forget_permits(usize::MAX);
    }

    pub fn speaks_again(&self) {
        self.shared.turns.add_permits(1 << 20);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Since the last call of this.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }

    /// Waits until it was sent so many requests.
    pub async fn has_seen(&self, count: usize) {
        while self.seen().len() < count {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// Ends it; answers where it was.
    pub async fn stop(self) -> SocketAddr {
        self.server.abort();
        let _ = self.server.await;
        self.at
    }
}

async fn answer(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    shared.seen.lock().unwrap().push(Seen {
        id: text("webhook-id"),
        timestamp_s: text("webhook-timestamp").parse().unwrap(),
        signature: text("webhook-signature"),
        text: String::from_utf8(body.to_vec()).unwrap(),
        body: serde_json::from_slice(&body).unwrap(),
    });
    let turn = shared.turns.acquire().await.unwrap();
    drop(turn);
    let answer = shared.answers.lock().unwrap().pop_front();
    let (status, said) = answer.unwrap_or((200, ""));
    (StatusCode::from_u16(status).unwrap(), said)
}
