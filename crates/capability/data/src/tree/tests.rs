//! Trees against maps: whatever is done to a tree, it is the tree of the files that the map holds.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use corliss_blobstore::{BlobId, BlobStore, Piece, Record};
use proptest::prelude::*;

use super::*;
use crate::DataError;

type Files = BTreeMap<String, (u8, bool)>;

/// A store that holds the blobs of every file in these tests.
async fn store() -> (BlobStore, Reader) {
    let blobs = BlobStore::in_memory().await.unwrap();
    let pieces = (0..=255).map(|byte| Piece::chunk(vec![byte; usize::from(byte)]));
    blobs.put_pieces(pieces.collect()).await.unwrap();
    let reader = Reader::new(blobs.clone());
    (blobs, reader)
}

fn entry(path: &str, byte: u8, executable: bool) -> Entry {
    Entry {
        path: path.parse().unwrap(),
        blob: BlobId::of(&vec![byte; usize::from(byte)]),
        size_bytes: u64::from(byte),
        executable,
        link: false,
    }
}

fn entries(files: &Files) -> Vec<Entry> {
    let each = files.iter();
    each.map(|(path, (byte, executable))| entry(path, *byte, *executable))
        .collect()
}

async fn build(blobs: &BlobStore, entries: &[Entry]) -> Root {
    let mut builder = Builder::default();
    let mut writer = RecordWriter::new(blobs.clone());
    for entry in entries {
        builder.push(entry).unwrap();
        writer.add(builder.take_pieces()).await.unwrap();
    }
    let root = builder.finish().unwrap();
    writer.add(builder.take_pieces()).await.unwrap();
    writer.flush().await.unwrap();
    root
}

async fn all(reader: &Reader, root: BlobId) -> Vec<Entry> {
    let mut cursor = reader.cursor(root).await.unwrap();
    let mut found = Vec::new();
    while let Some(entry) = cursor.next_entry().await.unwrap() {
        found.push(entry);
    }
    found
}

/// Many files, of which a seed decides the names.
fn many(count: usize, seed: u64) -> Files {
    let name = |number: usize| {
        let digest = BlobId::of(format!("{seed} {number}").as_bytes()).to_string();
        format!("{}/{}", &digest[..2], &digest[2..20])
    };
    (0..count).map(|number| (name(number), (7, false))).collect()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_edited_tree_is_the_tree_of_its_files(
        count in prop_oneof![0..40_usize, 2_000..9_000_usize],
        seed in any::<u64>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 0..60),
        run_of in 0..600_usize,
    ) {
        run(async move {
            let (blobs, reader) = store().await;
            let before = many(count, seed);
            let old = build(&blobs, &entries(&before)).await;
            assert_eq!((old.files, old.size_bytes), (before.len() as u64, 7 * before.len() as u64));

            let names: Vec<String> = before.keys().cloned().collect();
            let mut after = before.clone();
            for (at, what, byte) in &edits {
                let near = if names.is_empty() { "m".to_owned() } else { at.get(&names).clone() };
                match what {
                    0 => { after.remove(&near); }
                    1 => { after.insert(near, (*byte, true)); }
                    2 => { after.insert(format!("{near}{byte}"), (*byte, false)); }
                    // A stretch is removed, so that whole records go.
                    _ => {
                        let gone: Vec<String> = after.range(near..).take(run_of).map(|(path, _)| path.clone()).collect();
                        for path in gone { after.remove(&path); }
                    }
                }
            }
            let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            let expected: Vec<Change> = paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).map(|path| {
                let one = |files: &Files| files.get(path).map(|(byte, executable)| entry(path, *byte, *executable));
                Change { path: path.parse().unwrap(), old: one(&before), new: one(&after) }
            }).collect();

            let mut editor = Editor::new(reader.cursor(old.id).await.unwrap(), blobs.clone());
            for change in &expected {
                editor.apply(&change.path, change.new.as_ref()).await.unwrap();
            }
            let edited = editor.finish().await.unwrap();
            let built = build(&blobs, &entries(&after)).await;
            assert_eq!(edited, built);
            assert_eq!(all(&reader, edited.id).await, entries(&after));

            let mut diff = Diff::new(reader.cursor(old.id).await.unwrap(), reader.cursor(edited.id).await.unwrap());
            let mut changes = Vec::new();
            while let Some(change) = diff.next().await.unwrap() { changes.push(change); }
            assert_eq!(changes, expected);

            assert_eq!(check(&reader, &blobs, edited.id, Some(old.id)).await.unwrap().0, built);
            assert_eq!(check(&reader, &blobs, edited.id, None).await.unwrap().0, built);

            for (at, _, _) in &edits {
                let path = if names.is_empty() { "m" } else { at.get(&names) };
                let mut cursor = reader.cursor(edited.id).await.unwrap();
                // From wherever it stands.
                cursor.next_entry().await.unwrap();
                let before = cursor.seek(path).await.unwrap();
                let passed: Vec<_> = after.range(..path.to_owned()).collect();
                let bytes: u64 = passed.iter().map(|(_, (byte, _))| u64::from(*byte)).sum();
                assert_eq!(before, (passed.len() as u64, bytes));
                let next = cursor.next_entry().await.unwrap().map(|entry| entry.path.to_string());
                assert_eq!(next.as_ref(), after.range(path.to_owned()..).next().map(|(path, _)| path));
            }
        });
    }
}

/// The records of a tree that another does not have.
async fn new_records(reader: &Reader, old: &Root, new: &Root) -> usize {
    let mut records: [BTreeSet<BlobId>; 2] = Default::default();
    for (root, found) in [old, new].into_iter().zip(&mut records) {
        let mut open = vec![root.id];
        while let Some(id) = open.pop() {
            found.insert(id);
            if let Node::Branch { children, .. } = &*reader.node(id).await.unwrap() {
                open.extend(children.iter().map(|child| child.id));
            }
        }
    }
    records[1].difference(&records[0]).count()
}

#[tokio::test]
async fn a_change_costs_the_records_on_its_way_to_the_root() {
    let (blobs, reader) = store().await;
    for count in [1_000, 30_000] {
        let files = many(count, 3);
        let old = build(&blobs, &entries(&files)).await;
        let (middle, _) = files.iter().nth(count / 2).unwrap();
        let mut editor = Editor::new(reader.cursor(old.id).await.unwrap(), blobs.clone());
        let path = middle.parse().unwrap();
        editor.apply(&path, Some(&entry(middle, 9, false))).await.unwrap();
        let new = editor.finish().await.unwrap();
        let height = usize::from(reader.node(new.id).await.unwrap().level()) + 1;
        assert_eq!(new_records(&reader, &old, &new).await, height, "{count} files");
    }
}

/// Sends records as they are, as a client can.
async fn send(blobs: &BlobStore, level: u8, listed: &[(&str, BlobId, &[u64])]) -> BlobId {
    let mut body = b"corliss-tree 2\n".to_vec();
    body.push(level);
    for (path, _, numbers) in listed {
        // Nothing shared, which is canonical only where nothing is.
        body.extend_from_slice(&[0, path.len() as u8]);
        body.extend_from_slice(path.as_bytes());
        if level == 0 {
            body.push(0);
        }
        body.extend(numbers.iter().map(|number| *number as u8));
    }
    let record = Record {
        links: listed.iter().map(|(_, id, _)| *id).collect(),
        body: Bytes::from(body),
    };
    let piece = record.to_piece();
    blobs.put_pieces(vec![piece.clone()]).await.unwrap();
    piece.id
}

#[tokio::test]
async fn trees_that_no_builder_makes_are_refused() {
    let (blobs, reader) = store().await;
    let blob = |byte: u8| BlobId::of(&vec![byte; usize::from(byte)]);
    let leaf = send(&blobs, 0, &[("a", blob(1), &[1]), ("b", blob(2), &[2])]).await;
    assert_eq!(check(&reader, &blobs, leaf, None).await.unwrap().0.files, 2);
    let late = send(&blobs, 0, &[("c", blob(3), &[3])]).await;
    let problem = |error: DataError| match error {
        DataError::BadTree { problem, .. } => problem.to_owned(),
        other => other.to_string(),
    };
    let one = send(&blobs, 1, &[("a", leaf, &[2, 3])]).await;
    let lies = send(&blobs, 1, &[("a", leaf, &[3, 3]), ("c", late, &[1, 3])]).await;
    let wide = send(&blobs, 0, &[("a", blob(1), &[1]), ("c", blob(2), &[2])]).await;
    let inner = send(&blobs, 0, &[("b", blob(3), &[3])]).await;
    let beyond = send(&blobs, 1, &[("a", wide, &[2, 3]), ("b", inner, &[1, 3])]).await;
    let early = send(&blobs, 1, &[("a", leaf, &[2, 3]), ("c", late, &[1, 3])]).await;
    let form = send(&blobs, 0, &[("ab", blob(1), &[1]), ("ac", blob(2), &[2])]).await;
    let size = send(&blobs, 0, &[("a", blob(1), &[2])]).await;
    let not_a_blob = send(&blobs, 0, &[("a", leaf, &[2])]).await;
    let no_tree = send(&blobs, 77, &[]).await;
    for (root, expected) in [
        (one, "a branch of one is not a root"),
        (lies, "it is not what lists it says"),
        (beyond, "its paths go beyond its place"),
        (early, "it ends where it had to go on"),
        (form, "it is not in the canonical form"),
        (size, "'a' is said to have 2 bytes, its blob has 1"),
    ] {
        for base in [None, Some(leaf)] {
            let error = check(&reader, &blobs, root, base).await.unwrap_err();
            assert_eq!(problem(error), expected);
        }
    }
    let error = check(&reader, &blobs, not_a_blob, None).await.unwrap_err();
    assert!(matches!(error, DataError::BlobMissing { .. }), "{error:?}");
    let nothing = send(&blobs, 1, &[]).await;
    let no_record = send(&blobs, 1, &[("a", blob(1), &[1, 1]), ("b", blob(2), &[1, 2])]).await;
    for (root, expected) in [
        (no_tree, "a record is larger than one can be"),
        (nothing, "a branch lists nothing"),
        (no_record, "it is not a record of a tree"),
        (blob(1), "it is not a record of a tree"),
    ] {
        let error = check(&reader, &blobs, root, None).await.unwrap_err();
        assert_eq!(problem(error), expected, "the sender's mistake, no damage");
    }
}

#[tokio::test]
async fn contradictions_between_names_are_refused_wherever_they_stand() {
    let (blobs, reader) = store().await;
    let mut files = many(3_000, 5);
    files.insert("zz".to_owned(), (1, false));
    for number in 0..2_000 {
        files.insert(format!("zz-{number}"), (1, false));
    }
    let old = build(&blobs, &entries(&files)).await;
    assert!(check(&reader, &blobs, old.id, None).await.is_ok());
    for (path, other) in [
        ("zz/inside", None),
        ("zz/in/side", None),
        ("zz-17/x", None),
        ("e\u{301}t\u{e9}", Some("\u{e9}t\u{e9}")),
    ] {
        let mut files = files.clone();
        files.insert(path.to_owned(), (1, false));
        if let Some(other) = other {
            files.insert(other.to_owned(), (1, false));
        }
        let new = build(&blobs, &entries(&files)).await;
        for base in [None, Some(old.id)] {
            let error = check(&reader, &blobs, new.id, base).await.unwrap_err();
            match other {
                None => assert!(matches!(error, DataError::PathConflict { .. }), "{error:?}"),
                Some(_) => assert!(matches!(error, DataError::PathTwin { .. }), "{error:?}"),
            }
        }
        // The other way round: the file is what is new.
        let (folder, _) = path.split_once('/').unwrap_or((path, ""));
        files.remove(folder);
        let with_folder = build(&blobs, &entries(&files)).await;
        files.insert(folder.to_owned(), (2, false));
        let new = build(&blobs, &entries(&files)).await;
        assert!(
            check(&reader, &blobs, new.id, Some(with_folder.id))
                .await
                .is_err(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_empty_tree_is_a_tree() {
    let (blobs, reader) = store().await;
    let empty = build(&blobs, &[]).await;
    assert_eq!((empty.files, empty.size_bytes), (0, 0));
    assert!(all(&reader, empty.id).await.is_empty());
    let mut cursor = reader.cursor(empty.id).await.unwrap();
    assert_eq!(cursor.seek("a").await.unwrap(), (0, 0));
    assert_eq!(check(&reader, &blobs, empty.id, None).await.unwrap().0, empty);
}
