//! Linked files of all versions: how much they are, and whether their objects are still what they were.
//!
//! Every record and every link is looked at once, however many versions have it, and versions without linked files
//! not at all.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use corliss_blobstore::BlobId;
use corliss_diagnostics::Diagnose;
use corliss_types::{DatasetName, VersionId};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::DataCheck;
use crate::counters::Counters;
use crate::link::{self, Link, LinkTrouble};
use crate::store::versions;
use crate::tree::{self, Node};
use crate::{DataError, DataService, Entry};

/// Linked files that are looked at together.
const BATCH: usize = 1000;
/// Objects that are asked about at once.
const LOOKS: usize = 16;
/// Broken links that are told one by one.
const TOLD: usize = 1000;

/// What versions link to in one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkedUsage {
    /// The source.
    pub source: String,
    /// Objects, each once.
    pub objects: u64,
    /// Their bytes, which are not stored.
    pub bytes: u64,
}

/// What was summed up last, and over which versions: a version never changes.
pub(in crate::service) type Summed = Mutex<Option<(Vec<VersionId>, Vec<LinkedUsage>)>>;

/// A linked file that cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenLink {
    /// The latest version that has it.
    pub version: VersionId,
    /// Datasets that have a commit of that version.
    pub datasets: Vec<DatasetName>,
    /// Where it lies.
    pub path: String,
    /// As the error of reading it.
    pub code: &'static str,
    /// What is wrong, with the source and the object.
    pub problem: String,
}

/// A source that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnaskedSource {
    /// What it is called.
    pub source: String,
    /// Why.
    pub problem: String,
    /// Linked objects of which nothing is known therefore.
    pub objects: u64,
}

/// What came of asking for the objects that files are linked to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LinkCheck {
    /// Objects that were asked about, each once.
    pub asked: u64,
    /// Of those, how many were changed or are gone.
    pub broken_total: u64,
    /// Which; the first thousand.
    pub broken: Vec<BrokenLink>,
    /// Sources that are not configured, or failed.
    pub unasked: Vec<UnaskedSource>,
}

/// What a check answers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Examined {
    #[serde(flatten)]
    pub stored: DataCheck,
    /// None of a quick one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<LinkCheck>,
}

/// Walks the linked files of some versions.
struct Walk<'a> {
    service: &'a DataService,
    /// Those that are left, the next one last.
    versions: Vec<VersionId>,
    /// Records that are yet to be looked at, of the version that was taken last.
    open: Vec<BlobId>,
    version: Option<VersionId>,
    records: HashSet<BlobId>,
    links: HashSet<BlobId>,
}

impl<'a> Walk<'a> {
    fn new(service: &'a DataService, versions: Vec<VersionId>) -> Self {
        Self {
            service,
            versions,
            open: Vec::new(),
            version: None,
            records: HashSet::new(),
            links: HashSet::new(),
        }
    }

    /// Some files whose links were not seen before, and a version that has them; None at the end. A tree that is
    /// damaged is passed over: a check tells of it.
    async fn next(&mut self) -> Result<Option<(VersionId, Vec<Entry>)>, DataError> {
        let mut found = Vec::new();
        loop {
            while let Some(id) = self.open.pop() {
                match self.service.reader.node(id).await {
                    Err(DataError::TreeDamaged { .. }) => {}
                    Err(error) => return Err(error),
                    Ok(node) => match &*node {
                        Node::Leaf(entries) => {
                            let linked = entries.iter().filter(|entry| entry.link);
                            found.extend(linked.filter(|entry| self.links.insert(entry.blob)).cloned());
                        }
                        Node::Branch { children, .. } => {
                            let new = children.iter().filter(|child| self.records.insert(child.id));
                            self.open.extend(new.map(|child| child.id));
                        }
                    },
                }
                if found.len() >= BATCH {
                    break;
                }
            }
            if let Some(version) = self.version.clone().filter(|_| !found.is_empty()) {
                return Ok(Some((version, found)));
            }
            let Some(version) = self.versions.pop() else {
                return Ok(None);
            };
            let root = tree::root_of(&version);
            self.open.extend(root.filter(|root| self.records.insert(*root)));
            self.version = Some(version);
        }
    }
}

/// What is known of a link after its object was asked about.
enum Looked {
    Same,
    Broken(DataError),
    /// The source, and why.
    Unasked(String, DataError),
}

impl DataService {
    async fn versions_with_links(&self) -> Result<Vec<VersionId>, DataError> {
        let read = self
            .store
            .read(|tx| Ok::<_, DataError>(versions::with_links(tx)?));
        read.await
    }

    /// What is linked, by source.
    pub(super) async fn linked_usage(&self) -> Result<Vec<LinkedUsage>, DataError> {
        let all = self.versions_with_links().await?;
        let summed = || self.summed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, usage)) = summed().as_ref().filter(|(of, _)| *of == all) {
            return Ok(usage.clone());
        }
        let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut walk = Walk::new(self, all.clone());
        let mut is_whole = true;
        while let Some((_, entries)) = walk.next().await? {
            let ids = entries.iter().map(|entry| entry.blob).collect();
            let links = link::read_sound(&self.blobs, ids).await?;
            is_whole &= links.iter().all(Option::is_some);
            for link in links.into_iter().flatten() {
                let (objects, bytes) = sums.entry(link.source).or_default();
                *objects += 1;
                *bytes = bytes.saturating_add(link.object.size_bytes);
            }
        }
        let usage = sums.into_iter().map(|(source, (objects, bytes))| LinkedUsage {
            source,
            objects,
            bytes,
        });
        let usage: Vec<LinkedUsage> = usage.collect();
        // What is damaged may be put right.
        if is_whole {
            *summed() = Some((all, usage.clone()));
        }
        Ok(usage)
    }

    /// Asks for each object that a file is linked to whether it is what it was, without reading it.
    ///
    /// # Errors
    /// A store failed. A source that fails is part of the answer.
    pub async fn check_links(&self, counters: &Counters) -> Result<LinkCheck, DataError> {
        let mut check = LinkCheck::default();
        let mut unasked: BTreeMap<String, UnaskedSource> = BTreeMap::new();
        let mut walk = Walk::new(self, self.versions_with_links().await?);
        while let Some((version, entries)) = walk.next().await? {
            counters.enter("asking sources");
            let ids = entries.iter().map(|entry| entry.blob).collect();
            let links = link::read_sound(&self.blobs, ids).await?;
            let mut wanted = Vec::new();
            for (entry, link) in entries.iter().zip(links) {
                let Some(link) = link else { continue };
                match unasked.get_mut(&link.source) {
                    // One that failed is not asked a thousand times.
                    Some(source) => source.objects += 1,
                    None => wanted.push((entry.path.to_string(), link)),
                }
            }
            let mut looks = stream::iter(wanted)
                .map(|(path, link)| self.look(path, link))
                .buffered(LOOKS);
            let mut broken = Vec::new();
            while let Some(looked) = looks.next().await {
                match looked {
                    Looked::Same => check.asked += 1,
                    Looked::Broken(error) => {
                        check.asked += 1;
                        broken.push(error);
                    }
                    Looked::Unasked(source, error) => {
                        let new = || UnaskedSource {
                            source: source.clone(),
                            problem: reason(&error),
                            objects: 0,
                        };
                        unasked.entry(source.clone()).or_insert_with(new).objects += 1;
                    }
                }
            }
            drop(looks);
            counters.files.store(check.asked, Ordering::Relaxed);
            check.broken_total += broken.len() as u64;
            let room = TOLD.saturating_sub(check.broken.len());
            broken.truncate(room);
            check.broken.extend(self.told(&version, broken).await?);
        }
        check.unasked = unasked.into_values().collect();
        Ok(check)
    }

    async fn look(&self, path: String, link: Link) -> Looked {
        let source = link.source.clone();
        let followed = match self.followed(&path, link) {
            Ok(followed) => followed,
            Err(error) => return Looked::Unasked(source, error),
        };
        match followed.look().await {
            Ok(None) => Looked::Same,
            Ok(Some(error)) => Looked::Broken(error),
            Err(error) => Looked::Unasked(source, error),
        }
    }

    async fn told(&self, version: &VersionId, broken: Vec<DataError>) -> Result<Vec<BrokenLink>, DataError> {
        if broken.is_empty() {
            return Ok(Vec::new());
        }
        let of = version.clone();
        let names = self
            .store
            .read(move |tx| Ok::<_, DataError>(versions::names(tx, &of)?));
        let datasets = names.await?;
        let told = broken.into_iter().filter_map(|error| match &error {
            DataError::Link { path, trouble } => Some(BrokenLink {
                version: version.clone(),
                datasets: datasets.clone(),
                path: path.clone(),
                code: error.code(),
                problem: trouble.to_string(),
            }),
            _ => None,
        });
        Ok(told.collect())
    }
}

/// Without the file, since it is so for all of the source.
fn reason(error: &DataError) -> String {
    match error {
        DataError::Link {
            trouble: LinkTrouble::SourceUnknown { .. },
            ..
        } => "it is not configured here".to_owned(),
        DataError::Link {
            trouble: LinkTrouble::SourceAway { problem, .. },
            ..
        } => format!("it is not there: {problem}"),
        DataError::Source { error, .. } => error.to_string(),
        other => other.to_string(),
    }
}
