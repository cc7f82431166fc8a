//! The loop that works off a queue of events for receivers.
//!
//! Receivers are told side by side, so that a slow one holds up nobody else; the events of one receiver go one after the
//! other. An event is claimed before it is sent and written down after: who dies between leaves a lease that ends, and the
//! event is sent again under the same id.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::Diagnose;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake};
use corliss_types::Timestamp;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Receivers that are told at once.
const AT_ONCE: usize = 16;
/// Between two rounds that forget what is old.
const FORGET_PERIOD_MS: i64 = 60 * 60 * 1000;
/// Another worker may have a lease that ends now.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// What became of the oldest event of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// There is none whose time it is, or another worker has it.
    Nothing,
    /// The receiver has taken it; the next one can go.
    Delivered,
    /// It was given up; the next one can go.
    GivenUp,
    /// It waits for its next try, and the others behind it.
    Later,
}

/// A queue of events for receivers.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// What can go wrong with the queue itself.
    type Error: Diagnose + Send + Sync + 'static;

    /// What the loop is called on the board of workers.
    fn name(&self) -> &'static str;

    /// The time now.
    fn now(&self) -> Timestamp;

    /// Signalled when there is something to tell.
    fn wake(&self) -> &Wake;

    /// The receivers that have something to be told, each with the time from which on it may be sent.
    async fn waiting(&self) -> Result<Vec<(String, Timestamp)>, Self::Error>;

    /// Tries the oldest event of a receiver, if it is time for it and no other worker has it.
    async fn try_oldest(&self, receiver: &str) -> Result<Tried, Self::Error>;

    /// Forgets what ended long ago.
    async fn forget(&self) -> Result<(), Self::Error>;
}

/// Works off a queue; several may work on one database.
#[derive(Debug)]
pub struct Courier<O> {
    outbox: O,
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

impl<O: Outbox> Courier<O> {
    /// One that has told nobody yet.
    #[must_use]
    pub fn new(outbox: O, shutdown: &Shutdown) -> Self {
        Self {
            outbox,
            shutdown: shutdown.clone(),
            forgot_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// Tells one receiver all that can be told now.
    async fn tell(&self, receiver: String) -> (String, Result<Tally, O::Error>) {
        let mut tally = Tally::default();
        while !self.shutdown.is_triggered() {
            match self.outbox.try_oldest(&receiver).await {
                Ok(Tried::Delivered) => tally.delivered += 1,
                Ok(Tried::GivenUp) => tally.given_up += 1,
                Ok(Tried::Later | Tried::Nothing) => break,
                Err(error) => return (receiver, Err(error)),
            }
        }
        (receiver, Ok(tally))
    }

    async fn forget(&self, now: Timestamp) -> Result<(), O::Error> {
        let last = self.forgot_ms.load(Ordering::Relaxed);
        if now.as_millis().saturating_sub(last) >= FORGET_PERIOD_MS {
            self.outbox.forget().await?;
            self.forgot_ms.store(now.as_millis(), Ordering::Relaxed);
        }
        Ok(())
    }
}

#[async_trait]
impl<O: Outbox> Reconciler for Courier<O> {
    fn name(&self) -> &'static str {
        self.outbox.name()
    }

    /// Goes on until nothing can be told now; what is to be told meanwhile is taken in.
    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let mut signals = self.outbox.wake().listen();
        let (mut told, mut under_way) = (FuturesUnordered::new(), HashSet::new());
        let (mut tally, mut failed) = (Tally::default(), None);
        self.forget(self.outbox.now()).await?;
        let next = loop {
            signals.forget();
            let is_ending = self.shutdown.is_triggered() || failed.is_some();
            let waiting = match self.outbox.waiting().await {
                Ok(waiting) => waiting,
                Err(error) => {
                    failed = Some(error);
                    Vec::new()
                }
            };
            let now = self.outbox.now();
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
