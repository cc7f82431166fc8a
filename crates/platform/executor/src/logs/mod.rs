//! The log of a task: one framed stream of both outputs, in bounded segments, read by byte offset.
//!
//! A record is one line: `TIME_MS TAG TEXT\n`. The tag is a letter for the stream (`o` stdout, `e` stderr,
//! `c` Corliss itself) and `.` for a whole line or `-` for a piece whose line goes on. Segments are named
//! by the offset of their first byte in the whole stream (`output.v1.OFFSET.log`), so dropping old ones
//! moves no offset: a follower goes on where it was, and is told what it missed.

mod frame;
mod reader;
mod segment;
mod writer;

use serde::{Deserialize, Serialize};

pub use reader::{LogPage, LogQuery, LogStart, read};
pub use writer::LogWriter;

/// Which output a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A remark of Corliss about the log itself.
    Corliss,
}

/// One line of a task's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Offset of its record; stable for the life of the task.
    pub offset: u64,
    /// Where it came from.
    pub stream: LogStream,
    /// When it was read from the task, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The text, without its newline; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Whether the task had not ended this line yet.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub partial: bool,
}
