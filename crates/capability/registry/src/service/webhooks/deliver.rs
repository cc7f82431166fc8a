//! Telling webhooks what has happened: one event, one try.

use std::time::Duration;

use corliss_types::{DurationMs, Timestamp};
use corliss_webhook::{Fate, Outcome, Schedule, Tried, Verdict};

use super::{Call, TIMEOUT};
use crate::service::Registry;
use crate::store::outbox::{self, Claimed, Settled};
use crate::webhook::{DeliveryState, delivery_id};
use crate::{RegistryError, store};

/// What a lease is longer than the receiver may take: for the answer's words, and for writing them down.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// Events are forgotten after this, delivered or not.
const KEPT: DurationMs = DurationMs::from_secs(14 * 24 * 60 * 60);

fn millis(duration: Duration) -> DurationMs {
    DurationMs(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

impl Registry {
    /// The webhooks that have something to be told, each with the time from which on it may be sent.
    pub(crate) async fn waiting_webhooks(&self) -> Result<Vec<(String, Timestamp)>, RegistryError> {
        self.store.read(|tx| Ok(outbox::waiting(tx)?)).await
    }

    /// Tries the oldest event of a webhook, if it is time for it and no other worker has it.
    pub(crate) async fn try_delivery(&self, webhook: &str, owner: &str) -> Result<Tried, RegistryError> {
        let (id, by, now) = (webhook.to_owned(), owner.to_owned(), self.sources.clock.now());
        let lease = millis(TIMEOUT + LEASE_MARGIN);
        let claimed = self
            .store
            .write(move |tx| Ok::<_, RegistryError>(outbox::claim(tx, &id, &by, now, lease)?))
            .await?;
        let Some(claimed) = claimed else {
            return Ok(Tried::Nothing);
        };
        let id = delivery_id(&claimed.webhook, claimed.sequence);
        let call = Call {
            webhook: &claimed.webhook,
            url: &claimed.url,
            secret: claimed.secret.as_ref(),
            id: &id,
            body: claimed.body.clone(),
        };
        let outcome = self.call(call).await;
        self.settle(claimed, owner.to_owned(), &id, &outcome).await
    }

    async fn settle(
        &self,
        claimed: Claimed,
        owner: String,
        id: &str,
        outcome: &Outcome,
    ) -> Result<Tried, RegistryError> {
        let now = self.sources.clock.now();
        let age: Duration = now.since(claimed.created).into();
        let fate = Fate::of(outcome, &Schedule::default(), claimed.tries + 1, age, id);
        let (state, tried, pause) = match fate {
            Fate::Delivered => (DeliveryState::Delivered, Tried::Delivered, Duration::ZERO),
            Fate::GivenUp => (DeliveryState::Failed, Tried::GivenUp, Duration::ZERO),
            Fate::Again(pause) => (DeliveryState::Pending, Tried::Later, pause),
        };
        let settled = Settled {
            state,
            status: outcome.status(),
            outcome: outcome.told(),
            at: now,
            next: now + millis(pause),
        };
        if state == DeliveryState::Failed {
            let webhook = &claimed.webhook;
            tracing::warn!(%webhook, outcome = %settled.outcome, "an event of a webhook was given up");
        }
        let is_gone = outcome.verdict() == Verdict::Gone;
        self.store
            .write(move |tx| {
                let is_ours = outbox::settle(tx, &claimed, &owner, &settled)?;
                if is_ours && is_gone {
                    store::disable_webhook(tx, &claimed.webhook, now.as_millis())?;
                }
                Ok::<_, RegistryError>(())
            })
            .await?;
        Ok(tried)
    }

    /// Forgets what is old; answers how many events.
    pub(crate) async fn forget_deliveries(&self) -> Result<u64, RegistryError> {
        let before = self.sources.clock.now() - KEPT;
        self.store.write(move |tx| Ok(outbox::forget(tx, before)?)).await
    }
}
