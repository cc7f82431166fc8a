//! The form of a pack, and that no changed byte of one goes unnoticed.

use corliss_keyring::{FileRootKey, Keyring, MemoryShelf};
use std::sync::Arc;

use bytes::BytesMut;

use super::*;
use crate::piece::{Cutter, Piece};

async fn keyring() -> (Keyring, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let root = FileRootKey::open(&folder.path().join("root")).unwrap();
    let ring = Keyring::open("t", Arc::new(root), Arc::new(MemoryShelf::default())).await;
    (ring.unwrap(), folder)
}

fn pieces() -> Vec<Piece> {
    let text = "the same words again and again, ".repeat(40_000);
    let mut pieces = vec![Piece::chunk(Vec::new()), Piece::chunk(vec![7])];
    let mut cutter = Cutter::new();
    cutter.push(text.as_bytes(), &mut |piece| pieces.push(piece));
    let _ = cutter.finish(&mut |piece| pieces.push(piece));
    let noise: Vec<u8> = (0..40_000_u32)
        .flat_map(|n| blake3::hash(&n.to_le_bytes()).as_bytes()[..4].to_vec())
        .collect();
    pieces.push(Piece::chunk(noise));
    pieces
}

fn whole(packed: &Packed) -> Vec<u8> {
    packed.parts.concat()
}

/// Every piece of a pack, read as a reader does that knows its id and the keys only.
fn read(id: PackId, bytes: &[u8], ring: &Keyring) -> Option<Vec<(BlobId, Vec<u8>)>> {
    let trailer_at = bytes.len().checked_sub(TRAILER_BYTES as usize)?;
    let trailer = Trailer::decode(id, &bytes[trailer_at..])?;
    let table = bytes.get(trailer.table.start as usize..trailer.table.end as usize)?;
    let rows = trailer.rows(id, ring.get(trailer.key).ok()?.as_ref(), table)?;
    let open = |row: &Row| {
        let start = row.offset as usize;
        let sealed = bytes.get(start..start + row.sealed_bytes as usize)?;
        let key = ring.get(row.key).ok()?;
        let opened = open_piece(row, &key, BytesMut::from(sealed)).ok()?;
        Some((row.id, opened.to_vec()))
    };
    rows.iter().map(open).collect()
}

#[tokio::test]
async fn pieces_come_back_from_a_pack_and_text_is_smaller_in_it() {
    let (ring, _folder) = keyring().await;
    let pieces = pieces();
    let (key, seal) = ring.current(1).unwrap();
    let (first, second) = pieces.split_at(3);
    let batches = vec![
        seal_pieces(first, key, &seal).unwrap(),
        seal_pieces(second, key, &seal).unwrap(),
    ];
    let packed = pack(batches, key, &seal).unwrap();
    let bytes = whole(&packed);
    assert_eq!(bytes.len() as u64, packed.bytes);
    assert_eq!(&bytes[..16], b"corliss-pack 1\n\0");
    let expected: Vec<(BlobId, Vec<u8>)> = pieces
        .iter()
        .map(|piece| (piece.id, piece.bytes.to_vec()))
        .collect();
    assert_eq!(read(packed.id, &bytes, &ring).unwrap(), expected);
    assert_eq!(PackId::of_object(&packed.id.object()), Some(packed.id));
    let noise = packed.rows.last().unwrap();
    assert_eq!(noise.encoding, Encoding::Plain);
    assert!(
        bytes.len() < 250_000,
        "{} bytes for 1.4 MB of which 160 KB are noise",
        bytes.len()
    );
    let words = b"again and again";
    assert!(
        !bytes.windows(words.len()).any(|window| window == words),
        "nothing lies in the clear"
    );
}

#[tokio::test]
async fn no_changed_byte_of_a_pack_goes_unnoticed() {
    let (ring, _folder) = keyring().await;
    let (key, seal) = ring.current(1).unwrap();
    let small = [Piece::chunk(b"one".to_vec()), Piece::chunk(vec![1; 300])];
    let packed = pack(vec![seal_pieces(&small, key, &seal).unwrap()], key, &seal).unwrap();
    let bytes = whole(&packed);
    let good = read(packed.id, &bytes, &ring).unwrap();
    for at in MAGIC.len()..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert_ne!(read(packed.id, &flipped, &ring), Some(good.clone()), "byte {at}");
    }
    assert!(
        read(PackId([0; 16]), &bytes, &ring).is_none(),
        "under another name"
    );
    assert!(
        read(packed.id, &bytes[..bytes.len() - 1], &ring).is_none(),
        "cut short"
    );
}
