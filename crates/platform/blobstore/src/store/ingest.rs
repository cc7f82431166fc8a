//! Bringing bytes in: cut on one thread, sealed on others, written as they come.
//!
//! Chunks go out in batches; nodes are kept until every chunk is durable, so that a node never stands for
//! what is not there.

use std::collections::HashSet;
use std::io::Read;

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{BlobInfo, BlobStore, Incoming, OpenFile, Stored};
use crate::piece::{Cutter, Kind, Piece};
use crate::{BlobError, BlobId, blocking};

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;
/// Bytes of pieces that are sealed and written together.
const BATCH_BYTES: usize = 8 << 20;
/// What a piece takes beside its bytes: a million empty files must be sent now and then as well.
const PIECE_BYTES: usize = 128;
/// Batches of one put on their way at once; bounds its memory.
const BATCHES: usize = 2;

/// One put under way.
struct Ingest<'a> {
    store: &'a BlobStore,
    flights: JoinSet<Result<HashSet<BlobId>, BlobError>>,
    nodes: Vec<Piece>,
    created: HashSet<BlobId>,
}

impl<'a> Ingest<'a> {
    fn new(store: &'a BlobStore) -> Self {
        Self {
            store,
            flights: JoinSet::new(),
            nodes: Vec::new(),
            created: HashSet::new(),
        }
    }

    /// Sends the chunks on their way; waits while too many are.
    async fn send(&mut self, pieces: Vec<Piece>) -> Result<(), BlobError> {
        let (chunks, nodes): (Vec<_>, Vec<_>) =
            pieces.into_iter().partition(|piece| piece.kind == Kind::Chunk);
        self.nodes.extend(nodes);
        if self.nodes.iter().map(|node| node.bytes.len()).sum::<usize>() >= BATCH_BYTES {
            self.write_nodes().await?;
        }
        while self.flights.len() >= BATCHES {
            self.land().await?;
        }
        if !chunks.is_empty() {
            let store = self.store.clone();
            self.flights.spawn(async move { store.write(chunks).await });
        }
        Ok(())
    }

    async fn land(&mut self) -> Result<(), BlobError> {
        if let Some(landed) = self.flights.join_next().await {
            let created = landed.map_err(|error| BlobError::Io {
                action: "finish work on",
                path: "the blobs".to_owned(),
                message: error.to_string(),
            })??;
            self.created.extend(created);
        }
        Ok(())
    }

    /// Writes the nodes so far, once everything that they list is durable.
    async fn write_nodes(&mut self) -> Result<(), BlobError> {
        while !self.flights.is_empty() {
            self.land().await?;
        }
        let nodes = std::mem::take(&mut self.nodes);
        if !nodes.is_empty() {
            self.created.extend(self.store.write(nodes).await?);
        }
        Ok(())
    }

    /// Waits until everything is durable; answers the pieces that are new.
    async fn finish(mut self) -> Result<HashSet<BlobId>, BlobError> {
        self.write_nodes().await?;
        Ok(self.created)
    }
}

/// Pieces that are collected until they are worth sending.
#[derive(Default)]
struct Batch {
    pieces: Vec<Piece>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, piece: Piece) {
        self.bytes += piece.bytes.len() + PIECE_BYTES;
        self.pieces.push(piece);
    }

    fn take_if(&mut self, is_due: bool) -> Option<Vec<Piece>> {
        if !is_due || self.pieces.is_empty() {
            return None;
        }
        self.bytes = 0;
        Some(std::mem::take(&mut self.pieces))
    }
}

/// Stores a stream; reads on the caller's task, cuts on threads that may block.
pub(super) async fn stream(
    store: &BlobStore,
    incoming: Incoming<'_>,
    limit_bytes: Option<u64>,
) -> Result<Stored, BlobError> {
    let mut ingest = Ingest::new(store);
    let mut cutter = Cutter::new();
    let mut batch = Batch::default();
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        (&mut *incoming)
            .take(READ_BYTES as u64)
            .read_to_end(&mut buffer)
            .await
            .map_err(|error| BlobError::Incoming {
                message: error.to_string(),
            })?;
        if buffer.is_empty() {
            break;
        }
        if let Some(limit_bytes) = limit_bytes
            && cutter.size_bytes() + buffer.len() as u64 > limit_bytes
        {
            return Err(BlobError::TooLarge { limit_bytes });
        }
        (cutter, batch, buffer) = blocking(move || {
            cutter.push(&buffer, &mut |piece| batch.add(piece));
            buffer.clear();
            Ok((cutter, batch, buffer))
        })
        .await?;
        if let Some(pieces) = batch.take_if(batch.bytes >= BATCH_BYTES) {
            ingest.send(pieces).await?;
        }
    }
    let (blob, pieces) = blocking(move || {
        let blob = cutter.finish(&mut |piece| batch.add(piece));
        Ok((blob, batch.pieces))
    })
    .await?;
    ingest.send(pieces).await?;
    let created = ingest.finish().await?.contains(&blob.id);
    Ok(Stored { blob, created })
}

/// Stores local files, in order.
pub(super) async fn files(store: &BlobStore, files: Vec<OpenFile>) -> Result<Vec<Stored>, BlobError> {
    let (sender, mut cut) = mpsc::channel(1);
    let cutting = tokio::spawn(blocking(move || cut_files(files, &sender)));
    let mut ingest = Ingest::new(store);
    while let Some(pieces) = cut.recv().await {
        // If this fails, the cutting thread finds nobody listening and ends.
        ingest.send(pieces).await?;
    }
    let blobs = cutting.await.map_err(|error| BlobError::Io {
        action: "read",
        path: "files to be stored".to_owned(),
        message: error.to_string(),
    })??;
    let created = ingest.finish().await?;
    let stored = blobs.into_iter().map(|blob| Stored {
        blob,
        created: created.contains(&blob.id),
    });
    Ok(stored.collect())
}

fn cut_files(files: Vec<OpenFile>, out: &mpsc::Sender<Vec<Piece>>) -> Result<Vec<BlobInfo>, BlobError> {
    let failed = |error: std::io::Error| BlobError::io("read", "a file to be stored", &error);
    let mut batch = Batch::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut blobs = Vec::with_capacity(files.len());
    for open in files {
        let mut file = open().map_err(failed)?;
        let mut cutter = Cutter::new();
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => cutter.push(&buffer[..read], &mut |piece| batch.add(piece)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
            send(&mut batch, BATCH_BYTES, out)?;
        }
        blobs.push(cutter.finish(&mut |piece| batch.add(piece)));
        send(&mut batch, BATCH_BYTES, out)?;
    }
    send(&mut batch, 0, out)?;
    Ok(blobs)
}

fn send(batch: &mut Batch, from: usize, out: &mpsc::Sender<Vec<Piece>>) -> Result<(), BlobError> {
    let Some(pieces) = batch.take_if(batch.bytes >= from) else {
        return Ok(());
    };
    // Nobody listens once writing failed; whose error is told then is the writer's.
    out.blocking_send(pieces).map_err(|_| BlobError::Io {
        action: "write",
        path: "a pack".to_owned(),
        message: "writing has failed".to_owned(),
    })
}
