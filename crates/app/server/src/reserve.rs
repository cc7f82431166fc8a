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

/// What is held at most: enough for the database to record and to fold its log while outputs are being
/// removed.
const HELD_MOST_BYTES: u64 = 32 << 20;
/// A small disk gives up to this share of itself.
const SHARE: u64 = 16;
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

/// The home's disk.
#[derive(Debug, Clone, Copy)]
struct Disk {
    total_bytes: u64,
    free_bytes: u64,
}

impl Disk {
    fn held_bytes(self) -> u64 {
        HELD_MOST_BYTES.min(self.total_bytes / SHARE)
    }

    /// What to do, the room being held or not.
    fn decide(self, held: bool) -> Step {
        let room = self.held_bytes();
        match held {
            true if self.free_bytes < room / 8 => Step::Release,
            // With less, it would be the reserve that fills the disk.
            false if self.free_bytes >= 2 * room => Step::Take,
            _ => Step::Keep,
        }
    }
}

impl Reserve {
    fn round(&self) -> io::Result<&'static str> {
        let held = self.path.try_exists()?;
        let disk = self.disk()?;
        match disk.decide(held) {
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
                if let Err(error) = posix_fallocate(&file, 0, disk.held_bytes().cast_signed()) {
                    std::fs::remove_file(&self.path)?;
                    return Err(error.into());
                }
                Ok("room is held")
            }
        }
    }

    fn disk(&self) -> io::Result<Disk> {
        let disk = statvfs(self.path.parent().unwrap_or(&self.path))?;
        Ok(Disk {
            total_bytes: disk.blocks().saturating_mul(disk.fragment_size()),
            free_bytes: disk.blocks_available().saturating_mul(disk.fragment_size()),
        })
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
        for total_bytes in [60 << 20, 500 << 30] {
            let disk = |free_bytes| Disk {
                total_bytes,
                free_bytes,
            };
            let room = disk(0).held_bytes();
            assert!(room <= total_bytes / SHARE && room <= HELD_MOST_BYTES);
            assert_eq!(disk(0).decide(true), Step::Release);
            assert_eq!(disk(room).decide(true), Step::Keep);
            let just_released = disk(room).decide(false);
            assert_eq!(just_released, Step::Keep, "it is not taken again at once");
            assert_eq!(disk(2 * room).decide(false), Step::Take);
        }
    }

    #[test]
    fn the_room_is_real() {
        use std::os::unix::fs::MetadataExt;

        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve {
            path: folder.path().join("disk.reserve"),
        };
        let disk = reserve.disk().unwrap();
        assert_eq!(disk.decide(false), Step::Take, "this test needs room on {disk:?}");
        assert_eq!(reserve.round().unwrap(), "room is held");
        assert!(std::fs::metadata(&reserve.path).unwrap().blocks() * 512 >= disk.held_bytes());
        assert_eq!(reserve.round().unwrap(), "room is held");
    }
}
