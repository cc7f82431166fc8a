//! The request to stop, seen by everything that runs in the background.

use std::sync::Arc;

use tokio::sync::watch;

/// A cheap-to-clone token; once triggered it stays so.
#[derive(Debug, Clone)]
pub struct Shutdown {
    triggered: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// A token that nobody has triggered.
    #[must_use]
    pub fn new() -> Self {
        Self {
            triggered: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Asks everyone to stop.
    pub fn trigger(&self) {
        self.triggered.send_replace(true);
    }

    /// Whether everyone was asked to stop.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        *self.triggered.borrow()
    }

    /// Returns once everyone was asked to stop.
    pub async fn wait(&self) {
        let mut triggered = self.triggered.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = triggered.wait_for(|triggered| *triggered).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}
