//! Pieces of blobs and trees over HTTP: which are missing, and fetching them.

use std::collections::{HashMap, VecDeque};

use corliss_blobstore::{BlobId, Piece};
use corliss_data::transfer;
use serde::Deserialize;
use serde_json::json;

use crate::api::Api;
use crate::error::{CliError, CliResult};

/// Ids asked about in one request.
const QUESTION_IDS: usize = 10_000;

/// Those of the ids that the server does not have.
pub fn missing(api: &Api, ids: &[BlobId]) -> CliResult<Vec<BlobId>> {
    #[derive(Deserialize)]
    struct Answer {
        missing: Vec<BlobId>,
    }
    let mut missing = Vec::new();
    for some in ids.chunks(QUESTION_IDS) {
        let answer: Answer = api.post_list("/api/v1/data/blobs/missing", &json!({ "ids": some }))?;
        missing.extend(answer.missing);
    }
    Ok(missing)
}

/// All of these pieces: a server answers as many as fit into one body. Each is what its id says.
pub fn fetch(api: &Api, ids: &[BlobId]) -> CliResult<HashMap<BlobId, Piece>> {
    let mut wanted: VecDeque<BlobId> = ids.iter().copied().collect();
    let mut found = HashMap::with_capacity(ids.len());
    while !wanted.is_empty() {
        let body = api.post_for_bytes("/api/v1/data/pieces/read", &json!({ "ids": wanted }))?;
        let pieces = transfer::parse(body).map_err(|error| CliError::diagnosed(&error))?;
        if pieces.is_empty() || pieces.len() > wanted.len() {
            return Err(unexpected());
        }
        for piece in pieces {
            if wanted.pop_front() != Some(piece.id) {
                return Err(unexpected());
            }
            found.insert(piece.id, piece);
        }
    }
    Ok(found)
}

fn unexpected() -> CliError {
    CliError::failed("the server sent other pieces than were asked for".to_owned())
}
