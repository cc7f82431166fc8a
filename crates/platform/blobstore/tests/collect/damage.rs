//! Damage: found and named, never spread by a collection, and put right from a copy or by whoever sends it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use corliss_blobstore::{
    Backend, BlobError, BlobId, BlobStore, CheckOptions, CollectOptions, Finding, Kind, MemoryBackend, Piece,
    PieceSource, ScrubOptions, Skipped,
};
use corliss_keyring::{MemoryRootKey, RootKey};
use corliss_testkit::noise::noise;

use super::faults::{Fault, Faulty, assert_whole, copy};
use super::model::Model;
use super::{collect, eager, folder, open, pieces_of, put, put_record, record};

pub(super) struct World {
    pub backend: Arc<dyn Backend>,
    root: Arc<dyn RootKey>,
    folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self {
            backend: Arc::new(MemoryBackend::default()),
            root: Arc::new(MemoryRootKey::new().unwrap()),
            folder: folder(),
        }
    }

    pub async fn open(&self, index: &str) -> BlobStore {
        open(&self.backend, &self.root, &self.folder.path().join(index)).await
    }

    pub async fn packs(&self) -> Vec<String> {
        let objects = self.backend.list("packs").await.unwrap();
        objects.into_iter().map(|object| object.name).collect()
    }

    pub async fn flip(&self, pack: &str, at: usize) {
        let mut bytes = self.backend.get(pack).await.unwrap().unwrap().to_vec();
        bytes[at] ^= 0x20;
        self.backend.put(pack, vec![bytes.into()]).await.unwrap();
    }
}

pub(super) async fn check(store: &BlobStore, roots: &[BlobId]) -> corliss_blobstore::CheckReport {
    let options = CheckOptions {
        roots: roots.to_vec(),
        ..CheckOptions::default()
    };
    store.check(&options, &|_| {}).await.unwrap()
}

#[tokio::test]
async fn a_flipped_bit_in_any_part_of_a_pack_is_found_and_named() {
    let world = World::new();
    let store = world.open("index").await;
    let chunks: Vec<Piece> = (0..3).map(|n| Piece::chunk(noise(900, n))).collect();
    let ids: Vec<BlobId> = chunks.iter().map(|piece| piece.id).collect();
    let top = record(&ids, "top");
    let mut pieces = chunks;
    pieces.push(top.clone());
    store.put_pieces(pieces).await.unwrap();
    let other = put(&store, b"other").await;
    assert_eq!(check(&store, &[top.id, other]).await.findings, []);
    let pack = world.packs().await;
    let sizes: Vec<usize> = futures(&world, &pack).await;
    let (pack, len) = pack.iter().zip(sizes).max_by_key(|(_, len)| *len).unwrap();
    let good = world.backend.get(pack).await.unwrap().unwrap();
    let mut named = BTreeMap::new();
    for at in (16..len).step_by(37) {
        world.flip(pack, at).await;
        let report = check(&store, &[top.id, other]).await;
        assert!(report.findings_total > 0, "byte {at} of {len}");
        for finding in &report.findings {
            match finding {
                Finding::Damaged {
                    id,
                    kind,
                    pack: named_pack,
                } => {
                    assert_eq!((named_pack, *kind == Kind::Record), (pack, *id == top.id));
                    assert_eq!(report.reached, [(top.id, vec![*id])], "byte {at}");
                    *named.entry(*id).or_insert(0) += 1;
                    // Who asks for the top is told to send it, and so goes down to what is damaged.
                    assert_eq!(store.missing(vec![top.id, other]).await.unwrap(), [top.id]);
                }
                Finding::TableDamaged { pack: named_pack } => assert_eq!(named_pack, pack),
                Finding::Misplaced { .. } => {}
                finding => panic!("byte {at}: {finding:?}"),
            }
        }
        world.backend.put(pack, vec![good.clone()]).await.unwrap();
    }
    assert_eq!(named.len(), 4, "each piece was hit");
    assert_eq!(check(&store, &[top.id]).await.findings, []);
    assert!(store.missing(vec![top.id]).await.unwrap().is_empty());
    world.backend.remove(pack).await.unwrap();
    let quick = CheckOptions {
        quick: true,
        ..CheckOptions::default()
    };
    let report = store.check(&quick, &|_| {}).await.unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|finding| matches!(finding, Finding::PackMissing { pack: gone, pieces: 4 } if gone == pack))
    );
}

async fn futures(world: &World, packs: &[String]) -> Vec<usize> {
    let mut sizes = Vec::new();
    for pack in packs {
        sizes.push(world.backend.get(pack).await.unwrap().unwrap().len());
    }
    sizes
}

/// Puts a record above two chunks, damages the first chunk, and finds it.
async fn damaged(world: &World, store: &BlobStore) -> (Vec<Piece>, Piece) {
    let chunks: Vec<Piece> = (0..2).map(|n| Piece::chunk(noise(900, n))).collect();
    let top = record(&[chunks[0].id, chunks[1].id], "top");
    let mut pieces = chunks.clone();
    pieces.push(top.clone());
    store.put_pieces(pieces).await.unwrap();
    world.flip(&world.packs().await[0], 100).await;
    assert_eq!(
        store.verify(chunks[0].id).await,
        Err(BlobError::Damaged { id: chunks[0].id })
    );
    (chunks, top)
}

#[tokio::test]
async fn who_sends_a_damaged_piece_again_heals_it() {
    let world = World::new();
    let store = world.open("index").await;
    let (chunks, top) = damaged(&world, &store).await;
    let seen = Mutex::new(Vec::new());
    let slow = ScrubOptions {
        bytes_per_second: u64::MAX,
        packs: 1,
    };
    let report = store
        .scrub(slow, &|pack| seen.lock().unwrap().extend(pack.findings))
        .await
        .unwrap();
    assert_eq!(
        (report.packs, report.findings, report.is_pass_over),
        (1, 1, false)
    );
    assert!(matches!(seen.lock().unwrap()[..], [Finding::Damaged { id, .. }] if id == chunks[0].id));
    let all = vec![chunks[0].id, chunks[1].id, top.id];
    assert_eq!(store.missing(all.clone()).await.unwrap(), [chunks[0].id, top.id]);
    drop(store);
    let store = world.open("index").await;
    let report = store.scrub(slow, &|_| {}).await.unwrap();
    assert!(
        report.is_pass_over && report.packs == 0,
        "it went on where it had stopped: {report:?}"
    );
    assert_eq!(store.missing(all.clone()).await.unwrap(), [chunks[0].id, top.id]);
    let above = store.put_pieces(vec![record(&[top.id], "above")]).await;
    assert!(matches!(above, Err(BlobError::Incomplete { .. })), "{above:?}");
    store
        .put_pieces(vec![chunks[0].clone(), top.clone()])
        .await
        .unwrap();
    assert!(store.missing(all.clone()).await.unwrap().is_empty());
    store.verify(chunks[0].id).await.unwrap();
    // The damaged copy goes; whatever index is made of the packs, the good one stays.
    let report = collect(&store, &[top.id]).await;
    assert_eq!((report.kept_pieces, report.damaged.len()), (3, 0), "{report:?}");
    drop(store);
    let store = world.open("anew").await;
    store.verify(chunks[0].id).await.unwrap();
    assert_eq!(check(&store, &[]).await.findings, []);
}

#[tokio::test]
async fn a_damaged_piece_keeps_its_pack_and_a_good_copy_is_not_given_up_for_it() {
    let world = World::new();
    let store = world.open("index").await;
    let (chunks, top) = damaged(&world, &store).await;
    let pack = world.packs().await.pop().unwrap();
    put(&store, b"another small pack").await;
    let roots = [top.id, BlobId::of(b"another small pack")];
    let options = CollectOptions {
        live_percent: 100,
        ..eager()
    };
    let report = store
        .collect(&mut roots.to_vec(), options, &|_| {})
        .await
        .unwrap();
    assert_eq!(
        report.skipped,
        [Skipped::Damaged { pack: pack.clone() }],
        "{report:?}"
    );
    assert_eq!(report.damaged, [chunks[0].id]);
    assert!(world.packs().await.contains(&pack));
    store.verify(chunks[1].id).await.unwrap();
    // Sent again by somebody; then an index that finds the damaged copy first.
    store.put_pieces(vec![chunks[0].clone()]).await.unwrap();
    drop(store);
    for index in ["one", "two", "three"] {
        let store = world.open(index).await;
        let report = store
            .collect(&mut roots.to_vec(), options, &|_| {})
            .await
            .unwrap();
        assert_eq!(report.damaged, [], "{report:?}");
        store.verify(chunks[0].id).await.unwrap();
    }
}

/// A copy that answers what it has, and something else.
struct Elsewhere(BTreeMap<BlobId, Piece>);

#[async_trait]
impl PieceSource for Elsewhere {
    async fn fetch(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, BlobError> {
        let mut pieces: Vec<Piece> = ids.iter().filter_map(|id| self.0.get(id).cloned()).collect();
        let mut wrong = Piece::chunk(b"wrong".to_vec());
        wrong.id = ids[0];
        pieces.insert(0, wrong);
        Ok(pieces)
    }
}

#[tokio::test]
async fn what_is_damaged_or_lost_is_repaired_from_a_copy_with_all_below_it() {
    let world = World::new();
    let store = world.open("index").await;
    let bytes = noise(700_000, 4);
    let large = put(&store, &bytes).await;
    let small = put(&store, b"small").await;
    let low = put_record(&store, &[large, small], "low").await;
    let top = put_record(&store, &[low], "top").await;
    let mut source: BTreeMap<BlobId, Piece> = BTreeMap::new();
    for piece in pieces_of(&bytes).into_iter().chain(pieces_of(b"small")) {
        source.insert(piece.id, piece);
    }
    for piece in [record(&[large, small], "low"), record(&[low], "top")] {
        source.insert(piece.id, piece);
    }
    let pieces = source.len();
    for pack in world.packs().await {
        let len = world.backend.get(&pack).await.unwrap().unwrap().len();
        world.flip(&pack, 40).await;
        if len > 100_000 {
            world.flip(&pack, len / 2).await;
        }
    }
    let bad = check(&store, &[top]).await;
    assert!(bad.findings_total >= 5, "{bad:?}");
    let nobody = store
        .repair(vec![top], &Elsewhere(BTreeMap::new()))
        .await
        .unwrap();
    assert_eq!((nobody.repaired, nobody.failed), (vec![], vec![top]));
    let report = store.repair(vec![top], &Elsewhere(source)).await.unwrap();
    assert!(
        report.failed.is_empty() && report.repaired.len() >= 4,
        "{report:?}"
    );
    let again = check(&store, &[top]).await;
    let damaged = |finding: &Finding| matches!(finding, Finding::Damaged { .. });
    assert!(!again.findings.iter().any(damaged), "{again:?}");
    assert!(store.missing(vec![top, low, large]).await.unwrap().is_empty());
    assert_eq!(store.read_all(large, u64::MAX).await.unwrap(), bytes);
    drop(store);
    let store = world.open("anew").await;
    assert_eq!(store.read_all(large, u64::MAX).await.unwrap(), bytes);
    assert_eq!(collect(&store, &[top]).await.kept_pieces, pieces as u64);
    assert_eq!(check(&store, &[top]).await.findings, []);
}

#[tokio::test]
async fn a_repair_that_ends_anywhere_can_be_done_again() {
    let world = World::new();
    let store = world.open("index").await;
    let (chunks, top) = damaged(&world, &store).await;
    let mut model = Model::default();
    chunks.iter().chain([&top]).for_each(|piece| model.add(piece));
    model.roots.insert(top.id);
    drop(store);
    let source: BTreeMap<BlobId, Piece> = chunks.iter().map(|piece| (piece.id, piece.clone())).collect();
    let source = Elsewhere(source);
    for fault in [Fault::EndsBefore, Fault::EndsAfter, Fault::Once] {
        for at in 1.. {
            let what = format!("{fault:?} {at}");
            let inner = copy(world.backend.as_ref()).await;
            let index = world.folder.path().join(&what);
            drop(open(&inner, &world.root, &index).await);
            let counter = Arc::new(Faulty::new(Arc::clone(&inner), Fault::Once, u64::MAX));
            let backend: Arc<dyn Backend> = counter.clone();
            drop(open(&backend, &world.root, &index).await);
            let before = counter.calls.load(Ordering::SeqCst);
            let faulty = Arc::new(Faulty::new(Arc::clone(&inner), fault, before + at));
            let backend: Arc<dyn Backend> = faulty.clone();
            let store = open(&backend, &world.root, &index).await;
            let result = store.repair(vec![chunks[0].id], &source).await;
            let is_over = faulty.calls.load(Ordering::SeqCst) < before + at;
            assert_eq!(result.is_ok(), is_over, "{what}: {result:?}");
            drop(store);
            for index in [index, world.folder.path().join(format!("{what} anew"))] {
                let store = open(&inner, &world.root, &index).await;
                let report = store.repair(vec![chunks[0].id], &source).await.unwrap();
                assert_eq!(report.failed, []);
                assert_whole(&store, &model, &what).await;
                store.verify(chunks[0].id).await.unwrap();
            }
            if is_over {
                assert!(at > 3, "{at} calls are less than there are");
                break;
            }
        }
    }
}

#[tokio::test]
async fn of_a_pack_whose_table_is_damaged_the_pieces_are_saved() {
    let world = World::new();
    let store = world.open("index").await;
    let bytes = noise(600_000, 9);
    let large = put(&store, &bytes).await;
    let packs = world.packs().await;
    for pack in &packs {
        let len = world.backend.get(pack).await.unwrap().unwrap().len();
        world.flip(pack, len - 40).await;
    }
    for finding in check(&store, &[large]).await.findings {
        if let Finding::TableDamaged { pack } = finding {
            let report = store.salvage(&pack).await.unwrap();
            assert!(report.damaged.is_empty() && report.moved > 0, "{report:?}");
        }
    }
    assert_eq!(store.read_all(large, u64::MAX).await.unwrap(), bytes);
    drop(store);
    let store = world.open("anew").await;
    assert_eq!(store.read_all(large, u64::MAX).await.unwrap(), bytes);
    let report = collect(&store, &[large]).await;
    assert!(report.packs_removed >= packs.len() as u64, "{report:?}");
    let left = world.packs().await;
    assert!(packs.iter().all(|pack| !left.contains(pack)));
    assert_eq!(check(&store, &[]).await.findings, []);
}

#[tokio::test]
async fn usage_says_what_is_there_before_and_after() {
    let world = World::new();
    let store = world.open("index").await;
    let text = "again and again, ".repeat(3000);
    let kept = put(&store, text.as_bytes()).await;
    put(&store, &noise(700_000, 1)).await;
    let pieces = pieces_of(&noise(700_000, 1)).len() as u64;
    put_record(&store, &[kept], "x").await;
    let usage = store.usage().await.unwrap();
    assert_eq!((usage.chunks, usage.nodes, usage.records), (pieces, 1, 1));
    assert_eq!(usage.content_bytes, 700_000 + text.len() as u64);
    assert!(
        usage.sealed_bytes < 720_000 + 45_000,
        "text is compressed: {usage:?}"
    );
    collect(&store, &[kept]).await;
    let usage = store.usage().await.unwrap();
    assert_eq!(
        (usage.packs, usage.chunks, usage.nodes, usage.records),
        (1, 1, 0, 0)
    );
    assert_eq!(usage.content_bytes, text.len() as u64);
    assert!(usage.sealed_bytes < usage.pack_bytes && usage.pack_bytes < 10_000);
}
