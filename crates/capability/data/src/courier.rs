//! The loop that tells hooks what has happened.
//!
//! What is to be told are rows that were written with the moves. Hooks are told side by side, so that a slow receiver
//! holds up nobody else; the events of one hook go one after the other. A row is claimed before it is sent and written
//! down after: who dies between leaves a lease that ends, and the event is sent again under the same id.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, WorkerBoard};
use corliss_types::Timestamp;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::service::Tried;
use crate::{DataError, DataService};

/// Covers a signal that was lost.
const PERIOD: Duration = Duration::from_secs(60);
/// Hooks that are told at once.
const AT_ONCE: usize = 16;
/// Between two rounds that forget what is old.
const FORGET_PERIOD_MS: i64 = 60 * 60 * 1000;

/// Starts it.
pub(crate) fn spawn(service: &DataService, shutdown: &Shutdown, workers: &WorkerBoard) {
    let courier = Arc::new(HookCourier::new(service, shutdown));
    corliss_reconcile::spawn(courier, PERIOD, service.hook_wake(), shutdown.clone(), workers);
}

/// Tells hooks what has happened; several may work on one database.
pub struct HookCourier {
    service: DataService,
    shutdown: Shutdown,
    /// In whose name events are claimed.
    owner: String,
    forgot_ms: AtomicI64,
}

/// What a round did.
#[derive(Debug, Default)]
struct Tally {
    delivered: u64,
    given_up: u64,
    waiting: u64,
}

impl HookCourier {
    /// One that has told nobody yet.
    #[must_use]
    pub fn new(service: &DataService, shutdown: &Shutdown) -> Self {
        Self {
            service: service.clone(),
            shutdown: shutdown.clone(),
            owner: service.new_owner(),
            forgot_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// Tells one hook all that can be told now.
    async fn tell(&self, hook: String) -> (String, Result<Tally, DataError>) {
        let mut tally = Tally::default();
        while !self.shutdown.is_triggered() {
            match self.service.try_delivery(&hook, &self.owner).await {
                Ok(Tried::Delivered) => tally.delivered += 1,
                Ok(Tried::GivenUp) => tally.given_up += 1,
                Ok(Tried::Later | Tried::Nothing) => break,
                Err(error) => return (hook, Err(error)),
            }
        }
        (hook, Ok(tally))
    }

    async fn forget(&self, now: Timestamp) -> Result<(), DataError> {
        let last = self.forgot_ms.load(Ordering::Relaxed);
        if now.as_millis().saturating_sub(last) >= FORGET_PERIOD_MS {
            self.service.forget_deliveries().await?;
            self.forgot_ms.store(now.as_millis(), Ordering::Relaxed);
        }
        Ok(())
    }
}

#[async_trait]
impl Reconciler for HookCourier {
    fn name(&self) -> &'static str {
        "data.hooks"
    }

    /// Goes on until nothing can be told now; what is to be told meanwhile is taken in.
    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let mut signals = self.service.hook_wake().listen();
        let (mut told, mut under_way) = (FuturesUnordered::new(), HashSet::new());
        let (mut tally, mut failed) = (Tally::default(), None);
        self.forget(self.service.now()).await?;
        let next = loop {
            signals.forget();
            let is_ending = self.shutdown.is_triggered() || failed.is_some();
            let waiting = match self.service.waiting_hooks().await {
                Ok(waiting) => waiting,
                Err(error) => {
                    failed = Some(error);
                    Vec::new()
                }
            };
            let now = self.service.now();
            let due = waiting.iter().filter(|(_, ready)| *ready <= now && !is_ending);
            for (hook, _) in due {
                if told.len() < AT_ONCE && under_way.insert(hook.clone()) {
                    told.push(self.tell(hook.clone()));
                }
            }
            if told.is_empty() {
                tally.waiting = waiting.len() as u64;
                break waiting.iter().map(|(_, ready)| ready.since(now)).min();
            }
            tokio::select! {
                Some((hook, done)) = told.next() => {
                    under_way.remove(&hook);
                    match done {
                        Ok(of_hook) => {
                            tally.delivered += of_hook.delivered;
                            tally.given_up += of_hook.given_up;
                        }
                        // The others are heard to the end: whoever was sent something is not to get it twice.
                        Err(error) => failed = Some(error),
                    }
                }
                () = signals.wait(), if !is_ending => {}
                () = self.shutdown.wait(), if !is_ending => {}
            }
        };
        if let Some(error) = failed {
            return Err(error.into());
        }
        let progress = format!(
            "{} events delivered, {} given up, {} hooks wait for their receivers",
            tally.delivered, tally.given_up, tally.waiting
        );
        Ok(match next {
            // At least a little: another worker may have a lease that ends now.
            Some(pause) => {
                Outcome::again_after(progress, Duration::from(pause).max(Duration::from_millis(50)))
            }
            None => Outcome::done(progress),
        })
    }
}
