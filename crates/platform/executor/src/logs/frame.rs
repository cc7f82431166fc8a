//! One record of the log: its bytes and back.

use super::{LogLine, LogStream};

/// The longest text of one record; longer lines become several pieces.
pub(super) const PIECE_BYTES: usize = 16 * 1024;
/// More than any record: time, tag, text, newline.
pub(super) const RECORD_BYTES_MAX: usize = PIECE_BYTES + 64;

const fn letter(stream: LogStream) -> u8 {
    match stream {
        LogStream::Stdout => b'o',
        LogStream::Stderr => b'e',
        LogStream::Corliss => b'c',
    }
}

/// Appends one record. `text` holds no newline and at most [`PIECE_BYTES`].
pub(super) fn encode(out: &mut Vec<u8>, stream: LogStream, at_ms: i64, text: &[u8], goes_on: bool) {
    out.extend_from_slice(at_ms.to_string().as_bytes());
    out.extend_from_slice(&[b' ', letter(stream), if goes_on { b'-' } else { b'.' }, b' ']);
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// Reads one record without its newline; `None` if it is torn or foreign.
pub(super) fn decode(offset: u64, record: &[u8]) -> Option<LogLine> {
    let space = record.iter().position(|byte| *byte == b' ')?;
    let at_ms = std::str::from_utf8(&record[..space]).ok()?.parse().ok()?;
    let (tag, text) = record[space + 1..].split_at_checked(3)?;
    let stream = match tag[0] {
        b'o' => LogStream::Stdout,
        b'e' => LogStream::Stderr,
        b'c' => LogStream::Corliss,
        _ => return None,
    };
    let partial = match tag[1] {
        b'.' => false,
        b'-' => true,
        _ => return None,
    };
    Some(LogLine {
        offset,
        stream,
        at_ms,
        text: String::from_utf8_lossy(text).into_owned(),
        partial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_frozen() {
        let mut out = Vec::new();
        encode(
            &mut out,
            LogStream::Stdout,
            1_700_000_000_000,
            b"hello world",
            false,
        );
        encode(&mut out, LogStream::Stderr, 1, b"", true);
        assert_eq!(out, b"1700000000000 o. hello world\n1 e- \n");
        let line = decode(0, b"1700000000000 o. hello world").unwrap();
        assert_eq!(
            (line.text.as_str(), line.partial, line.stream),
            ("hello world", false, LogStream::Stdout)
        );
        assert!(decode(0, b"1 e- ").unwrap().partial);
    }

    #[test]
    fn torn_records_are_no_lines() {
        for torn in [&b""[..], b"17", b"17 ", b"17 o", b"17 o.", b"17 x. a", b"17 o? a"] {
            assert_eq!(decode(0, torn), None, "{torn:?}");
        }
    }
}
