//! Noticing ends early: by waiting for the shims that this process started, and by looking at the records
//! of those that an earlier one did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::watch;

use crate::{files, process};

/// How often adopted tasks are looked at, all in one go.
const LOOK: Duration = Duration::from_millis(200);

/// The tasks whose end somebody wants to hear of.
pub(super) struct Watched {
    changes: watch::Sender<u64>,
    sets: Mutex<Sets>,
}

#[derive(Default)]
struct Sets {
    /// Started here: their shims are our children, and waited for.
    own: BTreeMap<PathBuf, u32>,
    adopted: BTreeSet<PathBuf>,
    looking: bool,
}

impl Watched {
    pub(super) fn new(changes: watch::Sender<u64>) -> Arc<Self> {
        Arc::new(Self {
            changes,
            sets: Mutex::default(),
        })
    }

    fn sets(&self) -> MutexGuard<'_, Sets> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Waits for a shim that we started; also keeps it from becoming a zombie.
    pub(super) fn own(self: &Arc<Self>, dir: &Path, mut shim: Child) {
        *self.sets().own.entry(dir.to_owned()).or_default() += 1;
        let (this, dir) = (self.clone(), dir.to_owned());
        tokio::spawn(async move {
            if let Err(error) = shim.wait().await {
                tracing::warn!(%error, "cannot wait for a shim");
            }
            {
                let mut sets = this.sets();
                // A second shim of the same task only found the first one at work.
                if let Some(count) = sets.own.get_mut(&dir) {
                    *count -= 1;
                    if *count == 0 {
                        sets.own.remove(&dir);
                    }
                }
            }
            this.changed();
        });
    }

    /// Looks at a running task that we did not start until it ends.
    pub(super) fn adopt(self: &Arc<Self>, dir: &Path) {
        let mut sets = self.sets();
        if sets.own.contains_key(dir) || !sets.adopted.insert(dir.to_owned()) || sets.looking {
            return;
        }
        sets.looking = true;
        drop(sets);
        // Weak, so that dropping the executor ends the looking.
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let Some(this) = weak.upgrade() else { return };
                let looked = tokio::task::spawn_blocking(move || this.look()).await;
                if !matches!(looked, Ok(true)) {
                    return;
                }
            }
        });
    }

    /// Looks once at all; answers whether any is left.
    fn look(&self) -> bool {
        let adopted: Vec<PathBuf> = self.sets().adopted.iter().cloned().collect();
        let ended: Vec<PathBuf> = adopted.into_iter().filter(|dir| has_ended(dir)).collect();
        let mut sets = self.sets();
        for dir in &ended {
            sets.adopted.remove(dir);
        }
        sets.looking = !sets.adopted.is_empty();
        let left = sets.looking;
        drop(sets);
        if !ended.is_empty() {
            self.changed();
        }
        left
    }
}

fn has_ended(dir: &Path) -> bool {
    match files::read_status(dir) {
        Ok(Some(record)) => record.exit.is_some() || !process::is_alive(&record.shim),
        _ => true,
    }
}
