//! What several suites need: a bucket of a real S3 server.

use corliss_blobstore::{BucketCredentials, BucketSettings, Secret};
use corliss_testkit::s3;

/// A new bucket, and a folder in it.
pub async fn fresh_bucket(prefix: &str) -> BucketSettings {
    let bucket = s3::fresh_bucket().await;
    BucketSettings {
        endpoint: Some(bucket.endpoint),
        region: Some("us-east-1".to_owned()),
        credentials: BucketCredentials::AccessKey {
            id: "an-id".to_owned(),
            secret: Secret::new("a secret"),
            session_token: None,
        },
        ..BucketSettings::of(format!("s3://{}/{prefix}", bucket.name))
    }
}
