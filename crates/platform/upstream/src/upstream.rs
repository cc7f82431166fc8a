//! Whoever computes answers, as its callers see it.

use std::error::Error;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Request;
use tokio_rustls::TlsConnector;

use crate::connect::{connect, tls};
use crate::link::{Link, Unsent};
use crate::shelf::Shelf;
use crate::{Answer, Pieces, Place, UpstreamError};

/// Services close connections that wait: uvicorn, which many of them are made with, after 5 s. A request that is sent
/// while the other side closes is lost and cannot be told from one that was worked on.
const KEEP: Duration = Duration::from_secs(4);

/// Cheap to clone; clones share kept connections.
#[derive(Clone)]
pub struct Upstream {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) place: Place,
    pub(crate) shelf: Shelf,
    tls: Option<TlsConnector>,
}

impl Shared {
    pub(crate) fn lost(&self, error: &hyper::Error) -> UpstreamError {
        tracing::debug!(place = %self.place, %error, cause = ?error.source(), "a connection broke off");
        let detail = if error.is_parse() {
            "what came is not HTTP"
        } else if error.is_timeout() {
            "nothing came in time"
        } else {
            "it was closed before the answer was complete"
        };
        UpstreamError::Lost {
            place: self.place.to_string(),
            detail: detail.to_owned(),
        }
    }
}

impl Upstream {
    /// Whoever listens on this socket. Connects at first use.
    #[must_use]
    pub fn unix(socket: PathBuf) -> Self {
        Self::at(Place::Unix(socket), None, None)
    }

    /// Whoever is at this place. Connects at first use.
    ///
    /// # Errors
    /// If TLS is asked for and cannot be set up on this machine.
    pub fn new(place: Place) -> Result<Self, UpstreamError> {
        let keep = match place {
            Place::Unix(_) => None,
            Place::Tcp { .. } => Some(KEEP),
        };
        let tls = tls(&place)?;
        Ok(Self::at(place, tls, keep))
    }

    fn at(place: Place, tls: Option<TlsConnector>, keep: Option<Duration>) -> Self {
        Self {
            shared: Arc::new(Shared {
                place,
                shelf: Shelf::new(keep),
                tls,
            }),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.shared.place
    }

    /// Sends a request, whose target is a path and whose `host` header is set, and waits for the head of its answer.
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// If nobody is reached, or the connection ends before the head of an answer.
    pub async fn send(&self, mut request: Request<Pieces>) -> Result<Answer, UpstreamError> {
        while let Some(mut link) = self.kept().await {
            match link.exchange(request).await {
                Ok(response) => return Ok(Answer::new(response, link, self.shared.clone())),
                Err(Unsent::Whole(unsent)) => request = *unsent,
                Err(Unsent::Perhaps(error)) => return Err(self.shared.lost(&error)),
            }
        }
        // Seldom, and large: TLS is agreed on in it.
        let mut link = Box::pin(connect(&self.shared.place, self.shared.tls.as_ref())).await?;
        match link.exchange(request).await {
            Ok(response) => Ok(Answer::new(response, link, self.shared.clone())),
            Err(Unsent::Perhaps(error)) => Err(self.shared.lost(&error)),
            Err(Unsent::Whole(_)) => Err(UpstreamError::Lost {
                place: self.shared.place.to_string(),
                detail: "it was closed at once".to_owned(),
            }),
        }
    }

    /// A kept connection that the other side has not closed.
    async fn kept(&self) -> Option<Link> {
        loop {
            let mut link = self.shared.shelf.take()?;
            if poll_fn(|context| Poll::Ready(link.is_free(context))).await {
                return Some(link);
            }
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("place", self.place())
            .finish_non_exhaustive()
    }
}
