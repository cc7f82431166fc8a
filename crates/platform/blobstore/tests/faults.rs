//! A bucket whose service fails: nothing wrong is read, nothing lost is acknowledged, and what is told is right.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

#[path = "support/faulty.rs"]
mod faulty;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corliss_blobstore::{Backend, BlobError, BlobId, BlobStore, BucketBackend, Trouble};
use corliss_diagnostics::{Diagnose, ErrorReport};
use corliss_keyring::MemoryRootKey;
use corliss_testkit::noise::noise;
use faulty::{Fault, Faulty, SECRET};

/// Longer than any limit of these tests.
const FOREVER: Duration = Duration::from_secs(3600);
const ALWAYS: usize = usize::MAX;

async fn start() -> (Arc<Faulty>, BucketBackend) {
    let (service, settings) = Faulty::start().await;
    let backend = BucketBackend::open(settings).await.unwrap();
    service.requests();
    (service, backend)
}

async fn put(backend: &BucketBackend, name: &str, bytes: &[u8]) -> Result<(), BlobError> {
    // In two parts, as packs come in many.
    let (left, right) = bytes.split_at(bytes.len() / 2);
    let parts = [left, right].map(Bytes::copy_from_slice);
    backend.put(name, parts.to_vec()).await
}

/// The trouble of an error, whose report must be whole and hold no secret.
fn trouble(error: &BlobError) -> Trouble {
    let BlobError::Remote { trouble, object, .. } = error else {
        panic!("{error:?}");
    };
    let report = ErrorReport::of(error);
    assert_eq!(report.retryable, *trouble == Trouble::Unavailable, "{report:?}");
    assert!(report.hint.is_some(), "{report:?}");
    assert!(object.starts_with("s3://bucket/home/"), "{report:?}");
    assert!(!format!("{report:?} {error:?}").contains(SECRET), "{report:?}");
    *trouble
}

#[tokio::test]
async fn what_passes_is_tried_again_and_nothing_wrong_is_read() {
    let (service, mut settings) = Faulty::start().await;
    settings.limits.request = Duration::from_millis(500);
    let backend = BucketBackend::open(settings).await.unwrap();
    let bytes = noise(100_000, 1);
    let passing = [
        Fault::Status(503, "SlowDown"),
        Fault::Status(500, "InternalError"),
        Fault::Status(429, "TooManyRequests"),
        Fault::Status(400, "RequestTimeout"),
        Fault::Reset,
        Fault::Late(FOREVER),
    ];
    let of_bodies = [
        Fault::Stalls(FOREVER),
        Fault::Truncated,
        Fault::Short,
        Fault::Long,
        Fault::Shifted,
        Fault::Whole,
        Fault::Empty,
    ];
    let many = |service: &Faulty, what: &str| {
        let requests = service.requests();
        assert!(requests.len() > 1, "{what}: {requests:?}");
    };
    for fault in passing {
        let name = "packs/aa/one";
        service.fail("PUT", name, 1, fault);
        put(&backend, name, &bytes).await.unwrap();
        many(&service, &format!("put {fault:?}"));
        service.fail("HEAD", name, 1, fault);
        // Without a body there is no code, and 400 may mean anything.
        if matches!(fault, Fault::Status(400, _)) {
            service.recover();
        }
        assert_eq!(backend.size(name).await.unwrap(), Some(100_000));
        service.fail("GET", "list-type", 1, fault);
        assert_eq!(backend.list("packs").await.unwrap().len(), 1);
        service.fail("DELETE", name, 1, fault);
        backend.remove(name).await.unwrap();
        many(&service, &format!("remove {fault:?}"));
        assert_eq!(backend.list("packs").await.unwrap(), []);
    }
    let name = "packs/bb/two";
    put(&backend, name, &bytes).await.unwrap();
    for fault in passing.into_iter().chain(of_bodies) {
        service.requests();
        service.fail("GET", name, 1, fault);
        assert!(backend.get(name).await.unwrap().unwrap() == bytes, "{fault:?}");
        // The whole is what `get` asks for, so it may well be answered with the whole.
        service.fail("GET", name, 1, fault);
        let read = backend
            .read(name, vec![1000..90_000, 7..8])
            .await
            .unwrap()
            .unwrap();
        assert!(
            read[0] == bytes[1000..90_000] && read[1] == bytes[7..8],
            "{fault:?}"
        );
        many(&service, &format!("read {fault:?}"));
    }
}

#[tokio::test]
async fn what_does_not_pass_is_an_error_that_says_so_and_never_other_bytes() {
    let (service, mut settings) = Faulty::start().await;
    settings.limits.request = Duration::from_millis(200);
    let backend = BucketBackend::open(settings.clone()).await.unwrap();
    let name = "packs/aa/one";
    put(&backend, name, &noise(10_000, 1)).await.unwrap();
    for fault in [
        Fault::Status(503, "SlowDown"),
        Fault::Reset,
        Fault::Late(FOREVER),
        Fault::Stalls(FOREVER),
        Fault::Truncated,
        Fault::Short,
        Fault::Long,
        Fault::Shifted,
        Fault::Whole,
        Fault::Empty,
    ] {
        service.recover();
        service.requests();
        service.fail("GET", name, ALWAYS, fault);
        let error = backend.read(name, vec![100..9000, 7..8]).await.unwrap_err();
        assert_eq!(trouble(&error), Trouble::Unavailable, "{fault:?}");
        let error = backend.get(name).await.unwrap_err();
        assert_eq!(trouble(&error), Trouble::Unavailable, "{fault:?}");
        let tries = service.requests().len();
        let limit = settings.limits.tries as usize;
        assert!((limit + 1..=3 * limit).contains(&tries), "{fault:?}: {tries}");
    }
    service.fail("GET", "list-type", ALWAYS, Fault::Truncated);
    let error = backend.list("packs").await.unwrap_err();
    assert_eq!(trouble(&error), Trouble::Unavailable);
    service.fail("DELETE", "packs/", ALWAYS, Fault::Reset);
    let error = backend.remove(name).await.unwrap_err();
    assert_eq!(trouble(&error), Trouble::Unavailable);
    // What is not there need not be removed, whatever the service says to it.
    backend.remove("packs/aa/absent").await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_told_at_once_with_what_to_do() {
    let (service, backend) = start().await;
    let name = "packs/aa/one";
    put(&backend, name, b"bytes").await.unwrap();
    for (status, code, expected, hint) in [
        (403, "AccessDenied", Trouble::Denied, "credentials"),
        (403, "SignatureDoesNotMatch", Trouble::Denied, "credentials"),
        (401, "", Trouble::Denied, "credentials"),
        (400, "ExpiredToken", Trouble::Denied, "credentials"),
        (404, "NoSuchBucket", Trouble::NoBucket, "make the bucket"),
        (400, "AuthorizationHeaderMalformed", Trouble::Refused, "region"),
        (301, "PermanentRedirect", Trouble::Refused, "region"),
    ] {
        for method in ["GET", "PUT"] {
            service.requests();
            service.fail(method, name, 1, Fault::Status(status, code));
            let error = match method {
                "GET" => backend.read(name, vec![0..1, 2..3]).await.err(),
                _ => put(&backend, name, b"other").await.err(),
            };
            let error = error.unwrap();
            assert_eq!(trouble(&error), expected, "{status} {code}");
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
            assert!(error.to_string().contains(&status.to_string()), "{error}");
            assert!(error.to_string().contains(code), "{error}");
            // The other range may have been on its way.
            assert!(service.requests().len() <= 2, "{status} {code}");
            service.recover();
        }
    }
    assert_eq!(backend.get(name).await.unwrap().unwrap(), "bytes");
}

#[tokio::test]
async fn a_put_is_answered_only_if_the_object_is_there_whole() {
    let (service, backend) = start().await;
    for (bytes, large) in [(noise(100_000, 2), false), (noise(17 << 20, 3), true)] {
        let name = if large { "packs/bb/large" } else { "packs/aa/small" };
        let write = if large { "POST" } else { "PUT" };
        for fault in [
            Fault::Status(503, "SlowDown"),
            Fault::Status(403, "AccessDenied"),
            Fault::Reset,
            Fault::Forgets,
            Fault::Halves,
        ] {
            service.fail(write, name, ALWAYS, fault);
            let error = put(&backend, name, &bytes).await.unwrap_err();
            let expected = match fault {
                Fault::Status(403, _) => Trouble::Denied,
                _ => Trouble::Unavailable,
            };
            assert_eq!(trouble(&error), expected, "{fault:?}");
            service.recover();
            backend.remove(name).await.unwrap();
        }
        service.requests();
        put(&backend, name, &bytes).await.unwrap();
        assert!(backend.get(name).await.unwrap().unwrap() == bytes);
    }
}

#[tokio::test]
async fn an_upload_in_parts_survives_what_passes_and_begins_anew_if_it_is_forgotten() {
    let (service, backend) = start().await;
    let name = "packs/bb/large";
    let bytes = noise(20 << 20, 4);
    let again = async |what: &str| {
        put(&backend, name, &bytes).await.unwrap();
        assert!(backend.get(name).await.unwrap().unwrap() == bytes, "{what}");
        service.recover();
        service.requests()
    };
    service.fail("PUT", "partNumber=2", 2, Fault::Reset);
    service.fail("PUT", "partNumber=1", 1, Fault::Status(503, "SlowDown"));
    let requests = again("parts").await;
    let parts = requests.iter().filter(|one| one.contains("partNumber")).count();
    assert_eq!(parts, 6, "only what failed is sent again: {requests:?}");
    service.fail("POST", "uploadId", 2, Fault::ErrorIn200);
    again("an error in the body").await;
    service.fail("POST", "uploadId", 1, Fault::Status(404, "NoSuchUpload"));
    let requests = again("forgotten").await;
    let begun = requests.iter().filter(|one| one.contains("?uploads")).count();
    assert_eq!(begun, 2, "{requests:?}");
    // Done and not answered: the second try hears that there is no such upload.
    service.fail("POST", "uploadId", 1, Fault::Truncated);
    again("answered by half").await;
    service.fail("PUT", "partNumber=3", ALWAYS, Fault::Status(503, "SlowDown"));
    let error = put(&backend, name, &noise(20 << 20, 5)).await.unwrap_err();
    assert_eq!(trouble(&error), Trouble::Unavailable);
    let requests = service.requests();
    assert!(
        requests
            .iter()
            .any(|one| one.starts_with("DELETE") && one.contains("uploadId"))
    );
    assert_eq!(
        requests.iter().filter(|one| one.contains("partNumber=3")).count(),
        4
    );
    assert!(
        backend.get(name).await.unwrap().unwrap() == bytes,
        "the object is as it was"
    );
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_is_told_when_it_is_opened() {
    for (fault, expected) in [
        (Fault::Status(403, "InvalidAccessKeyId"), Trouble::Denied),
        (Fault::Status(404, "NoSuchBucket"), Trouble::NoBucket),
        (Fault::Status(503, "SlowDown"), Trouble::Unavailable),
    ] {
        let (service, settings) = Faulty::start().await;
        service.fail("GET", "format", ALWAYS, fault);
        let error = BucketBackend::open(settings.clone()).await.unwrap_err();
        assert_eq!(trouble(&error), expected);
        // The keys are read by another room, which must not swallow why.
        service.recover();
        let backend = Arc::new(BucketBackend::open(settings).await.unwrap());
        service.fail("GET", "keys/", ALWAYS, fault);
        let folder = tempfile::tempdir().unwrap();
        let root = Arc::new(MemoryRootKey::new().unwrap());
        let error = BlobStore::open_backend(backend, root, folder.path())
            .await
            .err()
            .unwrap();
        assert_eq!(trouble(&error), expected);
    }
    let (_service, settings) = Faulty::start().await;
    let backend = BucketBackend::open(settings.clone()).await.unwrap();
    put(&backend, "format", b"corliss-blobs 4\n").await.unwrap();
    let error = BucketBackend::open(settings).await.unwrap_err();
    assert!(matches!(&error, BlobError::Newer { found, .. } if found == "corliss-blobs 4"));
}

#[tokio::test]
async fn a_list_that_is_behind_loses_no_pack_and_finds_none_that_is_gone() {
    let (service, backend) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let root = Arc::new(MemoryRootKey::new().unwrap());
    let open = async |index: &str| {
        let backend = Arc::new(backend.clone());
        BlobStore::open_backend(backend, root.clone(), &folder.path().join(index)).await
    };
    let store = open("index").await.unwrap();
    let mut ids = Vec::new();
    for seed in 0..8 {
        let bytes = noise(5000, seed);
        ids.push(store.put(&mut &bytes[..], None).await.unwrap().blob.id);
    }
    let packs: Vec<String> = service
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("home/packs/"))
        .collect();
    assert_eq!(packs.len(), 8);
    drop(store);
    let whole = async |index: &str, expected: usize| {
        let store = loop {
            // The task that writes packs lets go of the index a moment after the store.
            match open(index).await {
                Err(BlobError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                store => break store.unwrap(),
            }
        };
        let stored = store.stat_all(ids.clone()).await.unwrap();
        let known: Vec<BlobId> = stored.into_iter().flatten().map(|blob| blob.id).collect();
        assert_eq!(known.len(), expected, "{index}");
        for id in known {
            store.verify(id).await.unwrap();
        }
    };
    // All but one are not shown: nothing is lost, and nothing is read in anew.
    service.hidden.lock().unwrap().extend(packs[1..].iter().cloned());
    service.requests();
    whole("index", 8).await;
    let asked = service
        .requests()
        .iter()
        .filter(|one| one.starts_with("HEAD"))
        .count();
    assert_eq!(asked, 7);
    // One that is gone is still shown, beside others that are there and not shown.
    let lost = service.lose(&packs[0]);
    service
        .ghosts
        .lock()
        .unwrap()
        .insert(packs[0].clone(), lost.len());
    whole("another index", 0).await;
    service.hidden.lock().unwrap().clear();
    whole("a third index", 7).await;
    // Gone and not shown: what only it held is forgotten, and what is merely not shown is kept.
    service.ghosts.lock().unwrap().clear();
    service.hidden.lock().unwrap().extend(packs[3..].iter().cloned());
    whole("index", 7).await;
    // Whoever cannot be asked cannot be taken for gone.
    service.fail("HEAD", "packs/", ALWAYS, Fault::Status(503, "SlowDown"));
    let error = open("index").await.err().unwrap();
    assert_eq!(trouble(&error), Trouble::Unavailable);
    service.recover();
    service.hidden.lock().unwrap().clear();
    whole("index", 7).await;
}

#[tokio::test]
async fn a_store_over_a_failing_bucket_gives_right_bytes_or_an_error() {
    let (service, backend) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let root = Arc::new(MemoryRootKey::new().unwrap());
    let store = BlobStore::open_backend(Arc::new(backend), root, folder.path())
        .await
        .unwrap();
    let bytes = noise(9_000_000, 8);
    service.fail("PUT", "packs/", 2, Fault::Halves);
    service.fail("POST", "packs/", 2, Fault::ErrorIn200);
    let first = store.put(&mut &bytes[..], None).await;
    assert_eq!(trouble(&first.unwrap_err()), Trouble::Unavailable);
    assert_eq!(store.stat(BlobId::of_blob(&bytes)).await.unwrap(), None);
    service.recover();
    let id = store.put(&mut &bytes[..], None).await.unwrap().blob.id;
    for fault in [
        Fault::Reset,
        Fault::Truncated,
        Fault::Short,
        Fault::Long,
        Fault::Shifted,
        Fault::Whole,
        Fault::Status(503, "SlowDown"),
    ] {
        // Passes, and then does not.
        service.fail("GET", "packs/", 3, fault);
        assert!(store.read_all(id, u64::MAX).await.unwrap() == bytes, "{fault:?}");
        service.fail("GET", "packs/", ALWAYS, fault);
        let error = store.read_all(id, u64::MAX).await.unwrap_err();
        assert_eq!(
            trouble(&error),
            Trouble::Unavailable,
            "{fault:?}: it is not damaged"
        );
        service.recover();
    }
    service.fail("GET", "packs/", 1, Fault::Status(403, "AccessDenied"));
    let error = store.verify(id).await.unwrap_err();
    assert_eq!(trouble(&error), Trouble::Denied);
    store.verify(id).await.unwrap();
}
