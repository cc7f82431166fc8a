//! Bytes out: down the nodes to the chunks, window by window, each piece compared with its id.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use corliss_keyring::Keyring;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;

use super::ahead::ReadAhead;
use super::leases::Lease;
use super::{BlobReader, BlobStore};
use crate::index::Location;
use crate::pack::{Row, open_piece};
use crate::piece::{Child, Kind, Node, Piece, Record};
use crate::{BlobError, BlobId, blocking};

/// Content that is read and checked at once.
const WINDOW_BYTES: u64 = 4 << 20;
/// Chunks of a window: a node that others made may list many of a byte.
const WINDOW_CHUNKS: usize = 4096;
/// Ranges of a pack that lie this close are read as one.
const GAP_BYTES: u64 = 64 << 10;
/// Ranges are joined up to this length.
const RUN_BYTES: u64 = 8 << 20;

/// Opens a blob or a range of it. The first window is read before this answers, so that what is damaged or
/// gone at the beginning is an error and not a broken stream.
pub(super) async fn open(
    store: &BlobStore,
    id: BlobId,
    range: Option<Range<u64>>,
) -> Result<BlobReader, BlobError> {
    let (mut walk, size_bytes) = Walk::start(store, store.inner.answers.lease(), id, range).await?;
    let len = walk.range.end - walk.range.start;
    let first = walk.window(store).await?;
    let bytes: Box<dyn tokio::io::AsyncRead + Send + Unpin> = if walk.is_done() {
        Box::new(io::Cursor::new(first.concat()))
    } else {
        let (sender, receiver) = mpsc::channel(1);
        let rest = ReadAhead::of(store.clone(), walk);
        tokio::spawn(send_windows(first, rest, sender));
        Box::new(StreamReader::new(ReceiverStream::new(receiver)))
    };
    Ok(BlobReader {
        bytes,
        len,
        size_bytes,
    })
}

/// Ends when everything is sent, something is damaged, or nobody reads any more.
async fn send_windows(mut window: Vec<Bytes>, mut rest: ReadAhead, sender: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        for part in window {
            if sender.send(Ok(part)).await.is_err() {
                return;
            }
        }
        match rest.next().await {
            Ok(Some(next)) => window = next,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "a blob broke off while it was read");
                let _ = sender.send(Err(io::Error::other(error))).await;
                return;
            }
        }
    }
}

/// Reads a small blob into memory.
pub(super) async fn all(store: &BlobStore, id: BlobId, limit_bytes: u64) -> Result<Vec<u8>, BlobError> {
    let (mut walk, size_bytes) = Walk::start(store, store.inner.answers.lease(), id, None).await?;
    if size_bytes > limit_bytes {
        return Err(BlobError::TooLarge { limit_bytes });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or(0));
    while !walk.is_done() {
        let window = walk.window(store).await?;
        window.iter().for_each(|part| bytes.extend_from_slice(part));
    }
    Ok(bytes)
}

/// Reads everything and keeps nothing.
pub(super) async fn verify(store: &BlobStore, id: BlobId) -> Result<(), BlobError> {
    let (mut walk, _) = Walk::start(store, store.inner.answers.lease(), id, None).await?;
    while !walk.is_done() {
        walk.window(store).await?;
    }
    Ok(())
}

/// A blob's chunks in order, found as they are needed.
pub(super) struct Walk {
    /// What is collected meanwhile is still there for it.
    lease: Lease,
    root: BlobId,
    /// Content asked for.
    range: Range<u64>,
    /// What is still to be visited: pieces of one kind with their place in the content, deepest last.
    left: Vec<(Kind, VecDeque<(Child, u64)>)>,
}

impl Walk {
    /// Answers the blob's size too.
    pub async fn start(
        store: &BlobStore,
        lease: Lease,
        root: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<(Self, u64), BlobError> {
        let found = store.locate(&lease, vec![root]).await?.pop().flatten();
        let found = found.filter(|location| location.row.kind != Kind::Record);
        let row = found.ok_or(BlobError::NotFound { id: root })?.row;
        let size_bytes = row.size_bytes;
        let range = range.unwrap_or(0..size_bytes);
        if range.start > range.end || range.end > size_bytes {
            return Err(BlobError::Range {
                start: range.start,
                end: range.end,
                size_bytes,
            });
        }
        let child = Child { id: root, size_bytes };
        let left = vec![(row.kind, VecDeque::from([(child, 0)]))];
        let walk = Self {
            lease,
            root,
            range,
            left,
        };
        Ok((walk, size_bytes))
    }

    pub fn is_done(&self) -> bool {
        self.left.iter().all(|(_, pieces)| pieces.is_empty())
    }

    /// The next window of content, cut to the range; empty at the end.
    pub async fn window(&mut self, store: &BlobStore) -> Result<Vec<Bytes>, BlobError> {
        self.find_window(store).await?.read(store).await
    }

    /// Finds the chunks of the next window; others may be found before it is read.
    pub async fn find_window(&mut self, store: &BlobStore) -> Result<Window, BlobError> {
        let mut chunks: Vec<(Child, u64)> = Vec::new();
        let mut bytes = 0;
        while bytes < WINDOW_BYTES
            && chunks.len() < WINDOW_CHUNKS
            && let Some((child, start)) = self.next_chunk(store).await?
        {
            bytes += child.size_bytes;
            chunks.push((child, start));
        }
        Ok(Window {
            lease: self.lease.clone(),
            root: self.root,
            range: self.range.clone(),
            chunks,
        })
    }

    async fn next_chunk(&mut self, store: &BlobStore) -> Result<Option<(Child, u64)>, BlobError> {
        while let Some((kind, pieces)) = self.left.last_mut() {
            let kind = *kind;
            let Some((child, start)) = pieces.pop_front() else {
                self.left.pop();
                continue;
            };
            if kind == Kind::Chunk {
                return Ok(Some((child, start)));
            }
            let read = read_pieces(store, &self.lease, vec![child.id]).await;
            let read = whole(self.root, read)?.pop();
            let damaged = BlobError::Damaged { id: self.root };
            let node = read.and_then(|bytes| Node::decode(&bytes)).ok_or(damaged)?;
            let mut at = start;
            let placed = node.children().iter().map(|child| {
                let start = at;
                at += child.size_bytes;
                (*child, start)
            });
            let range = &self.range;
            let needed =
                placed.filter(|(child, start)| *start < range.end && start + child.size_bytes > range.start);
            let needed: VecDeque<_> = needed.collect();
            self.left.push((node.child_kind(), needed));
        }
        Ok(None)
    }
}

/// Chunks that follow each other, found and not read.
pub(super) struct Window {
    lease: Lease,
    root: BlobId,
    range: Range<u64>,
    /// Each with its place in the content.
    chunks: Vec<(Child, u64)>,
}

impl Window {
    /// Their bytes, cut to the range.
    pub async fn read(self, store: &BlobStore) -> Result<Vec<Bytes>, BlobError> {
        let ids = self.chunks.iter().map(|(child, _)| child.id).collect();
        let pieces = whole(self.root, read_pieces(store, &self.lease, ids).await)?;
        let range = &self.range;
        let cut = self.chunks.iter().zip(pieces).map(|((child, start), piece)| {
            let from = range.start.saturating_sub(*start).min(child.size_bytes);
            let to = (range.end - start).min(child.size_bytes);
            let len = piece.len();
            let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(len);
            piece.slice(within(from)..within(to))
        });
        Ok(cut.collect())
    }
}

/// A blob of which a piece is gone is as damaged as one of which a piece was changed.
fn whole<T>(root: BlobId, read: Result<T, BlobError>) -> Result<T, BlobError> {
    read.map_err(|error| match error {
        BlobError::NotFound { .. } | BlobError::Damaged { .. } => BlobError::Damaged { id: root },
        other => other,
    })
}

/// Pieces from the front that fit into the limit, and at least one.
pub(super) async fn pieces(
    store: &BlobStore,
    ids: Vec<BlobId>,
    limit_bytes: u64,
) -> Result<Vec<Piece>, BlobError> {
    let lease = store.inner.answers.lease();
    let mut located = locate_all(store, &lease, ids).await?;
    let mut bytes = 0;
    let fit = located.iter().take_while(|location| {
        let is_first = bytes == 0;
        bytes += u64::from(location.row.piece_bytes) + 1;
        is_first || bytes <= limit_bytes
    });
    let fit = fit.count();
    located.truncate(fit);
    let contents = read_located(store, located.clone()).await?;
    let pieces = located.iter().zip(contents).map(|(location, bytes)| Piece {
        id: location.row.id,
        kind: location.row.kind,
        size_bytes: location.row.size_bytes,
        bytes,
    });
    Ok(pieces.collect())
}

/// Records by their ids, in order.
pub(super) async fn records(store: &BlobStore, ids: Vec<BlobId>) -> Result<Vec<Record>, BlobError> {
    let lease = store.inner.answers.lease();
    let located = locate_all(store, &lease, ids).await?;
    if let Some(other) = located.iter().find(|location| location.row.kind != Kind::Record) {
        return Err(BlobError::NotFound { id: other.row.id });
    }
    let contents = read_located(store, located.clone()).await?;
    let both = located.iter().zip(contents);
    both.map(|(location, bytes)| Record::decode(&bytes).ok_or(BlobError::Damaged { id: location.row.id }))
        .collect()
}

/// The bytes of pieces, in the order of the ids.
async fn read_pieces(store: &BlobStore, lease: &Lease, ids: Vec<BlobId>) -> Result<Vec<Bytes>, BlobError> {
    read_located(store, locate_all(store, lease, ids).await?).await
}

/// Where pieces lie, every one of them.
async fn locate_all(store: &BlobStore, lease: &Lease, ids: Vec<BlobId>) -> Result<Vec<Location>, BlobError> {
    let found = store.locate(lease, ids.clone()).await?;
    let both = ids.into_iter().zip(found);
    both.map(|(id, location)| location.ok_or(BlobError::NotFound { id }))
        .collect()
}

/// The bytes of pieces whose places are known, in order. Neighbours in a pack are read together. Under the lease
/// with which the places were found, their packs stay.
pub(super) async fn read_located(store: &BlobStore, found: Vec<Location>) -> Result<Vec<Bytes>, BlobError> {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by_key(|at| (found[*at].pack, found[*at].row.offset));
    let mut opened: Vec<Bytes> = vec![Bytes::new(); found.len()];
    for of_pack in order.chunk_by(|left, right| found[*left].pack == found[*right].pack) {
        let pieces = match read_pack(store, &found, of_pack).await {
            // Perhaps only a copy that was kept nearby is.
            Err(BlobError::Damaged { .. })
                if store
                    .inner
                    .backend
                    .distrust(&found[of_pack[0]].pack.object())
                    .await =>
            {
                read_pack(store, &found, of_pack).await?
            }
            pieces => pieces?,
        };
        for (at, bytes) in pieces {
            opened[at] = bytes;
        }
    }
    Ok(opened)
}

/// Those of the pieces that lie in one pack, each with its place in `found`.
async fn read_pack(
    store: &BlobStore,
    found: &[Location],
    of_pack: &[usize],
) -> Result<Vec<(usize, Bytes)>, BlobError> {
    let first = found[of_pack[0]];
    let runs = runs(of_pack, found);
    let ranges = runs.iter().map(|run| run.range.clone()).collect();
    let read = store.inner.backend.read(&first.pack.object(), ranges).await?;
    // None: a pack that is gone or was cut short after the start.
    let parts = read.ok_or(BlobError::Damaged { id: first.row.id })?;
    let keyring = Arc::clone(&store.inner.keyring);
    let rows: Vec<(usize, Row)> = of_pack.iter().map(|at| (*at, found[*at].row)).collect();
    blocking(move || {
        let mut pieces = Vec::with_capacity(rows.len());
        let mut rows = rows.as_slice();
        for (run, bytes) in runs.iter().zip(parts) {
            let (of_run, later) = rows.split_at(run.pieces);
            open_run(run, bytes, of_run, &keyring, &mut pieces)?;
            rows = later;
        }
        Ok(pieces)
    })
    .await
}

/// Pieces of one pack as they are sealed, in the order of their offsets; None for those that are gone, with the pack
/// or behind where it was cut short.
pub(super) async fn sealed(
    store: &BlobStore,
    mut pieces: Vec<Location>,
) -> Result<Vec<(Location, Option<BytesMut>)>, BlobError> {
    let Some(first) = pieces.first().copied() else {
        return Ok(Vec::new());
    };
    let (backend, name) = (&store.inner.backend, first.pack.object());
    pieces.sort_by_key(|piece| piece.row.offset);
    let mut lost = Vec::new();
    let mut of = runs(&(0..pieces.len()).collect::<Vec<_>>(), &pieces);
    let ranges = of.iter().map(|run| run.range.clone()).collect();
    let mut read = backend.read(&name, ranges).await?;
    if read.is_none() {
        // One that does not fit fails all of them.
        let there = backend.size(&name).await?.unwrap_or(0);
        (pieces, lost) = pieces.into_iter().partition(|piece| piece.row.end() <= there);
        of = runs(&(0..pieces.len()).collect::<Vec<_>>(), &pieces);
        let ranges = of.iter().map(|run| run.range.clone()).collect();
        read = backend.read(&name, ranges).await?;
    }
    let lost = lost.into_iter().map(|piece| (piece, None));
    let Some(parts) = read else {
        return Ok(pieces
            .into_iter()
            .map(|piece| (piece, None))
            .chain(lost)
            .collect());
    };
    let runs = of;
    let mut sealed = Vec::with_capacity(pieces.len());
    let mut left = pieces.into_iter();
    for (run, part) in runs.iter().zip(parts) {
        for piece in left.by_ref().take(run.pieces) {
            let at = usize::try_from(u64::from(piece.row.offset) - run.range.start).unwrap_or(usize::MAX);
            let len = usize::try_from(piece.row.sealed_bytes).unwrap_or(usize::MAX);
            let bytes = part.get(at..at.saturating_add(len)).map(BytesMut::from);
            sealed.push((piece, bytes));
        }
    }
    sealed.extend(lost);
    Ok(sealed)
}

/// Opens pieces in the memory that they were read into; they come in order of their offsets.
fn open_run(
    run: &Run,
    mut bytes: BytesMut,
    rows: &[(usize, Row)],
    keyring: &Keyring,
    opened: &mut Vec<(usize, Bytes)>,
) -> Result<(), BlobError> {
    let mut start = run.range.start;
    let mut last: Option<(Row, Bytes)> = None;
    for (at, row) in rows {
        // Asked for twice; its sealed bytes are used up.
        if let Some((_, piece)) = last.as_ref().filter(|(before, _)| before == row) {
            opened.push((*at, piece.clone()));
            continue;
        }
        let damaged = || BlobError::Damaged { id: row.id };
        let skip = u64::from(row.offset).checked_sub(start).ok_or_else(damaged)?;
        let skip = usize::try_from(skip).map_err(|_| damaged())?;
        let len = usize::try_from(row.sealed_bytes).map_err(|_| damaged())?;
        if bytes.len() < skip.saturating_add(len) {
            return Err(damaged());
        }
        let _gap = bytes.split_to(skip);
        let sealed = bytes.split_to(len);
        start = row.end();
        let piece = open_piece(row, keyring.get(row.key)?.as_ref(), sealed)?;
        last = Some((*row, piece.clone()));
        opened.push((*at, piece));
    }
    Ok(())
}

/// A stretch of a pack that is read at once.
struct Run {
    range: Range<u64>,
    pieces: usize,
}

fn runs(of_pack: &[usize], found: &[Location]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for at in of_pack {
        let row = &found[*at].row;
        let (start, end) = (u64::from(row.offset), row.end());
        match runs.last_mut() {
            Some(run) if start <= run.range.end + GAP_BYTES && end - run.range.start <= RUN_BYTES => {
                run.range.end = run.range.end.max(end);
                run.pieces += 1;
            }
            _ => runs.push(Run {
                range: start..end,
                pieces: 1,
            }),
        }
    }
    runs
}
