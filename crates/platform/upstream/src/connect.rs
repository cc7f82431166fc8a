//! Opens connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::link::Link;
use crate::{Place, UpstreamError};

/// For connecting, and for TLS to be agreed on.
const PATIENCE: Duration = Duration::from_secs(3);

/// The TLS of a place that speaks it: certificates are judged by what this machine trusts.
pub(crate) fn tls(place: &Place) -> Result<Option<TlsConnector>, UpstreamError> {
    if !matches!(place, Place::Tcp { tls: true, .. }) {
        return Ok(None);
    }
    let config = rustls::ClientConfig::with_platform_verifier().map_err(|error| UpstreamError::Tls {
        detail: error.to_string(),
    })?;
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

pub(crate) async fn connect(place: &Place, tls: Option<&TlsConnector>) -> Result<Link, UpstreamError> {
    let unreachable = |source: io::Error| UpstreamError::Unreachable {
        place: place.to_string(),
        source,
    };
    match timeout(PATIENCE, open(place, tls)).await {
        Ok(link) => link.map_err(unreachable),
        Err(_) => Err(unreachable(io::ErrorKind::TimedOut.into())),
    }
}

async fn open(place: &Place, tls: Option<&TlsConnector>) -> io::Result<Link> {
    let (host, port) = match place {
        Place::Unix(path) => return shake(UnixStream::connect(path).await?).await,
        Place::Tcp { host, port, .. } => (host.as_str(), *port),
    };
    let stream = TcpStream::connect((host, port)).await?;
    // A request is one write; without this the end of a larger one waits for an acknowledgement.
    stream.set_nodelay(true)?;
    match tls {
        None => shake(stream).await,
        Some(tls) => {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            shake(tls.connect(name, stream).await?).await
        }
    }
}

async fn shake<S>(stream: S) -> io::Result<Link>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    Ok(Link::new(sender, connection))
}
