//! The loop that works off a queue of events for receivers.
//!
//! Receivers are told side by side, so that a slow one holds up nobody else; the events of one receiver go one after the
//! other. An event is claimed before it is sent and written down after: who dies between leaves a lease that ends, and the
//! event is sent again under the same id.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use corliss_metastore::StoreError;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown};
use corliss_types::Timestamp;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::Receivers;
use crate::delivery::Tried;

/// Receivers that are told at once.
const AT_ONCE: usize = 16;
/// Between two rounds that forget what is old.
const FORGET_PERIOD_MS: i64 = 60 * 60 * 1000;
/// Another worker may have a lease that ends now.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// Works off a queue; several may work on one database.
#[derive(Debug)]
pub struct Courier<R> {
    receivers: R,
    /// In whose name events are claimed.
    owner: String,
    shutdown: Shutdown,
    forgot_ms: AtomicI64,
}

/// What a round did.
#[derive(Debug, Default)]
struct Tally {
    delivered: u64,
    given_up: u64,
    waiting: u64,
}

impl<R: Receivers> Courier<R> {
    /// One that has told nobody yet, and claims events in the name of `owner`, which nobody else has.
    #[must_use]
    pub fn new(receivers: R, owner: String, shutdown: &Shutdown) -> Self {
        Self {
            receivers,
            owner,
            shutdown: shutdown.clone(),
            forgot_ms: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) const fn receivers(&self) -> &R {
        &self.receivers
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Tells one receiver all that can be told now.
    async fn tell(&self, receiver: String) -> (String, Result<Tally, StoreError>) {
        let mut tally = Tally::default();
        while !self.shutdown.is_triggered() {
            match self.try_oldest(&receiver).await {
                Ok(Tried::Delivered) => tally.delivered += 1,
                Ok(Tried::GivenUp) => tally.given_up += 1,
                Ok(Tried::Later | Tried::Nothing) => break,
                Err(error) => return (receiver, Err(error)),
            }
        }
        (receiver, Ok(tally))
    }

    async fn forget(&self, now: Timestamp) -> Result<(), StoreError> {
        let last = self.forgot_ms.load(Ordering::Relaxed);
        if now.as_millis().saturating_sub(last) >= FORGET_PERIOD_MS {
            self.forget_old().await?;
            self.forgot_ms.store(now.as_millis(), Ordering::Relaxed);
        }
        Ok(())
    }
}

#[async_trait]
impl<R: Receivers> Reconciler for Courier<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    /// Goes on until nothing can be told now; what is to be told meanwhile is taken in.
    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let mut signals = self.receivers.wake().listen();
        let (mut told, mut under_way) = (FuturesUnordered::new(), HashSet::new());
        let (mut tally, mut failed) = (Tally::default(), None);
        self.forget(self.receivers.now()).await?;
        let next = loop {
            signals.forget();
            let is_ending = self.shutdown.is_triggered() || failed.is_some();
            let waiting = match self.waiting().await {
                Ok(waiting) => waiting,
                Err(error) => {
                    failed = Some(error);
                    Vec::new()
                }
            };
            let now = self.receivers.now();
            let due = waiting.iter().filter(|(_, ready)| *ready <= now && !is_ending);
            for (receiver, _) in due {
                if told.len() < AT_ONCE && under_way.insert(receiver.clone()) {
                    told.push(self.tell(receiver.clone()));
                }
            }
            if told.is_empty() {
                tally.waiting = waiting.len() as u64;
                break waiting.iter().map(|(_, ready)| ready.since(now)).min();
            }
            tokio::select! {
                Some((receiver, done)) = told.next() => {
                    under_way.remove(&receiver);
                    match done {
                        Ok(one) => {
                            tally.delivered += one.delivered;
                            tally.given_up += one.given_up;
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
            Some(pause) => Outcome::again_after(progress, Duration::from(pause).max(SHORTEST_PAUSE)),
            None => Outcome::done(progress),
        })
    }
}
