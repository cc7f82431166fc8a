//! The task's two outputs on their way into the log.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::claim::now_ms;
use crate::logs::{LogStream, LogWriter};

/// A line start is shown after this long.
const SHOW_AFTER_MS: i64 = 250;

/// Both pipes and the log.
pub(super) struct Output {
    pipes: [(LogStream, Option<OwnedFd>); 2],
    log: Option<LogWriter>,
    buffer: Vec<u8>,
}

impl Output {
    pub(super) fn new(stdout: OwnedFd, stderr: OwnedFd, log: Option<LogWriter>) -> Self {
        Self {
            pipes: [
                (LogStream::Stdout, Some(stdout)),
                (LogStream::Stderr, Some(stderr)),
            ],
            log,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// The pipes still open, with their index.
    pub(super) fn open(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        self.pipes
            .iter()
            .enumerate()
            .filter_map(|(index, (_, pipe))| Some((index, pipe.as_ref()?.as_fd())))
    }

    /// Takes what one readable pipe holds.
    pub(super) fn take(&mut self, index: usize) {
        let (stream, pipe) = &mut self.pipes[index];
        let Some(fd) = pipe.as_ref() else { return };
        match nix::unistd::read(fd, &mut self.buffer) {
            Ok(0) => *pipe = None,
            Ok(len) => {
                if let Some(log) = self.log.as_mut() {
                    log.take(*stream, &self.buffer[..len], now_ms());
                }
            }
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => *pipe = None,
        }
    }

    /// Writes out line starts that have waited long enough; tells whether one still waits.
    pub(super) fn show_partial(&mut self) -> bool {
        let Some(log) = self.log.as_mut() else {
            return false;
        };
        let now = now_ms();
        log.flush_older(now - SHOW_AFTER_MS, now);
        log.has_partial()
    }

    pub(super) fn finish(&mut self) {
        if let Some(log) = self.log.as_mut() {
            log.finish(now_ms());
        }
    }
}
