//! Cutting a stream into pieces. Pure: bytes in, pieces out.

use std::io::{self, Read};

use fastcdc::v2020::FastCDC;

use super::node::FANOUT;
use super::{CHUNK_MAX, Child, Node, Piece};
use crate::{BlobId, BlobInfo};

/// Smaller chunks cost more to index than they save.
const CHUNK_MIN: usize = 16 << 10;
/// What the cut aims at; the mean is a quarter above.
const CHUNK_AVERAGE: usize = 64 << 10;
/// Bytes collected before the next cuts are looked for: several chunks, so that few are moved about.
const WINDOW: usize = 1 << 20;

/// Cuts one blob. However the bytes arrive, the pieces are the same.
#[derive(Debug, Default)]
pub struct Cutter {
    /// Not cut yet.
    window: Vec<u8>,
    /// Children that wait for their node to fill; level 1 first.
    levels: Vec<Vec<Child>>,
    size_bytes: u64,
}

impl Cutter {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes so far.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Adds bytes; hands out the pieces that are complete, children before the nodes that list them.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut impl FnMut(Piece)) {
        self.size_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = (WINDOW + CHUNK_MAX).saturating_sub(self.window.len()).max(1);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.window.extend_from_slice(now);
            bytes = later;
            if self.window.len() >= WINDOW + CHUNK_MAX {
                self.cut(CHUNK_MAX, out);
            }
        }
    }

    /// Hands out the last pieces; answers the whole blob.
    #[must_use]
    pub fn finish(mut self, out: &mut impl FnMut(Piece)) -> BlobInfo {
        let size_bytes = self.size_bytes;
        if self.levels.is_empty() && self.window.len() <= CHUNK_MAX {
            let piece = Piece::chunk(std::mem::take(&mut self.window));
            let id = piece.id;
            out(piece);
            return BlobInfo { id, size_bytes };
        }
        self.cut(0, out);
        let mut level = 0;
        loop {
            let children = std::mem::take(&mut self.levels[level]);
            let is_top = level + 1 == self.levels.len();
            if let ([only], true) = (children.as_slice(), is_top) {
                let id = only.id;
                return BlobInfo { id, size_bytes };
            }
            if !children.is_empty() {
                self.close(level, children, out);
            }
            level += 1;
        }
    }

    /// Cuts chunks off the window as long as more than `keep` bytes are left in it.
    fn cut(&mut self, keep: usize, out: &mut impl FnMut(Piece)) {
        let mut window = std::mem::take(&mut self.window);
        let finder = FastCDC::new(&window, CHUNK_MIN, CHUNK_AVERAGE, CHUNK_MAX);
        let mut start = 0;
        while window.len() - start > keep {
            let (_, end) = finder.cut(start, window.len() - start);
            let piece = Piece::chunk(window[start..end].to_vec());
            let child = Child {
                id: piece.id,
                size_bytes: piece.size_bytes,
            };
            out(piece);
            self.list(0, child, out);
            start = end;
        }
        window.drain(..start);
        self.window = window;
    }

    fn list(&mut self, level: usize, child: Child, out: &mut impl FnMut(Piece)) {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(child);
        if self.levels[level].len() == FANOUT {
            let children = std::mem::take(&mut self.levels[level]);
            self.close(level, children, out);
        }
    }

    fn close(&mut self, level: usize, children: Vec<Child>, out: &mut impl FnMut(Piece)) {
        // Levels are bounded by what a u64 of bytes needs.
        let number = u8::try_from(level + 1).unwrap_or(u8::MAX);
        let piece = Node::new(number, children).into_piece();
        let child = Child {
            id: piece.id,
            size_bytes: piece.size_bytes,
        };
        out(piece);
        self.list(level + 1, child, out);
    }
}

/// The blob that these bytes would be, without storing it.
///
/// # Errors
/// The reader's own.
pub fn id_of_reader(mut reader: impl Read) -> io::Result<BlobInfo> {
    let mut cutter = Cutter::new();
    let mut buffer = vec![0; WINDOW];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(cutter.finish(&mut |_| ())),
            Ok(read) => cutter.push(&buffer[..read], &mut |_| ()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl BlobId {
    /// The id of these bytes.
    #[must_use]
    pub fn of_blob(bytes: &[u8]) -> Self {
        let mut cutter = Cutter::new();
        cutter.push(bytes, &mut |_| ());
        cutter.finish(&mut |_| ()).id
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use corliss_testkit::noise::noise;
    use proptest::prelude::*;

    use super::*;
    use crate::piece::Kind;

    fn cut(bytes: &[u8], step: usize) -> (BlobInfo, Vec<Piece>) {
        let mut pieces = Vec::new();
        let mut cutter = Cutter::new();
        for part in bytes.chunks(step.max(1)) {
            cutter.push(part, &mut |piece| pieces.push(piece));
        }
        let blob = cutter.finish(&mut |piece| pieces.push(piece));
        (blob, pieces)
    }

    /// The content under a piece, from the pieces handed out before it.
    fn join(id: BlobId, pieces: &HashMap<BlobId, Piece>) -> Vec<u8> {
        let piece = &pieces[&id];
        match piece.kind {
            Kind::Chunk => piece.bytes.to_vec(),
            Kind::Node(_) => {
                let node = Node::decode(&piece.bytes).unwrap();
                let parts = node.children().iter().map(|child| {
                    let part = join(child.id, pieces);
                    assert_eq!(part.len() as u64, child.size_bytes);
                    part
                });
                parts.flatten().collect()
            }
            Kind::Record => unreachable!("nothing is cut into records"),
        }
    }

    #[test]
    fn small_blobs_are_one_chunk_named_by_their_bytes() {
        for len in [0, 1, CHUNK_MAX - 1, CHUNK_MAX] {
            let bytes = noise(len, 1);
            let (blob, pieces) = cut(&bytes, 1000);
            assert_eq!((blob.id, blob.size_bytes), (BlobId::of(&bytes), len as u64));
            assert_eq!(pieces, [Piece::chunk(bytes)]);
        }
        let (blob, pieces) = cut(&noise(CHUNK_MAX + 1, 1), usize::MAX);
        assert_eq!(pieces.last().unwrap().id, blob.id);
        assert_eq!(pieces.last().unwrap().kind, Kind::Node(1));
    }

    /// Frozen: another cut would give every large blob a second name.
    #[test]
    fn the_cut_is_what_it_was() {
        let (blob, pieces) = cut(&noise(3_000_000, 7), 65_536);
        let sizes: Vec<usize> = pieces.iter().take(4).map(|piece| piece.bytes.len()).collect();
        assert_eq!(
            (blob.id.to_string().as_str(), pieces.len(), sizes.as_slice()),
            (
                "1b02759af1c1faabfcc53d9812678785a340735df646dfddabceee10339b3568",
                38,
                [78_760, 92_334, 105_017, 136_429].as_slice()
            )
        );
    }

    #[test]
    fn an_insertion_changes_only_the_chunks_around_it() {
        let before = noise(20_000_000, 3);
        let mut after = before.clone();
        after.splice(10_000_000..10_000_000, noise(1000, 4));
        let known: std::collections::HashSet<BlobId> =
            cut(&before, 1 << 20).1.iter().map(|piece| piece.id).collect();
        let new: u64 = cut(&after, 1 << 20)
            .1
            .iter()
            .filter(|piece| !known.contains(&piece.id))
            .map(|piece| piece.bytes.len() as u64)
            .sum();
        assert!(new < 400_000, "{new} bytes are new");
    }

    #[test]
    fn many_chunks_make_levels() {
        let mut cutter = Cutter::new();
        let mut levels = Vec::new();
        let mut out = |piece: Piece| levels.push((piece.kind, piece.size_bytes));
        for number in 0..FANOUT as u64 * 2 + 1 {
            let child = Child {
                id: BlobId::of(&number.to_le_bytes()),
                size_bytes: 1,
            };
            cutter.list(0, child, &mut out);
        }
        let _ = cutter.finish(&mut out);
        let full = FANOUT as u64;
        let expected = [
            (Kind::Node(1), full),
            (Kind::Node(1), full),
            (Kind::Node(1), 1),
            (Kind::Node(2), full * 2 + 1),
        ];
        assert_eq!(levels, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn pieces_join_to_the_bytes_however_they_came(
            len in 0_usize..3_000_000, seed in any::<u64>(), step in 1_usize..2_000_000, zeros in any::<bool>(),
        ) {
            let bytes = if zeros { vec![0; len] } else { noise(len, seed) };
            let (blob, pieces) = cut(&bytes, step);
            prop_assert_eq!((blob, &pieces), (cut(&bytes, usize::MAX).0, &cut(&bytes, 4096).1));
            prop_assert!(pieces.iter().all(|piece| piece.bytes.len() <= CHUNK_MAX));
            let by_id: HashMap<BlobId, Piece> =
                pieces.iter().map(|piece| (piece.id, piece.clone())).collect();
            prop_assert_eq!(join(blob.id, &by_id), bytes);
            for piece in pieces {
                let again = Piece::received(piece.kind, piece.bytes.clone()).unwrap();
                prop_assert_eq!(again, piece);
            }
        }
    }
}
