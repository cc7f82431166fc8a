//! Where engines listen: Unix sockets in a private folder, with paths short enough for the kernel.
//!
//! A socket's path may have 107 bytes (`sun_path` in unix(7)). A home folder may be deeper than that, so a
//! long one gets a private folder under the system's temporary one, named by the home's digest.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use corliss_types::ReplicaId;

use crate::ServingError;

const PATH_MAX_BYTES: usize = 107;
const NAME_BYTES: usize = "/".len() + 26 + ".sock".len();

/// The folder for sockets of this installation.
#[derive(Debug, Clone)]
pub struct Sockets {
    folder: PathBuf,
}

impl Sockets {
    /// Makes the folder, private to this user, where it is missing.
    pub fn open(run_folder: &Path) -> Result<Self, ServingError> {
        let near = run_folder.join("engines");
        let folder = if near.as_os_str().len() + NAME_BYTES <= PATH_MAX_BYTES {
            near
        } else {
            far(run_folder)
        };
        let failed = |source| ServingError::Sockets {
            path: folder.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(failed)?;
        let meta = std::fs::symlink_metadata(&folder).map_err(failed)?;
        // In a temporary folder somebody else may have been there first.
        if !meta.is_dir() || meta.uid() != nix::unistd::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
            return Err(failed(std::io::Error::other(
                "it is not a private folder of this user",
            )));
        }
        Ok(Self { folder })
    }

    /// The socket of this replica.
    pub fn path(&self, replica: &ReplicaId) -> PathBuf {
        let body = replica.as_str().trim_start_matches("rep_");
        self.folder.join(format!("{body}.sock"))
    }
}

fn far(run_folder: &Path) -> PathBuf {
    let digest = blake3::hash(run_folder.as_os_str().as_encoded_bytes()).to_hex();
    std::env::temp_dir().join(format!("corliss-{}-{}", nix::unistd::geteuid(), &digest[..16]))
}

#[cfg(test)]
mod tests {
    use corliss_types::{IdSeed, Timestamp};

    use super::*;

    #[test]
    fn a_path_is_never_too_long() {
        let home = tempfile::tempdir().unwrap();
        let replica = ReplicaId::new(IdSeed {
            at: Timestamp::from_millis(1),
            random: [7; 10],
        });
        for run in [
            home.path().join("run"),
            home.path().join("x".repeat(120)).join("run"),
        ] {
            let sockets = Sockets::open(&run).unwrap();
            assert!(sockets.path(&replica).as_os_str().len() <= PATH_MAX_BYTES);
            let again = Sockets::open(&run).unwrap();
            assert_eq!(again.path(&replica), sockets.path(&replica));
        }
        std::fs::remove_dir(far(&home.path().join("x".repeat(120)).join("run"))).unwrap();
    }
}
