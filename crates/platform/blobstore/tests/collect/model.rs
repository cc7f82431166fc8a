//! A store and a model of it: a map of pieces and what they list. After a collection the store holds exactly what
//! the roots reach, however it was opened since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use corliss_blobstore::{
    Backend, BlobError, BlobId, BlobStore, CollectOptions, Kind, MemoryBackend, Node, Piece,
};
use corliss_keyring::{MemoryRootKey, RootKey};
use corliss_testkit::noise::noise;

use super::{eager, open, pieces_of, record};

pub(crate) struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// What was ever put, what of it is stored, and what is a root.
#[derive(Default)]
pub(crate) struct Model {
    pub links: BTreeMap<BlobId, Vec<BlobId>>,
    pub contents: BTreeMap<BlobId, Vec<u8>>,
    /// Blobs and records, which may be listed and be roots.
    pub named: Vec<BlobId>,
    pub stored: BTreeSet<BlobId>,
    pub roots: BTreeSet<BlobId>,
}

impl Model {
    pub fn add(&mut self, piece: &Piece) {
        let listed = match piece.kind {
            Kind::Chunk => Vec::new(),
            Kind::Node(_) => {
                let node = Node::decode(&piece.bytes).unwrap();
                node.children().iter().map(|child| child.id).collect()
            }
            Kind::Record => corliss_blobstore::Record::decode(&piece.bytes).unwrap().links,
        };
        self.links.insert(piece.id, listed);
        self.stored.insert(piece.id);
    }

    pub fn reached(&self, from: impl IntoIterator<Item = BlobId>) -> BTreeSet<BlobId> {
        let mut open: Vec<BlobId> = from.into_iter().collect();
        let mut reached = BTreeSet::new();
        while let Some(id) = open.pop() {
            if reached.insert(id) {
                open.extend(&self.links[&id]);
            }
        }
        reached
    }

    pub async fn put(&mut self, store: &BlobStore, bytes: Vec<u8>) -> BlobId {
        let id = super::put(store, &bytes).await;
        pieces_of(&bytes).iter().for_each(|piece| self.add(piece));
        self.named.push(id);
        self.contents.insert(id, bytes);
        id
    }

    /// Everything that is stored by the model is there and whole, and nothing else is.
    pub async fn compare(&self, store: &BlobStore) {
        let all: Vec<BlobId> = self.links.keys().copied().collect();
        let gone: Vec<BlobId> = all
            .iter()
            .filter(|id| !self.stored.contains(*id))
            .copied()
            .collect();
        assert_eq!(store.missing(all).await.unwrap(), gone);
        self.read(store).await;
    }

    pub async fn read(&self, store: &BlobStore) {
        for id in &self.stored {
            if let Some(bytes) = self.contents.get(id) {
                assert!(store.read_all(*id, u64::MAX).await.unwrap() == *bytes, "{id}");
            } else {
                store.read_pieces(vec![*id], u64::MAX).await.unwrap();
            }
        }
    }
}

struct World {
    backend: Arc<dyn Backend>,
    root: Arc<dyn RootKey>,
    folder: tempfile::TempDir,
    indexes: usize,
    store: Option<BlobStore>,
    model: Model,
}

impl World {
    async fn step(&mut self, dice: &mut Dice, seed: u64) {
        let store = self.store.clone().unwrap();
        match dice.below(20) {
            0..=5 => {
                let len = [10, 300, 5000, 700_000][dice.below(16).min(3) % 4];
                // A few seeds, so that contents come again.
                let bytes = noise(len, dice.below(12) as u64);
                self.model.put(&store, bytes).await;
            }
            6..=10 if !self.model.named.is_empty() => self.list(dice, &store).await,
            11..=13 if !self.model.named.is_empty() => {
                let id = self.model.named[dice.below(self.model.named.len())];
                if self.model.stored.contains(&id) {
                    self.model.roots.insert(id);
                }
            }
            14 if !self.model.roots.is_empty() => {
                let at = dice.below(self.model.roots.len());
                let id = *self.model.roots.iter().nth(at).unwrap();
                self.model.roots.remove(&id);
            }
            15..=17 => {
                let options = CollectOptions {
                    live_percent: [0, 50, 100][dice.below(3)],
                    small_bytes: [0, 1 << 20][dice.below(2)],
                    rewrite_limit_bytes: [u64::MAX, 400_000][dice.below(2)],
                    ..eager()
                };
                let mut roots: Vec<BlobId> = self.model.roots.iter().copied().collect();
                let report = store.collect(&mut roots, options, &|_| {}).await.unwrap();
                assert!(
                    report.missing.is_empty() && report.missing_roots.is_empty(),
                    "seed {seed}"
                );
                self.model.stored = self.model.reached(self.model.roots.iter().copied());
                assert_eq!(report.kept_pieces, self.model.stored.len() as u64, "seed {seed}");
                self.model.compare(&store).await;
                assert_eq!(store.pieces().await.unwrap(), self.model.stored.len() as u64);
            }
            18 => {
                drop(store);
                self.reopen(false).await;
            }
            _ => {
                drop(store);
                self.reopen(true).await;
            }
        }
    }

    async fn list(&mut self, dice: &mut Dice, store: &BlobStore) {
        let links: Vec<BlobId> = (0..=dice.below(3))
            .map(|_| self.model.named[dice.below(self.model.named.len())])
            .collect();
        let piece = record(&links, &dice.below(40).to_string());
        let written = store.put_pieces(vec![piece.clone()]).await;
        if links.iter().all(|id| self.model.stored.contains(id)) {
            written.unwrap();
            self.model.add(&piece);
            self.model.named.push(piece.id);
        } else {
            assert!(
                matches!(written, Err(BlobError::Incomplete { .. })),
                "{written:?}"
            );
        }
    }

    async fn reopen(&mut self, is_rebuilt: bool) {
        self.store = None;
        self.indexes += usize::from(is_rebuilt);
        let index = self.folder.path().join(self.indexes.to_string());
        let store = open(&self.backend, &self.root, &index).await;
        self.model.compare(&store).await;
        assert_eq!(store.pieces().await.unwrap(), self.model.stored.len() as u64);
        self.store = Some(store);
    }
}

#[tokio::test]
async fn after_any_history_a_collection_leaves_exactly_what_the_roots_reach() {
    for seed in 1..=8_u64 {
        eprintln!("seed {seed}");
        let mut world = World {
            backend: Arc::new(MemoryBackend::default()),
            root: Arc::new(MemoryRootKey::new().unwrap()),
            folder: super::folder(),
            indexes: 0,
            store: None,
            model: Model::default(),
        };
        world.reopen(false).await;
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for _ in 0..60 {
            world.step(&mut dice, seed).await;
        }
        world.reopen(true).await;
    }
}
