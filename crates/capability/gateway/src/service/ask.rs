//! One question, one answer: asked of a replica, and of others where they may do better.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Call;
use crate::service::endpoint::{Admission, Lease, Load};
use crate::service::hedge::hedged;
use crate::service::quota::Bound;
use crate::service::timing::{PromptTokens, Watch};
use crate::service::way::Way;

/// An answer, who gave it, and what is recorded of it so far.
pub(super) struct Answered<T> {
    pub(super) answer: T,
    pub(super) lease: Lease,
    pub(super) watch: Watch,
    pub(super) admission: Admission,
}

impl Gateway {
    /// Asks within the limit, which all attempts share; `bound` says how much it may take, `size` how much an answer
    /// took.
    ///
    /// # Errors
    /// If no replica answers in time, or the request is wrong.
    pub(super) async fn ask<T, F>(
        &self,
        call: &Call,
        limit: Duration,
        bound: Bound,
        question: impl Fn(Way) -> F,
        size: impl Fn(&T) -> PromptTokens,
    ) -> Result<T, GatewayError>
    where
        F: Future<Output = Result<T, GatewayError>>,
    {
        let mut meter = self.meter(call, bound).await?;
        let ask = |call: Call| async {
            let price = call.routing.price;
            let answer = self.ask_one(call, limit, &question, &size).await?;
            Ok::<_, GatewayError>((answer, price))
        };
        let (answer, price) = self.with_fallback(call, ask).await?;
        meter.answered_at(price);
        meter.prompts(&[size(&answer)], 1);
        Ok(answer)
    }

    async fn ask_one<T, F>(
        &self,
        call: Call,
        limit: Duration,
        question: &impl Fn(Way) -> F,
        size: &impl Fn(&T) -> PromptTokens,
    ) -> Result<T, GatewayError>
    where
        F: Future<Output = Result<T, GatewayError>>,
    {
        let mut answered = self.answered(call, limit, &Load::default(), question).await?;
        answered.watch.first(size(&answered.answer));
        answered.watch.ended(None);
        Ok(answered.answer)
    }

    /// Asks within the limit until a replica answers. What the request's record still lacks is for the caller to say.
    ///
    /// # Errors
    /// As [`Gateway::ask`].
    pub(super) async fn answered<T, F>(
        &self,
        call: Call,
        limit: Duration,
        load: &Load<'_>,
        question: &impl Fn(Way) -> F,
    ) -> Result<Answered<T>, GatewayError>
    where
        F: Future<Output = Result<T, GatewayError>>,
    {
        let admission = self.admit(&call)?;
        let limit = call.patience(limit);
        let mut watch = Watch::new(self.sources.clone(), call);
        let result = {
            // Pinned where it is: moving it into the time-out would copy it.
            let attempts = pin!(self.attempts(&mut watch, load, limit, question));
            timeout(limit, attempts).await
        };
        let result = match result {
            Ok(result) => result,
            Err(_) => Err(watch.out_of_time(limit)),
        };
        match result {
            Ok((lease, answer)) => Ok(Answered {
                answer,
                lease,
                watch,
                admission,
            }),
            Err(error) => {
                watch.ended(Some(&error));
                Err(error)
            }
        }
    }

    async fn attempts<T, F>(
        &self,
        watch: &mut Watch,
        load: &Load<'_>,
        limit: Duration,
        question: &impl Fn(Way) -> F,
    ) -> Result<(Lease, T), GatewayError>
    where
        F: Future<Output = Result<T, GatewayError>>,
    {
        loop {
            let lease = self.lease(watch, load)?;
            watch.asks(&lease);
            let after = watch.call.hedge_after();
            let mut beside = None;
            let answered = hedged(self.put(lease, watch, limit, question), after, || {
                if !watch.may_ask_another(self.sources.clock.now()) {
                    return None;
                }
                let lease = self.lease(watch, load).ok()?;
                watch.endpoint().counters.hedged();
                beside = Some(lease.replica.clone());
                let asked = self.put(lease, watch, limit, question);
                Some(Box::pin(async move {
                    let failed = |(lease, error): (Lease, GatewayError)| {
                        lease.blamed(&error, self.sources.clock.now());
                    };
                    asked.await.map_err(failed).ok()
                }))
            })
            .await;
            if let Some(replica) = &beside {
                watch.hedges(replica);
            }
            match answered {
                Ok((lease, answer)) => {
                    watch.answers(&lease);
                    return Ok((lease, answer));
                }
                Err((lease, error)) => watch.again(&lease, error)?,
            }
        }
    }

    /// Puts the question to one replica, of several that share the limit.
    async fn put<T, F>(
        &self,
        lease: Lease,
        watch: &Watch,
        limit: Duration,
        question: &impl Fn(Way) -> F,
    ) -> Result<(Lease, T), (Lease, GatewayError)>
    where
        F: Future<Output = Result<T, GatewayError>>,
    {
        let at = Instant::now();
        // What is waited for is a part of each future around it, and of some twice: boxed, it is there once.
        let asked = Box::pin(question(lease.way.clone()));
        let answered = match watch.call.attempt_within(limit, &lease) {
            None => asked.await,
            Some(own) => match timeout_at(at + own, asked).await {
                Ok(answered) => answered,
                Err(_) => Err(GatewayError::AttemptTimedOut {
                    name: watch.endpoint().name().to_owned(),
                    millis: u64::try_from(own.as_millis()).unwrap_or(u64::MAX),
                }),
            },
        };
        match answered {
            Ok(answer) => {
                lease.answered(at.elapsed(), self.sources.clock.now());
                Ok((lease, answer))
            }
            Err(error) => Err((lease, error)),
        }
    }

    fn lease(&self, watch: &Watch, load: &Load<'_>) -> Result<Lease, GatewayError> {
        let load = Load {
            random: self.random(),
            ..*load
        };
        let now = self.sources.clock.now();
        watch.endpoint().lease(&watch.call, &load, now, watch.tried())
    }
}
