//! Limits of callers, kept: what a request may use is written down before it is begun, and what it did use when it
//! has ended. A server that is killed in between finds the first without the second and takes all of it for used;
//! a database that cannot be written begins no request of a caller who has limits.

mod meter;
mod standing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_policy_serving::limits::{Ask, Denied, Limits, Usage};
use corliss_types::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::error::GatewayError;
use crate::store::{self, Reservation};

pub(crate) use meter::{Bound, Meter};
pub(crate) use standing::Standing;

/// The limits of everybody who has none of their own.
const EVERYBODY: &str = "*";
const NAME_MAX: usize = 200;
/// How long settlements may take when the server goes down.
const DRAIN: Duration = Duration::from_secs(5);
const SETTLE_TRIES: u32 = 5;
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

/// Who may use how much, and the record of it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Quotas {
    store: Metastore,
    sources: Sources,
    /// As the store has them: who is not in here has no limits, and costs no transaction.
    known: Arc<RwLock<BTreeMap<String, Limits>>>,
    /// Whether anybody is in there: where nobody is, no request looks.
    any: Arc<AtomicBool>,
    running: Arc<Running>,
    /// Settlements under way.
    settling: Arc<watch::Sender<u32>>,
}

/// Limits of a caller, and what of them is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct QuotaView {
    name: String,
    limits: Limits,
    /// Requests of the last minute, as its limit counts them.
    requests_used: u64,
    /// Tokens of the last minute, as its limit counts them.
    tokens_used: u64,
    /// Requests now.
    running: u32,
    /// Since when what follows counts.
    period_start_ms: Timestamp,
    spent_micros: u64,
    reserved_micros: u64,
}

/// How many requests each caller has on their way whose number is limited; who has none is not in here.
#[derive(Default)]
struct Running(Mutex<BTreeMap<String, u32>>);

impl Running {
    fn of(&self, caller: &str) -> u32 {
        self.lock().get(caller).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among a caller's requests at once; dropping it makes room.
pub(crate) struct Place {
    running: Arc<Running>,
    caller: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        if let Some(count) = running.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.caller);
            }
        }
    }
}

impl Quotas {
    /// Reads who has limits. What an earlier server had reserved and not settled counts as used.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub(crate) async fn open(store: Metastore, sources: Sources) -> Result<Self, GatewayError> {
        let now = sources.clock.now();
        let known = store
            .write::<_, GatewayError, _>(move |tx| {
                for reservation in store::list_reservations(tx)? {
                    let ask = reservation.ask;
                    settle(tx, &reservation, ask, now)?;
                }
                Ok(store::list_limits(tx)?)
            })
            .await?;
        Ok(Self {
            store,
            sources,
            any: Arc::new(AtomicBool::new(!known.is_empty())),
            known: Arc::new(RwLock::new(known.into_iter().collect())),
            running: Arc::default(),
            settling: Arc::new(watch::Sender::new(0)),
        })
    }

    /// The limits of a caller: its own, or everybody's.
    pub(crate) fn limits(&self, caller: &str) -> Option<Limits> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(caller).or_else(|| known.get(EVERYBODY)).copied()
    }

    /// Where a request of this caller is to be told what is left, if a rate of it is limited.
    pub(crate) fn standing(&self, caller: &str) -> Option<Arc<Standing>> {
        let limits = self.limits(caller)?;
        let is_rated = limits.requests_per_minute.is_some() || limits.tokens_per_minute.is_some();
        is_rated.then(Arc::default)
    }

    /// Takes what a request of this caller may use; nothing where nothing is limited. Durable when this returns.
    async fn reserve(
        &self,
        caller: &str,
        standing: Option<Arc<Standing>>,
        ask: Ask,
    ) -> Result<(Option<Place>, Option<Reservation>), GatewayError> {
        let Some(limits) = self.limits(caller) else {
            return Ok((None, None));
        };
        let place = limits
            .concurrent_max
            .map(|limit| self.place(caller, limit))
            .transpose()?;
        if limits.is_momentary() {
            return Ok((place, None));
        }
        let seed = self.sources.id_seed();
        let random: String = seed.random.iter().map(|byte| format!("{byte:02x}")).collect();
        let reservation = Reservation {
            id: format!("{:013}{random}", seed.at.as_millis()),
            name: caller.to_owned(),
            ask,
        };
        let now = self.sources.clock.now();
        let reserved = self
            .store
            .write::<_, GatewayError, _>(move |tx| {
                let Some(limits) = limits_of(tx, &reservation.name)? else {
                    return Ok(None);
                };
                let mut usage = store::get_usage(tx, &reservation.name)?;
                let denied = |denied: Denied| GatewayError::limited(&reservation.name, denied, now);
                let reserved = limits.reserve(&mut usage, reservation.ask, now);
                if let Some(standing) = &standing {
                    standing.tell(&limits, &usage, now);
                }
                reserved.map_err(denied)?;
                store::set_usage(tx, &reservation.name, &usage)?;
                store::insert_reservation(tx, &reservation, now)?;
                Ok(Some((reservation.id.clone(), reservation.name.clone())))
            })
            .await?;
        Ok((place, reserved.map(|(id, name)| Reservation { id, name, ask })))
    }

    fn place(&self, caller: &str, limit: u32) -> Result<Place, GatewayError> {
        let mut running = self.running.lock();
        if running.get(caller).is_some_and(|count| *count >= limit) {
            return Err(GatewayError::TooManyAtOnce {
                caller: caller.to_owned(),
                limit,
            });
        }
        *running.entry(caller.to_owned()).or_default() += 1;
        Ok(Place {
            running: self.running.clone(),
            caller: caller.to_owned(),
        })
    }

    /// Writes down what a request used, soon. If that cannot be written, all that was reserved stays taken.
    fn settle_soon(&self, reservation: Reservation, used: Ask) {
        self.settling.send_modify(|count| *count += 1);
        let quotas = self.clone();
        tokio::spawn(async move {
            let reservation = Arc::new(reservation);
            for attempt in 1..=SETTLE_TRIES {
                match quotas.settle(&reservation, used).await {
                    Ok(()) => break,
                    Err(error) if attempt == SETTLE_TRIES => {
                        tracing::error!(%error, caller = %reservation.name, "what a request used could not be written down; all that it might have used stays taken until the server starts anew");
                    }
                    Err(_) => tokio::time::sleep(SETTLE_PAUSE * attempt).await,
                }
            }
            quotas.settling.send_modify(|count| *count -= 1);
        });
    }

    async fn settle(&self, reservation: &Arc<Reservation>, used: Ask) -> Result<(), GatewayError> {
        let (reservation, now) = (reservation.clone(), self.sources.clock.now());
        self.store
            .write::<_, GatewayError, _>(move |tx| settle(tx, &reservation, used, now))
            .await
    }

    /// Waits until what has ended is written down.
    pub(crate) async fn drain(&self) {
        let mut settling = self.settling.subscribe();
        let none = settling.wait_for(|count| *count == 0);
        if tokio::time::timeout(DRAIN, none).await.is_err() {
            tracing::warn!("requests of callers with limits are still being written down");
        }
    }

    /// Everybody who has limits, by name.
    pub(crate) async fn list(&self) -> Result<Vec<QuotaView>, GatewayError> {
        let rows = self
            .store
            .read::<_, GatewayError, _>(|tx| {
                let limits = store::list_limits(tx)?;
                limits
                    .into_iter()
                    .map(|(name, limits)| Ok((store::get_usage(tx, &name)?, name, limits)))
                    .collect::<Result<Vec<_>, GatewayError>>()
            })
            .await?;
        let view = |(usage, name, limits)| self.view(name, limits, usage);
        Ok(rows.into_iter().map(view).collect())
    }

    /// The limits of a caller, its own or everybody's, and what of them it has used.
    pub(crate) async fn get(&self, name: &str) -> Result<QuotaView, GatewayError> {
        let owned = name.to_owned();
        let found = self
            .store
            .read::<_, GatewayError, _>(move |tx| Ok((limits_of(tx, &owned)?, store::get_usage(tx, &owned)?)))
            .await?;
        match found {
            (Some(limits), usage) => Ok(self.view(name.to_owned(), limits, usage)),
            (None, _) => Err(no_limits(name)),
        }
    }

    /// Sets the limits of a caller, or of `*`: everybody who has none of their own. What was used stays used. None at all
    /// exempt a caller from those of everybody, and mean nothing where there are none.
    pub(crate) async fn set(&self, name: &str, limits: Limits) -> Result<QuotaView, GatewayError> {
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(invalid("name", format!("must have 1 to {NAME_MAX} bytes")));
        }
        limits
            .check()
            .map_err(|(field, problem)| invalid(field, problem))?;
        if limits == Limits::default() && (name == EVERYBODY || self.limits(EVERYBODY).is_none()) {
            return Err(GatewayError::EmptyLimits);
        }
        let (owned, now) = (name.to_owned(), self.sources.clock.now());
        self.store
            .write::<_, GatewayError, _>(move |tx| Ok(store::set_limits(tx, &owned, &limits, now)?))
            .await?;
        self.know(|known| known.insert(name.to_owned(), limits));
        self.get(name).await
    }

    /// Takes the limits of a caller away.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), GatewayError> {
        let owned = name.to_owned();
        let removed = self
            .store
            .write::<_, GatewayError, _>(move |tx| Ok(store::remove_limits(tx, &owned)?))
            .await?;
        if !removed {
            return Err(no_limits(name));
        }
        self.know(|known| known.remove(name));
        Ok(())
    }

    fn know(&self, change: impl FnOnce(&mut BTreeMap<String, Limits>) -> Option<Limits>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        self.any.store(!known.is_empty(), Ordering::Release);
    }

    fn view(&self, name: String, limits: Limits, usage: Usage) -> QuotaView {
        let now = self.sources.clock.now();
        QuotaView {
            running: self.running.of(&name),
            name,
            limits,
            requests_used: limits
                .requests_per_minute
                .map_or(0, |limit| usage.requests.used(limit, now)),
            tokens_used: limits
                .tokens_per_minute
                .map_or(0, |limit| usage.tokens.used(limit, now)),
            period_start_ms: usage.period_start_ms,
            spent_micros: usage.spent_micros,
            reserved_micros: usage.reserved_micros,
        }
    }
}

fn limits_of(tx: &mut dyn corliss_metastore::Tx, name: &str) -> Result<Option<Limits>, GatewayError> {
    match store::get_limits(tx, name)? {
        Some(limits) => Ok(Some(limits)),
        None => Ok(store::get_limits(tx, EVERYBODY)?),
    }
}

/// Said again it changes nothing: the reservation is gone then.
fn settle(
    tx: &mut dyn corliss_metastore::Tx,
    reservation: &Reservation,
    used: Ask,
    now: Timestamp,
) -> Result<(), GatewayError> {
    if !store::remove_reservation(tx, &reservation.id)? {
        return Ok(());
    }
    let limits = limits_of(tx, &reservation.name)?.unwrap_or_default();
    let mut usage = store::get_usage(tx, &reservation.name)?;
    limits.settle(&mut usage, reservation.ask, used, now);
    Ok(store::set_usage(tx, &reservation.name, &usage)?)
}

fn no_limits(name: &str) -> GatewayError {
    GatewayError::NoLimits {
        name: name.chars().take(100).collect(),
    }
}

fn invalid(parameter: &str, reason: String) -> GatewayError {
    GatewayError::InvalidParameter {
        parameter: parameter.to_owned(),
        reason,
    }
}
