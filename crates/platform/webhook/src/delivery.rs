//! One event, one try: claimed, sent, and what came of it written down.

use std::time::Duration;

use bytes::Bytes;
use corliss_metastore::{Metastore, StoreError, Tx};
use corliss_reconcile::Wake;
use corliss_types::{DurationMs, Timestamp};

use crate::fate::Fate;
use crate::queue::{Claimed, Settled};
use crate::{
    Courier, DeliveryState, HeaderNames, Message, Outcome, Queue, Schedule, SealedSecret, Secret, Target,
    Trouble, Verdict, WebhookClient,
};

/// Events are forgotten after this, delivered or not.
const KEPT: DurationMs = DurationMs::from_secs(14 * 24 * 60 * 60);

/// Whoever keeps events for receivers.
pub trait Receivers: Send + Sync {
    /// What the loop is called on the board of workers.
    const NAME: &'static str;
    /// Where the events are.
    const QUEUE: Queue;
    /// What the headers of the requests are called.
    const HEADERS: HeaderNames;

    /// The store that holds them.
    fn store(&self) -> &Metastore;

    /// What sends them.
    fn client(&self) -> &WebhookClient;

    /// The time now.
    fn now(&self) -> Timestamp;

    /// Signalled when there is something to tell.
    fn wake(&self) -> &Wake;

    /// What the requests of one event have in common, and those of no other.
    fn message_id(receiver: &str, sequence: u64) -> String;

    /// Opens the secret of a receiver, or says why it does not.
    ///
    /// # Errors
    /// It does not open, in words for whoever looks at the deliveries.
    fn open(&self, receiver: &str, sealed: &SealedSecret) -> Result<Secret, String>;

    /// Tells a receiver no more, which has answered that it is gone.
    ///
    /// # Errors
    /// The store failed.
    fn gone(tx: &mut dyn Tx, receiver: &str, now: Timestamp) -> Result<(), StoreError>;
}

/// What became of the oldest event of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// There is none whose time it is, or another worker has it.
    Nothing,
    /// The receiver has taken it; the next one can go.
    Delivered,
    /// It was given up; the next one can go.
    GivenUp,
    /// It waits for its next try, and the others behind it.
    Later,
}

/// A request to an address as it was stored.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Where to.
    pub url: &'a str,
    /// As in [`Message::id`].
    pub id: &'a str,
    /// When this try is made.
    pub at: Timestamp,
    /// JSON.
    pub body: String,
    /// How long the receiver may take.
    pub timeout: Duration,
    /// What the headers are called.
    pub headers: HeaderNames,
}

impl WebhookClient {
    /// Sends one request, signed with what `secret` opened, and says what came of it: also that the address or the secret
    /// cannot be used.
    pub async fn call(&self, call: Call<'_>, secret: Option<Result<Secret, String>>) -> Outcome {
        let setup = |message: String| Outcome::Failed {
            trouble: Trouble::Setup,
            message,
        };
        let target: Target = match call.url.parse() {
            Ok(target) => target,
            Err(error) => return setup(format!("its address cannot be used: {error}")),
        };
        let secret = match secret.transpose() {
            Ok(secret) => secret,
            Err(error) => return setup(format!("its secret cannot be opened: {error}")),
        };
        let message = Message {
            target: &target,
            id: call.id,
            at: call.at,
            secret: secret.as_ref(),
            body: Bytes::from(call.body),
            timeout: call.timeout,
            headers: call.headers,
        };
        self.send(message).await
    }
}

impl<R: Receivers> Courier<R> {
    /// The receivers that have something to be told, each with the time from which on it may be sent.
    pub(crate) async fn waiting(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.receivers().store().read(|tx| R::QUEUE.waiting(tx)).await
    }

    /// Tries the oldest event of a receiver, if it is time for it and no other worker has it.
    pub(crate) async fn try_oldest(&self, receiver: &str) -> Result<Tried, StoreError> {
        let receivers = self.receivers();
        let (id, owner, now) = (receiver.to_owned(), self.owner().to_owned(), receivers.now());
        let claimed = receivers
            .store()
            .write(move |tx| R::QUEUE.claim(tx, &id, &owner, now))
            .await?;
        let Some(claimed) = claimed else {
            return Ok(Tried::Nothing);
        };
        let id = R::message_id(&claimed.receiver, claimed.sequence);
        let secret = claimed.secret.as_ref();
        let secret = secret.map(|sealed| receivers.open(&claimed.receiver, sealed));
        let call = Call {
            url: &claimed.url,
            id: &id,
            at: receivers.now(),
            body: claimed.body.clone(),
            timeout: claimed.timeout,
            headers: R::HEADERS,
        };
        let outcome = receivers.client().call(call, secret).await;
        self.settle(claimed, &id, &outcome).await
    }

    async fn settle(&self, claimed: Claimed, id: &str, outcome: &Outcome) -> Result<Tried, StoreError> {
        let now = self.receivers().now();
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
            next: now + DurationMs(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        };
        if state == DeliveryState::Failed {
            let receiver = &claimed.receiver;
            tracing::warn!(queue = R::NAME, %receiver, outcome = %settled.outcome, "an event was given up");
        }
        let is_gone = outcome.verdict() == Verdict::Gone;
        let owner = self.owner().to_owned();
        self.receivers()
            .store()
            .write(move |tx| {
                let is_ours = R::QUEUE.settle(tx, &claimed, &owner, &settled)?;
                if is_ours && is_gone {
                    R::gone(tx, &claimed.receiver, now)?;
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(tried)
    }

    /// Forgets what is old.
    pub(crate) async fn forget_old(&self) -> Result<(), StoreError> {
        let before = self.receivers().now() - KEPT;
        let store = self.receivers().store();
        store.write(move |tx| R::QUEUE.forget(tx, before)).await.map(drop)
    }
}
