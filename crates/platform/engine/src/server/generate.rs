//! A generation's events as a body of JSON lines. Dropping the body (the caller went away) drops the
//! receiver, which the decoding thread sees before its next token.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use corliss_diagnostics::ErrorReport;
use http_body::{Body, Frame};
use tokio::sync::mpsc::UnboundedReceiver;

use super::Active;
use crate::EngineError;
use crate::protocol::GenerateEvent;

/// The body of an answer to `POST /generate`.
pub(super) struct EventBody {
    events: UnboundedReceiver<GenerateEvent>,
    ended: bool,
    /// Held until the last byte is handed over, so that a drain waits for it.
    _active: Active,
}

impl EventBody {
    /// Streams these events.
    pub fn new(events: UnboundedReceiver<GenerateEvent>, active: Active) -> Self {
        Self {
            events,
            ended: false,
            _active: active,
        }
    }

    fn write(&mut self, event: &GenerateEvent, line: &mut BytesMut) {
        self.ended |= matches!(event, GenerateEvent::End { .. } | GenerateEvent::Error { .. });
        if let Ok(json) = serde_json::to_vec(event) {
            line.extend_from_slice(&json);
            line.extend_from_slice(b"\n");
        }
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.get_mut();
        if body.ended {
            return Poll::Ready(None);
        }
        let mut line = BytesMut::new();
        match ready!(body.events.poll_recv(context)) {
            Some(event) => body.write(&event, &mut line),
            None => {
                let error = ErrorReport::of(&EngineError::Stopped);
                body.write(&GenerateEvent::Error { error }, &mut line);
            }
        }
        // What else is there goes into the same write.
        while let Ok(event) = body.events.try_recv() {
            body.write(&event, &mut line);
        }
        Poll::Ready(Some(Ok(Frame::data(line.freeze()))))
    }
}
