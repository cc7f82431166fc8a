//! Against servers that speak bare bytes, so that every connection and every end of one is seen.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_upstream::{BaseUrl, Pieces, Place, Upstream, UpstreamError};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

fn request(body: &[&'static str]) -> Request<Pieces> {
    let pieces = body.iter().map(|piece| Bytes::from_static(piece.as_bytes()));
    Request::post("/x")
        .header("host", "upstream")
        .body(pieces.collect())
        .unwrap()
}

/// Reads one request, head and body.
async fn read(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let so_far = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = so_far.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(so_far);
            }
        }
        match stream.read_buf(&mut text).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// A server that answers each request of a connection by the next of these texts and then closes it.
async fn server(
    answers: &'static [&'static str],
) -> (Upstream, Arc<AtomicUsize>, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: BaseUrl = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let (said, heard) = mpsc::unbounded_channel();
    let counted = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(talk(stream, answers, said.clone()));
        }
    });
    (Upstream::new(url.place().clone()).unwrap(), connections, heard)
}

async fn talk(mut stream: TcpStream, answers: &[&str], said: mpsc::UnboundedSender<String>) {
    for answer in answers {
        let Some(request) = read(&mut stream).await else {
            return;
        };
        let _ = said.send(request);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CHUNKED: &str =
    "HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";

#[tokio::test]
async fn a_connection_carries_one_request_after_another() {
    let (upstream, connections, mut heard) = server(&[OK, CHUNKED, OK]).await;
    let answer = upstream.send(request(&["a", "", "bc"])).await.unwrap();
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.headers["content-length"].as_bytes()
        ),
        (200, b"2".as_slice())
    );
    assert_eq!(answer.collect(2).await.unwrap(), "ok");
    assert!(
        heard
            .recv()
            .await
            .unwrap()
            .ends_with("content-length: 3\r\n\r\nabc")
    );
    let answer = upstream.send(request(&[])).await.unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.collect(100).await.unwrap(), "onetwo");
    let answer = upstream.send(request(&["x"])).await.unwrap();
    assert_eq!(answer.collect(100).await.unwrap(), "ok");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn one_that_was_closed_while_it_waited_is_replaced() {
    let (upstream, connections, _heard) = server(&[OK]).await;
    for _ in 0..3 {
        let answer = upstream.send(request(&["a"])).await.unwrap();
        answer.collect(100).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn at_once_there_are_as_many_as_requests() {
    let (upstream, connections, _heard) = server(&[OK, OK]).await;
    let both = tokio::join!(upstream.send(request(&["a"])), upstream.send(request(&["b"])));
    for answer in [both.0, both.1] {
        answer.unwrap().collect(100).await.unwrap();
    }
    let both = tokio::join!(upstream.send(request(&["a"])), upstream.send(request(&["b"])));
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn ends_are_told_apart() {
    let (upstream, ..) = server(&[CUT]).await;
    let answer = upstream.send(request(&["a"])).await.unwrap();
    let error = answer.collect(100).await.unwrap_err();
    assert_eq!(error.code(), "upstream_connection_lost", "{error}");

    let (upstream, ..) = server(&[""]).await;
    let error = upstream.send(request(&["a"])).await.unwrap_err();
    assert_eq!(error.code(), "upstream_connection_lost", "{error}");

    let (upstream, ..) = server(&[OK]).await;
    let answer = upstream.send(request(&["a"])).await.unwrap();
    let error = answer.collect(1).await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::TooLarge { limit_bytes: 1, .. }),
        "{error}"
    );
    assert_eq!(error.meaning(), Meaning::Unavailable, "it is the service's fault");

    // One that says so beforehand is not waited for.
    let (upstream, ..) = server(&[CUT]).await;
    let answer = upstream.send(request(&["a"])).await.unwrap();
    let error = answer.collect(8).await.unwrap_err();
    assert_eq!(error.code(), "upstream_answer_too_large", "{error}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let nobody = Place::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
        tls: false,
    };
    let error = Upstream::new(nobody)
        .unwrap()
        .send(request(&["a"]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "upstream_unreachable", "{error}");
}

#[tokio::test]
async fn whoever_stops_reading_closes_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let upstream = Upstream::unix(path);
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read(&mut stream).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // The end of what the client sends.
        stream.read(&mut [0]).await.unwrap()
    });
    let mut answer = upstream.send(request(&["a"])).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "one");
    drop(answer);
    assert_eq!(timeout(SOON, server).await.unwrap().unwrap(), 0);
}
