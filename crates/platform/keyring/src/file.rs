//! The root key in a file of this machine, made when it is first needed.
//!
//! A header line, then one line per key, the newest first: its id and the key, both in hex. Older keys
//! unwrap; only the newest wraps. Whoever has this file and the data can read the data: keep a backup of it
//! apart from theirs.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::key::{KEY_BYTES, KeyBytes, SealKey, fill, open_key, random_key, seal_key};
use crate::{KeyError, RootKey, Wrapped};

const HEADER: &str = "corliss-root-keys 1";
/// A file of more is not one of ours.
const MAX_BYTES: u64 = 64 << 10;

/// Root keys from a file.
pub struct FileRootKey {
    path: PathBuf,
    /// Newest first; empty until the first key is needed.
    keys: RwLock<Vec<Arc<Named>>>,
}

/// A key and its id.
type Named = (String, SealKey);

impl FileRootKey {
    /// Reads the file. If there is none, it is made when something is wrapped for the first time; where there
    /// is something to unwrap, a key that was lost is told and no other takes its place.
    ///
    /// # Errors
    /// Others may read the file, it has another form, or the file system refused.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        Ok(Self {
            path: path.to_path_buf(),
            keys: RwLock::new(read(path)?),
        })
    }

    fn newest(&self) -> Result<Arc<Named>, KeyError> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty() {
            create(&self.path)?;
            *keys = read(&self.path)?;
        }
        keys.first().cloned().ok_or_else(|| self.missing("", "any"))
    }

    fn named(&self, id: &str) -> Option<Arc<Named>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.0 == id).cloned()
    }

    fn missing(&self, tenant: &str, wanted: &str) -> KeyError {
        KeyError::RootMissing {
            tenant: tenant.to_owned(),
            wanted: wanted.to_owned(),
            place: self.path.display().to_string(),
        }
    }
}

/// The keys of the file; none if there is no file.
fn read(path: &Path) -> Result<Vec<Arc<Named>>, KeyError> {
    let failed = |error: &std::io::Error| KeyError::io("read", path, error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&error)),
    };
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if metadata.mode() & 0o077 != 0 {
        let (path, mode) = (path.to_path_buf(), metadata.mode() & 0o7777);
        return Err(KeyError::FileOpen { path, mode });
    }
    let mut text = Zeroizing::new(String::new());
    (&mut file)
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| failed(&error))?;
    parse(&text).map_err(|(line, problem)| KeyError::FileForm {
        path: path.to_path_buf(),
        line,
        problem,
    })
}

/// Makes the file whole or not at all; another process that makes it at the same time is not overwritten.
fn create(path: &Path) -> Result<(), KeyError> {
    let failed = |error: std::io::Error| KeyError::io("write", path, &error);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let partial = path.with_extension(format!("new-{}", std::process::id()));
    let mut id = [0; 8];
    fill(&mut id)?;
    let text = Zeroizing::new(format!(
        "{HEADER}\n{} {}\n",
        *hex(&id),
        *hex(random_key()?.as_ref())
    ));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    let linked = written.and_then(|()| match fs::hard_link(&partial, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = fs::remove_file(&partial);
    linked
        .and(removed)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(failed)
}

fn parse(text: &str) -> Result<Vec<Arc<Named>>, (usize, &'static str)> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    if lines.next().is_none_or(|(_, line)| line != HEADER) {
        return Err((1, "the first line must be 'corliss-root-keys 1'"));
    }
    let mut keys = Vec::new();
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let form = (at, "a line must hold a key's id and 64 hex digits");
        let (id, digits) = line.split_once(' ').ok_or(form)?;
        let key = unhex(digits.trim()).filter(|_| !id.is_empty()).ok_or(form)?;
        keys.push(Arc::new((id.to_owned(), SealKey::new(&key).map_err(|_| form)?)));
    }
    if keys.is_empty() {
        return Err((2, "there is no key in the file"));
    }
    Ok(keys)
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four: u8| char::from(DIGITS[usize::from(four & 15)]);
    Zeroizing::new(
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
            .collect(),
    )
}

fn unhex(digits: &str) -> Option<KeyBytes> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    let value = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(key)
}

#[async_trait]
impl RootKey for FileRootKey {
    async fn wrap(&self, context: &str, key: &KeyBytes) -> Result<Wrapped, KeyError> {
        let newest = self.newest()?;
        Ok(Wrapped {
            by: newest.0.clone(),
            bytes: seal_key(&newest.1, context, key)?,
        })
    }

    async fn unwrap(&self, tenant: &str, context: &str, wrapped: &Wrapped) -> Result<KeyBytes, KeyError> {
        let by = self.named(&wrapped.by);
        let by = by.ok_or_else(|| self.missing(tenant, &wrapped.by))?;
        open_key(&by.1, context, &wrapped.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn the_file_is_made_private_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/root");
        let first = FileRootKey::open(&path).unwrap();
        assert!(!path.exists(), "nothing was wrapped yet");
        first.wrap("a", &random_key().unwrap()).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let key = random_key().unwrap();
        let wrapped = first.wrap("a", &key).await.unwrap();
        let again = FileRootKey::open(&path).unwrap();
        assert_eq!(again.unwrap("t", "a", &wrapped).await.unwrap(), key);
        let other = again.unwrap("t", "b", &wrapped).await.unwrap_err();
        assert!(matches!(other, KeyError::Sealed { .. }));
    }

    #[tokio::test]
    async fn an_older_key_still_unwraps_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        let key = random_key().unwrap();
        let old = FileRootKey::open(&path).unwrap();
        let wrapped = old.wrap("a", &key).await.unwrap();
        let line = fs::read_to_string(&path)
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned();
        let newer = format!("{HEADER}\nfeed {}\n", "ab".repeat(32));
        fs::write(&path, format!("{newer}{line}\n")).unwrap();
        let both = FileRootKey::open(&path).unwrap();
        assert_eq!(both.unwrap("t", "a", &wrapped).await.unwrap(), key);
        assert_eq!(both.wrap("a", &key).await.unwrap().by, "feed");
        fs::write(&path, newer).unwrap();
        let without = FileRootKey::open(&path).unwrap();
        let error = without.unwrap("t", "a", &wrapped).await.unwrap_err();
        assert!(error.to_string().contains(&wrapped.by), "{error}");
        fs::remove_file(&path).unwrap();
        let lost = FileRootKey::open(&path).unwrap();
        assert!(lost.unwrap("t", "a", &wrapped).await.is_err());
        assert!(!path.exists(), "no other key takes the place of a lost one");
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_or_that_is_not_one_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        let made = FileRootKey::open(&path).unwrap();
        made.wrap("a", &random_key().unwrap()).await.unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = FileRootKey::open(&path).err().unwrap();
        assert!(error.to_string().contains("0644"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for (text, line) in [
            ("", 1),
            ("corliss-root-keys 2\n", 1),
            ("corliss-root-keys 1\n", 2),
            ("corliss-root-keys 1\nx y\n", 2),
            (&format!("corliss-root-keys 1\nx {}\n", "g".repeat(64)), 2),
        ] {
            fs::write(&path, text).unwrap();
            let error = FileRootKey::open(&path).err().unwrap();
            assert!(
                matches!(error, KeyError::FileForm { line: at, .. } if at == line),
                "{error}"
            );
        }
    }
}
