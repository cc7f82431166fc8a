//! Taking objects of a source in as files of a dataset: listed, looked over, copied several at a time or linked,
//! committed.
//!
//! What was copied is noted as it comes, with the etag that it had. So an import that is broken off goes on where it
//! was, and one that is done again copies what changed since. Nothing is removed: a file whose object is gone stays.

mod links;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use corliss_blobstore::BlobId;
use futures_util::StreamExt;
use futures_util::stream;
use tokio_util::io::InspectReader;

use super::DataService;
use super::commit::check_signature;
use super::operations::{Kind, Operation, Outcome, Subject};
use crate::counters::Counters;
use crate::error::shortened;
use crate::source::{self, Found, Named, OBJECTS_MAX, Object, Opened, Refused, SourceInfo};
use crate::store::imports::{self, Taken};
use crate::types::{Imported, Signature, Target};
use crate::{DataError, Entry, EntryPath};

/// Shared by all imports: an object of a few bytes takes one, a large one [`LARGE_TURNS`], so that memory is bounded.
pub(super) const TURNS: usize = 16;
const LARGE_TURNS: u32 = 4;
/// With more than this an object is large. It is some bodies of pieces in memory, a small one hardly more than this.
const LARGE_BYTES: u64 = 4 << 20;
/// Objects that are noted together, and blobs that are asked for.
const BATCH: usize = 1000;
/// Objects that are refused by name.
const TOLD: usize = 20;

/// What is to be imported, and where to.
#[derive(Debug, Clone)]
pub struct ImportWish {
    /// The source.
    pub source: String,
    /// A folder of it, or one object; `""` is all of it.
    pub prefix: String,
    /// The folder of the dataset that it goes into; none is the dataset itself.
    pub to: Option<EntryPath>,
    /// The branch. A dataset that is not there is made.
    pub target: Target,
    /// Whether the files are linked to the objects, which are not read. Either way an object becomes the same whatever
    /// was there before: a copy replaces a link, and a link a copy.
    pub link: bool,
    /// By whom and why; an empty message says what was imported.
    pub by: Signature,
}

impl ImportWish {
    /// As a person writes it.
    fn what(&self) -> String {
        match self.prefix.as_str() {
            "" => self.source.clone(),
            prefix => format!("{}/{prefix}", self.source),
        }
    }
}

/// An object and the file that it becomes.
struct Planned {
    path: EntryPath,
    object: Object,
}

impl DataService {
    /// The sources that are configured.
    pub(crate) fn source_list(&self) -> Vec<SourceInfo> {
        self.imports.list()
    }

    /// Starts an import in the background.
    ///
    /// # Errors
    /// There is no such source, or something is being imported into the dataset already.
    pub(crate) fn start_import(&self, wish: ImportWish) -> Result<Operation, DataError> {
        self.imports.get(&wish.source)?;
        check_signature(&wish.by)?;
        let subject = Subject {
            kind: Kind::Import,
            dataset: Some(wish.target.dataset.clone()),
            remote: None,
            source: Some(wish.what()),
        };
        self.start(subject, move |service, counters| async move {
            service.import(&wish, &counters).await.map(Outcome::Import)
        })
    }

    /// Commits the objects of a folder of a source, or one object, as files of a dataset.
    ///
    /// # Errors
    /// There is no such source, or nothing in it there; an object cannot be a file, or was changed meanwhile; the
    /// branch is protected; or a store or the source failed. Nothing is committed then.
    pub async fn import(&self, wish: &ImportWish, counters: &Arc<Counters>) -> Result<Imported, DataError> {
        let mut by = wish.by.clone();
        if by.message.is_empty() {
            let action = if wish.link { "Link" } else { "Import" };
            by.message = format!("{action} {}", shortened(&wish.what()));
        }
        check_signature(&by)?;
        let source = self.imports.get(&wish.source)?;
        // Sooner than after an hour of copying.
        let head = self.head(&wish.target).await?;
        if head.info.as_ref().is_some_and(|info| info.protected) {
            return Err(DataError::BranchProtected { branch: head.branch });
        }
        counters.enter("listing");
        let mut planned = self.plan(&source, wish).await?;
        // From the answer that something is stored, or the end of its copying, to the commit that keeps it.
        let _hold = self.blobs.hold();
        if wish.link {
            return self.import_links(wish, &head, planned, by, counters).await;
        }
        let known = self.taken(&source, wish, &planned).await?;
        let mut changes = Vec::with_capacity(planned.len());
        let total = planned.len();
        planned.retain(|one| match known.get(&one.object.key) {
            Some(blob) => {
                changes.push((one.path.clone(), Some(entry(one, *blob))));
                false
            }
            None => true,
        });
        let copied = planned.len() as u64;
        let copied_bytes = planned.iter().map(|one| one.object.size_bytes).sum();
        counters.files_total.store(copied, Ordering::Relaxed);
        counters.bytes_total.store(copied_bytes, Ordering::Relaxed);
        counters.enter("copying");
        changes.extend(self.copy_in(&source, wish, planned, counters).await?);
        counters.enter("committing");
        changes.sort_by(|left, right| left.0.cmp(&right.0));
        let committed = self.commit_changes(&wish.target, &changes, by, "import").await?;
        Ok(Imported {
            source: wish.what(),
            committed,
            copied,
            copied_bytes,
            linked: 0,
            linked_bytes: 0,
            unchanged: total as u64 - copied,
        })
    }

    /// What becomes which file; nothing that cannot be one is passed over in silence.
    async fn plan(&self, source: &Named, wish: &ImportWish) -> Result<Vec<Planned>, DataError> {
        let folder = wish.prefix.trim_end_matches('/');
        let nothing = || DataError::SourceEmpty {
            name: source.name.clone(),
            prefix: shortened(&wish.prefix),
        };
        if !folder.is_empty() && folder.parse::<EntryPath>().is_err() {
            return Err(nothing());
        }
        let mut found = source.source.list(folder).await?;
        let is_one = found.objects.is_empty() && found.refused_total == 0 && folder == wish.prefix;
        if is_one && !folder.is_empty() {
            found.objects.extend(source.source.look(folder).await?);
        }
        if found.objects.len() > OBJECTS_MAX {
            return Err(DataError::TooMany {
                what: "objects; import some folders of it",
                limit: OBJECTS_MAX,
            });
        }
        if found.objects.is_empty() && found.refused_total == 0 {
            return Err(nothing());
        }
        let mut refused = Refusals::of(&mut found);
        let mut planned = Vec::with_capacity(found.objects.len());
        for object in found.objects {
            if object.size_bytes > self.limits.blob_bytes {
                refused.add(&object.key, "is larger than a file may be");
                continue;
            }
            if let Some(problem) = links::problem(wish, &object) {
                refused.add(&object.key, problem);
                continue;
            }
            match path_of(&object.key, folder, wish.to.as_ref()) {
                Ok(path) => planned.push(Planned { path, object }),
                Err(DataError::InvalidPath { problem, .. }) => refused.add(&object.key, problem),
                Err(error) => return Err(error),
            }
        }
        let paths: HashSet<&str> = planned.iter().map(|one| one.path.as_str()).collect();
        let folders: HashSet<&str> = planned.iter().flat_map(|one| one.path.folders()).collect();
        let both: HashSet<String> = paths
            .intersection(&folders)
            .map(|path| (*path).to_owned())
            .collect();
        for one in planned.iter().filter(|one| both.contains(one.path.as_str())) {
            refused.add(&one.object.key, "is also the folder of other objects");
        }
        refused.tell(&source.name)?;
        planned.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(planned)
    }

    /// Blobs of the objects that are as they were when they were imported, and are stored.
    async fn taken(
        &self,
        source: &Named,
        wish: &ImportWish,
        planned: &[Planned],
    ) -> Result<HashMap<String, BlobId>, DataError> {
        let (dataset, place) = (wish.target.dataset.clone(), source.source.place());
        let all: HashMap<String, Taken> = self
            .store
            .read(move |tx| Ok::<_, DataError>(imports::all(tx, &dataset, &place)?))
            .await?;
        let same = planned.iter().filter_map(|one| {
            let taken = all.get(&one.object.key).filter(|taken| taken.is(&one.object))?;
            Some((one.object.key.clone(), taken.blob))
        });
        let same: Vec<(String, BlobId)> = same.collect();
        let mut stored = HashMap::with_capacity(same.len());
        for some in same.chunks(BATCH) {
            let found = self.blobs.stat_all(some.iter().map(|(_, blob)| *blob).collect());
            let both = some.iter().zip(found.await?);
            stored.extend(
                both.filter(|(_, blob)| blob.is_some())
                    .map(|(one, _)| one.clone()),
            );
        }
        Ok(stored)
    }

    /// Copies objects, and notes what became of them.
    async fn copy_in(
        &self,
        source: &Named,
        wish: &ImportWish,
        planned: Vec<Planned>,
        counters: &Arc<Counters>,
    ) -> Result<Vec<(EntryPath, Option<Entry>)>, DataError> {
        let place = source.source.place();
        let mut changes = Vec::with_capacity(planned.len());
        let mut fresh = Vec::new();
        let mut copies = stream::iter(planned)
            .map(|one| self.copy_one(source, one, counters))
            .buffer_unordered(TURNS);
        let mut failed = None;
        while let Some(copied) = copies.next().await {
            match copied {
                Ok((one, blob)) => {
                    counters.files.fetch_add(1, Ordering::Relaxed);
                    changes.push((one.path.clone(), Some(entry(&one, blob))));
                    fresh.push((one.object, blob));
                }
                Err(error) => failed = Some(error),
            }
            if fresh.len() >= BATCH || failed.is_some() {
                self.note(wish, &place, std::mem::take(&mut fresh)).await?;
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
        self.note(wish, &place, fresh).await?;
        Ok(changes)
    }

    async fn copy_one(
        &self,
        source: &Named,
        one: Planned,
        counters: &Arc<Counters>,
    ) -> Result<(Planned, BlobId), DataError> {
        let _turn = self.objects.acquire_many(turns(one.object.size_bytes)).await;
        let failed: Arc<OnceLock<DataError>> = Arc::default();
        let range = 0..one.object.size_bytes;
        let opened = Opened {
            from: source.clone(),
            object: one.object.clone(),
        };
        let bytes = source::stream(opened, range, Arc::clone(&failed));
        let counted = Arc::clone(counters);
        let mut bytes = InspectReader::new(bytes, move |read: &[u8]| {
            counted.bytes.fetch_add(read.len() as u64, Ordering::Relaxed);
        });
        match self.blobs.put(&mut bytes, Some(self.limits.blob_bytes)).await {
            Ok(stored) => Ok((one, stored.blob.id)),
            Err(error) => Err(failed.get().cloned().unwrap_or_else(|| error.into())),
        }
    }

    async fn note(
        &self,
        wish: &ImportWish,
        place: &str,
        fresh: Vec<(Object, BlobId)>,
    ) -> Result<(), DataError> {
        if fresh.is_empty() {
            return Ok(());
        }
        let (dataset, place) = (wish.target.dataset.clone(), place.to_owned());
        self.store
            .write(move |tx| Ok(imports::note(tx, &dataset, &place, &fresh)?))
            .await
    }
}

fn entry(one: &Planned, blob: BlobId) -> Entry {
    Entry {
        path: one.path.clone(),
        blob,
        size_bytes: one.object.size_bytes,
        executable: false,
        link: false,
    }
}

/// How many of the turns an object takes.
pub(super) const fn turns(size_bytes: u64) -> u32 {
    if size_bytes > LARGE_BYTES { LARGE_TURNS } else { 1 }
}

/// Where an object goes: by its name below the folder that is imported, or, of that name itself, by its last part.
fn path_of(key: &str, folder: &str, to: Option<&EntryPath>) -> Result<EntryPath, DataError> {
    let below = match key.strip_prefix(folder) {
        Some(rest) if folder.is_empty() => rest,
        Some("") => key.rsplit('/').next().unwrap_or(key),
        Some(rest) => rest.strip_prefix('/').unwrap_or(key),
        None => key,
    };
    match to {
        Some(to) => format!("{to}/{below}").parse(),
        None => below.parse(),
    }
}

/// What cannot be imported.
struct Refusals {
    count: u64,
    told: Vec<String>,
}

impl Refusals {
    /// What a list could not take.
    fn of(found: &mut Found) -> Self {
        let mut refused = Self {
            count: 0,
            told: Vec::new(),
        };
        for Refused { key, reason } in std::mem::take(&mut found.refused) {
            refused.add(&key, reason);
        }
        refused.count = refused.count.max(found.refused_total);
        refused
    }

    fn add(&mut self, key: &str, reason: &'static str) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("'{}' {reason}", shortened(key)));
        }
    }

    fn tell(mut self, source: &str) -> Result<(), DataError> {
        if self.count == 0 {
            return Ok(());
        }
        let others = self.count - self.told.len() as u64;
        if others > 0 {
            self.told.push(format!("and {others} more"));
        }
        Err(DataError::ImportRefused {
            name: source.to_owned(),
            count: self.count,
            objects: self.told,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_their_place_below_what_is_imported() {
        let to: EntryPath = "raw/x".parse().unwrap();
        for (key, folder, to, expected) in [
            ("a/b", "", None, "a/b"),
            ("a/b/c", "a", None, "b/c"),
            ("a/b/c", "a/b/c", None, "c"),
            ("top", "top", None, "top"),
            ("a/b/c", "a", Some(&to), "raw/x/b/c"),
            ("a/b/c", "a/b/c", Some(&to), "raw/x/c"),
        ] {
            assert_eq!(
                path_of(key, folder, to).unwrap().as_str(),
                expected,
                "{key} {folder}"
            );
        }
        let long = format!("a/{}", "x".repeat(300));
        assert!(path_of(&long, "a", None).is_err());
    }
}
