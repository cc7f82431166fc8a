//! Names to addresses, with those left out that must not be reached.
//!
//! It stands between a name and the connection: what it answers is what is connected to. A name that leads elsewhere
//! the next time (DNS rebinding) is judged anew that time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::Reach;

/// Who knows the addresses of a name.
#[async_trait]
pub(crate) trait Lookup: Send + Sync {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
pub(crate) struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|socket| socket.ip()).collect())
    }
}

/// A name leads nowhere but where it must not.
#[derive(Debug, thiserror::Error)]
#[error("{host} leads to {address}, an address of this machine or of a private network")]
pub(crate) struct Forbidden {
    host: String,
    address: IpAddr,
}

/// The resolver of the HTTP client.
pub(crate) struct Guarded {
    pub reach: Arc<Reach>,
    pub lookup: Arc<dyn Lookup>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, lookup) = (Arc::clone(&self.reach), Arc::clone(&self.lookup));
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = lookup.lookup(&host).await?;
            let open: Vec<SocketAddr> = found
                .iter()
                .filter(|address| reach.permits(&host, **address))
                .map(|address| SocketAddr::new(*address, 0))
                .collect();
            match (found.first(), open.is_empty()) {
                (Some(address), true) => Err(Forbidden {
                    host,
                    address: *address,
                }
                .into()),
                _ => Ok(Box::new(open.into_iter()) as Addrs),
            }
        })
    }
}
