//! What encryption costs one core: seconds a gigabyte to copy, seal and open, for `benches/data_encryption.py`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed measurement")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corliss_keyring::{Keyring, MemoryRootKey, MemoryShelf, SealKey};

const TOTAL_BYTES: usize = 1 << 30;
const CONTEXT: &[u8] = &[7; 53];
const ROUNDS: usize = 5;

/// Seconds a GB (10^9 bytes), the best of some rounds: what others do on the machine meanwhile only adds.
fn seconds(mut work: impl FnMut()) -> f64 {
    let time = |work: &mut dyn FnMut()| {
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    let best = (0..ROUNDS)
        .map(|_| time(&mut work))
        .min()
        .unwrap_or(Duration::ZERO);
    best.as_secs_f64() * 1e9 / TOTAL_BYTES as f64
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let root = Arc::new(MemoryRootKey::new().unwrap());
    let keyring = Keyring::open("default", root, Arc::new(MemoryShelf::default()));
    let (_, key) = keyring.await.unwrap().current(1).unwrap();
    for piece_bytes in [270, 35_000, 64 << 10] {
        let plain = vec![5; piece_bytes];
        let pieces = TOTAL_BYTES / piece_bytes;
        let mut sealed = Vec::with_capacity(piece_bytes + SealKey::OVERHEAD_BYTES);
        let copy = seconds(|| {
            for _ in 0..pieces {
                sealed.clear();
                sealed.extend_from_slice(black_box(&plain));
            }
        });
        let seal = seconds(|| {
            for _ in 0..pieces {
                sealed.clear();
                key.seal(CONTEXT, black_box(&plain), &mut sealed).unwrap();
            }
        });
        let mut opened = sealed.clone();
        let open = seconds(|| {
            for _ in 0..pieces {
                opened.copy_from_slice(black_box(&sealed));
                assert!(key.open(CONTEXT, &mut opened).is_some());
            }
        });
        println!(
            "{{\"piece_bytes\": {piece_bytes}, \"copy_s\": {copy:.4}, \"seal_s\": {seal:.4}, \"open_s\": {open:.4}}}"
        );
    }
}
