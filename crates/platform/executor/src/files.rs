//! The task directory: which file is what, and writing them so that a reader never sees half of one.
//!
//! Records are renamed into place, and only the exit is forced to disk: after a crash of a process the page
//! cache still has the others, and after a crash of the machine nothing of the task runs any more, whatever
//! they said. Whether a task may be started again then is for the caller to know, by [`crate::boot_id`].
//!
//! `spec.json` what to run · `lock` held by the shim for life · `status.json` the shim's record ·
//! `status.spare` room kept for the exit record · `stop` a request to end · `shim.log` the shim's own
//! complaints · `exec-error` why the program could not be run · `output.v1.*.log` the task's log.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{ExecutorError, TaskExit, TaskSpec};

/// The stored form of both records; a newer one is refused by name.
const FORMAT: u32 = 1;
/// The exit record is written into a file of this size, allocated before the task starts, so that a full
/// disk cannot swallow it.
const RECORD_BYTES: usize = 4096;
/// No record is larger; what is, is not ours.
const READ_LIMIT: u64 = 4 << 20;

pub(crate) fn spec_path(dir: &Path) -> PathBuf {
    dir.join("spec.json")
}
pub(crate) fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}
pub(crate) fn status_path(dir: &Path) -> PathBuf {
    dir.join("status.json")
}
pub(crate) fn spare_path(dir: &Path) -> PathBuf {
    dir.join("status.spare")
}
pub(crate) fn stop_path(dir: &Path) -> PathBuf {
    dir.join("stop")
}
pub(crate) fn shim_log_path(dir: &Path) -> PathBuf {
    dir.join("shim.log")
}
pub(crate) fn exec_error_path(dir: &Path) -> PathBuf {
    dir.join("exec-error")
}

/// What is needed to know a process again: pids are reused, (pid, start, boot) is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    pub pid: i32,
    /// Start in clock ticks since boot.
    pub start_ticks: u64,
}

/// What the shim tells about its task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusRecord {
    pub version: u32,
    pub boot_id: String,
    pub shim: ProcessIdentity,
    /// Absent between "about to spawn" and "spawned".
    pub main: Option<ProcessIdentity>,
    pub started_ms: Option<i64>,
    pub exit: Option<TaskExit>,
}

impl StatusRecord {
    pub(crate) fn new(boot_id: String, shim: ProcessIdentity) -> Self {
        Self {
            version: FORMAT,
            boot_id,
            shim,
            main: None,
            started_ms: None,
            exit: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SpecRecord {
    version: u32,
    spec: TaskSpec,
}

/// A request to end, left beside the task so that a shim that starts late still finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopRequest {
    pub grace_ms: u64,
}

/// Makes the directory, readable by its owner only: specifications hold tokens.
pub(crate) fn make_dir(dir: &Path) -> Result<(), ExecutorError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| ExecutorError::io("make the folder", dir, error))
}

pub(crate) fn write_spec(spec: &TaskSpec) -> Result<(), ExecutorError> {
    write_record(
        &spec_path(&spec.dir),
        &SpecRecord {
            version: FORMAT,
            spec: spec.clone(),
        },
    )
}

pub(crate) fn read_spec(dir: &Path) -> Result<Option<TaskSpec>, ExecutorError> {
    let path = spec_path(dir);
    let Some(record) = read_record::<SpecRecord>(&path)? else {
        return Ok(None);
    };
    check_version(&path, record.version)?;
    Ok(Some(record.spec))
}

pub(crate) fn write_status(dir: &Path, record: &StatusRecord) -> Result<(), ExecutorError> {
    write_record(&status_path(dir), record)
}

pub(crate) fn read_status(dir: &Path) -> Result<Option<StatusRecord>, ExecutorError> {
    let path = status_path(dir);
    let Some(record) = read_record::<StatusRecord>(&path)? else {
        return Ok(None);
    };
    check_version(&path, record.version)?;
    Ok(Some(record))
}

pub(crate) fn write_stop(dir: &Path, request: StopRequest) -> Result<(), ExecutorError> {
    write_record(&stop_path(dir), &request)
}

pub(crate) fn read_stop(dir: &Path) -> Result<Option<StopRequest>, ExecutorError> {
    read_record(&stop_path(dir))
}

/// Allocates the room for the exit record.
pub(crate) fn reserve_exit(dir: &Path) -> Result<(), ExecutorError> {
    write_whole(&spare_path(dir), &[b' '; RECORD_BYTES])
        .map_err(|e| ExecutorError::io("write", &spare_path(dir), e))
}

/// Writes the exit record into the reserved room and renames it into place.
pub(crate) fn write_exit(dir: &Path, record: &StatusRecord) -> Result<(), ExecutorError> {
    let spare = spare_path(dir);
    let mut bytes = encode(&spare, record)?;
    bytes.resize(bytes.len().max(RECORD_BYTES), b' ');
    let write = || -> std::io::Result<()> {
        // Overwritten in place, not truncated: truncating would give the reserved blocks back.
        let mut file = private().create(true).truncate(false).write(true).open(&spare)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&spare, status_path(dir))
    };
    write().map_err(|error| ExecutorError::io("write", &spare, error))
}

fn check_version(path: &Path, version: u32) -> Result<(), ExecutorError> {
    if version == FORMAT {
        return Ok(());
    }
    Err(ExecutorError::BadRecord {
        path: path.to_owned(),
        reason: format!("it has version {version}, this one reads {FORMAT}"),
    })
}

fn encode(path: &Path, record: &impl Serialize) -> Result<Vec<u8>, ExecutorError> {
    serde_json::to_vec(record).map_err(|error| ExecutorError::BadRecord {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn write_record(path: &Path, record: &impl Serialize) -> Result<(), ExecutorError> {
    let bytes = encode(path, record)?;
    // A name of its own for each write: two callers may write the same record at once.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let unique = format!(
        "{}-{}.tmp",
        std::process::id(),
        WRITES.fetch_add(1, Ordering::Relaxed)
    );
    let temporary = path.with_extension(unique);
    let write = || -> std::io::Result<()> {
        write_whole(&temporary, &bytes)?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error| ExecutorError::io("write", path, error))
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = private().create(true).truncate(true).write(true).open(path)?;
    file.write_all(bytes)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ExecutorError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ExecutorError::io("read", path, error)),
    };
    let mut bytes = Vec::new();
    file.take(READ_LIMIT)
        .read_to_end(&mut bytes)
        .map_err(|error| ExecutorError::io("read", path, error))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| ExecutorError::BadRecord {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

/// The exclusive claim on a task directory, held until dropped or until the process dies.
#[derive(Debug)]
pub(crate) struct TaskLock {
    _file: File,
}

impl TaskLock {
    /// Takes the lock if nobody holds it.
    pub(crate) fn try_take(dir: &Path) -> Result<Option<Self>, ExecutorError> {
        let path = lock_path(dir);
        let failed = |error| ExecutorError::io("lock", &path, error);
        let file = private()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExitKind;

    fn record() -> StatusRecord {
        StatusRecord::new(
            "boot".to_owned(),
            ProcessIdentity {
                pid: 7,
                start_ticks: 9,
            },
        )
    }

    #[test]
    fn an_exit_record_fits_its_reserved_room_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        reserve_exit(dir.path()).unwrap();
        let mut status = record();
        status.exit = Some(TaskExit {
            code: Some(3),
            ..TaskExit::of(ExitKind::Exited, 5)
        });
        write_exit(dir.path(), &status).unwrap();
        assert_eq!(
            std::fs::metadata(status_path(dir.path())).unwrap().len(),
            RECORD_BYTES as u64
        );
        assert_eq!(read_status(dir.path()).unwrap(), Some(status));
    }

    #[test]
    fn a_newer_record_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        write_status(
            dir.path(),
            &StatusRecord {
                version: 2,
                ..record()
            },
        )
        .unwrap();
        let error = read_status(dir.path()).unwrap_err();
        assert!(
            error.to_string().contains("it has version 2, this one reads 1"),
            "{error}"
        );
    }

    #[test]
    fn a_frozen_record_of_version_1_still_reads() {
        let dir = tempfile::tempdir().unwrap();
        let frozen = r#"{"version":1,"boot_id":"b","shim":{"pid":10,"start_ticks":99},"main":{"pid":11,"start_ticks":100},
            "started_ms":1700000000000,"exit":{"kind":"signaled","signal":9,"started_ms":1700000000000,
            "ended_ms":1700000000100,"peak_memory_bytes":4096,"cpu_time_ms":3}}"#;
        std::fs::write(status_path(dir.path()), frozen).unwrap();
        let exit = read_status(dir.path()).unwrap().unwrap().exit.unwrap();
        assert_eq!(
            (exit.kind, exit.signal, exit.ended_ms),
            (ExitKind::Signaled, Some(9), 1_700_000_000_100)
        );
    }

    #[test]
    fn the_lock_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let held = TaskLock::try_take(dir.path()).unwrap();
        assert!(held.is_some());
        assert!(TaskLock::try_take(dir.path()).unwrap().is_none());
        drop(held);
        assert!(TaskLock::try_take(dir.path()).unwrap().is_some());
    }
}
