//! A receiver of webhooks: a real listener on this machine that answers as it is told, or misbehaves, and keeps what it was
//! sent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request.
#[derive(Debug, Clone)]
pub struct Seen {
    pub head: String,
    pub text: String,
    pub body: Value,
}

impl Seen {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut pairs = lines.filter_map(|line| line.split_once(':'));
        pairs
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    pub fn id(&self) -> &str {
        self.header("X-MLflow-Delivery-Id").unwrap()
    }

    /// `entity.action`.
    pub fn event(&self) -> String {
        let word = |name: &str| self.body[name].as_str().unwrap().to_owned();
        format!("{}.{}", word("entity"), word("action"))
    }
}

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub enum Does {
    /// Answers with this status.
    Says(u16),
    /// Sends the caller elsewhere.
    Redirects,
    /// Hangs up after it has read the request.
    Closes,
    /// Begins to answer and hangs up.
    Stops,
    /// Never answers.
    Hangs,
}

pub struct Receiver {
    pub at: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    plan: Arc<Mutex<VecDeque<Does>>>,
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
        let (seen, plan) = (
            Arc::<Mutex<Vec<Seen>>>::default(),
            Arc::<Mutex<VecDeque<Does>>>::default(),
        );
        let (keeps, planned) = (Arc::clone(&seen), Arc::clone(&plan));
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, Arc::clone(&keeps), Arc::clone(&planned)));
            }
        });
        Self {
            at,
            seen,
            plan,
            server,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?token=t0ken", self.at)
    }

    /// What it does next, and next after; then it says 200 again.
    pub fn does(&self, plan: &[Does]) {
        self.plan.lock().unwrap().extend(plan);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub async fn has_seen(&self, count: usize) {
        while self.seen().len() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends it; answers where it was.
    pub async fn stop(self) -> SocketAddr {
        self.server.abort();
        let _ = self.server.await;
        self.at
    }
}

/// A request as far as its length says.
async fn request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length: usize = lengths.next().unwrap().1.parse().unwrap();
            if body.len() >= length {
                return Some(Seen {
                    head: head.to_owned(),
                    text: body.to_owned(),
                    body: serde_json::from_str(body).unwrap(),
                });
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Vec<Seen>>>, plan: Arc<Mutex<VecDeque<Does>>>) {
    let Some(request) = request(&mut stream).await else {
        return;
    };
    seen.lock().unwrap().push(request);
    let does = plan.lock().unwrap().pop_front().unwrap_or(Does::Says(200));
    let text = match does {
        Does::Says(status) => format!("HTTP/1.1 {status} X\r\ncontent-length: 4\r\n\r\nsaid"),
        Does::Redirects => {
            "HTTP/1.1 302 X\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n"
                .to_owned()
        }
        Does::Closes => return,
        Does::Stops => "HTTP/1.1 20".to_owned(),
        Does::Hangs => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return;
        }
    };
    let _ = stream.write_all(text.as_bytes()).await;
}
