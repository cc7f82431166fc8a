//! Copying trees: from their roots down, skipping what the other side knows, and sending each piece after what it
//! lists.
//!
//! What is to be asked for waits on a stack, so that the walk goes deep before it goes wide and little is open at
//! once. A few groups are asked for and read at a time, a few bodies of chunks are on their way at a time. Records
//! and nodes wait until all that they list is sent, and go together: before them everybody is waited for, so that
//! nothing is ever known that is not whole. Dropping the copy anywhere leaves pieces that the next one skips.
//!
//! In memory at once: some bodies of 8 MiB, and the records and nodes between a root and the groups in work.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use corliss_blobstore::{BlobId, Kind, Node, Piece, Record};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::Pieces;
use crate::DataError;
use crate::counters::Counters;
use crate::transfer::BODY_BYTES;
use crate::tree;

/// Groups that are asked for and read at a time.
const READS: usize = 4;
/// Bodies of chunks on their way at a time.
const PUTS: usize = 6;
/// Ids that are asked for together. Of records fewer: each of them opens hundreds of others.
const GROUP: usize = 256;
const GROUP_OF_RECORDS: usize = 64;
/// Records and nodes that are sent together.
const INNER_BYTES: usize = 4 << 20;
/// More than any tree of files with blobs below it has.
const DEPTH_MAX: u8 = 48;

/// Copies everything below the roots that `to` does not have, the roots included.
pub(crate) async fn copy(
    from: &dyn Pieces,
    to: &dyn Pieces,
    roots: Vec<BlobId>,
    counters: &Counters,
) -> Result<(), DataError> {
    let mut copy = Copy {
        from,
        to,
        counters,
        stack: Vec::new(),
        waiting: HashMap::new(),
        open: HashMap::new(),
        chunks: Vec::new(),
        chunk_bytes: 0,
        inner: Vec::new(),
        inner_bytes: 0,
        fresh: HashSet::new(),
        puts: FuturesUnordered::new(),
    };
    let roots: Vec<BlobId> = roots
        .into_iter()
        .filter(|root| copy.waiting.insert(*root, Vec::new()).is_none())
        .collect();
    copy.push(&roots, GROUP_OF_RECORDS, 0);
    copy.run().await
}

/// Ids that go the same way together.
struct Group {
    ids: Vec<BlobId>,
    /// Whether they are known to be missing.
    is_asked: bool,
    depth: u8,
}

/// What came of a group.
struct Found {
    known: Vec<BlobId>,
    pieces: Vec<Piece>,
    rest: Vec<BlobId>,
    depth: u8,
}

/// A record or node of which something that it lists is not sent yet.
struct Open {
    piece: Piece,
    waits_for: usize,
}

struct Copy<'a> {
    from: &'a dyn Pieces,
    to: &'a dyn Pieces,
    counters: &'a Counters,
    stack: Vec<Group>,
    /// What is to be sent or asked for, with what lists it.
    waiting: HashMap<BlobId, Vec<BlobId>>,
    open: HashMap<BlobId, Open>,
    chunks: Vec<Piece>,
    chunk_bytes: usize,
    /// Each after what it lists.
    inner: Vec<Piece>,
    inner_bytes: usize,
    /// Sent, or about to be, since everybody was last waited for: the other side may not know it yet.
    fresh: HashSet<BlobId>,
    puts: FuturesUnordered<BoxFuture<'a, Result<(), DataError>>>,
}

impl Copy<'_> {
    async fn run(&mut self) -> Result<(), DataError> {
        let mut reads = FuturesUnordered::new();
        loop {
            while reads.len() < READS
                && self.puts.len() < PUTS
                && let Some(group) = self.stack.pop()
            {
                reads.push(explore(self.from, self.to, group));
            }
            tokio::select! {
                biased;
                Some(done) = self.puts.next(), if !self.puts.is_empty() => done?,
                Some(found) = reads.next(), if !reads.is_empty() => self.take(found?)?,
                else => break,
            }
            if self.inner_bytes >= INNER_BYTES {
                self.send_all().await?;
            }
        }
        self.send_all().await
    }

    fn push(&mut self, ids: &[BlobId], size: usize, depth: u8) {
        // The last group is taken first.
        self.stack.extend(ids.chunks(size).rev().map(|ids| Group {
            ids: ids.to_vec(),
            is_asked: false,
            depth,
        }));
    }

    fn take(&mut self, found: Found) -> Result<(), DataError> {
        for id in found.known {
            self.sent(id);
        }
        if !found.rest.is_empty() {
            self.stack.push(Group {
                ids: found.rest,
                is_asked: true,
                depth: found.depth,
            });
        }
        if found.depth > DEPTH_MAX
            && let Some(piece) = found.pieces.first()
        {
            return Err(DataError::bad_tree(piece.id, "it is deeper than a tree can be"));
        }
        let (mut records, mut others) = (Vec::new(), Vec::new());
        for piece in found.pieces {
            match listed(&piece)? {
                None => {
                    self.chunk_bytes += piece.bytes.len();
                    let id = piece.id;
                    self.chunks.push(piece);
                    self.fresh.insert(id);
                    self.sent(id);
                    // Not after all of what came: a body that is twice as large is not taken.
                    if self.chunk_bytes >= BODY_BYTES {
                        self.send_chunks();
                    }
                }
                Some((links, is_of_records)) => {
                    let new = if is_of_records { &mut records } else { &mut others };
                    self.open(piece, links, new);
                }
            }
        }
        self.push(&others, GROUP, found.depth + 1);
        self.push(&records, GROUP_OF_RECORDS, found.depth + 1);
        Ok(())
    }

    /// Keeps a record or node until what it lists is sent; `new` takes what nobody has asked for.
    fn open(&mut self, piece: Piece, links: Vec<BlobId>, new: &mut Vec<BlobId>) {
        // Its bytes are a part of a body, which would be kept with it.
        let piece = Piece {
            bytes: Bytes::copy_from_slice(&piece.bytes),
            ..piece
        };
        let id = piece.id;
        let links: HashSet<BlobId> = links.into_iter().collect();
        let mut waits_for = 0;
        for link in links.into_iter().filter(|link| !self.fresh.contains(link)) {
            waits_for += 1;
            let lists = self.waiting.entry(link).or_insert_with(|| {
                new.push(link);
                Vec::new()
            });
            lists.push(id);
        }
        self.open.insert(id, Open { piece, waits_for });
        if waits_for == 0 {
            self.ready(id);
        }
    }

    /// Everything that it lists was sent before it.
    fn ready(&mut self, id: BlobId) {
        let Some(Open { piece, .. }) = self.open.remove(&id) else {
            return;
        };
        let files = Record::decode(&piece.bytes).filter(|_| piece.kind == Kind::Record);
        if let Some(Ok(tree::Node::Leaf(entries))) = files.as_ref().map(tree::Node::decode) {
            self.counters
                .files
                .fetch_add(entries.len() as u64, Ordering::Relaxed);
        }
        self.inner_bytes += piece.bytes.len();
        self.inner.push(piece);
        self.fresh.insert(id);
        self.sent(id);
    }

    /// What lists it need not wait for it. Goes up at most as far as a tree is high.
    fn sent(&mut self, id: BlobId) {
        for above in self.waiting.remove(&id).unwrap_or_default() {
            let Some(open) = self.open.get_mut(&above) else {
                continue;
            };
            open.waits_for -= 1;
            if open.waits_for == 0 {
                self.ready(above);
            }
        }
    }

    fn send_chunks(&mut self) {
        self.chunk_bytes = 0;
        let chunks = std::mem::take(&mut self.chunks);
        if !chunks.is_empty() {
            self.puts.push(Box::pin(put(self.to, chunks, self.counters)));
        }
    }

    /// Sends the chunks, waits for all that is on its way, and sends the records and nodes that are ready.
    async fn send_all(&mut self) -> Result<(), DataError> {
        self.send_chunks();
        while let Some(done) = self.puts.next().await {
            done?;
        }
        self.inner_bytes = 0;
        let mut rest = std::mem::take(&mut self.inner).into_iter().peekable();
        while rest.peek().is_some() {
            let mut bytes = 0;
            let mut body = Vec::new();
            while bytes < BODY_BYTES
                && let Some(piece) = rest.next()
            {
                bytes += piece.bytes.len();
                body.push(piece);
            }
            put(self.to, body, self.counters).await?;
        }
        self.fresh.clear();
        Ok(())
    }
}

async fn put(to: &dyn Pieces, pieces: Vec<Piece>, counters: &Counters) -> Result<(), DataError> {
    let count = pieces.len() as u64;
    let bytes: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    to.put(pieces).await?;
    counters.pieces.fetch_add(count, Ordering::Relaxed);
    counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    Ok(())
}

async fn explore(from: &dyn Pieces, to: &dyn Pieces, group: Group) -> Result<Found, DataError> {
    let Group { ids, is_asked, depth } = group;
    let (known, mut missing) = if is_asked {
        (Vec::new(), ids)
    } else {
        let missing: HashSet<BlobId> = to.missing(ids.clone()).await?.into_iter().collect();
        ids.into_iter().partition(|id| !missing.contains(id))
    };
    let pieces = match missing.is_empty() {
        true => Vec::new(),
        false => from.read(missing.clone()).await?,
    };
    if let Some(first) = missing.first().filter(|_| !are_asked_for(&missing, &pieces)) {
        return Err(DataError::bad_tree(*first, "something else came in its place"));
    }
    let rest = missing.split_off(pieces.len());
    Ok(Found {
        known,
        pieces,
        rest,
        depth,
    })
}

/// What a piece lists, and whether those are records; None of a chunk.
fn listed(piece: &Piece) -> Result<Option<(Vec<BlobId>, bool)>, DataError> {
    let wrong = |problem| DataError::bad_tree(piece.id, problem);
    Ok(match piece.kind {
        Kind::Chunk => None,
        Kind::Node(_) => {
            let node = Node::decode(&piece.bytes).ok_or_else(|| wrong("it is not a node"))?;
            Some((node.children().iter().map(|child| child.id).collect(), false))
        }
        Kind::Record => {
            let record = Record::decode(&piece.bytes).ok_or_else(|| wrong("it is not a record"))?;
            let node = tree::Node::decode(&record).map_err(wrong)?;
            Some((record.links, node.level() > 0))
        }
    })
}

/// Whether these are the pieces that were asked for, from the front and at least one.
pub(super) fn are_asked_for(ids: &[BlobId], pieces: &[Piece]) -> bool {
    !pieces.is_empty()
        && pieces.len() <= ids.len()
        && pieces.iter().zip(ids).all(|(piece, id)| piece.id == *id)
}
