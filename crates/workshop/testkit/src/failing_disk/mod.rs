//! A disk that fails: a process is started with a library before the C library's, by which the n-th write, sync or
//! other call on files of a folder fails; and afterwards the power can be cut, which takes what was not synced.
//!
//! Only programs that call the C library are reached, which ours and SQLite do; a map of a file is not.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const SOURCE: &str = include_str!("preload.c");
const LIBRARY: &str = "preload.so";
const SHARED: &str = "shared";
/// As in the source.
const HEAD_BYTES: u64 = 512;
const PAGE: usize = 4096;
const PAGES: u64 = 8192;
const PAGE_HEAD_BYTES: usize = 32;
const PAGE_BYTES: u64 = (PAGE_HEAD_BYTES + PAGE) as u64;
const FIRST: Range<usize> = 64..512;

/// Calls that change files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Call {
    /// `write`, `pwrite`, `writev`, `ftruncate`.
    Write = 1,
    /// `fsync`, `fdatasync`, `sync_file_range`.
    Sync = 2,
    /// `rename`.
    Rename = 4,
    /// `open` of a file that is made or emptied, `mkdir`.
    Create = 8,
    /// `unlink`, `rmdir`.
    Remove = 16,
    /// `read`, `pread`.
    Read = 32,
}

/// What a call that fails says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Failure {
    /// `EIO`.
    Broken = 5,
    /// `ENOSPC`.
    Full = 28,
}

/// A folder on a disk that may fail, for processes that are started with [`Self::before`].
pub struct FailingDisk {
    folder: PathBuf,
    shared: File,
    /// The library, and what is shared with it.
    own: TempDir,
}

impl FailingDisk {
    /// None, with a note, where there is no C compiler.
    ///
    /// # Panics
    /// The library cannot be compiled.
    #[must_use]
    pub fn over(folder: &Path) -> Option<Self> {
        let own = tempfile::tempdir().expect("a temporary folder");
        if !compile(&own.path().join("preload.c"), &own.path().join(LIBRARY)) {
            return None;
        }
        let mut options = OpenOptions::new();
        let shared = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(own.path().join(SHARED));
        let disk = Self {
            folder: folder.canonicalize().expect("the folder exists"),
            shared: shared.expect("a file"),
            own,
        };
        disk.forget();
        Some(disk)
    }

    /// Lets a command run before this disk.
    pub fn before<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("LD_PRELOAD", self.own.path().join(LIBRARY))
            .env("CORLISS_FAILING_DISK", self.own.path().join(SHARED))
            .env("CORLISS_FAILING_FOLDER", &self.folder)
    }

    /// Counts calls from now on, and lets those of these numbers fail; the first is 1.
    pub fn fail(&self, calls: &[Call], which: Range<u64>, failure: Failure) {
        let kinds = calls.iter().fold(0, |kinds, call| kinds | *call as u64);
        for (at, number) in (0..).zip([kinds, which.start, which.end, failure as u64, 0, 0]) {
            self.set(at, number);
        }
    }

    /// Calls of the kinds that were told to fail, so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.number(4)
    }

    /// How many of them failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.number(5)
    }

    /// The first that failed, with its path; empty if none did.
    #[must_use]
    pub fn first(&self) -> String {
        let mut text = [0; FIRST.end - FIRST.start];
        let read = self.shared.read_exact_at(&mut text, FIRST.start as u64);
        read.expect("the shared file");
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    /// No process runs before the disk any more: what was written and not synced is what it was before. Answers how
    /// many pages that changed.
    pub fn cut_power(&self) -> usize {
        assert_eq!(self.number(7), 0, "more pages than the library remembers");
        let mut paths = HashMap::new();
        walk(&self.folder, &mut paths);
        let mut changed = 0;
        let mut page = vec![0; PAGE_HEAD_BYTES + PAGE];
        for at in 0..self.number(6) {
            let from = HEAD_BYTES + at * PAGE_BYTES;
            self.shared.read_exact_at(&mut page, from).expect("a page");
            let (head, before) = page.split_at(PAGE_HEAD_BYTES);
            let number =
                |at: usize| u64::from_ne_bytes(head[8 * at..8 * at + 8].try_into().expect("8 bytes"));
            let (device, inode, place, state) = (number(0), number(1), number(2), number(3));
            let Some(path) = paths.get(&(device, inode)).filter(|_| state != 0) else {
                continue;
            };
            let file = OpenOptions::new().write(true).read(true).open(path);
            let file = file.expect("a file of the folder");
            let len = file.metadata().expect("its length").len();
            let offset = place * PAGE as u64;
            let keep = usize::try_from(len.saturating_sub(offset)).expect("a length");
            let before = &before[..keep.min(PAGE)];
            let mut now = vec![0; before.len()];
            file.read_exact_at(&mut now, offset).expect("the page");
            if now != before {
                file.write_all_at(before, offset).expect("the page");
                changed += 1;
            }
        }
        self.forget();
        changed
    }

    /// A new disk under the same files: nothing is told to fail, nothing is remembered.
    pub fn forget(&self) {
        self.shared.set_len(0).expect("the shared file");
        let len = HEAD_BYTES + PAGES * PAGE_BYTES;
        self.shared.set_len(len).expect("the shared file");
    }

    fn number(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        let read = self.shared.read_exact_at(&mut bytes, 8 * at);
        read.expect("the shared file");
        u64::from_ne_bytes(bytes)
    }

    fn set(&self, at: u64, number: u64) {
        let written = self.shared.write_all_at(&number.to_ne_bytes(), 8 * at);
        written.expect("the shared file");
    }
}

fn walk(folder: &Path, paths: &mut HashMap<(u64, u64), PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let metadata = entry.metadata().expect("an entry");
        if metadata.is_dir() {
            walk(&entry.path(), paths);
        } else {
            paths.insert((metadata.dev(), metadata.ino()), entry.path());
        }
    }
}

/// Compiles the library; answers whether it could be.
fn compile(source: &Path, library: &Path) -> bool {
    fs::write(source, SOURCE).expect("the source");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-shared", "-fPIC", "-pthread", "-o"]);
    let Ok(said) = cc.arg(library).arg(source).output() else {
        eprintln!("left out: there is no 'cc' command");
        return false;
    };
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(library.exists(), "the library of the failing disk:\n{said}");
    true
}
