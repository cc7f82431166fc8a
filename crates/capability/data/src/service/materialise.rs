//! Giving a step a version to read.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use corliss_types::VersionId;
use tokio::sync::Mutex;

use super::merge::root;
use super::{DataService, blocking};
use crate::place::Place;
use crate::tree::Cursor;
use crate::{DataError, Entry};

/// Files laid out together: enough that neighbours in a pack are read at once, in bounded memory.
const BATCH_FILES: usize = 50_000;
/// Work on different folders goes on side by side; a few that share a turn only wait for each other.
const TURNS: usize = 32;

/// Whose turn it is to work on a folder: two steps may want the same one at once.
#[derive(Debug)]
pub(crate) struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    pub(crate) fn of(&self, folder: &Path) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        folder.hash(&mut hasher);
        let index = hasher.finish() % TURNS as u64;
        // The remainder is an index.
        &self.0[usize::try_from(index).unwrap_or(0)]
    }
}

impl DataService {
    /// Lays a version out at `folder`, read-only (files 0444 or 0555, folders 0555), and whole when this
    /// returns. If it is there already and untouched, nothing is done; if something in it was changed, it is
    /// replaced. `folder` belongs to this function, with the names `.NAME.*` beside it.
    ///
    /// # Errors
    /// There is no such version, a linked file of it is not what it was, the disk is full, or a store or a source
    /// failed.
    pub async fn materialise(&self, version: &VersionId, folder: &Path) -> Result<(), DataError> {
        self.kept(version).await?;
        let _turn = self.turns.of(folder).lock().await;
        let (place, sound) = {
            let (folder, version) = (folder.to_path_buf(), version.clone());
            blocking(move || {
                let place = Place::new(&folder)?;
                place.make_parent()?;
                let sound = place.is_sound(&version)?;
                Ok((place, sound))
            })
            .await?
        };
        if sound {
            return Ok(());
        }
        let place = blocking(move || place.prepare().map(|()| place)).await?;
        let mut cursor = self.reader.cursor(root(version)?).await?;
        let mut last = PathBuf::new();
        loop {
            let entries = batch(&mut cursor).await?;
            if entries.is_empty() {
                break;
            }
            let place = place.clone();
            let placed = blocking(move || {
                let placements = place.placements(&entries, &mut last)?;
                let files: Vec<_> = entries.into_iter().zip(placements).collect();
                Ok((files, last))
            });
            let files;
            (files, last) = placed.await?;
            self.lay_out(files).await?;
        }
        let version = version.clone();
        blocking(move || place.finish(&version)).await
    }

    /// Whether the folder is as [`Self::materialise`] left it.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn is_untouched(&self, version: &VersionId, folder: &Path) -> Result<bool, DataError> {
        let _turn = self.turns.of(folder).lock().await;
        let (folder, version) = (folder.to_path_buf(), version.clone());
        blocking(move || Place::new(&folder)?.is_sound(&version)).await
    }

    /// Reads every file of a laid-out folder and compares it with the version; of a linked file the length alone, as
    /// a link does not know a digest.
    ///
    /// # Errors
    /// It differs, or cannot be read.
    pub async fn verify_directory(&self, version: &VersionId, folder: &Path) -> Result<(), DataError> {
        self.kept(version).await?;
        let mut cursor = self.reader.cursor(root(version)?).await?;
        let folder = folder.to_path_buf();
        let (place, mut files) = blocking(move || {
            let place = Place::new(&folder)?;
            let files = place.files()?;
            Ok((place, files))
        })
        .await?;
        loop {
            let entries = batch(&mut cursor).await?;
            if entries.is_empty() {
                break;
            }
            let (place, version) = (place.clone(), version.clone());
            files = blocking(move || place.verify(&version, &entries, &mut files).map(|()| files)).await?;
        }
        match files.first() {
            None => Ok(()),
            Some(path) => Err(DataError::Damaged {
                version: version.clone(),
                message: format!("'{path}' does not belong to it"),
            }),
        }
    }
}

/// The next files of a tree; none at its end.
async fn batch(cursor: &mut Cursor) -> Result<Vec<Entry>, DataError> {
    let mut entries = Vec::new();
    while entries.len() < BATCH_FILES
        && let Some(entry) = cursor.next_entry().await?
    {
        entries.push(entry);
    }
    Ok(entries)
}
