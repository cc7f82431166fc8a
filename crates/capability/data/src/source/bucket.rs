//! A bucket as a source.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use corliss_blobstore::{BlobError, BucketReader, BucketSettings, ForeignObject};

use super::{Found, OBJECTS_MAX, Object, Refused, Source};
use crate::DataError;

/// Reads a bucket.
pub struct BucketSource {
    name: String,
    place: String,
    reader: BucketReader,
}

impl BucketSource {
    /// Makes the client; nothing is sent yet.
    ///
    /// # Errors
    /// The settings cannot be right.
    pub fn open(name: &str, settings: &BucketSettings) -> Result<Self, DataError> {
        let reader = BucketReader::open(settings)?;
        // Two services may have buckets of one name.
        let place = match &settings.endpoint {
            Some(endpoint) => format!("{} at {endpoint}", reader.place()),
            None => reader.place().to_owned(),
        };
        Ok(Self {
            name: name.to_owned(),
            place,
            reader,
        })
    }

    fn failed(&self) -> impl Fn(BlobError) -> DataError {
        let name = self.name.clone();
        move |error| DataError::Source {
            name: name.clone(),
            error,
        }
    }
}

/// None if the service does not say what the content is called.
fn object(found: ForeignObject) -> Option<Object> {
    Some(Object {
        key: found.key,
        size_bytes: found.size_bytes,
        etag: found.etag?,
        version: found.version,
    })
}

#[async_trait]
impl Source for BucketSource {
    fn place(&self) -> String {
        self.place.clone()
    }

    async fn list(&self, folder: &str) -> Result<Found, DataError> {
        let listed = self.reader.list(folder, OBJECTS_MAX).await;
        let listed = listed.map_err(self.failed())?;
        let mut found = Found {
            refused_total: listed.unfit_total,
            ..Found::default()
        };
        found.refused.extend(listed.unfit.into_iter().map(|key| Refused {
            reason: match key.ends_with('/') {
                true => "is a folder's marker and no file",
                false => "cannot be a path",
            },
            key,
        }));
        for one in listed.objects {
            let key = one.key.clone();
            match object(one) {
                Some(object) => found.objects.push(object),
                None => {
                    found.refused_total += 1;
                    found.refused.push(Refused {
                        key,
                        reason: "has no etag by which a change could be told",
                    });
                }
            }
        }
        Ok(found)
    }

    async fn look(&self, key: &str) -> Result<Option<Object>, DataError> {
        let found = self.reader.look(key).await.map_err(self.failed())?;
        Ok(found.and_then(object))
    }

    async fn read(&self, object: &Object, range: Range<u64>) -> Result<Option<Bytes>, DataError> {
        let foreign = ForeignObject {
            key: object.key.clone(),
            size_bytes: object.size_bytes,
            etag: Some(object.etag.clone()),
            version: object.version.clone(),
        };
        self.reader.read(&foreign, range).await.map_err(self.failed())
    }
}
