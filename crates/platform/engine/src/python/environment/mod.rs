//! The Python environment of a model: one that is named in the configuration, or one of its own, made once for the
//! same requirements and kept for all engines of this installation.
//!
//! An environment is made in a folder beside its place and moved there when it is whole. Its lock is held alone while
//! it is made and with others while it is used, so engines that need the same one wait for the first, and what is in
//! use is never removed.

mod install;
mod interpreter;
mod requirements;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use corliss_model_format::Python;

use crate::{EngineArgs, EngineError};
use interpreter::Interpreter;
use requirements::Requirements;

pub(super) use interpreter::minor;

/// Rises when the same requirements should make another environment than before.
const FORM: &str = "1";
/// What nobody used for so long is removed when another is made.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where a model's Python is.
pub(super) struct Environment {
    pub python: PathBuf,
    /// Its version, such as `3.11.7`.
    pub version: String,
    /// The lock that keeps it from being removed.
    _held: Option<File>,
}

/// Finds or makes the environment of the model in this folder; `tell` is given what takes its time.
pub(super) fn prepare(
    args: &EngineArgs,
    folder: &Path,
    python: &Python,
    tell: &dyn Fn(String),
) -> Result<Environment, EngineError> {
    if let Some(path) = &args.python {
        let Interpreter { path, version } = interpreter::ask(path)?;
        return Ok(Environment {
            python: path,
            version,
            _held: None,
        });
    }
    let Some(place) = &args.environments else {
        return Err(EngineError::Environment {
            detail: "it is not said where environments are kept".to_owned(),
        });
    };
    let interpreter = interpreter::find(python.version.as_deref())?;
    let requirements = Requirements::read(folder)?;
    if !args.allow_code {
        requirements.check_known()?;
    }
    let digest = requirements.digest(&[FORM, &interpreter.version]);
    let held = made(place, &digest, tell, |building| {
        tell(format!("installing {}", requirements.shown()));
        install::install(&interpreter, &requirements, folder, building, args.allow_code)
    })?;
    Ok(Environment {
        python: place.join(&digest).join("bin/python"),
        version: interpreter.version,
        _held: Some(held),
    })
}

/// Makes the environment unless it is there, and holds it.
fn made(
    place: &Path,
    digest: &str,
    tell: &dyn Fn(String),
    make: impl Fn(&Path) -> Result<(), EngineError>,
) -> Result<File, EngineError> {
    let failed = |source| EngineError::io(format!("cannot use '{}'", place.display()), source);
    fs::create_dir_all(place).map_err(failed)?;
    let (whole, building) = (place.join(digest), place.join(format!("{digest}.building")));
    let lock = open_lock(place, digest).map_err(failed)?;
    loop {
        lock.lock_shared().map_err(failed)?;
        if whole.exists() {
            // When it was last used.
            lock.set_modified(SystemTime::now()).map_err(failed)?;
            return Ok(lock);
        }
        lock.unlock().map_err(failed)?;
        if lock.try_lock().is_err() {
            tell("waiting for its Python environment, which another replica installs".to_owned());
            lock.lock().map_err(failed)?;
        }
        // Somebody else may have been first.
        if !whole.exists() {
            remove(&building).map_err(failed)?;
            prune(place);
            make(&building)?;
            fs::rename(&building, &whole).map_err(failed)?;
        }
        lock.unlock().map_err(failed)?;
    }
}

fn open_lock(place: &Path, digest: &str) -> std::io::Result<File> {
    let path = place.join(format!("{digest}.lock"));
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

/// Removes what nobody used for long. What cannot be removed now is left for another time.
fn prune(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let is_old = entry
            .metadata()
            .and_then(|meta| meta.modified())
            .is_ok_and(|used| used.elapsed().is_ok_and(|since| since > KEPT));
        let Ok(lock) = File::options().write(true).open(&path) else {
            continue;
        };
        // The lock itself stays: somebody may have opened it and wait for it.
        if is_old && lock.try_lock().is_ok() {
            let _ = remove(&path.with_extension(""));
        }
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn makes(count: &AtomicU32) -> impl Fn(&Path) -> Result<(), EngineError> {
        move |building| {
            count.fetch_add(1, Ordering::SeqCst);
            fs::create_dir(building).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            Ok(())
        }
    }

    #[test]
    fn an_environment_is_made_once_by_whoever_comes_first() {
        let place = tempfile::tempdir().unwrap();
        let count = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| made(place.path(), "d", &|_| (), makes(&count)).unwrap());
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert!(place.path().join("d").is_dir() && !place.path().join("d.building").exists());
    }

    #[test]
    fn one_that_was_not_finished_is_made_anew() {
        let place = tempfile::tempdir().unwrap();
        let failing = |building: &Path| {
            fs::create_dir(building).unwrap();
            Err(EngineError::Stopped)
        };
        assert!(made(place.path(), "d", &|_| (), failing).is_err());
        assert!(!place.path().join("d").exists());
        let count = AtomicU32::new(0);
        made(place.path(), "d", &|_| (), makes(&count)).unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn only_what_is_old_and_not_in_use_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let count = AtomicU32::new(0);
        let long_ago = SystemTime::now() - KEPT * 2;
        let mut held = Vec::new();
        for name in ["old", "used", "new"] {
            let lock = made(place.path(), name, &|_| (), makes(&count)).unwrap();
            if name != "new" {
                lock.set_modified(long_ago).unwrap();
            }
            if name == "used" {
                held.push(lock);
            }
        }
        prune(place.path());
        let left = ["old", "used", "new"].map(|name| place.path().join(name).exists());
        assert_eq!(left, [false, true, true]);
    }
}
