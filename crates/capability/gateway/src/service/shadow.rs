//! Copies of requests to a version that nobody hears: made when the real answer is there or under way, so that they
//! neither delay nor fail it, and no more at once than an endpoint can bear.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corliss_engine::protocol::{GenerateEvent, GenerateRequest, TensorMessage};
use serde_json::Value;
use tokio::time::timeout;

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Call;
use crate::service::endpoint::{Lease, Load};
use crate::service::prompt;
use crate::service::timing::{PromptTokens, Watch};
use crate::service::versions::VersionCounters;
use crate::service::way::Way;

/// Copies of an endpoint's requests under way at once; more are not made.
const COPIES_MAX: usize = 32;

/// How many are under way.
#[derive(Debug, Default)]
pub(crate) struct Copying(Arc<AtomicUsize>);

/// A copy's place; dropping it makes room.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Copying {
    fn place(&self) -> Option<Place> {
        let place = Place(self.0.clone());
        (self.0.fetch_add(1, Ordering::Relaxed) < COPIES_MAX).then_some(place)
    }
}

/// A copy that may be sent.
struct Copy {
    watch: Watch,
    lease: Lease,
    counters: Arc<VersionCounters>,
    _place: Place,
}

impl Gateway {
    /// Sends a copy of a tensor request that was answered, and notes whether it is answered alike.
    pub(crate) fn copy_inference(&self, call: &Call, message: &TensorMessage, answer: &TensorMessage) {
        let Some(copy) = self.copy(call, &Load::default()) else {
            return;
        };
        let (message, answer, limit) = (message.clone(), answer.clone(), self.config.infer_timeout);
        let headers = call.origin.headers.clone();
        tokio::spawn(async move {
            let question = |way: Way| async move { way.infer(message, &headers).await };
            if let Some(copied) = copy.ask(limit, question).await {
                copied.0.compared(is_alike(&answer, &copied.1));
            }
        });
    }

    /// Sends a copy of a generation whose answer has begun.
    pub(crate) fn copy_generation(&self, call: &Call, request: &GenerateRequest) {
        let load = Load {
            prompt_tokens: prompt::tokens(request),
            answer_tokens: u64::from(request.max_tokens.unwrap_or_default()),
            ..Load::default()
        };
        if let Some(copy) = self.copy(call, &load) {
            let (request, limit) = (request.clone(), self.config.generate_timeout);
            tokio::spawn(async move { copy.generate(limit, &request).await });
        }
    }

    fn copy(&self, call: &Call, load: &Load<'_>) -> Option<Copy> {
        let version = call.copy_for?;
        let counters = call.endpoint.versions.of(version);
        let call = call.copied_to(version);
        let load = Load {
            random: self.random(),
            ..*load
        };
        let made = call.endpoint.copying.place().and_then(|place| {
            let lease = call.endpoint.lease(&call, &load, self.sources.clock.now(), &[]);
            Some((place, lease.ok()?))
        });
        let Some((place, lease)) = made else {
            counters.skipped();
            return None;
        };
        let mut watch = Watch::new(self.sources.clone(), call);
        watch.asks(&lease);
        Some(Copy {
            watch,
            lease,
            counters,
            _place: place,
        })
    }
}

impl Copy {
    async fn ask<T, F>(
        mut self,
        limit: Duration,
        question: impl FnOnce(Way) -> F,
    ) -> Option<(Arc<VersionCounters>, T)>
    where
        F: Future<Output = Result<T, GatewayError>>,
    {
        let answered = timeout(limit, question(self.lease.way.clone())).await;
        let answer = self.heard(limit, answered)?;
        self.watch.first(PromptTokens::default());
        self.watch.ended(None);
        Some((self.counters, answer))
    }

    async fn generate(mut self, limit: Duration, request: &GenerateRequest) {
        let way = self.lease.way.clone();
        let done = timeout(limit, async {
            let mut stream = way.generate(request).await?;
            let (mut prompt, mut begun) = (PromptTokens::default(), false);
            loop {
                let event = stream
                    .next()
                    .await
                    .ok_or(corliss_engine::EngineError::Stopped)??;
                if let GenerateEvent::Start {
                    prompt_tokens: all,
                    cached_tokens: cached,
                } = event
                {
                    prompt = PromptTokens { all, cached };
                    continue;
                }
                if !std::mem::replace(&mut begun, true) {
                    self.watch.first(prompt);
                }
                match event {
                    GenerateEvent::End {
                        finish_reason,
                        completion_tokens,
                        timing,
                    } => {
                        self.watch.generated(completion_tokens, finish_reason, timing);
                        return Ok(());
                    }
                    GenerateEvent::Error { error } => return Err(GatewayError::Generation(Box::new(error))),
                    _ => {}
                }
            }
        })
        .await;
        self.heard(limit, done);
    }

    /// What came back; a failure is noted as that of a request.
    fn heard<T, E: Into<GatewayError>>(
        &mut self,
        limit: Duration,
        answered: Result<Result<T, E>, tokio::time::error::Elapsed>,
    ) -> Option<T> {
        let error = match answered {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.into(),
            Err(_) => GatewayError::deadline(self.watch.endpoint().name().to_owned(), limit),
        };
        self.lease.blamed(&error, self.watch.sources.clock.now());
        self.watch.ended(Some(&error));
        None
    }
}

/// Whether two answers hold the same tensors, to the last bit.
fn is_alike(one: &TensorMessage, other: &TensorMessage) -> bool {
    tensors(one) == tensors(other)
}

/// The outputs as JSON, and the bytes behind it.
fn tensors(message: &TensorMessage) -> Option<(Value, Vec<u8>)> {
    let all = message.pieces.concat();
    let (json, bytes) = all.split_at_checked(message.json_bytes.unwrap_or(all.len()))?;
    let mut json: Value = serde_json::from_slice(json).ok()?;
    Some((json.get_mut("outputs")?.take(), bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(json: &'static str, tail: Option<&'static [u8]>) -> TensorMessage {
        let mut pieces = vec![Bytes::from_static(json.as_bytes())];
        pieces.extend(tail.map(Bytes::from_static));
        TensorMessage {
            pieces,
            json_bytes: tail.map(|_| json.len()),
        }
    }

    #[test]
    fn answers_are_alike_whatever_version_gave_them() {
        let one = message(
            r#"{"model_version":"1","outputs":[{"name":"y","data":[1.0,2.0]}]}"#,
            None,
        );
        let same = message(
            r#"{"outputs":[{"name":"y","data":[1.0,2.0]}],"model_version":"2"}"#,
            None,
        );
        let other = message(r#"{"outputs":[{"name":"y","data":[1.0,2.5]}]}"#, None);
        assert!(is_alike(&one, &same) && !is_alike(&one, &other));
        let bytes = |tail| message(r#"{"outputs":[{"name":"y"}]}"#, Some(tail));
        assert!(is_alike(&bytes(&[1, 2]), &bytes(&[1, 2])));
        assert!(!is_alike(&bytes(&[1, 2]), &bytes(&[1, 3])));
    }

    #[test]
    fn no_more_copies_than_may_be() {
        let copying = Copying::default();
        let places: Vec<_> = (0..COPIES_MAX).map(|_| copying.place().unwrap()).collect();
        assert!(copying.place().is_none() && copying.place().is_none());
        drop(places);
        assert!(copying.place().is_some());
    }
}
