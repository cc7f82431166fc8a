//! The signal that something has changed; it carries nothing, so it cannot be stale.

use std::sync::Arc;

use tokio::sync::watch;

/// Wakes every loop that was spawned with it (or a clone). Services signal after a commit.
#[derive(Debug, Clone)]
pub struct Wake {
    signals: Arc<watch::Sender<u64>>,
}

impl Wake {
    /// A signal that nobody waits for yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            signals: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Wakes the loops; never blocks. Signals before a loop gets to run count as one.
    pub fn signal(&self) {
        self.signals.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A listener that misses no signal sent after this call: for code that waits for a change itself.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener {
            signals: self.signals.subscribe(),
        }
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self::new()
    }
}

/// One waiting side of a [`Wake`].
#[derive(Debug)]
pub struct Listener {
    signals: watch::Receiver<u64>,
}

impl Listener {
    /// Forgets the signals so far. Call it before reading the state that they announce.
    pub fn forget(&mut self) {
        self.signals.mark_unchanged();
    }

    /// Returns once there was a signal since the last call of this or of [`Listener::forget`]; never, if
    /// there cannot be one any more.
    pub async fn wait(&mut self) {
        if self.signals.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
