//! Tells HTTP/2 from HTTP/1.1 where no TLS handshake has agreed on one: by the first bytes that a client sends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What an HTTP/2 client begins with (RFC 9113, section 3.4). No request of HTTP/1.1 can begin so.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection of which some bytes were read ahead.
pub(crate) struct Rewound<S> {
    ahead: [u8; PREFACE.len()],
    unread: std::ops::Range<usize>,
    stream: S,
}

/// Reads until it is clear which of the two is spoken; true is HTTP/2. Whoever calls limits the time.
pub(crate) async fn told_apart<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(bool, Rewound<S>)> {
    let mut ahead = [0; PREFACE.len()];
    let mut read = 0;
    let mut alike = true;
    while alike && read < PREFACE.len() {
        match stream.read(&mut ahead[read..]).await? {
            0 => break,
            more => read += more,
        }
        alike = ahead[..read] == PREFACE[..read];
    }
    let rewound = Rewound {
        ahead,
        unread: 0..read,
        stream,
    };
    Ok((alike && read == PREFACE.len(), rewound))
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.unread.len().min(buffer.remaining());
        let start = self.unread.start;
        buffer.put_slice(&self.ahead[start..start + count]);
        self.unread.start += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(pieces: &[&[u8]]) -> (bool, Vec<u8>) {
        let mut stream = tokio_test_stream(pieces);
        let (is_http2, mut rewound) = told_apart(&mut stream).await.unwrap();
        let mut all = Vec::new();
        rewound.read_to_end(&mut all).await.unwrap();
        (is_http2, all)
    }

    /// A stream that gives one piece at a time.
    fn tokio_test_stream(pieces: &[&[u8]]) -> impl AsyncRead + Unpin + use<> {
        let empty: Box<dyn AsyncRead + Unpin> = Box::new(tokio::io::empty());
        pieces.iter().rev().fold(empty, |rest, piece| {
            Box::new(io::Cursor::new(piece.to_vec()).chain(rest))
        })
    }

    #[tokio::test]
    async fn the_preface_is_found_in_any_pieces_and_nothing_is_lost() {
        let (one, other) = PREFACE.split_at(5);
        assert_eq!(
            told(&[one, other, b"frames"]).await,
            (true, [PREFACE, &b"frames"[..]].concat())
        );
        for text in [
            "PRI * HTTP/2.0\r\n\r\nSMOOTH operator",
            "POST / HTTP/1.1\r\n",
            "P",
            "",
        ] {
            assert_eq!(
                told(&[text.as_bytes()]).await,
                (false, text.as_bytes().to_vec()),
                "{text}"
            );
        }
    }
}
