//! Files by number, and paths that make small trees high and contradict each other often.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use corliss_blobstore::{BlobId, Piece, id_of_reader};
use corliss_data::Entry;
use corliss_data::tree::{Builder, Root};
use corliss_testkit::noise::noise;

/// A path's content, by number, and whether it may be executed.
pub type Files = BTreeMap<String, (u16, bool)>;

/// Contents that there are: four tiny ones, some of a few kilobytes, and some of several chunks.
pub const CONTENTS: u16 = 24;

pub fn content(number: u16) -> Vec<u8> {
    let seed = u64::from(number);
    match number {
        0..4 => vec![b'x'; usize::from(number)],
        4..20 => noise(usize::from(number) * 700, seed),
        _ => noise(usize::from(number) * 12_000, seed),
    }
}

/// The blob and the size of each.
pub static BLOBS: LazyLock<Vec<(BlobId, u64)>> = LazyLock::new(|| {
    let all = (0..CONTENTS).map(|number| id_of_reader(&*content(number)).unwrap());
    all.map(|blob| (blob.id, blob.size_bytes)).collect()
});

pub fn entry(path: &str, (number, executable): (u16, bool)) -> Entry {
    let (blob, size_bytes) = BLOBS[usize::from(number)];
    Entry {
        path: path.parse().unwrap(),
        blob,
        size_bytes,
        executable,
        link: false,
    }
}

pub fn entries(files: &Files) -> Vec<Entry> {
    files.iter().map(|(path, file)| entry(path, *file)).collect()
}

/// The tree of the files, with its records.
pub fn tree(files: &Files) -> (Root, Vec<Piece>) {
    let mut builder = Builder::default();
    for entry in entries(files) {
        builder.push(&entry).unwrap();
    }
    let root = builder.finish().unwrap();
    (root, builder.take_pieces())
}

/// The first path that begins so and whose digest is zero at these places: where it stands, a record of that level
/// ends (see `Open::ends`), so that a few files make a tree of several levels.
fn ending(begin: &str, places: &[usize]) -> String {
    let is_zero = |path: &String| {
        let digest = BlobId::of(path.as_bytes()).digest();
        places.iter().all(|place| digest[*place] == 0)
    };
    (0..).map(|n| format!("{begin}{n}")).find(is_zero).unwrap()
}

/// Every path that the suites use. Some are a file and the folder of another, and two look the same.
pub static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let plain = ["a", "a-b", "a/x", "a/x/y", "d", "e\u{301}", "\u{e9}", "z", "z/1"];
    let ending = [
        ending("b", &[0]),
        ending("c", &[1]),
        ending("d/", &[0]),
        ending("d/e/", &[0, 1]),
        ending("f", &[1]),
        ending("g", &[0]),
        ending("h/", &[0]),
        ending("i", &[1]),
        ending("y", &[0, 1]),
    ];
    plain
        .iter()
        .map(|path| (*path).to_owned())
        .chain(ending)
        .collect()
});
