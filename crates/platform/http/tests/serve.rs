//! Real sockets: binding, TLS, draining, limits, and streams to clients that leave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use bytes::Bytes;
use corliss_diagnostics::Diagnose;
use corliss_http::serve::{ServeConfig, Threads, TlsFiles, bind};
use corliss_http::{App, Dialect, Routes, sse};
use corliss_types::Access;
use http::Method;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::TestGuard;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

const PATIENCE: Duration = Duration::from_secs(30);

fn loopback() -> ServeConfig {
    ServeConfig::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

fn router(routes: Routes) -> App {
    routes.into_app(TestGuard::new()).unwrap()
}

fn public(path: &str, handler: axum::routing::MethodRouter) -> Routes {
    Routes::new()
        .route(Method::GET, path, Access::Public, Dialect::Native, handler)
        .streaming()
}

#[tokio::test]
async fn an_open_address_without_tls_is_refused_with_the_settings_named() {
    let error = bind(ServeConfig::at("0.0.0.0:0".parse().unwrap()))
        .await
        .err()
        .unwrap();
    assert_eq!(error.code(), "public_without_tls");
    let hint = error.hint().unwrap();
    for name in [
        "server.tls_cert",
        "server.tls_key",
        "CORLISS_SERVER_TLS_CERT",
        "CORLISS_SERVER_TLS_KEY",
    ] {
        assert!(hint.contains(name), "{hint}");
    }
    assert!(TlsFiles::from_settings(Some("c".into()), None).is_err());
}

#[tokio::test]
async fn a_taken_address_says_so() {
    let first = bind(loopback()).await.unwrap();
    let error = bind(ServeConfig::at(first.local_addr())).await.err().unwrap();
    assert!(error.hint().unwrap().contains("another process"), "{error}");
}

#[tokio::test]
async fn requests_in_flight_finish_and_streams_are_cut_after_the_drain() {
    drains(None).await;
}

#[tokio::test]
async fn so_they_do_on_threads_of_their_own() {
    let threads = Arc::new(Threads::start().unwrap());
    drains(Some(threads.clone())).await;
    // What is left on them does not keep them.
    tokio::task::spawn_blocking(move || drop(threads)).await.unwrap();
}

async fn drains(threads: Option<Arc<Threads>>) {
    let (started, mut on_start) = mpsc::channel(1);
    let slow = move || {
        let started = started.clone();
        async move {
            started.send(()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            "finished"
        }
    };
    let endless = async || {
        let (sender, response) = sse(4);
        tokio::spawn(async move {
            sender.data("hello").await.unwrap();
            sender.closed().await;
        });
        response
    };
    let routes = public("/slow", get(slow)).merge(public("/endless", get(endless)));
    let listener = bind(ServeConfig {
        drain: Duration::from_millis(800),
        ..loopback()
    })
    .await
    .unwrap();
    let listener = match threads {
        Some(threads) => listener.on(threads),
        None => listener,
    };
    let url = listener.url();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(listener.run(router(routes), async move { stopped.await.unwrap_or_default() }));
    let mut stream = reqwest::get(format!("{url}/endless")).await.unwrap();
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "data: hello\n\n");
    let slow = tokio::spawn(reqwest::get(format!("{url}/slow")));
    on_start.recv().await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "finished");
    tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap();
    assert!(!matches!(stream.chunk().await, Ok(Some(_))));
    assert!(reqwest::get(format!("{url}/slow")).await.is_err());
}

#[tokio::test]
async fn a_client_that_leaves_closes_its_stream() {
    let (left, mut on_left) = mpsc::channel(1);
    let stream = move || {
        let left = left.clone();
        async move {
            let (sender, response) = sse(4);
            tokio::spawn(async move {
                sender.event("run", &serde_json::json!({"n": 1})).await.unwrap();
                sender.closed().await;
                left.send(()).await.unwrap();
            });
            response
        }
    };
    let listener = bind(loopback()).await.unwrap();
    let url = listener.url();
    let server = tokio::spawn(listener.run(router(public("/stream", get(stream))), std::future::pending()));
    let mut response = reqwest::get(format!("{url}/stream")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(
        response.chunk().await.unwrap().unwrap(),
        "event: run\ndata: {\"n\":1}\n\n"
    );
    drop(response);
    tokio::time::timeout(PATIENCE, on_left.recv())
        .await
        .unwrap()
        .unwrap();
    server.abort();
}

/// Sends raw bytes and returns what comes back until the server closes or answers in full.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn oversized_headers_and_undeclared_bodies_are_refused() {
    let routes = Routes::new()
        .route(
            Method::POST,
            "/echo",
            Access::Public,
            Dialect::Native,
            post(
                async |corliss_http::Json(value): corliss_http::Json<serde_json::Value>| {
                    corliss_http::Json(value)
                },
            ),
        )
        .body_limit(32);
    let listener = bind(ServeConfig {
        max_header_bytes: 8192,
        ..loopback()
    })
    .await
    .unwrap();
    let address = listener.local_addr();
    let server = tokio::spawn(listener.run(router(routes), std::future::pending()));
    let huge = format!(
        "GET /echo HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "y".repeat(20_000)
    );
    assert!(raw(address, &huge).await.starts_with("HTTP/1.1 431"));
    let body = format!("\"{}\"", "z".repeat(100));
    let chunked = format!(
        "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    assert!(raw(address, &chunked).await.starts_with("HTTP/1.1 413"));
    server.abort();
}

#[tokio::test]
async fn who_is_answered_before_being_read_is_told_that_the_connection_ends() {
    let routes = Routes::new()
        .route(
            Method::POST,
            "/reads",
            Access::Public,
            Dialect::Native,
            post(async |body: bytes::Bytes| body.len().to_string()),
        )
        .route(
            Method::POST,
            "/refuses",
            Access::Public,
            Dialect::Native,
            post(async || http::StatusCode::BAD_REQUEST),
        );
    let listener = bind(loopback()).await.unwrap();
    let address = listener.local_addr();
    let server = tokio::spawn(listener.run(router(routes), std::future::pending()));
    let body = "x".repeat(500_000);
    let send = |path: &str| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        // What was read leaves the connection to the next request.
        stream.write_all(send("/reads").as_bytes()).await.unwrap();
        let answer = head(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && !answer.contains("connection: close"),
            "{answer}"
        );
    }
    // What the client still sends is taken: it sees the answer, and an end instead of a reset.
    let request = send("/refuses");
    let (begun, rest) = request.split_at(200);
    stream.write_all(begun.as_bytes()).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("connection: close"),
        "{answer}"
    );
    for piece in rest.as_bytes().chunks(50_000) {
        stream.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let end = tokio::time::timeout(PATIENCE, stream.read(&mut [0])).await;
    assert_eq!(end.unwrap().unwrap(), 0);
    server.abort();
}

/// An answer of which one read brings all.
async fn head(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await;
    let length = read.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..length])
        .to_ascii_lowercase()
        .replace("http/1.1", "HTTP/1.1")
}

#[tokio::test]
async fn tls_speaks_1_3_only() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        cert: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let listener = bind(ServeConfig {
        tls: Some(files.clone()),
        ..loopback()
    })
    .await
    .unwrap();
    let address = listener.local_addr();
    assert!(listener.url().starts_with("https://"));
    let routes = public("/healthz", get(async || "ok"));
    let server = tokio::spawn(listener.run(router(routes), std::future::pending()));

    let connect = async |version: &'static rustls::SupportedProtocolVersion| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        connector.connect("localhost".try_into().unwrap(), tcp).await
    };
    let mut stream = connect(&rustls::version::TLS13).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.abort();

    std::fs::write(&files.key, "not a key").unwrap();
    let error = bind(ServeConfig {
        tls: Some(files),
        ..loopback()
    })
    .await
    .err()
    .unwrap();
    assert_eq!(error.field().as_deref(), Some("server.tls_key"));
}

/// A connection of HTTP/2 as a client has it that knows beforehand.
async fn http2(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn http2_is_spoken_with_who_begins_with_it_and_the_silent_hold_nobody_up() {
    let mut config = loopback();
    // Whoever waited for the silent one would wait this long.
    config.drain = Duration::from_secs(3600);
    let listener = bind(config).await.unwrap();
    let address = listener.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = router(public("/", get(async || "hello")));
    let server = tokio::spawn(listener.run(router, async {
        let _ = stopped.await;
    }));
    let mut sender = http2(address).await;
    let ask = |host: &str| {
        let request = http::Request::get(format!("http://{host}/"));
        request.body(Empty::<Bytes>::new()).unwrap()
    };
    let answer = sender.send_request(ask(&address.to_string())).await.unwrap();
    assert_eq!(
        (answer.version(), answer.status().as_u16()),
        (http::Version::HTTP_2, 200)
    );
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "hello");
    let refused = sender.send_request(ask("evil.example")).await.unwrap();
    assert_eq!(refused.status(), 421, "the host is judged where HTTP/2 names it");
    let plain = reqwest::get(format!("http://{address}/")).await.unwrap();
    assert_eq!(plain.version(), http::Version::HTTP_11);
    let _silent = TcpStream::connect(address).await.unwrap();
    // Answered, so the silent one before it has been accepted.
    assert!(reqwest::get(format!("http://{address}/")).await.is_ok());
    stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap();
}
