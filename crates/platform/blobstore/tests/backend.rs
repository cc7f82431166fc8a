//! The promises of the port to objects, held over every backend.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

mod support;

use bytes::Bytes;
use corliss_blobstore::{Backend, BucketBackend, CachedBackend, DiskBackend, MemoryBackend, Object};
use corliss_testkit::noise::noise;
use support::fresh_bucket;

async fn for_each_backend<F, Fut>(suite: F)
where
    F: Fn(Arc<dyn Backend>) -> Fut,
    Fut: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskBackend::open(folder.path().join("objects")).await.unwrap();
    let bucket = BucketBackend::open(fresh_bucket("some/prefix").await)
        .await
        .unwrap();
    let behind = BucketBackend::open(fresh_bucket("").await).await.unwrap();
    let hot = folder.path().join("hot");
    let cached = CachedBackend::open_folder(Arc::new(behind), &hot, 30 << 20)
        .await
        .unwrap();
    let backends: [(&str, Arc<dyn Backend>); 4] = [
        ("folder", Arc::new(disk)),
        ("memory", Arc::new(MemoryBackend::default())),
        ("bucket", Arc::new(bucket)),
        ("cached bucket", Arc::new(cached)),
    ];
    for (name, backend) in backends {
        eprintln!("backend: {name}");
        suite(backend).await;
    }
}

async fn put(backend: &dyn Backend, name: &str, bytes: &[u8]) {
    let parts = vec![Bytes::copy_from_slice(bytes)];
    backend.put(name, parts).await.unwrap();
}

async fn get(backend: &dyn Backend, name: &str) -> Option<Vec<u8>> {
    backend.get(name).await.unwrap().map(Vec::from)
}

/// One range.
fn span(start: u64, end: u64) -> Vec<Range<u64>> {
    std::iter::once(start..end).collect()
}

#[tokio::test]
async fn an_object_is_what_was_put_last() {
    for_each_backend(|backend| async move {
        let backend = backend.as_ref();
        assert_eq!(get(backend, "keys/default").await, None);
        put(backend, "keys/default", b"first").await;
        put(backend, "keys/other", b"other").await;
        assert_eq!(get(backend, "keys/default").await.unwrap(), b"first");
        let parts = ["the ", "", "second"].map(|part| Bytes::from_static(part.as_bytes()));
        backend.put("keys/default", parts.to_vec()).await.unwrap();
        assert_eq!(get(backend, "keys/default").await.unwrap(), b"the second");
        put(backend, "keys/default", b"3").await;
        assert_eq!(get(backend, "keys/default").await.unwrap(), b"3");
        assert_eq!(get(backend, "keys/other").await.unwrap(), b"other");
        backend.put("keys/nothing", Vec::new()).await.unwrap();
        assert_eq!(get(backend, "keys/nothing").await.unwrap(), b"");
    })
    .await;
}

#[tokio::test]
async fn ranges_are_exact_and_none_if_one_does_not_fit() {
    for_each_backend(|backend| async move {
        put(backend.as_ref(), "packs/0a/0a", b"0123456789").await;
        let read = async |ranges: &[Range<u64>]| {
            let read = backend.read("packs/0a/0a", ranges.to_vec()).await.unwrap();
            read.map(|parts| parts.iter().map(|part| part.to_vec()).collect::<Vec<_>>())
        };
        let parts = read(&[3..5, 0..10, 9..10, 4..4, 0..1, 10..10, 3..5])
            .await
            .unwrap();
        let expected: [&[u8]; 7] = [b"34", b"0123456789", b"9", b"", b"0", b"", b"34"];
        assert_eq!(parts, expected);
        assert_eq!(read(&[]).await.unwrap(), Vec::<Vec<u8>>::new());
        #[allow(clippy::reversed_empty_ranges)]
        for wrong in [9..11, 10..11, 11..11, 7..3, 0..1 << 40] {
            assert_eq!(read(&[0..2, wrong.clone(), 3..4]).await, None, "{wrong:?}");
        }
        for ranges in [Vec::new(), span(0, 0), span(0, 1)] {
            assert_eq!(backend.read("packs/0a/0b", ranges).await.unwrap(), None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_is_of_a_folder_and_no_other() {
    for_each_backend(|backend| async move {
        assert_eq!(backend.list("packs").await.unwrap(), []);
        let names = [
            "packs/00/0",
            "packs/00/00-1",
            "packs/ff/deep/er",
            "packs-2/00/0",
            "pack/0",
            "keys/default",
        ];
        for (len, name) in names.iter().enumerate() {
            put(backend.as_ref(), name, &vec![1; len]).await;
        }
        let list = async |folder: &str| {
            let listed: BTreeSet<Object> = backend.list(folder).await.unwrap().into_iter().collect();
            let pair = |object: Object| (object.name, object.size_bytes);
            listed.into_iter().map(pair).collect::<Vec<_>>()
        };
        let pair = |at: usize| (names[at].to_owned(), at as u64);
        assert_eq!(list("packs").await, [pair(0), pair(1), pair(2)]);
        assert_eq!(list("packs/00").await, [pair(0), pair(1)]);
        assert_eq!(list("pack").await, [pair(4)]);
        assert_eq!(list("absent").await, []);
    })
    .await;
}

#[tokio::test]
async fn what_is_removed_is_gone_and_may_be_removed_again() {
    for_each_backend(|backend| async move {
        let backend = backend.as_ref();
        backend.remove("packs/00/absent").await.unwrap();
        put(backend, "packs/00/0", b"gone").await;
        put(backend, "packs/00/1", b"kept").await;
        for _ in 0..2 {
            backend.remove("packs/00/0").await.unwrap();
            assert_eq!(get(backend, "packs/00/0").await, None);
            assert_eq!(backend.read("packs/00/0", span(0, 1)).await.unwrap(), None);
            assert_eq!(backend.list("packs").await.unwrap().len(), 1);
        }
        assert_eq!(backend.size("packs/00/0").await.unwrap(), None);
        assert_eq!(backend.size("packs/00/1").await.unwrap(), Some(4));
        put(backend, "packs/00/0", b"back").await;
        assert_eq!(get(backend, "packs/00/0").await.unwrap(), b"back");
        assert_eq!(get(backend, "packs/00/1").await.unwrap(), b"kept");
    })
    .await;
}

#[tokio::test]
async fn large_objects_of_many_parts_come_back_whole_and_in_ranges() {
    for_each_backend(|backend| async move {
        let bytes = noise(20 << 20, 4);
        let parts: Vec<Bytes> = bytes.chunks(700_001).map(Bytes::copy_from_slice).collect();
        backend.put("packs/aa/large", parts).await.unwrap();
        assert!(get(backend.as_ref(), "packs/aa/large").await.unwrap() == bytes);
        let len = bytes.len() as u64;
        let ranges = vec![0..len, 5..5_000_000, len - 1..len, 1_048_576..9_437_184];
        let read = backend.read("packs/aa/large", ranges.clone()).await.unwrap();
        for (range, part) in ranges.into_iter().zip(read.unwrap()) {
            assert!(
                part == bytes[range.start as usize..range.end as usize],
                "{range:?}"
            );
        }
        let listed = backend.list("packs").await.unwrap();
        assert_eq!(listed[0].size_bytes, len);
    })
    .await;
}

/// Whole objects of one byte each, so that a mixture of two would show.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_sees_an_object_by_half_whoever_puts_it_meanwhile() {
    for_each_backend(|backend| async move {
        let name = "packs/bb/contested";
        let len = |fill: u8| (3 << 20) + 1000 * usize::from(fill);
        let is_whole = |bytes: &[u8]| {
            let fill = bytes.first().copied().unwrap_or(0);
            bytes.len() == len(fill) && bytes.iter().all(|byte| *byte == fill)
        };
        let mut writers = tokio::task::JoinSet::new();
        for fill in 1..=4_u8 {
            let backend = Arc::clone(&backend);
            writers.spawn(async move {
                for _ in 0..4 {
                    put(backend.as_ref(), name, &vec![fill; len(fill)]).await;
                }
            });
        }
        let mut seen = 0;
        while !writers.is_empty() {
            if let Some(bytes) = get(backend.as_ref(), name).await {
                assert!(is_whole(&bytes), "{} bytes", bytes.len());
                seen += 1;
            }
            for object in backend.list("packs").await.unwrap() {
                assert!((1..=4).any(|fill| object.size_bytes == len(fill) as u64));
            }
            while let Some(done) = writers.try_join_next() {
                done.unwrap();
            }
        }
        assert!(is_whole(&get(backend.as_ref(), name).await.unwrap()));
        assert_eq!(backend.list("packs").await.unwrap().len(), 1);
        eprintln!("looked {seen} times");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_who_replace_an_object_at_once_one_wins() {
    for_each_backend(|backend| async move {
        let name = "refs/contested";
        let swap = async |expected: Option<&[u8]>, new: &'static [u8]| {
            let swapped = backend.put_if(name, expected, Bytes::from_static(new)).await;
            swapped.unwrap()
        };
        assert!(!swap(Some(b"nothing"), b"a").await);
        assert_eq!(get(backend.as_ref(), name).await, None);
        assert!(swap(None, b"a").await);
        assert!(!swap(None, b"b").await);
        assert!(!swap(Some(b"b"), b"c").await);
        assert!(swap(Some(b"a"), b"0").await);
        // Each counts up what it finds; none may be lost.
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let backend = Arc::clone(&backend);
            writers.spawn(async move {
                for _ in 0..5 {
                    loop {
                        let seen = get(backend.as_ref(), name).await.unwrap();
                        let count: u32 = String::from_utf8(seen.clone()).unwrap().parse().unwrap();
                        let next = Bytes::from((count + 1).to_string());
                        if backend.put_if(name, Some(&seen), next).await.unwrap() {
                            break;
                        }
                    }
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        assert_eq!(get(backend.as_ref(), name).await.unwrap(), b"20");
    })
    .await;
}
