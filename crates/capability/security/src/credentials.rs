//! The credentials file and the installation's key: small files under the home directory that only their
//! owner may read, replaced whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use corliss_clock::Entropy;
use serde::{Deserialize, Serialize};

use crate::SecurityError;

const FILE_MAX_BYTES: u64 = 64 * 1024;

/// What the CLI and the SDK read to find and enter a server on this machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Where the server listens.
    pub url: String,
    /// A platform admin's token.
    pub token: String,
    /// PEM file with the authority that signed the server's certificate, if it is a private one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Reads the file; `None` if there is none.
///
/// # Errors
/// If it cannot be read, or is not TOML with `url` and `token`.
pub fn read(path: &Path) -> Result<Option<Credentials>, SecurityError> {
    let Some(bytes) = read_private(path)? else {
        return Ok(None);
    };
    let malformed = |reason: String| SecurityError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let text = String::from_utf8(bytes).map_err(|_| malformed("it is not text".to_owned()))?;
    let credentials: Credentials =
        toml::from_str(&text).map_err(|error| malformed(error.message().to_owned()))?;
    if credentials.token.is_empty() {
        return Err(malformed("it holds no token".to_owned()));
    }
    Ok(Some(credentials))
}

/// Replaces the file, readable and writable by its owner only.
pub(crate) fn write(path: &Path, credentials: &Credentials) -> Result<(), SecurityError> {
    let text = toml::to_string(credentials).map_err(|error| SecurityError::Malformed {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    replace(path, text.as_bytes()).map_err(failed("write", path))
}

/// The key from which workload tokens are derived; made at first use.
///
/// It lives in a file and not in the database, so that a copy of the database alone opens nothing.
pub(crate) fn key(path: &Path, entropy: &dyn Entropy) -> Result<[u8; 32], SecurityError> {
    if let Some(bytes) = read_private(path)? {
        return bytes.try_into().map_err(|_| SecurityError::Malformed {
            path: path.to_owned(),
            reason: "a key has 32 bytes".to_owned(),
        });
    }
    let mut key = [0_u8; 32];
    entropy.fill(&mut key);
    replace(path, &key).map_err(failed("write", path))?;
    Ok(key)
}

fn read_private(path: &Path) -> Result<Option<Vec<u8>>, SecurityError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let metadata = file.metadata().map_err(failed("read", path))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others could read this file; it is now private");
        file.set_permissions(fs::Permissions::from_mode(0o600))
            .map_err(failed("protect", path))?;
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    Ok(Some(bytes))
}

/// Writes beside the file, forces it to disk and renames it over: a reader sees the old or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    // A leftover of a killed process with our id, or somebody's link: not to be written through.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SecurityError {
    move |source| SecurityError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use corliss_clock::SeededEntropy;

    use super::*;

    #[test]
    fn the_file_is_private_whole_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        assert_eq!(read(&path).unwrap(), None);
        let credentials = Credentials {
            url: "http://127.0.0.1:7070".to_owned(),
            token: "corliss_x".to_owned(),
            ca: None,
        };
        write(&path, &credentials).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path).unwrap(), Some(credentials));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_new_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        for text in [
            "",
            "url = 1",
            "url = \"x\"\ntoken = \"\"",
            "url = \"x\"\ntoken = \"t\"\nother = 1",
        ] {
            fs::write(&path, text).unwrap();
            assert!(read(&path).is_err(), "{text}");
        }
    }

    #[test]
    fn the_key_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = key(&path, &SeededEntropy::new(1)).unwrap();
        assert_eq!(key(&path, &SeededEntropy::new(2)).unwrap(), first);
        fs::write(&path, "short").unwrap();
        assert!(key(&path, &SeededEntropy::new(3)).is_err());
    }
}
