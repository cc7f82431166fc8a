//! Room on the home's disk that is given up when a step has filled it.
//!
//! A full disk must fail the step that filled it and nothing else. But that failure is a record, the record
//! needs room, and the step's unfinished output is removed only after it. So some room is held from the
//! start and released when nothing else is left; once the disk has been cleared it is taken again.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};
use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::statvfs;

use crate::ServerError;

/// What is held: enough for the database to record and to fold its log while outputs are being removed.
const HELD_BYTES: u64 = 32 << 20;
/// With less than this free, the room is given up.
const LOW_BYTES: u64 = 4 << 20;
/// With less than this free, none is taken: it would be the reserve that fills the disk.
const PLENTY_BYTES: u64 = 2 * HELD_BYTES;
const PERIOD: Duration = Duration::from_secs(1);

/// Starts the loop that keeps the room.
pub(crate) fn start(home: &Path, shutdown: &Shutdown, workers: &WorkerBoard) {
    let reserve = Arc::new(Reserve {
        path: home.join("run").join("disk.reserve"),
    });
    corliss_reconcile::spawn(reserve, PERIOD, Wake::new(), shutdown.clone(), workers);
}

struct Reserve {
    path: PathBuf,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Keep,
    Release,
    Take,
}

/// What to do with so many bytes free, and the room held or not.
const fn decide(free_bytes: u64, held: bool) -> Step {
    match held {
        true if free_bytes < LOW_BYTES => Step::Release,
        false if free_bytes >= PLENTY_BYTES => Step::Take,
        _ => Step::Keep,
    }
}

impl Reserve {
    fn round(&self) -> io::Result<&'static str> {
        let held = self.path.try_exists()?;
        match decide(self.free_bytes()?, held) {
            Step::Keep if held => Ok("room is held"),
            Step::Keep => Ok("the disk is full: the room is given up"),
            Step::Release => {
                std::fs::remove_file(&self.path)?;
                tracing::warn!(path = %self.path.display(), "the disk is full; the room held for records is given up");
                Ok("the disk is full: the room is given up")
            }
            Step::Take => {
                let file = OpenOptions::new()
                    .create(true)
                    .write(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&self.path)?;
                // Taken for real: a file with holes holds nothing.
                if let Err(error) = posix_fallocate(&file, 0, HELD_BYTES.cast_signed()) {
                    std::fs::remove_file(&self.path)?;
                    return Err(error.into());
                }
                Ok("room is held")
            }
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = statvfs(self.path.parent().unwrap_or(&self.path))?;
        Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }
}

#[async_trait]
impl Reconciler for Reserve {
    fn name(&self) -> &'static str {
        "server.disk_reserve"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let failed = |source| ServerError::Home {
            path: self.path.clone(),
            source,
        };
        Ok(Outcome::done(self.round().map_err(failed)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_released_when_low_and_taken_when_there_is_plenty() {
        assert_eq!(decide(0, true), Step::Release);
        assert_eq!(decide(LOW_BYTES, true), Step::Keep);
        assert_eq!(
            decide(HELD_BYTES, false),
            Step::Keep,
            "what was just released is not taken at once"
        );
        assert_eq!(decide(PLENTY_BYTES, false), Step::Take);
        assert_eq!(decide(PLENTY_BYTES, true), Step::Keep);
    }

    #[test]
    fn the_room_is_real() {
        use std::os::unix::fs::MetadataExt;

        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve {
            path: folder.path().join("disk.reserve"),
        };
        assert!(
            reserve.free_bytes().unwrap() > PLENTY_BYTES,
            "this test needs {PLENTY_BYTES} bytes of disk"
        );
        assert_eq!(reserve.round().unwrap(), "room is held");
        assert!(std::fs::metadata(&reserve.path).unwrap().blocks() * 512 >= HELD_BYTES);
        assert_eq!(reserve.round().unwrap(), "room is held");
    }
}
