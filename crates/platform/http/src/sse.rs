//! Server-sent events: a bounded queue between the one who makes events and a client that may be slow,
//! with comments in the pauses so that proxies keep the connection and a vanished client is noticed.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, header};
use http_body::Frame;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Pause after which a comment is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The client is gone, or the event could not be written as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client closed the stream")]
pub struct SseClosed;

/// The end that makes events. Dropping it ends the stream.
#[derive(Debug, Clone)]
pub struct SseSender {
    queue: mpsc::Sender<Bytes>,
}

impl SseSender {
    /// Sends a named event whose data is JSON; waits while the client is slow.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn event(&self, name: &str, data: &impl Serialize) -> Result<(), SseClosed> {
        let json = serde_json::to_string(data).map_err(|_| SseClosed)?;
        self.push(format!("event: {name}\ndata: {json}\n\n")).await
    }

    /// Sends an unnamed event with this data, as OpenAI's streams do.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn data(&self, data: &str) -> Result<(), SseClosed> {
        let mut text = String::with_capacity(data.len() + 16);
        for line in data.split('\n') {
            text.push_str("data: ");
            text.push_str(line.trim_end_matches('\r'));
            text.push('\n');
        }
        text.push('\n');
        self.push(text).await
    }

    /// Waits until the client is gone.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }

    async fn push(&self, text: String) -> Result<(), SseClosed> {
        self.queue.send(Bytes::from(text)).await.map_err(|_| SseClosed)
    }
}

/// A stream with room for `capacity` events that the client has not taken yet, and the answer to return.
#[must_use]
pub fn sse(capacity: usize) -> (SseSender, Response) {
    let (queue, events) = mpsc::channel(capacity.max(1));
    let mut pause = interval(KEEP_ALIVE);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pause.reset();
    let body = Body::new(Events { events, pause });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (SseSender { queue }, (headers, body).into_response())
}

struct Events {
    events: mpsc::Receiver<Bytes>,
    pause: Interval,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.events.poll_recv(context) {
            Poll::Ready(Some(event)) => {
                self.pause.reset();
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        match self.pause.poll_tick(context) {
            Poll::Ready(_) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": keep-alive\n\n"))))),
            Poll::Pending => Poll::Pending,
        }
    }
}
