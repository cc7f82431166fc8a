//! Says with an answer that its connection ends, when the answer was given before its request was read.
//!
//! What is left of the body would stand where the next request should, so the connection is closed. A client that is
//! not told so keeps it for its next request, which then fails for no reason that it could see.
//!
//! It is not closed at once, though: to one who is still sending, that would be a reset, on which many clients give up
//! without looking at the answer. So what comes is taken for a while and thrown away (RFC 9112, section 9.6).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

/// The largest rest of a body that is taken and thrown away.
const THROWN_AWAY_BYTES: u64 = 16 * 1024 * 1024;
/// How long it may take.
const THROWN_AWAY_IN: Duration = Duration::from_secs(2);

/// Whether the body of a request was read to its end.
pub(crate) struct Watch {
    was_read: Arc<AtomicBool>,
}

/// Watches the request's body, unless it has none or its connection carries several requests at once.
pub(crate) fn watch(request: &mut Request) -> Option<Watch> {
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return None;
    }
    let was_read = Arc::new(AtomicBool::new(false));
    let body = Watched {
        body: std::mem::take(request.body_mut()),
        // Who waits to be told to go on has not begun to send.
        is_coming: !request.headers().contains_key(header::EXPECT),
        was_read: Arc::clone(&was_read),
    };
    *request.body_mut() = Body::new(body);
    Some(Watch { was_read })
}

impl Watch {
    pub(crate) fn tell(&self, response: &mut Response) {
        if !self.was_read.load(Ordering::Acquire) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
    }
}

struct Watched {
    body: Body,
    is_coming: bool,
    was_read: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.was_read.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let is_small = self.body.size_hint().lower() <= THROWN_AWAY_BYTES;
        if self.was_read.load(Ordering::Acquire) || !self.is_coming || !is_small {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let body = std::mem::take(&mut self.body);
            runtime.spawn(tokio::time::timeout(THROWN_AWAY_IN, throw_away(body)));
        }
    }
}

async fn throw_away(mut body: Body) {
    let mut taken = 0;
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, |data| data.len() as u64);
        if taken > THROWN_AWAY_BYTES {
            return;
        }
    }
}
