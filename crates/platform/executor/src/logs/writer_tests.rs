//! What the log keeps, drops and tells.

use std::sync::{Arc, Mutex};

use super::super::{LogLine, LogPage, LogQuery, LogStart, read};
use super::*;

fn all(dir: &Path) -> LogPage {
    let query = LogQuery {
        start: LogStart::Offset(0),
        stream: None,
        max_lines: 100_000,
    };
    read(dir, &query).unwrap()
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn both_outputs_are_one_stream_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogWriter::open(dir.path(), 1 << 20).unwrap();
    log.take(LogStream::Stdout, b"one\ntw", 1);
    log.take(LogStream::Stderr, b"oops\n", 2);
    log.take(LogStream::Stdout, b"o\nlast without newline", 3);
    log.finish(4);
    let page = all(dir.path());
    assert_eq!(texts(&page.lines), ["one", "oops", "two", "last without newline"]);
    assert_eq!(page.lines[1].stream, LogStream::Stderr);
    assert!(page.at_end && !page.lines[3].partial);
    let query = LogQuery {
        start: LogStart::Tail(1),
        stream: Some(LogStream::Stderr),
        max_lines: 10,
    };
    assert_eq!(texts(&read(dir.path(), &query).unwrap().lines), ["oops"]);
}

#[test]
fn a_waiting_prompt_is_shown_and_joined_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogWriter::open(dir.path(), 1 << 20).unwrap();
    log.take(LogStream::Stdout, b"loading ", 1);
    assert!(log.has_partial());
    log.flush_older(1, 2);
    let page = all(dir.path());
    assert_eq!(
        (texts(&page.lines), page.lines[0].partial),
        (vec!["loading "], true)
    );
    log.take(LogStream::Stdout, b"done\n", 3);
    let page = all(dir.path());
    assert_eq!(
        (texts(&page.lines), page.lines[0].partial),
        (vec!["loading done"], false)
    );
}

#[test]
fn the_newest_bytes_stay_and_offsets_do_not_move() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 64 * 1024;
    let mut log = LogWriter::open(dir.path(), limit).unwrap();
    for n in 0..20_000 {
        log.take(LogStream::Stdout, format!("line {n}\n").as_bytes(), 1);
    }
    let kept: u64 = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(kept <= limit, "{kept} bytes kept");
    let page = all(dir.path());
    assert!(page.skipped_bytes > 0);
    assert_eq!(page.lines.last().unwrap().text, "line 19999");
    let middle = page.lines[page.lines.len() / 2].clone();
    let query = LogQuery {
        start: LogStart::Offset(middle.offset),
        stream: None,
        max_lines: 1,
    };
    assert_eq!(read(dir.path(), &query).unwrap().lines, [middle]);
    let query = LogQuery {
        start: LogStart::Tail(3),
        stream: None,
        max_lines: 3,
    };
    assert_eq!(
        texts(&read(dir.path(), &query).unwrap().lines),
        ["line 19997", "line 19998", "line 19999"]
    );
}

#[test]
fn a_reopened_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    LogWriter::open(dir.path(), 1 << 20)
        .unwrap()
        .take(LogStream::Stdout, b"a\n", 1);
    LogWriter::open(dir.path(), 1 << 20)
        .unwrap()
        .take(LogStream::Stdout, b"b\n", 1);
    assert_eq!(texts(&all(dir.path()).lines), ["a", "b"]);
}

#[test]
fn pages_cover_a_long_log_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogWriter::open(dir.path(), 64 << 20).unwrap();
    let long = "x".repeat(3 * PIECE_BYTES);
    log.take(LogStream::Stdout, format!("{long}\n").as_bytes(), 1);
    for n in 0..30_000 {
        log.take(
            LogStream::Stdout,
            format!("{n} {}\n", "y".repeat(100)).as_bytes(),
            1,
        );
    }
    let (mut offset, mut lines) = (0, Vec::new());
    loop {
        let query = LogQuery {
            start: LogStart::Offset(offset),
            stream: None,
            max_lines: 999,
        };
        let page = read(dir.path(), &query).unwrap();
        if page.lines.is_empty() {
            assert!(page.at_end);
            break;
        }
        offset = page.next_offset;
        lines.extend(page.lines);
    }
    assert_eq!(lines.len(), 30_001);
    assert_eq!(lines[0].text.len(), long.len());
    assert!(lines[30_000].text.starts_with("29999 "));
}

/// A disk with a given amount of room, which a test may change.
#[derive(Clone, Default)]
struct SmallDisk(Arc<Mutex<(usize, Vec<u8>)>>);

impl SegmentFile for SmallDisk {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let (room, stored) = &mut *self.0.lock().unwrap();
        let fits = bytes.len().min(room.saturating_sub(stored.len()));
        stored.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() {
            Err(std::io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
    fn cut(&mut self, len: u64) -> std::io::Result<()> {
        self.0.lock().unwrap().1.truncate(usize::try_from(len).unwrap());
        Ok(())
    }
}

impl Segments for SmallDisk {
    fn create(&mut self, _offset: u64) -> std::io::Result<Box<dyn SegmentFile + Send>> {
        Ok(Box::new(self.clone()))
    }
    fn delete(&mut self, _offset: u64) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_costs_lines_and_says_how_many_bytes() {
    let disk = SmallDisk::default();
    disk.0.lock().unwrap().0 = 20;
    let mut log = LogWriter::over(Box::new(disk.clone()), 1 << 20);
    log.take(LogStream::Stdout, b"kept\n", 1);
    log.take(LogStream::Stdout, b"this does not fit on it\n", 2);
    log.take(LogStream::Stdout, b"nor does this, at all\n", 3);
    assert_eq!(disk.0.lock().unwrap().1, b"1 o. kept\n", "no torn record is left");
    disk.0.lock().unwrap().0 = 4096;
    log.take(LogStream::Stdout, b"room again\n", 4);
    let stored = String::from_utf8(disk.0.lock().unwrap().1.clone()).unwrap();
    assert_eq!(
        stored,
        "1 o. kept\n4 c. … 56 bytes of output lost: disk full\n4 o. room again\n"
    );
}
