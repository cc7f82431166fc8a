//! Group commit: whatever waits when a pack can be written goes into it together.
//!
//! A lone small put is one small pack, at once; a thousand clients share packs, and their syncs.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use corliss_keyring::Keyring;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::backend::Backend;
use crate::index::Index;
use crate::pack::{PACK_BYTES, PackId, SealedBatch, pack};
use crate::{BlobError, blocking};

/// Batches that wait for a pack; whoever brings one more waits before that.
const WAITING: usize = 8;
/// Packs on their way at once: one that is written while the next is laid out.
const WRITERS: usize = 2;

struct Waiting {
    batch: SealedBatch,
    done: oneshot::Sender<Result<(), BlobError>>,
}

/// The line to the task that writes packs.
pub(super) struct Committer {
    line: mpsc::Sender<Waiting>,
    pub on_their_way: OnTheirWay,
}

/// Packs that may lie in the backend and that the index does not know yet.
#[derive(Clone, Default)]
pub(super) struct OnTheirWay(Arc<Mutex<HashSet<PackId>>>);

impl OnTheirWay {
    fn enter(&self, id: PackId) -> OnItsWay<'_> {
        self.lock().insert(id);
        OnItsWay(self, id)
    }

    pub fn now(&self) -> HashSet<PackId> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PackId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct OnItsWay<'a>(&'a OnTheirWay, PackId);

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl Committer {
    /// Starts the task; it ends when the committer is dropped.
    pub fn start(backend: Arc<dyn Backend>, keyring: Arc<Keyring>, index: Arc<Index>) -> Self {
        let (sender, line) = mpsc::channel(WAITING);
        let on_their_way = OnTheirWay::default();
        tokio::spawn(run(backend, keyring, index, on_their_way.clone(), line));
        Self {
            line: sender,
            on_their_way,
        }
    }

    /// Waits until the batch is durable and known to the index.
    pub async fn commit(&self, batch: SealedBatch) -> Result<(), BlobError> {
        let stopped = || BlobError::Io {
            action: "write",
            path: "a pack".to_owned(),
            message: "the blob store is stopping".to_owned(),
        };
        let (done, is_done) = oneshot::channel();
        let waiting = Waiting { batch, done };
        self.line.send(waiting).await.map_err(|_| stopped())?;
        is_done.await.map_err(|_| stopped())?
    }
}

async fn run(
    backend: Arc<dyn Backend>,
    keyring: Arc<Keyring>,
    index: Arc<Index>,
    on_their_way: OnTheirWay,
    mut line: mpsc::Receiver<Waiting>,
) {
    let writers = Arc::new(Semaphore::new(WRITERS));
    while let Some(first) = line.recv().await {
        let Ok(writer) = Arc::clone(&writers).acquire_owned().await else {
            return;
        };
        let mut bytes = first.batch.bytes.len();
        let mut together = vec![first];
        while bytes < PACK_BYTES
            && let Ok(next) = line.try_recv()
        {
            bytes += next.batch.bytes.len();
            together.push(next);
        }
        let (backend, keyring, index) = (Arc::clone(&backend), Arc::clone(&keyring), Arc::clone(&index));
        let on_their_way = on_their_way.clone();
        tokio::spawn(async move {
            let (batches, waiting): (Vec<_>, Vec<_>) =
                together.into_iter().map(|one| (one.batch, one.done)).unzip();
            let written = write(backend.as_ref(), &keyring, index, &on_their_way, batches).await;
            if let Err(error) = &written {
                tracing::error!(%error, "a pack could not be written");
            }
            for done in waiting {
                // Whoever asked may have gone.
                let _ = done.send(written.clone());
            }
            drop(writer);
        });
    }
}

/// The pack first, the index after it: what the index knows is durable.
async fn write(
    backend: &dyn Backend,
    keyring: &Keyring,
    index: Arc<Index>,
    on_its_way: &OnTheirWay,
    batches: Vec<SealedBatch>,
) -> Result<(), BlobError> {
    keyring.settle().await?;
    let (key, seal) = keyring.current(1)?;
    let mut packed = blocking(move || pack(batches, key, &seal)).await?;
    let parts = std::mem::take(&mut packed.parts);
    let _on_its_way = on_its_way.enter(packed.id);
    backend.put(&packed.id.object(), parts).await?;
    blocking(move || {
        let rows: Vec<_> = (0..).zip(packed.rows).collect();
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        index.add(packed.id, packed.bytes, count, &rows)
    })
    .await
}
