//! Turns decoded tokens' bytes into text that may be sent: whole characters only, and nothing that is or
//! may become a stop text.

/// What to do after a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Send this (perhaps empty) and go on.
    Text(String),
    /// Send this; a stop text was reached.
    Stopped(String),
}

/// The text of one answer in the making.
#[derive(Debug)]
pub(super) struct TextBuffer {
    stops: Vec<String>,
    /// Bytes not sent yet.
    held: Vec<u8>,
}

impl TextBuffer {
    /// Ends before any of these texts; empty ones are ignored.
    pub fn new(stops: Vec<String>) -> Self {
        Self {
            stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(),
            held: Vec::new(),
        }
    }

    /// Takes a token's bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Piece {
        self.held.extend_from_slice(bytes);
        if let Some(at) = self.earliest_stop() {
            self.held.truncate(at);
            return Piece::Stopped(self.flush());
        }
        let whole = self.held.len() - torn_tail(&self.held);
        let ready = whole.min(self.held.len() - self.possible_stop());
        Piece::Text(lossy(self.held.drain(..ready).collect()))
    }

    /// What is left when generation ends otherwise. A torn character becomes the replacement character.
    pub fn flush(&mut self) -> String {
        lossy(std::mem::take(&mut self.held))
    }

    fn earliest_stop(&self) -> Option<usize> {
        self.stops
            .iter()
            .filter_map(|stop| find(&self.held, stop.as_bytes()))
            .min()
    }

    /// Length of the longest tail that a stop text could begin with.
    fn possible_stop(&self) -> usize {
        self.stops
            .iter()
            .map(|stop| {
                let longest = (stop.len() - 1).min(self.held.len());
                (1..=longest)
                    .rev()
                    .find(|length| self.held.ends_with(&stop.as_bytes()[..*length]))
                    .unwrap_or(0)
            })
            .max()
            .unwrap_or(0)
    }
}

fn find(held: &[u8], wanted: &[u8]) -> Option<usize> {
    held.windows(wanted.len()).position(|window| window == wanted)
}

/// Bytes at the end that begin a character whose rest has not come yet.
fn torn_tail(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => 0,
        // An error without a length means that the input ended early; other errors never heal by waiting.
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        Err(error) => {
            let rest = &bytes[error.valid_up_to() + error.error_len().unwrap_or(1)..];
            torn_tail(rest)
        }
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(piece: Piece) -> String {
        match piece {
            Piece::Text(text) => text,
            Piece::Stopped(text) => panic!("stopped with {text}"),
        }
    }

    #[test]
    fn a_character_is_never_torn() {
        let mut buffer = TextBuffer::new(vec![]);
        let bytes = "a🦀é".as_bytes();
        let sent: Vec<String> = bytes.iter().map(|byte| text(buffer.push(&[*byte]))).collect();
        assert_eq!(sent, ["a", "", "", "", "🦀", "", "é"]);
    }

    #[test]
    fn bytes_that_are_no_text_become_the_replacement_character() {
        let mut buffer = TextBuffer::new(vec![]);
        assert_eq!(text(buffer.push(&[b'a', 0xff, b'b'])), "a\u{fffd}b");
        assert_eq!(text(buffer.push(&[0xf0, 0x9f])), "");
        assert_eq!(buffer.flush(), "\u{fffd}");
    }

    #[test]
    fn a_stop_text_is_held_back_across_tokens_and_never_sent() {
        let mut buffer = TextBuffer::new(vec!["END".to_owned(), "\n\n".to_owned()]);
        assert_eq!(text(buffer.push(b"one E")), "one ");
        assert_eq!(text(buffer.push(b"N")), "");
        assert_eq!(text(buffer.push(b"T E")), "ENT ");
        assert_eq!(buffer.push(b"ND and more"), Piece::Stopped(String::new()));
        let mut buffer = TextBuffer::new(vec!["b".to_owned(), "ab".to_owned()]);
        assert_eq!(buffer.push(b"xab"), Piece::Stopped("x".to_owned()));
    }

    #[test]
    fn a_half_stop_at_the_end_is_sent_after_all() {
        let mut buffer = TextBuffer::new(vec!["END".to_owned()]);
        assert_eq!(text(buffer.push(b"the EN")), "the ");
        assert_eq!(buffer.flush(), "EN");
    }

    proptest! {
        /// However the text is cut into tokens, what is sent is the text up to the first stop.
        #[test]
        fn cuts_do_not_matter(whole in "[ab🦀]{0,30}", stop in "[ab🦀]{1,3}", cuts in proptest::collection::vec(1_usize..5, 0..60)) {
            let mut buffer = TextBuffer::new(vec![stop.clone()]);
            let mut sent = String::new();
            let mut rest = whole.as_bytes();
            let mut stopped = false;
            let mut cuts = cuts.into_iter();
            while !rest.is_empty() && !stopped {
                let (now, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                rest = later;
                match buffer.push(now) {
                    Piece::Text(text) => sent.push_str(&text),
                    Piece::Stopped(text) => { sent.push_str(&text); stopped = true; }
                }
            }
            if !stopped { sent.push_str(&buffer.flush()); }
            let expected = whole.split(&stop).next().unwrap_or_default();
            prop_assert_eq!(sent, expected);
            prop_assert_eq!(stopped, whole.contains(&stop));
        }
    }
}
