//! Somewhere that others put files: a bucket of a real S3 server, and a folder; and the sources that have them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each suite uses a part of it; a failed unwrap here is a failed test"
)]

use corliss_blobstore::{BucketCredentials, BucketSettings, Secret};
use corliss_data::{ImportSources, SourceSettings};
use corliss_testkit::s3::{Bucket, fresh_bucket};

pub fn settings(bucket: &Bucket) -> BucketSettings {
    BucketSettings {
        endpoint: Some(bucket.endpoint.clone()),
        credentials: BucketCredentials::AccessKey {
            id: "id".to_owned(),
            secret: Secret::new("hunter2"),
            session_token: None,
        },
        ..BucketSettings::of(format!("s3://{}", bucket.name))
    }
}

pub fn of_bucket(bucket: &Bucket) -> ImportSources {
    let settings = SourceSettings::Bucket(Box::new(settings(bucket)));
    ImportSources::default().with("lake", settings).unwrap()
}

pub enum Lake {
    Bucket(Bucket),
    Folder(tempfile::TempDir),
}

impl Lake {
    pub async fn both() -> [Self; 2] {
        [
            Self::Bucket(fresh_bucket().await),
            Self::Folder(tempfile::tempdir().unwrap()),
        ]
    }

    pub fn sources(&self) -> ImportSources {
        match self {
            Self::Bucket(bucket) => of_bucket(bucket),
            Self::Folder(folder) => ImportSources::default()
                .with("lake", SourceSettings::Folder(folder.path().to_path_buf()))
                .unwrap(),
        }
    }

    pub async fn put(&self, key: &str, bytes: &[u8]) {
        match self {
            Self::Bucket(bucket) => bucket.put(key, bytes).await,
            Self::Folder(folder) => {
                let path = folder.path().join(key);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
        }
    }

    pub async fn remove(&self, key: &str) {
        match self {
            Self::Bucket(bucket) => bucket.remove(key).await,
            Self::Folder(folder) => std::fs::remove_file(folder.path().join(key)).unwrap(),
        }
    }
}
