//! An answer as it arrives.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::UpstreamError;
use crate::link::Link;
use crate::upstream::Shared;

/// What an answer is held in that comes in many pieces.
const BLOCK_BYTES: usize = 1 << 20;

/// Status, headers, and a body that is read as it comes. Its connection is kept for the next request once the
/// body is read to its end, and closed if this is dropped before.
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
    link: Option<Link>,
    shared: Arc<Shared>,
}

impl Answer {
    pub(crate) fn new(response: http::Response<Incoming>, link: Link, shared: Arc<Shared>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            body,
            link: Some(link),
            shared,
        }
    }

    /// The next bytes of the body; none at its end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        loop {
            match self.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Some(Ok(data)),
                    // Trailers: nobody here reads any.
                    Err(_) => {}
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The whole body, held in memory.
    ///
    /// # Errors
    /// If it breaks off or is larger than the limit.
    pub async fn collect(mut self, limit_bytes: usize) -> Result<Bytes, UpstreamError> {
        if self.body.size_hint().lower() > limit_bytes as u64 {
            return Err(self.too_large(limit_bytes));
        }
        let Some(first) = self.chunk().await.transpose()? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit_bytes {
            return Err(self.too_large(limit_bytes));
        }
        let Some(second) = self.chunk().await.transpose()? else {
            return Ok(first);
        };
        // In blocks, joined when all is there: one that grew would be copied again and again, and leave as much behind.
        let (mut bytes, mut blocks, mut next) = (first.len(), vec![BytesMut::from(first)], Some(second));
        while let Some(chunk) = next {
            if bytes + chunk.len() > limit_bytes {
                return Err(self.too_large(limit_bytes));
            }
            match blocks.last_mut() {
                Some(block) if block.capacity() - block.len() >= chunk.len() => {
                    block.extend_from_slice(&chunk);
                }
                _ => {
                    let mut block = BytesMut::with_capacity(chunk.len().max(bytes.min(BLOCK_BYTES)));
                    block.extend_from_slice(&chunk);
                    blocks.push(block);
                }
            }
            bytes += chunk.len();
            next = self.chunk().await.transpose()?;
        }
        Ok(blocks.concat().into())
    }

    fn too_large(&self, limit_bytes: usize) -> UpstreamError {
        UpstreamError::TooLarge {
            place: self.shared.place.to_string(),
            limit_bytes,
        }
    }

    /// Keeps the connection for the next request.
    fn give_back(&mut self, context: &mut Context<'_>) {
        if let Some(mut link) = self.link.take()
            && link.is_free(context)
        {
            self.shared.shelf.put(link);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let answer = self.get_mut();
        let mut polled = Pin::new(&mut answer.body).poll_frame(context);
        if polled.is_pending()
            && let Some(link) = &mut answer.link
        {
            link.drive(context);
            polled = Pin::new(&mut answer.body).poll_frame(context);
        }
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                // Whoever sees the end in the length does not ask again.
                if answer.body.is_end_stream() {
                    answer.give_back(context);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                answer.give_back(context);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                answer.link = None;
                Poll::Ready(Some(Err(answer.shared.lost(&error))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
