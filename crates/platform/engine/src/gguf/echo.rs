//! The prompt as part of the answer: its text, given out as far as it has been computed.

use llama_cpp_2::token::LlamaToken;

use super::loaded::Loaded;
use super::text::{Piece, TextBuffer};

/// A prompt on its way back to its caller.
#[derive(Debug)]
pub(super) struct Echo {
    /// Bytes of each token.
    pieces: Vec<Vec<u8>>,
    /// Tokens whose text was taken.
    taken: usize,
    text: TextBuffer,
}

impl Echo {
    /// Of these tokens, which stand for the `given` text if the caller sent one.
    pub fn new(prompt: &[LlamaToken], given: Option<&str>, loaded: &Loaded) -> Self {
        let pieces = prompt
            .iter()
            .map(|token| loaded.shown(usize::try_from(token.0).unwrap_or(usize::MAX)))
            .collect();
        Self::of(pieces, given)
    }

    fn of(mut pieces: Vec<Vec<u8>>, given: Option<&str>) -> Self {
        if let Some(given) = given {
            cut_front(&mut pieces, given.as_bytes());
        }
        Self {
            pieces,
            taken: 0,
            text: TextBuffer::new(Vec::new()),
        }
    }

    /// Bytes of one token.
    pub fn piece(&self, at: usize) -> &[u8] {
        self.pieces.get(at).map_or(&[][..], |piece| piece)
    }

    /// The text of the tokens before `until` that was not taken yet. A torn character waits for the rest.
    pub fn take(&mut self, until: usize) -> String {
        let until = until.min(self.pieces.len());
        let mut text = String::new();
        for piece in self.pieces.get(self.taken..until).unwrap_or_default() {
            match self.text.push(piece) {
                Piece::Text(more) | Piece::Stopped(more) => text.push_str(&more),
            }
        }
        self.taken = self.taken.max(until);
        if until == self.pieces.len() {
            text.push_str(&self.text.flush());
        }
        text
    }
}

/// Takes away what tokenising put before the text: the token that begins every text, a space.
fn cut_front(pieces: &mut [Vec<u8>], given: &[u8]) {
    let joined = pieces.concat();
    if !joined.ends_with(given) {
        return;
    }
    let mut extra = joined.len() - given.len();
    for piece in pieces {
        let cut = extra.min(piece.len());
        piece.drain(..cut);
        extra -= cut;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(pieces: &[&[u8]], given: Option<&str>) -> Echo {
        Echo::of(pieces.iter().map(|piece| piece.to_vec()).collect(), given)
    }

    #[test]
    fn what_tokenising_added_is_not_echoed() {
        let mut prompt = echo(&[b"<s>", b" The", b" cat"], Some("The cat"));
        assert_eq!((prompt.piece(0), prompt.piece(1)), (&b""[..], &b"The"[..]));
        assert_eq!(prompt.take(3), "The cat");
        // Tokens that the caller chose are all echoed, and so is a text that was rewritten.
        assert_eq!(echo(&[b"<s>", b" The"], None).take(2), "<s> The");
        assert_eq!(echo(&[b" the"], Some("THE")).take(1), " the");
    }

    #[test]
    fn it_is_given_out_once_and_characters_stay_whole() {
        let crab = "🦀".as_bytes();
        let mut prompt = echo(&[b"a", &crab[..2], &crab[2..], b"b"], None);
        assert_eq!(prompt.take(2), "a");
        assert_eq!(prompt.take(2), "");
        assert_eq!(prompt.take(4), "🦀b");
        assert_eq!(prompt.take(9), "");
        assert_eq!(echo(&[b"a", &crab[..2]], None).take(2), "a\u{fffd}");
    }
}
