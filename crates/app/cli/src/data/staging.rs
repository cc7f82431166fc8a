//! Where files lie until all of them are here, so that nobody finds a folder with some of its files: beside a folder
//! that is yet to be made, or within one that is there. What was broken off stays, and is gone on with.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use corliss_blobstore::id_of_reader;
use corliss_data::Entry;
use serde::{Deserialize, Serialize};

use super::{download, upload};
use crate::api::Api;
use crate::error::{CliError, CliResult, unwritable};
use crate::parallel::on_threads;
use crate::text::short;
use crate::{program, progress};

/// Its name within a folder; versions of the folder do not have it.
pub const NAME: &str = ".corliss-checkout";

/// In it while files go from it to where they belong.
const PLACING: &str = ".corliss-placing";

/// What a process that was killed has asked the server for is still written: so long is waited for it.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// How often it is opened anew.
const OPEN_TRIES: u32 = 8;

/// A folder for files on their way, which one process at a time uses.
pub struct Staging {
    path: PathBuf,
    /// Locked as long as this lives, or a server to which it was lent is still writing into it.
    folder: File,
}

impl Staging {
    /// Beside a folder that is yet to be made, outside of the home.
    pub fn beside(folder: &Path, home: &Path) -> CliResult<Self> {
        let name = folder
            .file_name()
            .ok_or_else(|| CliError::input(format!("{} is no name of a folder", folder.display())))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".corliss-part");
        let path = folder.with_file_name(hidden);
        if let Some(parent) = path.parent() {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
            upload::check_outside(parent, home)?;
        }
        let staging = Self::at(path)?;
        if folder.symlink_metadata().is_ok() {
            // By somebody for whom this waited.
            staging.remove();
            return Err(CliError::input(format!("{} exists already", folder.display()))
                .hint("name a folder that does not exist yet"));
        }
        Ok(staging)
    }

    /// Within a folder, which lies outside of the home.
    pub fn within(folder: &Path, home: &Path) -> CliResult<Self> {
        upload::check_outside(folder, home)?;
        Self::at(folder.join(NAME))
    }

    fn at(path: PathBuf) -> CliResult<Self> {
        // One that somebody else has just made a folder of, or removed, is not it.
        for _ in 0..OPEN_TRIES {
            let staging = Self::open(path.clone())?;
            if staging.is_at_its_path() {
                return Ok(staging);
            }
        }
        Err(
            CliError::failed(format!("other processes use {} all the time", path.display()))
                .hint("stop them"),
        )
    }

    fn is_at_its_path(&self) -> bool {
        let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (held, named) = (self.folder.metadata(), self.path.symlink_metadata());
        held.is_ok_and(|held| named.is_ok_and(|named| place(held) == place(named)))
    }

    fn open(path: PathBuf) -> CliResult<Self> {
        match fs::create_dir(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unwritable(&path, &error)),
            _ => {}
        }
        let is_link = path.symlink_metadata().is_ok_and(|it| it.is_symlink());
        if is_link {
            return Err(CliError::input(format!("{} is a link", path.display()))
                .hint("remove it: files on their way lie there"));
        }
        let folder = File::open(&path).map_err(|error| unwritable(&path, &error))?;
        for _ in 0..LOCK_TRIES {
            match folder.try_lock() {
                Ok(()) => return Ok(Self { path, folder }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(unwritable(&path, &error)),
            }
        }
        Err(CliError::failed(format!(
            "another process is writing files into {}",
            path.display()
        ))
        .hint("wait until it is done, or stop it"))
    }

    /// Where the files lie.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fetches entries of a version, but for those that an attempt before this one has fetched. If this one is broken
    /// off too, what it has fetched stays.
    pub fn fetch(&self, api: &Api, home: &Path, version: &str, entries: &[Entry]) -> CliResult {
        let what = format!("fetching {}", short(version));
        let total = entries.iter().map(|entry| entry.size_bytes).sum();
        let bar = progress::bytes(&what, total);
        let lacking = self.lacking(entries)?;
        let lacking_bytes: u64 = lacking.iter().map(|entry| entry.size_bytes).sum();
        bar.inc(total - lacking_bytes);
        bar.reset_eta();
        let fetched = download::entries(api, home, version, &lacking, &self.path, &self.folder, &bar);
        bar.finish_and_clear();
        fetched.map_err(|error| {
            if !holds_files(&self.path) {
                return error;
            }
            let kept = format!(
                "what was fetched is kept in {}, and the same command goes on from there",
                self.path.display()
            );
            match error.report.hint.clone() {
                Some(hint) => error.hint(format!("{hint}; {kept}")),
                None => error.hint(kept),
            }
        })
    }

    /// Removes all that is no whole file of these; answers the entries that are not there.
    fn lacking<'a>(&self, entries: &'a [Entry]) -> CliResult<Cow<'a, [Entry]>> {
        let named: HashMap<&str, &Entry> = entries.iter().map(|entry| (entry.path.as_str(), entry)).collect();
        let mut seemingly = Vec::new();
        sort_out(&self.path, "", &named, &mut seemingly)?;
        if seemingly.is_empty() {
            return Ok(Cow::Borrowed(entries));
        }
        let here = Mutex::new(HashSet::new());
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        on_threads(threads, &seemingly, |line| {
            for entry in line {
                let path = self.path.join(entry.path.as_str());
                let read = File::open(&path).and_then(id_of_reader);
                if read.is_ok_and(|blob| blob.id == entry.blob) {
                    let mut here = here.lock().unwrap_or_else(PoisonError::into_inner);
                    here.insert(entry.path.as_str());
                } else {
                    fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
                }
            }
            Ok(())
        })?;
        let here = here.into_inner().unwrap_or_else(PoisonError::into_inner);
        let lacking = entries.iter().filter(|entry| !here.contains(entry.path.as_str()));
        Ok(Cow::Owned(lacking.cloned().collect()))
    }

    /// Says that files go from it into the folder around it from now on, and what that is to be.
    pub fn begin_placing(&self, midway: &Midway) -> CliResult {
        let (path, partial) = (self.path.join(PLACING), self.path.join(format!("{PLACING}.part")));
        let text = serde_json::to_vec(midway)
            .map_err(|error| CliError::failed(format!("cannot write down the checkout: {error}")))?;
        fs::write(&partial, text)
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(|error| unwritable(&path, &error))
    }

    /// Gives the files the name of the folder that they are to be, which is not there or empty.
    pub fn become_folder(self, folder: &Path) -> CliResult {
        let name_taken = |error: &io::Error| {
            matches!(
                error.kind(),
                ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory
            )
        };
        fs::rename(&self.path, folder).map_err(|error| match name_taken(&error) {
            true => CliError::input(format!(
                "{} was made by somebody else meanwhile",
                folder.display()
            ))
            .hint("name another folder, or move that one away: what was fetched is kept"),
            false => unwritable(folder, &error),
        })
    }

    /// Removes it, with all that is left in it: its work is done.
    pub fn remove(self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What a folder is to be that is half one version and half another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Midway {
    /// As people name it.
    pub target: String,
    /// Its version.
    pub version: String,
}

/// Whether a checkout of a folder was broken off in the middle, and of what.
pub fn midway(folder: &Path) -> Option<Midway> {
    let text = fs::read(folder.join(NAME).join(PLACING)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Refuses a folder that is half one version and half another.
pub fn check_whole(folder: &Path) -> CliResult {
    let Some(Midway { target, .. }) = midway(folder) else {
        return Ok(());
    };
    let path = folder.display();
    let again = program::command(&format!("data checkout {target} {path}"));
    Err(CliError::failed(format!(
        "a checkout of {path} to {target} is under way, or was broken off in the middle"
    ))
    .hint(format!("`{again}` goes on from there")))
}

/// One that was refused before anything was fetched leaves nothing behind.
impl Drop for Staging {
    fn drop(&mut self) {
        // By its path another one may be found by now.
        if self.is_at_its_path() {
            holds_files(&self.path);
        }
    }
}

/// Removes what is none of the files by its name, kind, size and mode; collects those that are.
fn sort_out<'a>(
    folder: &Path,
    prefix: &str,
    named: &HashMap<&str, &'a Entry>,
    seemingly: &mut Vec<&'a Entry>,
) -> CliResult {
    let failed = |error: std::io::Error| unwritable(folder, &error);
    for item in fs::read_dir(folder).map_err(failed)? {
        let item = item.map_err(failed)?;
        let path = item.path();
        if prefix.is_empty() && item.file_name() == PLACING {
            continue;
        }
        let metadata = path.symlink_metadata().map_err(failed)?;
        let relative = item.file_name().to_str().map(|name| format!("{prefix}{name}"));
        if metadata.is_dir() {
            let below = relative.unwrap_or_default() + "/";
            sort_out(&path, &below, named, seemingly)?;
            // Folders are made anew where there are files.
            let _ = fs::remove_dir(&path);
            continue;
        }
        let entry = relative.and_then(|relative| named.get(relative.as_str()));
        let is_executable = metadata.permissions().mode() & 0o100 != 0;
        match entry {
            // Of a linked one nobody knows what it is to be: it is fetched anew.
            Some(entry)
                if metadata.is_file()
                    && !entry.link
                    && metadata.len() == entry.size_bytes
                    && is_executable == entry.executable =>
            {
                seemingly.push(entry);
            }
            _ => fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?,
        }
    }
    Ok(())
}

/// Whether there is a file; folders without any are removed.
fn holds_files(folder: &Path) -> bool {
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !item.file_type().is_ok_and(|kind| kind.is_dir()) || holds_files(&item.path()) {
            return true;
        }
    }
    fs::remove_dir(folder).is_err()
}

#[cfg(test)]
mod tests {
    use corliss_blobstore::BlobId;

    use super::*;

    fn entry(path: &str, text: &str) -> Entry {
        Entry {
            path: path.parse().unwrap(),
            blob: BlobId::of(text.as_bytes()),
            size_bytes: text.len() as u64,
            executable: false,
            link: false,
        }
    }

    #[test]
    fn what_is_whole_stays_and_all_else_goes() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("digits");
        let staging = Staging::beside(&folder, Path::new("/nowhere")).unwrap();
        let path = |name: &str| staging.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        fs::create_dir_all(path("empty/x")).unwrap();
        for (name, text) in [
            ("whole", "whole"),
            ("a/b/whole", "too"),
            ("cut", "cu"),
            ("other", "0ther"),
            ("unknown", "x"),
            ("of a source", "text"),
        ] {
            fs::write(path(name), text).unwrap();
        }
        std::os::unix::fs::symlink("whole", path("linked")).unwrap();
        let entries = [
            entry("a/b/whole", "too"),
            entry("cut", "cut"),
            entry("linked", "whole"),
            Entry {
                link: true,
                ..entry("of a source", "text")
            },
            entry("other", "other"),
            entry("whole", "whole"),
        ];
        let lacking = staging.lacking(&entries).unwrap();
        let names: Vec<&str> = lacking.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(names, ["cut", "linked", "of a source", "other"]);
        let mut left: Vec<_> = fs::read_dir(staging.path())
            .unwrap()
            .map(|item| item.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["a", "whole"]);
        staging.become_folder(&folder).unwrap();
        assert_eq!(fs::read(folder.join("a/b/whole")).unwrap(), b"too");
    }

    #[test]
    fn one_process_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let held = Staging::within(place.path(), Path::new("/nowhere")).unwrap();
        let refused = Staging::within(place.path(), Path::new("/nowhere"))
            .err()
            .unwrap();
        assert!(
            refused.report.message.starts_with("another process"),
            "{refused:?}"
        );
        held.remove();
        Staging::within(place.path(), Path::new("/nowhere")).unwrap();
    }
}
