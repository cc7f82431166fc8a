//! Transfers without a credential: uploads in parts, and addresses that open or take one file for a while.
//!
//! A part is a blob as soon as it has arrived, and a row names it. When all are there they are read in order into one blob,
//! which mostly consists of pieces that are stored already, and the file is named. Whatever breaks off before leaves rows
//! that are forgotten after a day, and bytes that nobody refers to.

use std::ops::Range;

use corliss_mlflow_wire::WireError;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::artifacts::{ArtifactRead, check_owner, check_path};
use super::{Tracking, path_of_location};
use crate::store::{self, Part};
use crate::ticket::Claim;
use crate::{ByteStream, StoredBytes, TrackingError, limits};

/// Where bytes may be sent to, or fetched from, without a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What the address is to name in its query.
    pub ticket: String,
    /// Bytes of the file, if there is one.
    pub size_bytes: Option<u64>,
}

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// Its id.
    pub id: String,
    /// One ticket a part, from the first on.
    pub parts: Vec<String>,
}

impl Tracking {
    /// Begins an upload of a file in so many parts.
    ///
    /// # Errors
    /// The path belongs to no run or logged model, there are too many parts or uploads, or the store failed.
    pub async fn create_upload(&self, path: String, parts: i64) -> Result<NewUpload, TrackingError> {
        check_path(&path)?;
        if !(1..=limits::UPLOAD_PARTS).contains(&parts) {
            return Err(TrackingError::invalid(format!(
                "Invalid value {parts} for parameter 'num_parts' supplied: it must be 1 to {}.",
                limits::UPLOAD_PARTS
            )));
        }
        let id: String = self
            .random::<16>()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let (upload, now_ms) = (id.clone(), self.now_ms());
        self.store
            .write(move |tx| {
                check_owner(tx, &path)?;
                if store::open_uploads(tx)? >= limits::OPEN_UPLOADS {
                    return Err(TrackingError::TooManyUploads);
                }
                Ok(store::insert_upload(tx, &upload, &path, parts, now_ms)?)
            })
            .await?;
        let until = now_ms.saturating_add(limits::UPLOAD_MS);
        let ticket = |number| {
            let upload = id.clone();
            self.tickets.make(Claim::Part { upload, number }, until)
        };
        Ok(NewUpload {
            parts: (1..=parts).map(ticket).collect(),
            id,
        })
    }

    /// Takes what is sent with a ticket: a part, or a file. Answers the id of its content.
    ///
    /// # Errors
    /// The ticket is not for this, what it is for is gone, or a store failed.
    pub async fn put_by_ticket(&self, ticket: &str, bytes: ByteStream) -> Result<String, TrackingError> {
        match self.tickets.read(ticket, self.now_ms())? {
            Claim::Part { upload, number } => self.put_part(upload, number, bytes).await,
            Claim::Put { path } => self.put_artifact(path, bytes).await,
            Claim::Get { .. } => Err(TrackingError::Ticket {
                problem: "is for reading",
            }),
        }
    }

    async fn put_part(&self, id: String, number: i64, bytes: ByteStream) -> Result<String, TrackingError> {
        let asked = id.clone();
        // Before its bytes are taken in, and again when they are named.
        self.store.read(move |tx| open_upload(tx, &asked)).await?;
        let StoredBytes {
            blob,
            size_bytes,
            kept,
        } = self.bytes.put(bytes).await?;
        let part = Part {
            number,
            blob: blob.clone(),
            size_bytes,
        };
        let put = self
            .store
            .write(move |tx| {
                let upload = open_upload(tx, &id)?;
                let others = store::parts_of(tx, &id)?;
                let others = others.iter().filter(|other| other.number != number);
                let all: u64 = others.map(|other| other.size_bytes).sum::<u64>() + size_bytes;
                if number > upload.parts || all > limits::ARTIFACT_BYTES {
                    return Err(TrackingError::invalid(format!(
                        "An artifact can have at most {} bytes.",
                        limits::ARTIFACT_BYTES
                    )));
                }
                Ok(store::put_part(tx, &id, &part)?)
            })
            .await;
        drop(kept);
        put.map(|()| blob)
    }

    /// Makes the file of parts that have arrived: those named, in the order of their numbers, each with the id that its
    /// sender was answered. An upload that is complete stays so, since its first answer may have been lost.
    ///
    /// # Errors
    /// There is no such upload to this path, a part is missing or another one, or a store failed.
    pub async fn complete_upload(
        &self,
        path: String,
        id: String,
        mut named: Vec<(i64, String)>,
    ) -> Result<(), TrackingError> {
        named.sort_unstable();
        let (asked, to) = (id.clone(), path.clone());
        let parts = self
            .store
            .read(move |tx| {
                let upload = upload_to(tx, &asked, &to)?;
                match upload.is_complete {
                    true => Ok(None),
                    false => Ok::<_, TrackingError>(Some(store::parts_of(tx, &asked)?)),
                }
            })
            .await?;
        let Some(parts) = parts else { return Ok(()) };
        let chosen = chosen(&parts, &named)?;
        let StoredBytes {
            blob,
            size_bytes,
            kept,
        } = self.bytes.put(self.joined(chosen)).await?;
        let now_ms = self.now_ms();
        let placed = self
            .store
            .write(move |tx| {
                if upload_to(tx, &id, &path)?.is_complete {
                    return Ok(());
                }
                check_owner(tx, &path)?;
                if !store::put_artifact(tx, &path, &blob, size_bytes, now_ms)? {
                    return Err(TrackingError::invalid(format!(
                        "The path '{path}' is both a file and a folder."
                    )));
                }
                Ok(store::complete_upload(tx, &id)?)
            })
            .await;
        drop(kept);
        placed
    }

    /// The bytes of these blobs one after the other; each is opened when the one before it has ended.
    fn joined(&self, blobs: Vec<String>) -> ByteStream {
        let bytes = self.bytes.clone();
        let opened = stream::iter(blobs).then(move |blob| {
            let bytes = bytes.clone();
            async move { bytes.open(&blob).await.map_err(std::io::Error::other) }
        });
        Box::pin(opened.try_flatten())
    }

    /// Forgets an upload and its parts. One that is complete stays.
    ///
    /// # Errors
    /// There is no such upload to this path, or the store failed.
    pub async fn abort_upload(&self, path: String, id: String) -> Result<(), TrackingError> {
        self.store
            .write(move |tx| match upload_to(tx, &id, &path)?.is_complete {
                true => Ok(()),
                false => Ok(store::delete_upload(tx, &id)?),
            })
            .await
    }

    /// A ticket for reading a file as it is now.
    ///
    /// # Errors
    /// There is no file at this path, or the store failed.
    pub async fn download_ticket(&self, path: String, seconds: i64) -> Result<Ticket, TrackingError> {
        let until = self.until(seconds)?;
        let (blob, size_bytes) = self.file(path.clone()).await?;
        Ok(Ticket {
            ticket: self.tickets.make(Claim::Get { path, blob }, until),
            size_bytes: Some(size_bytes),
        })
    }

    /// A ticket for writing a file.
    ///
    /// # Errors
    /// The path belongs to no run or logged model, or the store failed.
    pub async fn upload_ticket(&self, path: String, seconds: i64) -> Result<Ticket, TrackingError> {
        let until = self.until(seconds)?;
        check_path(&path)?;
        let owned = path.clone();
        self.store.read(move |tx| check_owner(tx, &owned)).await?;
        Ok(Ticket {
            ticket: self.tickets.make(Claim::Put { path }, until),
            size_bytes: None,
        })
    }

    fn until(&self, seconds: i64) -> Result<i64, TrackingError> {
        if !(1..=limits::TICKET_SECONDS).contains(&seconds) {
            return Err(TrackingError::invalid(format!(
                "expiration must be between 1 and {} seconds (got {seconds}).",
                limits::TICKET_SECONDS
            )));
        }
        Ok(self.now_ms().saturating_add(seconds * 1000))
    }

    /// Opens the file that a ticket is for, or these bytes of it; a range that `cut` makes of its size.
    ///
    /// # Errors
    /// The ticket is not for this, the file is another one by now, or a store failed.
    pub async fn open_by_ticket(
        &self,
        ticket: &str,
        cut: impl FnOnce(u64) -> Result<Option<Range<u64>>, TrackingError>,
    ) -> Result<(ArtifactRead, Option<Range<u64>>), TrackingError> {
        let Claim::Get { path, blob } = self.tickets.read(ticket, self.now_ms())? else {
            return Err(TrackingError::Ticket {
                problem: "is for writing",
            });
        };
        let (now, size_bytes) = self.file(path).await?;
        if now != blob {
            return Err(TrackingError::Ticket {
                problem: "was for a file that is another one by now",
            });
        }
        let range = cut(size_bytes)?;
        let bytes = match &range {
            Some(range) => self.bytes.open_range(&blob, range.clone()).await?,
            None => self.bytes.open(&blob).await?,
        };
        let read = ArtifactRead {
            size_bytes,
            blob,
            bytes,
        };
        Ok((read, range))
    }

    /// Forgets uploads that began more than a day ago; answers how many.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forget_uploads(&self) -> Result<u64, TrackingError> {
        let before_ms = self.now_ms().saturating_sub(limits::UPLOAD_MS);
        self.store
            .write(move |tx| Ok(store::delete_uploads_before(tx, before_ms)?))
            .await
    }

    /// The path of a file of a run.
    ///
    /// # Errors
    /// There is no such run, or its artifacts are not kept here.
    pub async fn path_in_run(&self, run_id: String, path: &str) -> Result<String, TrackingError> {
        let run = self.run(run_id).await?;
        path_of_location(&run.info.artifact_uri, path)
    }

    /// The path of a file of a logged model.
    ///
    /// # Errors
    /// There is no such model, or its artifacts are not kept here.
    pub async fn path_in_model(&self, model_id: String, path: &str) -> Result<String, TrackingError> {
        let model = self.logged_model(model_id, false).await?;
        path_of_location(&model.artifact_uri, path)
    }
}

fn open_upload(tx: &mut dyn corliss_metastore::Tx, id: &str) -> Result<store::Upload, TrackingError> {
    store::upload(tx, id)?
        .filter(|upload| !upload.is_complete)
        .ok_or_else(|| not_found(id))
}

fn upload_to(
    tx: &mut dyn corliss_metastore::Tx,
    id: &str,
    path: &str,
) -> Result<store::Upload, TrackingError> {
    // No id has one, and no database takes it.
    let found = match id.contains('\0') {
        true => None,
        false => store::upload(tx, id)?,
    };
    found
        .filter(|upload| upload.path == path)
        .ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> TrackingError {
    let shown: String = id.chars().take(100).collect();
    TrackingError::NotFound(format!("No upload with id '{shown}' is under way to this path"))
}

/// The blobs of these parts, in order, if each is there as it was answered.
fn chosen(parts: &[Part], named: &[(i64, String)]) -> Result<Vec<String>, TrackingError> {
    let wrong = |reason: String| Err(WireError::new(reason).into());
    if named.is_empty() {
        return Err(WireError::missing("parts").into());
    }
    if named.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return wrong("A part is named twice in 'parts'.".to_owned());
    }
    let mut blobs = Vec::with_capacity(named.len());
    for (number, etag) in named {
        match parts.iter().find(|part| part.number == *number) {
            None => return wrong(format!("Part {number} has not arrived.")),
            Some(part) if part.blob != etag.trim_matches('"') => {
                return wrong(format!("Part {number} is not the one that 'etag' names."));
            }
            Some(part) => blobs.push(part.blob.clone()),
        }
    }
    Ok(blobs)
}
