//! Reading a bucket that others write: a real S3 server on loopback.
#![allow(clippy::unwrap_used, reason = "a failed unwrap here is a failed test")]

use corliss_blobstore::{BlobError, BucketCredentials, BucketReader, BucketSettings, Secret, Trouble};
use corliss_testkit::s3::{Bucket, fresh_bucket};

fn open(bucket: &Bucket, prefix: &str) -> BucketReader {
    BucketReader::open(&BucketSettings {
        endpoint: Some(bucket.endpoint.clone()),
        credentials: BucketCredentials::AccessKey {
            id: "id".to_owned(),
            secret: Secret::new("secret"),
            session_token: None,
        },
        ..BucketSettings::of(format!("s3://{}{prefix}", bucket.name))
    })
    .unwrap()
}

#[tokio::test]
async fn a_folder_is_listed_and_names_that_are_no_paths_are_told_apart() {
    let bucket = fresh_bucket().await;
    for key in [
        "top",
        "in/a",
        "in/b c%20&<é>.txt",
        "in/deep/x",
        "in/marker/",
        "in/a//b",
        "inner",
        "in/deep/../y",
    ] {
        bucket.put(key, key.as_bytes()).await;
    }
    let listed = open(&bucket, "").list("in", 100).await.unwrap();
    let mut keys: Vec<&str> = listed.objects.iter().map(|object| object.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["in/a", "in/b c%20&<é>.txt", "in/deep/x"]);
    let mut unfit = listed.unfit.clone();
    unfit.sort_unstable();
    assert_eq!(unfit, ["in/a//b", "in/deep/../y", "in/marker/"]);
    assert_eq!(listed.unfit_total, 3);

    // Below the prefix of the settings names are as they are there.
    let below = open(&bucket, "/in");
    let listed = below.list("", 100).await.unwrap();
    assert_eq!(listed.objects.len(), 3);
    assert!(listed.unfit.contains(&"a//b".to_owned()), "{:?}", listed.unfit);
    for object in &listed.objects {
        let bytes = below.read(object, 0..object.size_bytes).await.unwrap().unwrap();
        assert_eq!(bytes, format!("in/{}", object.key).as_bytes());
    }
    assert_eq!(
        below.list("", 1).await.unwrap().objects.len(),
        2,
        "one more than the limit"
    );
    assert_eq!(below.list("nowhere", 9).await.unwrap().objects, []);
}

#[tokio::test]
async fn what_was_changed_is_not_read_and_a_version_is() {
    let bucket = fresh_bucket().await;
    bucket.put("a", b"first").await;
    let reader = open(&bucket, "");
    let seen = reader.look("a").await.unwrap().unwrap();
    assert_eq!(reader.read(&seen, 1..3).await.unwrap().unwrap(), &b"ir"[..]);
    assert_eq!(reader.read(&seen, 1..9).await.unwrap(), None, "it ends before");
    bucket.put("a", b"later").await;
    assert_eq!(reader.read(&seen, 1..3).await.unwrap(), None);
    bucket.remove("a").await;
    assert_eq!(reader.read(&seen, 1..3).await.unwrap(), None);
    assert_eq!(reader.look("a").await.unwrap(), None);

    bucket.keep_versions().await;
    bucket.put("v", b"first").await;
    let seen = reader.look("v").await.unwrap().unwrap();
    assert!(seen.version.is_some());
    bucket.put("v", b"later").await;
    assert_eq!(reader.read(&seen, 0..5).await.unwrap().unwrap(), &b"first"[..]);
}

#[tokio::test]
async fn no_bucket_and_no_path_are_told() {
    let mut bucket = fresh_bucket().await;
    bucket.name = "is-not-there".to_owned();
    let reader = open(&bucket, "");
    let failed = reader.list("", 9).await.unwrap_err();
    let expected = Trouble::NoBucket;
    assert!(
        matches!(&failed, BlobError::Remote { trouble, .. } if *trouble == expected),
        "{failed:?}"
    );
    for key in ["", "a//b", "../a", "a/", "/a", "a\n"] {
        let failed = reader.look(key).await.unwrap_err();
        assert!(
            matches!(failed, BlobError::BucketSettings { field: "key", .. }),
            "{key:?}"
        );
    }
}
