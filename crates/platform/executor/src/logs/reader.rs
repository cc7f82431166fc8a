//! Reading the log: from an offset on, or the last lines, a bounded page at a time.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::frame::{RECORD_BYTES_MAX, decode};
use super::{LogLine, LogStream, segment};
use crate::ExecutorError;

/// No page reads more of the log than this, whatever the caller asks.
const PAGE_BYTES: usize = 1 << 20;
/// No page holds more lines.
const PAGE_LINES: usize = 10_000;

/// Where to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// At this offset, as told by an earlier page; 0 is the beginning.
    Offset(u64),
    /// So that at most this many lines are left.
    Tail(usize),
}

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuery {
    /// Where to start.
    pub start: LogStart,
    /// Only this output; both (and Corliss' remarks) if absent.
    pub stream: Option<LogStream>,
    /// At most this many lines.
    pub max_lines: usize,
}

/// A page of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
    /// Where the next page starts.
    pub next_offset: u64,
    /// Bytes between the wished start and the oldest byte still kept.
    pub skipped_bytes: u64,
    /// Whether this page reached the end of what is written.
    pub at_end: bool,
}

/// Reads one page of a task's log. Blocks on the disk.
///
/// # Errors
/// The log cannot be read. A task that wrote nothing has an empty log.
pub fn read(dir: &Path, query: &LogQuery) -> Result<LogPage, ExecutorError> {
    let log = Stored::open(dir)?;
    match query.start {
        LogStart::Offset(offset) => log.page(offset, query),
        LogStart::Tail(count) => log.tail(count.min(PAGE_LINES), query),
    }
}

/// The segments found, as offset and length.
struct Stored<'a> {
    dir: &'a Path,
    segments: Vec<(u64, u64)>,
}

impl<'a> Stored<'a> {
    fn open(dir: &'a Path) -> Result<Self, ExecutorError> {
        let failed = |error| ExecutorError::io("read the log in", dir, error);
        let mut segments = Vec::new();
        for offset in segment::list(dir).map_err(failed)? {
            // A segment may be rotated away between listing and looking.
            if let Ok(found) = std::fs::metadata(segment::path(dir, offset)) {
                segments.push((offset, found.len()));
            }
        }
        Ok(Self { dir, segments })
    }

    fn begin(&self) -> u64 {
        self.segments.first().map_or(0, |(offset, _)| *offset)
    }

    fn end(&self) -> u64 {
        self.segments.last().map_or(0, |(offset, len)| offset + len)
    }

    fn page(&self, wished: u64, query: &LogQuery) -> Result<LogPage, ExecutorError> {
        let start = wished.max(self.begin());
        let bytes = self.bytes(start, PAGE_BYTES)?;
        let mut page = LogPage {
            next_offset: start,
            skipped_bytes: self.begin().saturating_sub(wished),
            ..LogPage::default()
        };
        let mut at = 0;
        while page.lines.len() < query.max_lines.min(PAGE_LINES) {
            let Some(newline) = bytes[at..].iter().position(|byte| *byte == b'\n') else {
                break;
            };
            if let Some(line) = decode(start + at as u64, &bytes[at..at + newline]) {
                push(&mut page.lines, line, query.stream);
            }
            at += newline + 1;
        }
        page.next_offset = start + at as u64;
        page.at_end =
            page.next_offset + (RECORD_BYTES_MAX as u64) > self.end() && !bytes[at..].contains(&b'\n');
        Ok(page)
    }

    /// Widens a window from the end until it holds enough lines.
    fn tail(&self, count: usize, query: &LogQuery) -> Result<LogPage, ExecutorError> {
        let mut window = 64 * 1024_u64;
        loop {
            let from = self.end().saturating_sub(window).max(self.begin());
            let bytes = self.bytes(from, PAGE_BYTES)?;
            // The window may begin inside a record; the first whole one is behind the first newline.
            let first = if from == self.begin() {
                0
            } else {
                bytes
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .map_or(bytes.len(), |newline| newline + 1)
            };
            let query = LogQuery {
                max_lines: PAGE_LINES,
                ..*query
            };
            let mut page = self.page(from + first as u64, &query)?;
            let widest = from == self.begin() || window >= PAGE_BYTES as u64;
            if page.lines.len() >= count || widest {
                page.lines.drain(..page.lines.len().saturating_sub(count));
                page.skipped_bytes = 0;
                return Ok(page);
            }
            window *= 2;
        }
    }

    fn bytes(&self, from: u64, most: usize) -> Result<Vec<u8>, ExecutorError> {
        let mut out = Vec::new();
        for (offset, len) in &self.segments {
            let end = offset + len;
            if end <= from || out.len() >= most {
                continue;
            }
            let path = segment::path(self.dir, *offset);
            let skip = from.saturating_sub(*offset);
            let room = (most - out.len()).min(usize::try_from(len - skip).unwrap_or(usize::MAX));
            let mut read = || -> std::io::Result<()> {
                let mut file = File::open(&path)?;
                file.seek(SeekFrom::Start(skip))?;
                file.take(room as u64).read_to_end(&mut out).map(drop)
            };
            match read() {
                Ok(()) => {}
                // Rotated away meanwhile: what follows would not be adjacent, so the caller asks again.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => return Err(ExecutorError::io("read", &path, error)),
            }
        }
        Ok(out)
    }
}

/// Adds a line, joining it to the piece that it goes on from.
fn push(lines: &mut Vec<LogLine>, line: LogLine, wished: Option<LogStream>) {
    if wished.is_some_and(|wished| wished != line.stream) {
        return;
    }
    if let Some(open) = lines
        .iter_mut()
        .rev()
        .find(|earlier| earlier.stream == line.stream)
        && open.partial
    {
        open.text.push_str(&line.text);
        open.partial = line.partial;
        return;
    }
    lines.push(line);
}
