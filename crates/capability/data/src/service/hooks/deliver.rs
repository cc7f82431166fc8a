//! Telling hooks what has happened: one event, one try.

use std::time::Duration;

use corliss_types::{DurationMs, Timestamp};
use corliss_webhook::{Fate, Outcome, Schedule, Tried, Verdict};

use super::Call;
use crate::DataError;
use crate::hook::{DeliveryState, message_id};
use crate::service::DataService;
use crate::store::outbox::{Claimed, Settled};
use crate::store::{hooks, outbox};

/// What a lease is longer than the receiver may take: for the answer's words, and for writing them down.
const LEASE_MARGIN_MS: u64 = 15_000;
/// Events are forgotten after this, delivered or not.
const KEPT: DurationMs = DurationMs::from_secs(14 * 24 * 60 * 60);

impl DataService {
    /// The hooks that have something to deliver, each with the time from which on it may be sent.
    pub(crate) async fn waiting_hooks(&self) -> Result<Vec<(String, Timestamp)>, DataError> {
        self.store.read(|tx| Ok(outbox::waiting(tx)?)).await
    }

    /// Tries the oldest event of a hook, if it is time for it and no other worker has it.
    pub(crate) async fn try_delivery(&self, hook: &str, owner: &str) -> Result<Tried, DataError> {
        let (id, by, now) = (hook.to_owned(), owner.to_owned(), self.sources.clock.now());
        let claimed = self
            .store
            .write(move |tx| Ok::<_, DataError>(outbox::claim(tx, &id, &by, now, LEASE_MARGIN_MS)?))
            .await?;
        let Some(claimed) = claimed else {
            return Ok(Tried::Nothing);
        };
        let message = message_id(&claimed.hook, claimed.sequence);
        let call = Call {
            hook: &claimed.hook,
            url: &claimed.url,
            secret: &claimed.secret,
            timeout_ms: claimed.timeout_ms,
            id: &message,
            body: claimed.body.clone(),
        };
        let outcome = self.call(call).await;
        self.settle(claimed, owner.to_owned(), &message, &outcome).await
    }

    async fn settle(
        &self,
        claimed: Claimed,
        owner: String,
        message: &str,
        outcome: &Outcome,
    ) -> Result<Tried, DataError> {
        let now = self.sources.clock.now();
        let settled = settled(&claimed, message, outcome, now);
        let tried = match settled.state {
            DeliveryState::Delivered => Tried::Delivered,
            DeliveryState::Failed => Tried::GivenUp,
            DeliveryState::Pending => Tried::Later,
        };
        if settled.state == DeliveryState::Failed {
            let (hook, dataset) = (&claimed.hook, &claimed.dataset);
            tracing::warn!(%hook, %dataset, outcome = %settled.outcome, "an event of a hook was given up");
        }
        let is_gone = outcome.verdict() == Verdict::Gone;
        self.store
            .write(move |tx| {
                let is_ours = outbox::settle(tx, &claimed, &owner, &settled)?;
                if is_ours && is_gone {
                    hooks::disable(
                        tx,
                        &claimed.hook,
                        "its receiver answered that it is gone (410)",
                        now,
                    )?;
                }
                Ok::<_, DataError>(())
            })
            .await?;
        Ok(tried)
    }

    /// Forgets what is old; answers how many events.
    pub(crate) async fn forget_deliveries(&self) -> Result<u64, DataError> {
        let before = self.sources.clock.now() - KEPT;
        self.store.write(move |tx| Ok(outbox::forget(tx, before)?)).await
    }
}

fn settled(claimed: &Claimed, message: &str, outcome: &Outcome, now: Timestamp) -> Settled {
    let age: Duration = now.since(claimed.created_ms).into();
    let fate = Fate::of(outcome, &Schedule::default(), claimed.tries + 1, age, message);
    let (state, pause) = match fate {
        Fate::Delivered => (DeliveryState::Delivered, Duration::ZERO),
        Fate::GivenUp => (DeliveryState::Failed, Duration::ZERO),
        Fate::Again(pause) => (DeliveryState::Pending, pause),
    };
    Settled {
        state,
        status: outcome.status(),
        outcome: outcome.told(),
        at: now,
        next: now + DurationMs(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
    }
}
