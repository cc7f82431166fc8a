//! What a real engine does only now and then: it is slow, busy, elsewhere, behind TLS, or not one at all.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod transit;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corliss_diagnostics::Diagnose;
use corliss_keyring::{KeyError, RootKey, Token, TransitRootKey, TransitSettings, Trouble};
use transit::Engine;
use transit::twin::{self, Faults};
use zeroize::Zeroizing;

fn refusing(times: usize, status: u16, wait: Option<u64>) -> (Faults, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let faults = Faults {
        refusals: AtomicUsize::new(times),
        refusal: Some((status, "not now".to_owned(), wait)),
        asked: Arc::clone(&asked),
        ..Faults::default()
    };
    (faults, asked)
}

fn trouble(error: KeyError) -> Trouble {
    match error {
        KeyError::Transit { trouble, .. } => trouble,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn it_is_asked_again_while_it_is_busy() {
    for status in [412, 429, 473, 500, 502, 503] {
        let (faults, asked) = refusing(3, status, Some(0));
        Engine::faulty(faults).await.open("corliss").await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 4, "{status}");
    }
}

#[tokio::test]
async fn it_is_not_asked_for_ever() {
    let (faults, asked) = refusing(1000, 503, Some(0));
    let error = Engine::faulty(faults).await.open("corliss").await.err().unwrap();
    assert!(error.retryable());
    let message = "not now".to_owned();
    assert_eq!(trouble(error), Trouble::Busy { status: 503, message });
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_refusal_that_will_not_change_is_not_asked_again() {
    for status in [301, 307, 400, 403, 405] {
        let (faults, asked) = refusing(1000, status, None);
        let error = Engine::faulty(faults).await.open("corliss").await.err().unwrap();
        assert!(!error.retryable());
        match trouble(error) {
            Trouble::Denied { .. } => assert_eq!(status, 403),
            Trouble::Refused { status: told, .. } => assert_eq!(status, told),
            other => panic!("{other}"),
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{status}");
    }
}

#[tokio::test]
async fn the_namespace_goes_along() {
    let faults = Faults {
        namespace: Some("teams/ml".to_owned()),
        ..Faults::default()
    };
    let mut engine = Engine::faulty(faults).await;
    engine.token = twin::LIMITED.to_owned();
    assert!(engine.open("corliss").await.is_err());
    let mut settings = engine.settings("corliss");
    settings.namespace = Some("teams/ml".to_owned());
    TransitRootKey::open(&settings).await.unwrap();
}

fn short(address: &str) -> TransitSettings {
    // Some variable that is set wherever tests run.
    let mut settings = TransitSettings::new(address, "corliss", Token::Variable("PATH".to_owned()));
    settings.timeout = Duration::from_millis(200);
    settings
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let silent = TransitRootKey::open(&short(&address)).await.err().unwrap();
    assert!(silent.retryable());
    assert!(silent.to_string().contains("not answered in time"), "{silent}");
    drop(listener);
    let nobody = TransitRootKey::open(&short(&address)).await.err().unwrap();
    assert!(
        nobody.retryable() && nobody.to_string().contains(&address),
        "{nobody}"
    );
    assert!(matches!(trouble(nobody), Trouble::Unreachable { .. }));
}

#[tokio::test]
async fn what_is_no_transit_engine_is_told_without_its_words() {
    for answer in ["hello", r#"{"data": {"type": 1, "secret": "hunter2"}}"#, "{}"] {
        let app = axum::Router::new().fallback(move || async move { answer });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let error = TransitRootKey::open(&short(&address)).await.err().unwrap();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert!(matches!(trouble(error), Trouble::Answer { .. }));
    }
}

/// The twin behind TLS, whose certificate an authority of its own has signed.
struct TlsListener {
    tcp: tokio::net::TcpListener,
    tls: tokio_rustls::TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.tcp.accept().await.unwrap();
            // A client that does not trust the authority hangs up.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// Answers the port and the authority's certificate in PEM.
async fn behind_tls() -> (u16, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.serialize_der().try_into().unwrap())
            .unwrap();
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let app = twin::router(Faults::default());
    tokio::spawn(async move { axum::serve(TlsListener { tcp, tls }, app).await });
    (port, authority.pem())
}

#[tokio::test]
async fn only_the_authority_of_the_file_is_trusted() {
    let (port, pem) = behind_tls().await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, &pem).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()])
        .build()
        .unwrap();
    let made = client.post(format!("https://localhost:{port}/v1/transit/keys/corliss"));
    made.header("x-vault-token", transit::OPERATOR)
        .body("{}")
        .send()
        .await
        .unwrap();

    let engine = Engine::twin().await;
    let mut settings = short(&format!("https://localhost:{port}"));
    settings.token = Token::File(engine.token_file(transit::OPERATOR));
    settings.timeout = Duration::from_secs(20);
    settings.ca_file = Some(ca_file.clone());
    let root = TransitRootKey::open(&settings).await.unwrap();
    let wrapped = root.wrap("a", &Zeroizing::new([3; 32])).await.unwrap();
    assert_eq!(*root.unwrap("t", "a", &wrapped).await.unwrap(), [3; 32]);

    settings.ca_file = None;
    let stranger = TransitRootKey::open(&settings).await.err().unwrap();
    assert!(matches!(trouble(stranger), Trouble::Unreachable { .. }));
    for text in ["", "no certificate"] {
        std::fs::write(&ca_file, text).unwrap();
        settings.ca_file = Some(ca_file.clone());
        let error = TransitRootKey::open(&settings).await.err().unwrap();
        assert!(matches!(trouble(error), Trouble::Setting { .. }));
    }
}
