//! Requests to real receivers on this machine, which the tests allow, and to what they do not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::Verdict;

const BODY: &[u8] = br#"{"type":"dataset.commit"}"#;

/// A receiver that answers every connection with the same bytes, and keeps what it was sent.
struct Receiver {
    at: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn at(address: &str, answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let at = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let (kept, answer) = (Arc::clone(&seen), answer.into());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (mut request, mut part) = (Vec::new(), [0; 4096]);
                while !request.ends_with(BODY) {
                    match socket.read(&mut part).await {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request.extend_from_slice(&part[..read]),
                    }
                }
                kept.lock().unwrap().push(String::from_utf8(request).unwrap());
                let _ = socket.write_all(&answer).await;
            }
        });
        Self { at, seen }
    }

    async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        Self::at("127.0.0.1:0", answer).await
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// Leads every name to the next of some answers, and then to the last.
struct Answers(Mutex<Vec<Vec<IpAddr>>>);

impl Answers {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().rev().map(parsed).collect())))
    }
}

#[async_trait]
impl Lookup for Answers {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        match answers.len() {
            1 => Ok(answers[0].clone()),
            _ => Ok(answers.pop().unwrap()),
        }
    }
}

fn secret() -> Secret {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()
}

async fn send(client: &WebhookClient, url: &str) -> Outcome {
    let (target, secret) = (url.parse().unwrap(), secret());
    let message = Message {
        target: &target,
        id: "msg_1",
        at: Timestamp::from_millis(1_614_265_330_500),
        secret: Some(&secret),
        body: Bytes::from_static(BODY),
        timeout: Duration::from_secs(30),
        headers: HeaderNames::STANDARD,
    };
    client.send(message).await
}

fn allowing(entries: &[&str]) -> WebhookClient {
    WebhookClient::new(Reach::with(entries.iter().copied()).unwrap())
}

fn trouble(outcome: &Outcome) -> Option<Trouble> {
    match outcome {
        Outcome::Failed { trouble, .. } => Some(*trouble),
        Outcome::Answered { .. } => None,
    }
}

#[tokio::test]
async fn a_request_is_signed_and_its_answer_told() {
    let answer = "HTTP/1.1 202 Accepted\r\nretry-after: 7\r\ncontent-length: 12\r\n\r\n thanks\u{7}\nok\n";
    let receiver = Receiver::saying(answer).await;
    let url = format!("http://{}/hook?token=hunter2", receiver.at);
    let outcome = send(&allowing(&["127.0.0.1"]), &url).await;
    let expected = Outcome::Answered {
        status: 202,
        retry_after: Some(Duration::from_secs(7)),
        said: "thanks \nok".to_owned(),
    };
    assert_eq!(outcome, expected);
    assert_eq!(outcome.to_string(), "it answered 202: thanks \nok");
    let seen = receiver.seen.lock().unwrap()[0].to_ascii_lowercase();
    let signature = secret().sign("msg_1", Timestamp::from_millis(1_614_265_330_000), BODY);
    for part in [
        "post /hook?token=hunter2 http/1.1",
        "content-type: application/json",
        "user-agent: corliss/",
        "webhook-id: msg_1\r\n",
        "webhook-timestamp: 1614265330\r\n",
        &format!("webhook-signature: {}\r\n", signature.to_ascii_lowercase()),
    ] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
}

#[tokio::test]
async fn this_machine_is_not_reached_unless_it_is_allowed() {
    let receiver = Receiver::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = receiver.at.port();
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"] {
        let outcome = send(
            &WebhookClient::new(Reach::default()),
            &format!("http://{host}:{port}/"),
        )
        .await;
        assert_eq!(trouble(&outcome), Some(Trouble::Forbidden), "{host}: {outcome}");
        assert_eq!(outcome.verdict(), Verdict::Refused);
        assert!(outcome.to_string().contains("[webhooks]"), "{outcome}");
    }
    assert_eq!(receiver.requests(), 0);
    let allowed = send(&allowing(&["localhost"]), &format!("http://localhost:{port}/")).await;
    assert_eq!((allowed.verdict(), receiver.requests()), (Verdict::Accepted, 1));
}

/// The name is judged where it leads now: 127.0.0.2 stands for an address that may be reached.
#[tokio::test]
async fn a_name_that_leads_elsewhere_the_next_time_is_judged_anew() {
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let open = Receiver::at("127.0.0.2:0", ok).await;
    let port = open.at.port();
    let closed = Receiver::at(&format!("127.0.0.1:{port}"), ok).await;
    let lookup = Answers::of(&[
        &["127.0.0.2"],
        &["127.0.0.1"],
        &["127.0.0.1", "127.0.0.2"],
        &["::ffff:127.0.0.1"],
        &["fe80::1", "10.0.0.1"],
    ]);
    let client = WebhookClient::with_lookup(Reach::with(["127.0.0.2"]).unwrap(), lookup);
    let url = format!("http://rebind.example.org:{port}/");
    for expected in [
        None,
        Some(Trouble::Forbidden),
        None,
        Some(Trouble::Forbidden),
        Some(Trouble::Forbidden),
    ] {
        let outcome = send(&client, &url).await;
        assert_eq!(trouble(&outcome), expected, "{outcome}");
    }
    assert_eq!((open.requests(), closed.requests()), (2, 0));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = Receiver::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let to = format!(
        "HTTP/1.1 307 Temporary\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        elsewhere.at
    );
    let receiver = Receiver::saying(to).await;
    let outcome = send(&allowing(&["127.0.0.1"]), &format!("http://{}/", receiver.at)).await;
    assert_eq!(
        (outcome.status(), outcome.verdict()),
        (Some(307), Verdict::Refused)
    );
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn of_a_long_answer_the_beginning_is_read() {
    let mut answer = b"HTTP/1.1 500 Broken\r\ncontent-length: 1073741824\r\n\r\n".to_vec();
    answer.extend(std::iter::repeat_n(b'x', 1 << 20));
    let receiver = Receiver::saying(answer).await;
    let outcome = send(&allowing(&["127.0.0.1"]), &format!("http://{}/", receiver.at)).await;
    let Outcome::Answered { status, said, .. } = outcome else {
        panic!("{outcome}");
    };
    assert_eq!((status, said), (500, "x".repeat(SAID_MAX_CHARS)));
}

#[tokio::test]
async fn whoever_does_not_answer_is_asked_again() {
    // Connections stand in its queue, and nobody takes them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap();
    let (target, secret) = (format!("http://{at}/hunter2").parse().unwrap(), secret());
    let message = Message {
        target: &target,
        id: "msg_1",
        at: Timestamp::from_millis(0),
        secret: Some(&secret),
        body: Bytes::new(),
        timeout: Duration::from_millis(50),
        headers: HeaderNames::STANDARD,
    };
    let client = allowing(&["127.0.0.1"]);
    let outcome = client.send(message.clone()).await;
    assert_eq!(
        (trouble(&outcome), outcome.verdict()),
        (Some(Trouble::Timeout), Verdict::Again)
    );
    drop(silent);
    let outcome = client
        .send(Message {
            timeout: Duration::from_secs(30),
            ..message
        })
        .await;
    assert_eq!(
        (trouble(&outcome), outcome.verdict()),
        (Some(Trouble::Unreachable), Verdict::Again)
    );
    assert!(!outcome.to_string().contains("hunter2"), "{outcome}");
    let cut = Receiver::saying("").await;
    let outcome = send(&client, &format!("http://{}/", cut.at)).await;
    assert_eq!(trouble(&outcome), Some(Trouble::Unreachable), "{outcome}");
}
