//! Another Corliss server as a remote, through its native API.

mod client;

use async_trait::async_trait;
use bytes::Bytes;
use corliss_blobstore::{BlobId, Piece};
use corliss_types::{CommitId, DatasetName};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::copy::are_asked_for;
use super::{Pieces, RefsUpdate, Remote, RemoteRefs, RemoteTrouble};
use crate::history::Commit;
use crate::{DataError, transfer};

use client::{Body, ServerClient};
pub use client::{ServerLimits, ServerSettings};

/// Ids of one question: with more, its body would be larger than a server takes.
const IDS_MAX: usize = 10_000;

/// Another Corliss server.
pub struct ServerRemote {
    name: String,
    client: ServerClient,
}

#[derive(Serialize)]
struct Ids<'a> {
    ids: &'a [BlobId],
}

#[derive(Deserialize)]
struct Missing<T> {
    missing: Vec<T>,
}

/// Commits on their way, oldest first when sent and newest first when read.
#[derive(Serialize, Deserialize)]
struct Commits {
    commits: Vec<Commit>,
}

impl ServerRemote {
    /// Checks the settings; nothing is sent yet.
    ///
    /// # Errors
    /// The settings cannot be right.
    pub fn open(name: &str, settings: &ServerSettings) -> Result<Self, DataError> {
        Ok(Self {
            name: name.to_owned(),
            client: ServerClient::new(name, settings)?,
        })
    }

    async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, DataError> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|error| self.client.told(RemoteTrouble::Refused, error.to_string()))?;
        self.client
            .ask(Method::POST, path, &[], Body::Json(body.into()), json)
            .await
    }

    fn nonsense(&self, message: &str) -> DataError {
        self.client.told(RemoteTrouble::Answer, message)
    }
}

fn json<T: DeserializeOwned>(answer: Bytes) -> Option<T> {
    serde_json::from_slice(&answer).ok()
}

#[async_trait]
impl Pieces for ServerRemote {
    async fn missing(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, DataError> {
        let mut missing = Vec::new();
        for ids in ids.chunks(IDS_MAX) {
            let answer: Missing<BlobId> = self.post(&["blobs", "missing"], &Ids { ids }).await?;
            missing.extend(answer.missing);
        }
        Ok(missing)
    }

    async fn put(&self, pieces: Vec<Piece>) -> Result<(), DataError> {
        let mut body = Vec::new();
        for piece in pieces {
            transfer::append(piece.kind, &piece.bytes, &mut body);
        }
        let stored = |_: Bytes| Some(());
        self.client
            .ask(Method::POST, &["pieces"], &[], Body::Pieces(body.into()), stored)
            .await
    }

    async fn read(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, DataError> {
        let ids = &ids[..ids.len().min(IDS_MAX)];
        let body = serde_json::to_vec(&Ids { ids }).map_err(|_| self.nonsense("ids cannot be written"))?;
        // What is cut in the middle of a piece, or has another piece in it, is asked for again.
        let pieces = |answer: Bytes| {
            let pieces = transfer::parse(answer).ok()?;
            are_asked_for(ids, &pieces).then_some(pieces)
        };
        self.client
            .ask(
                Method::POST,
                &["pieces", "read"],
                &[],
                Body::Json(body.into()),
                pieces,
            )
            .await
    }
}

#[async_trait]
impl Remote for ServerRemote {
    fn name(&self) -> &str {
        &self.name
    }

    async fn datasets(&self, after: &str, limit: usize) -> Result<Vec<DatasetName>, DataError> {
        #[derive(Deserialize)]
        struct Item {
            name: DatasetName,
        }
        #[derive(Deserialize)]
        struct Page {
            items: Vec<Item>,
        }
        let limit = limit.clamp(1, 1000).to_string();
        let query = [("limit", limit.as_str()), ("page_token", after)];
        let page: Page = self
            .client
            .ask(Method::GET, &["datasets"], &query, Body::Nothing, json)
            .await?;
        Ok(page.items.into_iter().map(|item| item.name).collect())
    }

    async fn refs(&self, dataset: &DatasetName) -> Result<Option<RemoteRefs>, DataError> {
        let path = ["datasets", dataset.as_str(), "refs"];
        let asked = self
            .client
            .ask(Method::GET, &path, &[], Body::Nothing, json)
            .await;
        match asked {
            Err(DataError::Remote {
                trouble: RemoteTrouble::NotFound,
                ..
            }) => Ok(None),
            refs => refs.map(Some),
        }
    }

    async fn missing_commits(
        &self,
        dataset: &DatasetName,
        commits: &[(CommitId, u64)],
    ) -> Result<Vec<CommitId>, DataError> {
        #[derive(Serialize)]
        struct Asked<'a> {
            commits: Vec<&'a CommitId>,
        }
        let commits = commits.iter().map(|(id, _)| id).collect();
        let path = ["datasets", dataset.as_str(), "history", "missing"];
        let answer: Missing<CommitId> = self.post(&path, &Asked { commits }).await?;
        Ok(answer.missing)
    }

    async fn put_commits(&self, dataset: &DatasetName, commits: Vec<Commit>) -> Result<(), DataError> {
        let path = ["datasets", dataset.as_str(), "history"];
        let _: serde_json::Value = self.post(&path, &Commits { commits }).await?;
        Ok(())
    }

    async fn history(
        &self,
        dataset: &DatasetName,
        from: &[CommitId],
        limit: usize,
    ) -> Result<Vec<Commit>, DataError> {
        #[derive(Serialize)]
        struct Asked<'a> {
            from: &'a [CommitId],
            limit: usize,
        }
        let path = ["datasets", dataset.as_str(), "history", "read"];
        let answer: Commits = self.post(&path, &Asked { from, limit }).await?;
        Ok(answer.commits)
    }

    async fn update_refs(&self, dataset: &DatasetName, update: &RefsUpdate) -> Result<(), DataError> {
        let path = ["datasets", dataset.as_str(), "refs"];
        let _: serde_json::Value = self.post(&path, update).await?;
        Ok(())
    }
}
