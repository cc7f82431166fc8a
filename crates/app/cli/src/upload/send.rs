//! Sending what the server lacks of a snapshot: chunks from several threads, then the nodes above them.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::os::unix::fs::FileExt;

use corliss_blobstore::{BlobId, CHUNK_MAX, Kind};
use corliss_data::snapshot::Snapshot;
use corliss_data::{DataError, Entry, EntryPath, transfer};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::json;

use crate::api::Api;
use crate::error::{CliError, CliResult, cause};
use crate::parallel::on_threads;

/// Ids asked about in one request.
const QUESTION_IDS: usize = 10_000;
/// Bodies on their way at once: while the server writes one, the next is read.
const SENDERS: usize = 3;
/// Content of a large file that one thread sends before it looks for other work.
const SEGMENT_BYTES: u64 = 64 << 20;

/// What one thread takes at a time.
enum Work<'a> {
    /// A file that is one chunk.
    Whole(&'a Entry),
    /// Chunks of a large file that follow each other; those to send are in `wanted`.
    Part {
        entry: &'a Entry,
        offset: u64,
        chunks: &'a [(BlobId, u32)],
        wanted: &'a HashSet<BlobId>,
    },
}

/// Asks what is missing and sends it; `bar` is told the bytes to send and those sent.
pub(super) fn missing(api: &Api, snapshot: &Snapshot, bar: &ProgressBar) -> CliResult {
    let entries = snapshot.tree().entries();
    let by_blob: HashMap<BlobId, &Entry> = entries.iter().map(|entry| (entry.blob, entry)).collect();
    let mut files: Vec<&Entry> = ask(api, by_blob.keys().copied().collect())?
        .iter()
        .filter_map(|id| by_blob.get(id).copied())
        .collect();
    // In the order of the folder, which is the order in which the files lie next to each other on the server.
    files.sort_by(|left, right| left.path.cmp(&right.path));
    let cuts: Vec<_> = files
        .iter()
        .filter_map(|entry| snapshot.cut(entry.blob))
        .collect();
    let chunks: HashSet<BlobId> = cuts
        .iter()
        .flat_map(|cut| cut.chunks.iter().map(|(id, _)| *id))
        .collect();
    let wanted: HashSet<BlobId> = ask(api, chunks.into_iter().collect())?.into_iter().collect();
    let work = divide(snapshot, &files, &wanted);
    bar.set_length(work.iter().map(bytes_to_send).sum());
    on_threads(SENDERS, &work, |line| {
        let mut sender = Sender::new(api, snapshot, bar);
        for one in line {
            sender.send(one)?;
        }
        sender.flush()
    })?;
    let mut sender = Sender::new(api, snapshot, bar);
    for node in cuts.iter().flat_map(|cut| &cut.nodes) {
        sender.add(node.kind, &node.bytes)?;
    }
    sender.flush()
}

fn ask(api: &Api, ids: Vec<BlobId>) -> CliResult<Vec<BlobId>> {
    #[derive(Deserialize)]
    struct Answer {
        missing: Vec<BlobId>,
    }
    let mut missing = Vec::new();
    for some in ids.chunks(QUESTION_IDS) {
        let answer: Answer = api.post_list("/api/v1/data/blobs/missing", &json!({ "ids": some }))?;
        missing.extend(answer.missing);
    }
    Ok(missing)
}

fn divide<'a>(snapshot: &'a Snapshot, files: &[&'a Entry], wanted: &'a HashSet<BlobId>) -> Vec<Work<'a>> {
    let mut work = Vec::new();
    for entry in files {
        let Some(cut) = snapshot.cut(entry.blob) else {
            work.push(Work::Whole(entry));
            continue;
        };
        let (mut first, mut offset, mut bytes) = (0, 0, 0);
        for (at, (_, len)) in cut.chunks.iter().enumerate() {
            bytes += u64::from(*len);
            if bytes >= SEGMENT_BYTES || at + 1 == cut.chunks.len() {
                work.push(Work::Part {
                    entry,
                    offset,
                    chunks: &cut.chunks[first..=at],
                    wanted,
                });
                (first, offset, bytes) = (at + 1, offset + bytes, 0);
            }
        }
    }
    work
}

fn bytes_to_send(work: &Work<'_>) -> u64 {
    match work {
        Work::Whole(entry) => entry.size_bytes,
        Work::Part { chunks, wanted, .. } => chunks
            .iter()
            .filter(|(id, _)| wanted.contains(id))
            .map(|(_, len)| u64::from(*len))
            .sum(),
    }
}

struct Sender<'a> {
    api: &'a Api,
    snapshot: &'a Snapshot,
    bar: &'a ProgressBar,
    body: Vec<u8>,
    /// Of the body, for the bar.
    content: u64,
}

impl<'a> Sender<'a> {
    fn new(api: &'a Api, snapshot: &'a Snapshot, bar: &'a ProgressBar) -> Self {
        Self {
            api,
            snapshot,
            bar,
            body: Vec::new(),
            content: 0,
        }
    }

    fn send(&mut self, work: &Work<'_>) -> CliResult {
        match work {
            Work::Whole(entry) => {
                let mut bytes = Vec::with_capacity(usize::try_from(entry.size_bytes).unwrap_or(0));
                let file = self.open(&entry.path)?;
                file.take(CHUNK_MAX as u64 + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|error| unreadable(&entry.path, &error))?;
                self.add_checked(entry, entry.blob, &bytes)
            }
            Work::Part {
                entry,
                offset,
                chunks,
                wanted,
            } => {
                let file = self.open(&entry.path)?;
                let mut at = *offset;
                let mut bytes = Vec::new();
                for (id, len) in *chunks {
                    if wanted.contains(id) {
                        bytes.resize(usize::try_from(*len).unwrap_or(usize::MAX), 0);
                        match file.read_exact_at(&mut bytes, at) {
                            Ok(()) => self.add_checked(entry, *id, &bytes)?,
                            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                                return Err(changed(&entry.path));
                            }
                            Err(error) => return Err(unreadable(&entry.path, &error)),
                        }
                    }
                    at += u64::from(*len);
                }
                Ok(())
            }
        }
    }

    fn open(&self, path: &EntryPath) -> CliResult<std::fs::File> {
        let opened = self.snapshot.open(path);
        opened.map_err(|error| CliError::diagnosed(&error))
    }

    fn add_checked(&mut self, entry: &Entry, id: BlobId, bytes: &[u8]) -> CliResult {
        if BlobId::of(bytes) != id {
            return Err(changed(&entry.path));
        }
        self.content += bytes.len() as u64;
        self.add(Kind::Chunk, bytes)
    }

    fn add(&mut self, kind: Kind, bytes: &[u8]) -> CliResult {
        transfer::append(kind, bytes, &mut self.body);
        if self.body.len() < transfer::BODY_BYTES {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> CliResult {
        if self.body.is_empty() {
            return Ok(());
        }
        let body = std::mem::take(&mut self.body);
        self.api.post_bytes("/api/v1/data/pieces", body)?;
        self.bar.inc(std::mem::take(&mut self.content));
        Ok(())
    }
}

fn changed(path: &EntryPath) -> CliError {
    let path = path.to_string();
    CliError::diagnosed(&DataError::Changed { path, attempts: 1 })
}

fn unreadable(path: &EntryPath, error: &std::io::Error) -> CliError {
    CliError::input(format!("cannot read {path}: {}", cause(error)))
}
