//! A message of the Open Inference Protocol: JSON, and after it the bytes of the tensors that the JSON leaves
//! out. It travels in pieces, so that nobody copies tensors to put them behind each other.

use bytes::Bytes;
use corliss_upstream::Pieces;

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
        self.pieces.into_iter().collect()
    }
}
