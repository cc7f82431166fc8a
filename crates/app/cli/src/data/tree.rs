//! Trees as this side sees them: all files of a version on a server, and what differs from a folder here.

use std::collections::{HashMap, HashSet};

use corliss_blobstore::{BlobId, Piece, Record};
use corliss_data::Entry;
use corliss_data::tree::{self, Node};
use corliss_types::VersionId;

use super::pieces;
use crate::api::Api;
use crate::error::{CliError, CliResult};

/// Records that are fetched in one request; one is at most 256 KiB, most are 20 KB.
const BATCH_RECORDS: usize = 256;

/// The record at the root of a version's tree.
pub fn root_of(version: &str) -> CliResult<BlobId> {
    let version: Option<VersionId> = version.parse().ok();
    version
        .as_ref()
        .and_then(tree::root_of)
        .ok_or_else(|| CliError::failed(format!("the server's answer '{version:?}' is no version")))
}

/// All files of a version, in order of their paths.
pub fn entries(api: &Api, version: &str) -> CliResult<Vec<Entry>> {
    Ok(beyond(api, root_of(version)?, &HashSet::new())?.entries)
}

/// What a tree has that is not known here.
pub struct Beyond {
    /// The files in its leaves that are not known, in order of their paths.
    pub entries: Vec<Entry>,
    /// Known records that it has, at the top of what is shared.
    pub shared: HashSet<BlobId>,
}

/// Walks a tree on the server, except below known records.
pub fn beyond(api: &Api, root: BlobId, known: &HashSet<BlobId>) -> CliResult<Beyond> {
    let mut beyond = Beyond {
        entries: Vec::new(),
        shared: HashSet::new(),
    };
    let mut open = vec![root];
    while !open.is_empty() {
        let (shared, wanted): (Vec<_>, Vec<_>) = open.into_iter().partition(|id| known.contains(id));
        beyond.shared.extend(shared);
        open = Vec::new();
        for some in wanted.chunks(BATCH_RECORDS) {
            let found = pieces::fetch(api, some)?;
            for id in some {
                match found.get(id).map(decode).transpose()? {
                    Some(Node::Leaf(entries)) => beyond.entries.extend(entries),
                    Some(Node::Branch { children, .. }) => {
                        open.extend(children.iter().map(|child| child.id));
                    }
                    None => return Err(no_tree(*id)),
                }
            }
        }
    }
    beyond.entries.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(beyond)
}

/// A tree that was built here, by its records.
pub struct LocalTree {
    /// The version that it is.
    pub version: VersionId,
    /// The record at its root.
    pub root: BlobId,
    /// Each after what it lists.
    pub pieces: Vec<Piece>,
    /// Which of the pieces each record is.
    places: HashMap<BlobId, usize>,
}

impl LocalTree {
    /// The tree of a snapshot.
    pub fn of(snapshot: &corliss_data::snapshot::Snapshot) -> CliResult<Self> {
        let built = snapshot.tree();
        let (root, pieces) = built.map_err(|error| CliError::diagnosed(&error))?;
        let places = pieces.iter().enumerate().map(|(at, piece)| (piece.id, at));
        Ok(Self {
            version: root.version(),
            root: root.id,
            places: places.collect(),
            pieces,
        })
    }

    /// The ids of its records.
    pub fn ids(&self) -> HashSet<BlobId> {
        self.places.keys().copied().collect()
    }

    /// One of its records.
    pub fn node(&self, id: BlobId) -> Option<Node> {
        decode(&self.pieces[*self.places.get(&id)?]).ok()
    }

    /// The files in its leaves, except below some records, in order of their paths.
    pub fn entries_beyond(&self, shared: &HashSet<BlobId>) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut open = vec![self.root];
        while let Some(id) = open.pop() {
            if shared.contains(&id) {
                continue;
            }
            match self.node(id) {
                Some(Node::Leaf(found)) => entries.extend(found),
                Some(Node::Branch { children, .. }) => open.extend(children.iter().map(|child| child.id)),
                None => {}
            }
        }
        entries.sort_by(|left, right| left.path.cmp(&right.path));
        entries
    }
}

fn decode(piece: &Piece) -> CliResult<Node> {
    let record = Record::decode(&piece.bytes).ok_or_else(|| no_tree(piece.id))?;
    Node::decode(&record).map_err(|_| no_tree(piece.id))
}

fn no_tree(id: BlobId) -> CliError {
    CliError::failed(format!("the server's piece {id} is not part of a tree"))
}
