//! A message of the Open Inference Protocol: JSON, and after it the bytes of the tensors that the JSON leaves
//! out. It travels in pieces, so that nobody copies tensors to put them behind each other.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The header that says how many bytes of the message are JSON; without it all of them are.
pub const JSON_LENGTH_HEADER: &str = "inference-header-content-length";

/// A request or an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TensorMessage {
    /// All bytes, in order.
    pub pieces: Vec<Bytes>,
    /// How many of them are JSON, if tensors follow.
    pub json_bytes: Option<usize>,
}

impl TensorMessage {
    /// A message that is all JSON.
    #[must_use]
    pub fn of_json(json: impl Into<Bytes>) -> Self {
        Self {
            pieces: vec![json.into()],
            json_bytes: None,
        }
    }

    /// JSON, and the tensors that it leaves out, in its order.
    #[must_use]
    pub fn with_tensors(json: Bytes, tensors: impl IntoIterator<Item = Bytes>) -> Self {
        let json_bytes = Some(json.len());
        let mut pieces = vec![json];
        pieces.extend(tensors);
        Self { pieces, json_bytes }
    }

    /// The pieces as the body of an HTTP message.
    pub(crate) fn into_body(self) -> Pieces {
        Pieces {
            left: self.pieces.iter().map(|piece| piece.len() as u64).sum(),
            pieces: self.pieces.into(),
        }
    }
}

/// A body of pieces, whose length is known.
pub(crate) struct Pieces {
    pieces: VecDeque<Bytes>,
    left: u64,
}

impl Pieces {
    /// A body of one piece.
    pub fn one(piece: Bytes) -> Self {
        TensorMessage::of_json(piece).into_body()
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            match self.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    self.left -= piece.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
