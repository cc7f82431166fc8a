//! Writing the log: lines are framed as they come, segments rotate, and a full disk costs lines, not the
//! task.

use std::collections::VecDeque;
use std::path::Path;

use super::frame::{PIECE_BYTES, RECORD_BYTES_MAX, encode};
use super::segment::{Directory, SegmentFile, Segments};
use super::{LogStream, segment};

/// The log is kept in about this many segments, so that rotation drops an eighth of it at a time.
const SEGMENTS: u64 = 8;
const SEGMENT_BYTES_MIN: u64 = 4 * 1024;
const SEGMENT_BYTES_MAX: u64 = 8 << 20;

/// Appends a task's output to its log.
///
/// A write that fails is not retried: its bytes are counted, and the next write that succeeds is preceded
/// by a line that tells how many were lost. Blocking the task until the disk has room again would turn a
/// full disk into a hung gang.
pub struct LogWriter {
    segments: Box<dyn Segments + Send>,
    current: Option<Box<dyn SegmentFile + Send>>,
    /// Offsets of the segments there are, oldest first; the last is `current`'s.
    offsets: VecDeque<u64>,
    /// Offset after the last byte written.
    end: u64,
    segment_bytes: u64,
    limit_bytes: u64,
    partial: [Partial; 2],
    lost_bytes: u64,
}

/// The start of a line whose end has not come yet.
#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    since_ms: i64,
    /// Whether a piece of this line is in the log already.
    begun: bool,
}

impl LogWriter {
    /// Opens the log of a task directory; goes on after what is there.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open(dir: &Path, limit_bytes: u64) -> std::io::Result<Self> {
        let offsets: VecDeque<u64> = segment::list(dir)?.into();
        let end = match offsets.back() {
            Some(last) => last + std::fs::metadata(segment::path(dir, *last))?.len(),
            None => 0,
        };
        Ok(Self {
            offsets,
            end,
            ..Self::over(Box::new(Directory(dir.to_owned())), limit_bytes)
        })
    }

    fn over(segments: Box<dyn Segments + Send>, limit_bytes: u64) -> Self {
        Self {
            segments,
            current: None,
            offsets: VecDeque::new(),
            end: 0,
            segment_bytes: (limit_bytes / SEGMENTS).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            limit_bytes,
            partial: [Partial::default(), Partial::default()],
            lost_bytes: 0,
        }
    }

    /// Takes what was read from one output.
    pub fn take(&mut self, stream: LogStream, mut bytes: &[u8], at_ms: i64) {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        while let Some(newline) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..newline], &bytes[newline + 1..]);
            self.extend(&mut out, stream, line, at_ms);
            self.end_line(&mut out, stream, at_ms);
            bytes = rest;
        }
        self.extend(&mut out, stream, bytes, at_ms);
        self.append(&out, at_ms);
    }

    /// Writes out line starts that have waited since before `before_ms`, so that a prompt or a progress
    /// bar is seen.
    pub fn flush_older(&mut self, before_ms: i64, at_ms: i64) {
        let mut out = Vec::new();
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let partial = &mut self.partial[slot(stream)];
            if !partial.bytes.is_empty() && partial.since_ms <= before_ms {
                encode(&mut out, stream, at_ms, &std::mem::take(&mut partial.bytes), true);
                partial.begun = true;
            }
        }
        self.append(&out, at_ms);
    }

    /// Whether a line start waits to be written.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        self.partial.iter().any(|partial| !partial.bytes.is_empty())
    }

    /// Ends the log: unfinished last lines are kept as lines, and a loss not yet told is told if it can be.
    pub fn finish(&mut self, at_ms: i64) {
        let mut out = Vec::new();
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let partial = &self.partial[slot(stream)];
            if !partial.bytes.is_empty() || partial.begun {
                self.end_line(&mut out, stream, at_ms);
            }
        }
        self.append(&out, at_ms);
        if self.lost_bytes > 0 {
            self.tell_loss(at_ms);
        }
    }

    fn extend(&mut self, out: &mut Vec<u8>, stream: LogStream, text: &[u8], at_ms: i64) {
        let partial = &mut self.partial[slot(stream)];
        if partial.bytes.is_empty() && !text.is_empty() {
            partial.since_ms = at_ms;
        }
        partial.bytes.extend_from_slice(text);
        while partial.bytes.len() > PIECE_BYTES {
            let rest = partial.bytes.split_off(PIECE_BYTES);
            encode(out, stream, at_ms, &partial.bytes, true);
            partial.bytes = rest;
            partial.begun = true;
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>, stream: LogStream, at_ms: i64) {
        let partial = std::mem::take(&mut self.partial[slot(stream)]);
        encode(out, stream, at_ms, &partial.bytes, false);
    }

    /// Appends whole records, a segment's worth at a time.
    fn append(&mut self, records: &[u8], at_ms: i64) {
        let mut rest = records;
        while !rest.is_empty() {
            let chunk = whole_records(rest, usize::try_from(self.segment_bytes).unwrap_or(usize::MAX));
            if self.lost_bytes > 0 {
                self.tell_loss(at_ms);
            }
            if self.lost_bytes > 0 || self.put(chunk).is_err() {
                self.lost_bytes += chunk.len() as u64;
            }
            rest = &rest[chunk.len()..];
        }
    }

    fn tell_loss(&mut self, at_ms: i64) {
        let mut remark = Vec::new();
        let text = format!("… {} bytes of output lost: disk full", self.lost_bytes);
        encode(&mut remark, LogStream::Corliss, at_ms, text.as_bytes(), false);
        if self.put(&remark).is_ok() {
            self.lost_bytes = 0;
        }
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let start = self.offsets.back().copied().unwrap_or(0);
        let full = self.end - start + bytes.len() as u64 > self.segment_bytes && self.end > start;
        if self.current.is_none() || full {
            self.rotate(full)?;
        }
        let start = self.offsets.back().copied().unwrap_or(0);
        let Some(file) = self.current.as_mut() else {
            return Ok(());
        };
        match file.append(bytes) {
            Ok(()) => {
                self.end += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What was written of it would be a torn record. If it cannot be cut off either, the next
                // segment starts behind it.
                if file.cut(self.end - start).is_err() {
                    self.current = None;
                }
                Err(error)
            }
        }
    }

    fn rotate(&mut self, full: bool) -> std::io::Result<()> {
        let start = match self.offsets.back() {
            Some(last) if !full => *last,
            _ => self.end,
        };
        self.current = Some(self.segments.create(start)?);
        if self.offsets.back() != Some(&start) {
            self.offsets.push_back(start);
        }
        while self.offsets.len() > 1 && self.end - self.offsets[0] + self.segment_bytes > self.limit_bytes {
            self.segments.delete(self.offsets[0])?;
            self.offsets.pop_front();
        }
        Ok(())
    }
}

const fn slot(stream: LogStream) -> usize {
    match stream {
        LogStream::Stdout | LogStream::Corliss => 0,
        LogStream::Stderr => 1,
    }
}

/// As many whole records as fit into `room`, at least one.
fn whole_records(bytes: &[u8], room: usize) -> &[u8] {
    if bytes.len() <= room {
        return bytes;
    }
    let within = bytes[..room].iter().rposition(|byte| *byte == b'\n');
    let end = within.or_else(|| {
        bytes
            .iter()
            .take(RECORD_BYTES_MAX)
            .position(|byte| *byte == b'\n')
    });
    end.map_or(bytes, |newline| &bytes[..=newline])
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
