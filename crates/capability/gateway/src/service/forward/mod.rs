//! Requests that a service elsewhere answers: passed on as the bytes that they came in, under the same choice of a
//! replica, attempts, limits and record as those that engines of ours answer.

pub(crate) mod envelope;
mod events;
pub(crate) mod remote;
mod stream;

use bytes::Bytes;
use corliss_engine::protocol::FinishReason;
use corliss_types::ServiceDialect;
use corliss_upstream::Answer;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::time::Instant;

use crate::error::GatewayError;
use crate::ports::Serves;
use crate::service::Gateway;
use crate::service::ask::Answered;
use crate::service::call::{Call, Origin};
use crate::service::endpoint::Load;
use crate::service::prompt;
use crate::service::quota::{Bound, Meter};
use crate::service::timing::PromptTokens;
use crate::service::way::Way;
use envelope::{Api, Envelope};
use events::{Broken, Events, Tally, Usage};
use remote::{ANSWER_MAX_BYTES, Remote, passed_on};
pub(crate) use stream::Passing;

const SERVICE: Serves = Serves::Service(ServiceDialect::OpenAi);
/// Tokens that an answer is expected to have if its request does not bound it lower.
const ANSWER_TOKENS: u64 = 256;
/// The most that an answer is taken to have if its request does not say.
const ANSWER_TOKENS_MAX: u64 = 512;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// Who is to answer a request.
pub(crate) enum Destined {
    /// A service.
    There(Box<Call>, Envelope),
    /// An engine of ours, or nobody.
    Here(Origin),
}

/// What a service answered.
pub(crate) enum Forwarded {
    Whole { kind: Option<HeaderValue>, body: Bytes },
    Stream(Box<Passing>),
}

/// An answer that has begun.
enum Begun {
    Whole {
        kind: Option<HeaderValue>,
        body: Bytes,
    },
    Stream {
        answer: Box<Answer>,
        events: Events,
        first: Bytes,
    },
}

impl Gateway {
    /// Whether a service answers this request.
    ///
    /// # Errors
    /// If a rule sends it to an endpoint that is not there.
    pub(crate) fn destined(&self, api: Api, origin: Origin, body: &Bytes) -> Result<Destined, GatewayError> {
        let Some(envelope) = Envelope::read(api, body) else {
            return Ok(Destined::Here(origin));
        };
        let Ok(endpoint) = self.endpoint(&envelope.model) else {
            return Ok(Destined::Here(origin));
        };
        if endpoint.serves() != SERVICE && endpoint.routing().rules.is_empty() {
            return Ok(Destined::Here(origin));
        }
        let tokens = prompt::tokens_in(envelope.text().len() as u64);
        let call = self.call(&envelope.model, None, origin.clone(), tokens)?;
        if call.endpoint.serves() != SERVICE {
            return Ok(Destined::Here(origin));
        }
        Ok(Destined::There(Box::new(call), envelope))
    }

    /// The same request to each endpoint that its own falls back to and that is of the other kind: services for a model
    /// that runs here, models that run here for a service.
    pub(crate) fn of_other_kind(
        &self,
        api: Api,
        origin: &Origin,
        body: &Bytes,
    ) -> impl Iterator<Item = (Origin, Bytes)> {
        let known = Envelope::read(api, body).and_then(|envelope| {
            let endpoint = self.endpoint(&envelope.model).ok()?;
            Some((envelope, endpoint))
        });
        known.into_iter().flat_map(move |(envelope, endpoint)| {
            let (serves, routing) = (endpoint.serves(), endpoint.routing());
            let others = routing.fallback.iter().filter(|name| {
                let other = self.endpoint(name);
                other.is_ok_and(|other| other.speaks() && other.serves() != serves)
            });
            let asked = others.map(|name| {
                let origin = Origin {
                    instead_of: Some(envelope.model.clone()),
                    ..origin.clone()
                };
                (origin, envelope.renamed(name))
            });
            // Counted when it is asked, and not because it might be.
            let asked: Vec<_> = asked.collect();
            asked.into_iter().inspect(move |_| endpoint.counters.fell_back())
        })
    }

    /// Has it answered by a replica of the endpoint, or of one that it falls back to.
    ///
    /// # Errors
    /// If none answers, or the service says that the request is wrong.
    pub(crate) async fn pass_on(&self, call: &Call, envelope: &Envelope) -> Result<Forwarded, GatewayError> {
        let text = envelope.text();
        let prompt_tokens = prompt::tokens_in(text.len() as u64);
        let answer_tokens = match (envelope.api, envelope.answer_tokens) {
            (Api::Embeddings, _) => 0,
            (_, Some(most)) => most,
            (api, None) if self.is_metered(call) => return Err(unbounded(api)),
            (_, None) => ANSWER_TOKENS_MAX.saturating_mul(envelope.answers),
        };
        let mut meter = self
            .meter(call, Bound::of_text(envelope.len(), prompt_tokens, answer_tokens))
            .await?;
        let blocks = if call.wants_blocks() {
            prompt::blocks_of(text)
        } else {
            Vec::new()
        };
        let load = Load {
            prompt_tokens,
            answer_tokens: answer_tokens.min(ANSWER_TOKENS),
            blocks: &blocks,
            random: 0,
        };
        let headers = headers(&call.origin, envelope)?;
        let question = |way: Way| {
            let headers = headers.clone();
            async move { ask(way.service()?, headers, envelope).await }
        };
        let ask = |call: Call| async {
            let price = call.routing.price;
            let limit = self.config.generate_timeout;
            let answered = self.answered(call, limit, &load, &question).await?;
            Ok::<_, GatewayError>((answered, price))
        };
        let (answered, price) = self.with_fallback(call, ask).await?;
        meter.answered_at(price);
        let guess = PromptTokens {
            all: u32::try_from(prompt_tokens).unwrap_or(u32::MAX),
            cached: 0,
        };
        Ok(self.forwarded(answered, meter, guess))
    }

    fn forwarded(&self, answered: Answered<Begun>, mut meter: Meter, guess: PromptTokens) -> Forwarded {
        let Answered {
            answer,
            lease,
            mut watch,
            admission,
        } = answered;
        match answer {
            Begun::Whole { kind, body } => {
                let tally = Tally::of_answer(&body);
                let usage = tally.usage.unwrap_or(Usage {
                    prompt: guess,
                    completion: u32::try_from(prompt::tokens_in(body.len() as u64)).unwrap_or(u32::MAX),
                });
                meter.prompts(&[usage.prompt], 1);
                meter.answers(u64::from(usage.completion));
                watch.first(usage.prompt);
                match tally.finish {
                    Some(finish) => watch.generated(usage.completion, finish, None),
                    None => watch.ended(None),
                }
                Forwarded::Whole { kind, body }
            }
            Begun::Stream {
                answer,
                events,
                first,
            } => {
                watch.began();
                let passing = Passing {
                    answer: *answer,
                    events,
                    first: Some(first),
                    lease,
                    watch,
                    meter,
                    guess,
                    silence: self.config.silence_timeout,
                    limit: self.config.generate_timeout,
                    heard: Instant::now(),
                    until: Instant::now() + self.config.generate_timeout,
                    alarm: None,
                    over: false,
                    _admission: admission,
                };
                Forwarded::Stream(Box::new(passing))
            }
        }
    }
}

/// That a caller who is held to tokens or money must say how long answers may be: a service answers as long as it likes.
fn unbounded(api: Api) -> GatewayError {
    let parameter = match api {
        Api::Responses => "max_output_tokens",
        _ => "max_tokens",
    };
    GatewayError::InvalidParameter {
        parameter: parameter.to_owned(),
        reason: "must be given as a whole number, and so must n: your tokens or your spending are limited, and this model is \
                 a service elsewhere, which answers as long as it is let"
            .to_owned(),
    }
}

async fn ask(remote: &Remote, headers: HeaderMap, envelope: &Envelope) -> Result<Begun, GatewayError> {
    let body = envelope.for_model(remote.model());
    let mut answer = remote
        .ask(Method::POST, envelope.api.path(), headers, body)
        .await?;
    let kind = answer.headers.remove(header::CONTENT_TYPE);
    let is_stream = kind
        .as_ref()
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !(envelope.stream && is_stream) {
        let body = answer.collect(ANSWER_MAX_BYTES).await?;
        remote.must_be_object(&body)?;
        remote.must_have(&body, envelope.api.answer_member())?;
        if envelope.stream {
            return Err(remote.not_understood("a stream was asked for, and it is none"));
        }
        return Ok(Begun::Whole { kind, body });
    }
    let mut events = Events::new(envelope.api, envelope.hides_usage());
    loop {
        let Some(chunk) = answer.chunk().await.transpose()? else {
            return Err(remote.lost("the stream ended before its first event".to_owned()));
        };
        let first = events
            .pass(chunk)
            .map_err(|Broken(how)| remote.not_understood(how))?;
        if events.gave_up {
            return Err(remote.lost("the stream began with an error".to_owned()));
        }
        if !first.is_empty() {
            return Ok(Begun::Stream {
                answer: Box::new(answer),
                events,
                first,
            });
        }
    }
}

fn headers(origin: &Origin, envelope: &Envelope) -> Result<HeaderMap, GatewayError> {
    let mut headers = passed_on(&origin.headers)?;
    if let Ok(id) = HeaderValue::from_str(&origin.request) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(parent) = origin.trace.as_ref().and_then(|trace| trace.parent()) {
        headers.insert(TRACE_PARENT, parent);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let accept = if envelope.stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    Ok(headers)
}

/// What ended an answer that told no reason.
const fn finish(tally: &Tally) -> FinishReason {
    match tally.finish {
        Some(finish) => finish,
        None => FinishReason::Stop,
    }
}
