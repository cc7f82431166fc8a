//! Accepts connections on the Unix socket and serves HTTP/1.1 on each.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use super::{Cell, routes};

/// Open connections at most; more wait in the socket's own backlog.
const MAX_CONNECTIONS: usize = 1024;

/// Serves until the task is dropped. A caller that closes its connection drops its request's future or
/// body, and with it the work.
pub(crate) async fn accept(listener: UnixListener, cell: Arc<Cell>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely; accepting again at once would spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let cell = Arc::clone(&cell);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let cell = Arc::clone(&cell);
                async move { Ok::<_, Infallible>(routes::answer(&cell, request).await) }
            });
            // A caller that goes away mid-request is an error here and nothing unusual.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
    }
}
