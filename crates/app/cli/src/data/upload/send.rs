//! Sending what the server lacks of a snapshot: chunks from several threads, then the nodes above them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::os::unix::fs::FileExt;

use corliss_blobstore::{BlobId, CHUNK_MAX, Kind};
use corliss_data::snapshot::{Cut, Snapshot};
use corliss_data::tree::Node;
use corliss_data::{DataError, Entry, EntryPath, transfer};
use indicatif::ProgressBar;

use super::super::pieces;
use super::super::tree::LocalTree;
use super::Taken;
use crate::api::Api;
use crate::error::{CliError, CliResult, cause};
use crate::parallel::on_threads;

/// Bodies on their way at once: while the server writes one, the next is read.
const SENDERS: usize = 3;
/// Content of a large file that one thread sends before it looks for other work.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Leaves whose files are asked about together; most have 256.
const LEAVES_ASKED: usize = 256;

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
///
/// The tree is asked about from its root down, so that what is below a record that the server has is not even looked
/// at: who changed one file asks about the few records above it.
pub(super) fn missing(api: &Api, taken: &Taken, bar: &ProgressBar) -> CliResult {
    let records = missing_records(api, &taken.tree)?;
    if records.is_empty() {
        return Ok(());
    }
    let files = missing_files(api, &taken.tree, &records)?;
    let mut cuts = HashMap::new();
    for entry in &files {
        let cut = taken.snapshot.cut(entry);
        if let Some(cut) = cut.map_err(|error| CliError::diagnosed(&error))? {
            cuts.insert(entry.blob, cut);
        }
    }
    let chunks: HashSet<BlobId> = cuts
        .values()
        .flat_map(|cut| cut.chunks.iter().map(|(id, _)| *id))
        .collect();
    let chunks: Vec<BlobId> = chunks.into_iter().collect();
    let wanted: HashSet<BlobId> = pieces::missing(api, &chunks)?.into_iter().collect();
    let work = divide(&cuts, &files, &wanted);
    bar.set_length(work.iter().map(bytes_to_send).sum());
    on_threads(SENDERS, &work, |line| {
        let mut sender = Sender::new(api, &taken.snapshot, bar);
        for one in line {
            sender.send(one)?;
        }
        sender.flush()
    })?;
    let mut sender = Sender::new(api, &taken.snapshot, bar);
    for node in files
        .iter()
        .filter_map(|entry| cuts.get(&entry.blob))
        .flat_map(|cut| &cut.nodes)
    {
        sender.add(node.kind, &node.bytes)?;
    }
    sender.flush()?;
    for piece in &taken.tree.pieces {
        if records.contains(&piece.id) {
            sender.add(piece.kind, &piece.bytes)?;
        }
    }
    sender.flush()
}

/// A file for each blob that the server lacks, in the order of the folder, in which they come to lie next to each other.
fn missing_files(api: &Api, tree: &LocalTree, records: &HashSet<BlobId>) -> CliResult<Vec<Entry>> {
    let mut files = Vec::new();
    let mut asked = HashSet::new();
    let leaves: Vec<BlobId> = records.iter().copied().collect();
    for some in leaves.chunks(LEAVES_ASKED) {
        let mut by_blob: HashMap<BlobId, Entry> = HashMap::new();
        for id in some {
            if let Some(Node::Leaf(entries)) = tree.node(*id) {
                by_blob.extend(entries.into_iter().map(|entry| (entry.blob, entry)));
            }
        }
        let ids: Vec<BlobId> = by_blob.keys().copied().collect();
        for id in pieces::missing(api, &ids)? {
            // Another leaf may have the same content.
            if asked.insert(id) {
                files.extend(by_blob.remove(&id).map(of_its_own).transpose()?);
            }
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

/// A link is made by the server alone: here are the bytes, and not what they are linked to.
fn of_its_own(entry: Entry) -> CliResult<Entry> {
    if entry.link {
        let message = format!("the server no longer knows what '{}' is linked to", entry.path);
        return Err(CliError::failed(message)
            .hint("check the folder out again; or `touch` the file, to add its bytes"));
    }
    Ok(entry)
}

fn missing_records(api: &Api, tree: &LocalTree) -> CliResult<HashSet<BlobId>> {
    let mut missing = HashSet::new();
    let mut open = vec![tree.root];
    while !open.is_empty() {
        let here = pieces::missing(api, &open)?;
        open.clear();
        for id in here {
            if let Some(Node::Branch { children, .. }) = tree.node(id) {
                open.extend(children.iter().map(|child| child.id));
            }
            missing.insert(id);
        }
    }
    Ok(missing)
}

fn divide<'a>(
    cuts: &'a HashMap<BlobId, Cow<'_, Cut>>,
    files: &'a [Entry],
    wanted: &'a HashSet<BlobId>,
) -> Vec<Work<'a>> {
    let mut work = Vec::new();
    for entry in files {
        let Some(cut) = cuts.get(&entry.blob) else {
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
