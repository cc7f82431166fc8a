//! The short way to a server on this machine: the folder is lent to it, and it reads and writes the files itself.

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use corliss_blobstore::{BlobId, BlobInfo};
use corliss_data::snapshot::{Listing, Unread};
use corliss_data::{Entry, EntryPath};
use corliss_diagnostics::ErrorReport;
use corliss_lend::Loan;
use indicatif::ProgressBar;
use nix::sys::stat::{Mode, umask};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::context::typed;
use crate::error::{CliError, CliResult, EXIT_FAILED};
use crate::home;
use crate::parallel::on_threads;

/// Bytes of one request: enough that a sync costs little.
const BATCH_BYTES: u64 = 64 << 20;
/// Files of one request.
const BATCH_FILES: usize = 4096;
/// Requests at once: while the server writes one, it reads the next.
const REQUESTS: usize = 3;

/// A folder lent to the server, as long as this lives.
pub struct Local<'a> {
    api: &'a Api,
    loan: Loan,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Bytes(u64),
    Stored(Vec<Stored>),
    LaidOut(#[allow(dead_code, reason = "the form of the answer")] usize),
    Error(ErrorReport),
}

#[derive(Deserialize)]
struct Stored {
    id: BlobId,
    size_bytes: u64,
}

impl<'a> Local<'a> {
    /// None if the server is not that of this home, or does not take the folder: then bytes go over the socket.
    pub fn reach(api: &'a Api, home: &Path, folder: &File) -> Option<Self> {
        let own = home::own_credentials(home).ok()?;
        if own.url.trim_end_matches('/') != api.url() {
            return None;
        }
        let loan = Loan::of(folder, &home.join("run").join("folders")).ok()?;
        Some(Self { api, loan })
    }

    /// Has the files stored that are yet to be read, and notes what they are. One that changed meanwhile is left to be
    /// read.
    pub fn store(&self, listing: &mut Listing, bar: &ProgressBar) -> CliResult {
        // Links may lead to files whose names no version could have.
        let unread = listing.unread();
        let named = unread
            .iter()
            .filter_map(|file| Some((file, file.source.to_str()?.parse::<EntryPath>().ok()?)));
        let named: Vec<(&Unread, EntryPath)> = named.collect();
        let batches = batches(&named, |(file, _)| file.size_bytes);
        let listing = Mutex::new(listing);
        on_threads(REQUESTS, &batches, |line| {
            for batch in line {
                let paths: Vec<&EntryPath> = batch.iter().map(|(_, path)| path).collect();
                let wish = json!({ "folder": self.loan.handle(), "files": paths });
                let Line::Stored(stored) = self.ask("/api/v1/data/local/store", &wish, bar)? else {
                    return Err(unexpected());
                };
                let mut listing = listing.lock().unwrap_or_else(PoisonError::into_inner);
                for ((file, _), blob) in batch.iter().zip(stored) {
                    let (id, size_bytes) = (blob.id, blob.size_bytes);
                    listing.note(file.at, BlobInfo { id, size_bytes });
                }
            }
            Ok(())
        })
    }

    /// Has entries of a version written into the folder, whose own folders exist.
    pub fn lay_out(&self, version: &str, entries: &[Entry], bar: &ProgressBar) -> CliResult {
        let batches = batches(entries, |entry| entry.size_bytes);
        let plain = 0o666 & !current_umask();
        on_threads(REQUESTS, &batches, |line| {
            for batch in line {
                let file = |entry: &Entry| {
                    let mode = if entry.executable { 0o755 } else { plain };
                    json!({ "path": entry.path, "blob": entry.blob, "mode": mode, "link": entry.link })
                };
                let files: Vec<Value> = batch.iter().map(file).collect();
                let wish = json!({ "folder": self.loan.handle(), "version": version, "files": files });
                let Line::LaidOut(_) = self.ask("/api/v1/data/local/lay-out", &wish, bar)? else {
                    return Err(unexpected());
                };
            }
            Ok(())
        })
    }

    /// The last line of the answer; those before it move the bar.
    fn ask(&self, path: &str, wish: &Value, bar: &ProgressBar) -> CliResult<Line> {
        let mut shown = 0;
        let mut last = None;
        self.api.lines(path, wish, |line| {
            match typed(line)? {
                Line::Bytes(bytes) => {
                    bar.inc(bytes.saturating_sub(shown));
                    shown = bytes;
                }
                Line::Error(report) => return Err(CliError::of(report, EXIT_FAILED)),
                outcome => last = Some(outcome),
            }
            Ok(())
        })?;
        last.ok_or_else(unexpected)
    }
}

fn unexpected() -> CliError {
    CliError::failed("the server broke off in the middle of its answer".to_owned())
        .hint("try again; what was done is not done twice")
}

fn current_umask() -> u32 {
    // It can only be asked for by setting it.
    let current = umask(Mode::from_bits_truncate(0o077));
    umask(current);
    current.bits()
}

/// Cuts a list into parts of about [`BATCH_BYTES`] and at most [`BATCH_FILES`].
fn batches<T>(mut files: &[T], size_bytes: impl Fn(&T) -> u64) -> Vec<&[T]> {
    let mut batches = Vec::new();
    while !files.is_empty() {
        let mut bytes = 0;
        let fits = files.iter().take(BATCH_FILES).take_while(|file| {
            bytes += size_bytes(file);
            bytes <= BATCH_BYTES
        });
        let (batch, later) = files.split_at(fits.count().max(1));
        batches.push(batch);
        files = later;
    }
    batches
}
