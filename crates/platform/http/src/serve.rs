//! Listeners: bind, accept, speak HTTP/1.1 or HTTP/2 (over TLS 1.3 where configured), and drain on the way out.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::{Service, ServiceExt};

use crate::HttpError;
use crate::extract::PeerAddress;
use crate::preface::{Rewound, told_apart};
pub use crate::threads::Threads;
use crate::tls::HTTP2;
pub use crate::tls::TlsFiles;

/// Connections that wait to be accepted. The system bounds it further (`net.core.somaxconn`); what comes beyond is not
/// answered at all, and its client tries again after a second, and two, and four.
const BACKLOG: u32 = 4096;

/// How to listen.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Certificate and key; without them only loopback addresses are accepted.
    pub tls: Option<TlsFiles>,
    /// Connections open at once; more wait in the system's backlog.
    pub max_connections: usize,
    /// Bytes of all headers of one request.
    pub max_header_bytes: usize,
    /// How long a client may take to send its headers, and an idle connection may stay open.
    pub header_timeout: Duration,
    /// How long requests in flight may finish after shutdown began.
    pub drain: Duration,
}

impl ServeConfig {
    /// The defaults, at this address, without TLS.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            max_connections: 10_000,
            max_header_bytes: 64 * 1024,
            header_timeout: Duration::from_secs(75),
            drain: Duration::from_secs(10),
        }
    }
}

/// What answers requests: an [`App`](crate::App), or one with something around it.
pub trait Answers:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Answers for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

/// A bound address, not yet accepting.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    threads: Option<Arc<Threads>>,
    config: ServeConfig,
}

/// Binds the address.
///
/// # Errors
/// If the address is taken or not ours, if it is reachable from elsewhere and TLS is not configured, or if
/// the certificate or key cannot be used.
pub async fn bind(config: ServeConfig) -> Result<Listener, HttpError> {
    if config.tls.is_none() && !is_loopback(config.address.ip()) {
        return Err(HttpError::PublicWithoutTls {
            address: config.address.to_string(),
        });
    }
    let tls = config.tls.as_ref().map(TlsFiles::acceptor).transpose()?;
    let failed = |source: io::Error| HttpError::Bind {
        address: config.address.to_string(),
        source,
    };
    let tcp = listen(config.address).map_err(failed)?;
    let address = tcp.local_addr().map_err(failed)?;
    Ok(Listener {
        tcp,
        address,
        tls,
        threads: None,
        config,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that comes back takes its address again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    }
}

impl Listener {
    /// The address in use, with the port that the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://…` or `https://…`, as clients on this machine write it.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.tls.is_some() { "https" } else { "http" },
            self.address
        )
    }

    /// Connections are to live on these threads instead of the caller's runtime.
    #[must_use]
    pub fn on(mut self, threads: Arc<Threads>) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Serves until `shutdown` resolves, then lets requests in flight finish for the configured time.
    ///
    /// Streams that are still open when that time is over are cut.
    pub async fn run<S: Answers>(self, app: S, shutdown: impl Future<Output = ()> + Send) {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(
            self.config.max_connections.clamp(1, Semaphore::MAX_PERMITS),
        ));
        let mut connections = JoinSet::new();
        // Dropped with the listener: who has said nothing yet is not waited for.
        let (open, closing) = watch::channel(());
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&self.tcp, &room) => accepted,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            let Some((stream, peer, permit)) = accepted else {
                continue;
            };
            let connection = Connection {
                app: app.clone(),
                peer,
                max_header_bytes: self.config.max_header_bytes,
                header_timeout: self.config.header_timeout,
            };
            let (tls, watcher, mut closing) = (self.tls.clone(), graceful.watcher(), closing.clone());
            let seat = self.threads.as_ref().and_then(|threads| threads.seat());
            let handle = seat
                .as_ref()
                .map_or_else(Handle::current, |seat| seat.handle.clone());
            // Its readiness is to wake the thread that it will live on.
            let Ok(stream) = stream.into_std() else {
                continue;
            };
            let task = async move {
                let _seat = seat;
                let Ok(stream) = TcpStream::from_std(stream) else {
                    return;
                };
                tokio::select! {
                    // Whoever is past its first bytes drains by its watcher.
                    begun = begin(tls, stream, connection.header_timeout) => match begun {
                        Some(Begun::Plain(is_http2, stream)) => connection.serve(stream, is_http2, watcher).await,
                        Some(Begun::Tls(is_http2, stream)) => connection.serve(stream, is_http2, watcher).await,
                        None => {}
                    },
                    _ = closing.changed() => {}
                }
                drop(permit);
            };
            connections.spawn_on(task, &handle);
        }
        // New clients are refused at once; those we have may finish.
        drop(self.tcp);
        drop(open);
        if timeout(self.config.drain, graceful.shutdown()).await.is_err() {
            tracing::info!(
                open = connections.len(),
                "connections still open after the drain time are cut"
            );
        }
        connections.shutdown().await;
    }
}

/// A connection that has said which protocol it speaks; true is HTTP/2.
enum Begun {
    Plain(bool, Rewound<TcpStream>),
    Tls(bool, Box<TlsStream<TcpStream>>),
}

async fn begin(tls: Option<TlsAcceptor>, stream: TcpStream, patience: Duration) -> Option<Begun> {
    let Some(tls) = tls else {
        let (is_http2, stream) = timeout(patience, told_apart(stream)).await.ok()?.ok()?;
        return Some(Begun::Plain(is_http2, stream));
    };
    let stream = timeout(patience, tls.accept(stream)).await.ok()?.ok()?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    Some(Begun::Tls(is_http2, Box::new(stream)))
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is room for it. Cancel-safe: nothing is taken before it is returned.
async fn accept(tcp: &TcpListener, room: &Arc<Semaphore>) -> Option<Accepted> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match tcp.accept().await {
        Ok((stream, peer)) => {
            // Small frames of a token stream must not wait for more to come.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, permit))
        }
        Err(error) => {
            // Out of descriptors, most likely: without a pause this loop would only burn the CPU.
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

struct Connection<A> {
    app: A,
    peer: SocketAddr,
    max_header_bytes: usize,
    header_timeout: Duration,
}

impl<A: Answers> Connection<A> {
    async fn serve<S>(self, stream: S, is_http2: bool, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            app,
            peer,
            max_header_bytes,
            header_timeout,
        } = self;
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(PeerAddress(peer));
            app.clone().oneshot(request)
        });
        let served = if is_http2 {
            let connection = http2(max_header_bytes).serve_connection(TokioIo::new(stream), service);
            watcher.watch(connection).await
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(header_timeout)
                .max_buf_size(max_header_bytes.max(8192))
                .serve_connection(TokioIo::new(stream), service);
            watcher.watch(connection).await
        };
        if let Err(error) = served {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

/// Requests that one HTTP/2 connection may carry at once.
const STREAMS_MAX: u32 = 256;
/// What a client may send of one request, and of all, before we have read any of it.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Streams that a client resets before they are answered; one that goes on so is cut off (CVE-2023-44487).
const RESETS_MAX: usize = 20;
/// A connection whose other end is gone is found out by a ping.
const PING_PERIOD: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(20);

fn http2(max_header_bytes: usize) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(max_header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .keep_alive_interval(PING_PERIOD)
        .keep_alive_timeout(PING_PATIENCE);
    builder
}
