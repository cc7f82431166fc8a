//! A client's request on its way: who sent it, where it may go, and how long that may take.

use std::sync::Arc;
use std::time::Duration;

use corliss_policy_serving::release::{Lot, takes};
use corliss_policy_serving::router::rules::{Facts, Route, route};
use corliss_policy_serving::router::{Among, stable_hash};
use corliss_policy_serving::{Routing, router};
use corliss_types::ReplicaId;
use http::HeaderMap;

use crate::error::GatewayError;
use crate::ports::Serves;
use crate::service::Gateway;
use crate::service::endpoint::{Endpoint, Lease};
use crate::service::quota::Standing;
use crate::service::spans::Trace;

/// Who sent a request, and what it says of itself beside its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The id under which the request is logged.
    pub(crate) request: String,
    /// The name of whoever sent it.
    pub(crate) caller: String,
    /// Its headers.
    pub(crate) headers: Arc<HeaderMap>,
    /// The endpoint that the client named, if that one could not answer.
    pub(crate) instead_of: Option<String>,
    /// Where its caller is to be told what is left of its rates.
    pub(crate) standing: Option<Arc<Standing>>,
    /// What becomes its spans.
    pub(crate) trace: Option<Arc<Trace>>,
}

/// Which replicas of an endpoint a request may go to.
#[derive(Debug, Clone, Default)]
enum Within {
    #[default]
    All,
    Version(u32),
    These(Vec<ReplicaId>),
    /// While a version is released: to that one, and elsewhere only if that one does not answer it.
    Released(u32),
    /// While a version is released: to the others.
    NotReleased,
}

/// A request that knows its endpoint. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) endpoint: Arc<Endpoint>,
    /// As it was when the request came: a change does not reach requests on their way.
    pub(crate) routing: Arc<Routing>,
    pub(crate) origin: Arc<Origin>,
    /// The rule that decided, counted from 0.
    pub(crate) rule: Option<usize>,
    /// The endpoint that the client named, if this is one that it falls back to.
    pub(crate) instead_of: Option<String>,
    /// The version that is sent a copy of it.
    pub(crate) copy_for: Option<u32>,
    /// Whether it is a copy itself.
    pub(crate) shadow: bool,
    within: Arc<Within>,
    session: Option<u64>,
}

impl Gateway {
    /// The call of a request to the endpoint of this name, or to where one of its rules sends it.
    ///
    /// # Errors
    /// If there is no such endpoint.
    pub(crate) fn call(
        &self,
        name: &str,
        version: Option<u32>,
        origin: Origin,
        prompt_tokens: u64,
    ) -> Result<Call, GatewayError> {
        let endpoint = self.endpoint(name)?;
        let routing = endpoint.routing();
        let origin = Arc::new(origin);
        let session = session(&routing, &origin);
        let (destination, rule) = decide(&routing, version, &origin, prompt_tokens);
        let mut copy_for = None;
        let within = match destination {
            Route::Here(Among::All) => {
                let (within, copy) = self.released(&endpoint, &origin, session);
                copy_for = copy;
                within
            }
            Route::Here(Among::Version(version)) => Within::Version(version),
            Route::Here(Among::These(ids)) => Within::These(ids.to_vec()),
            Route::Pool(pool) => {
                let there = self.endpoint(pool).map_err(|_| GatewayError::NotReady {
                    name: name.to_owned(),
                    reason: format!(
                        "its routing sends this request to endpoint '{pool}', which is not there"
                    ),
                })?;
                // One step only: the other endpoint's own rules are not asked, so that no request goes in circles.
                let (within, copy_for) = self.released(&there, &origin, session);
                return Ok(Call {
                    routing: there.routing(),
                    endpoint: there,
                    origin,
                    rule,
                    instead_of: Some(name.to_owned()),
                    copy_for,
                    shadow: false,
                    within: Arc::new(within),
                    session,
                });
            }
        };
        Ok(Call {
            endpoint,
            routing: routing.clone(),
            instead_of: origin.instead_of.clone(),
            origin,
            rule,
            copy_for,
            shadow: false,
            within: Arc::new(within),
            session,
        })
    }

    /// Which version takes the request while one is released, and which one a copy of it. Who names a session, or under
    /// [`Split::by_caller`](corliss_policy_serving::release::Split) anybody, always comes to the same one.
    fn released(&self, endpoint: &Endpoint, origin: &Origin, session: Option<u64>) -> (Within, Option<u32>) {
        let Some(release) = endpoint.release() else {
            return (Within::All, None);
        };
        let by_caller = || {
            release
                .split
                .by_caller
                .then(|| stable_hash(origin.caller.as_bytes()))
        };
        let lot = match session.or_else(by_caller) {
            Some(key) => Lot::of(release.id.as_str(), key),
            None => Lot::drawn(self.random()),
        };
        let within = if takes(release.split.percent, lot) {
            Within::Released(release.version)
        } else {
            Within::NotReleased
        };
        (
            within,
            takes(release.split.copies, lot).then_some(release.version),
        )
    }

    /// As [`Gateway::call`], to an endpoint that serves a language model.
    ///
    /// # Errors
    /// If there is no such endpoint, or it serves another kind of model.
    pub(crate) fn language_call(
        &self,
        name: &str,
        origin: Origin,
        prompt_tokens: u64,
    ) -> Result<Call, GatewayError> {
        let call = self.call(name, None, origin, prompt_tokens)?;
        call.endpoint.must_serve_language()?;
        match call.endpoint.serves() {
            Serves::Engine(_) => Ok(call),
            // What can be passed on was, before it was looked at this closely.
            Serves::Service(_) => Err(GatewayError::InvalidParameter {
                parameter: "body".to_owned(),
                reason: "must not have a member twice".to_owned(),
            }),
        }
    }

    /// Does it for this call, and where that fails for a reason that is not the request's own, for the
    /// endpoints that it falls back to, one after another. The first failure is told if all fail.
    pub(crate) async fn with_fallback<T, E, F>(
        &self,
        call: &Call,
        attempt: impl Fn(Call) -> F,
    ) -> Result<T, E>
    where
        E: AsRef<GatewayError>,
        F: Future<Output = Result<T, E>>,
    {
        let first = match attempt(call.clone()).await {
            Err(error) if error.as_ref().allows_fallback() => error,
            done => return done,
        };
        for name in &call.routing.fallback {
            let Some(next) = self.fallback(call, name) else {
                continue;
            };
            call.endpoint.counters.fell_back();
            match Box::pin(attempt(next)).await {
                Err(error) if error.as_ref().allows_fallback() => {}
                done => return done,
            }
        }
        Err(first)
    }

    /// The same request to an endpoint that serves the same kind of model; its own fallbacks are not asked.
    fn fallback(&self, call: &Call, name: &str) -> Option<Call> {
        let endpoint = self.endpoint(name).ok()?;
        (endpoint.serves() == call.endpoint.serves()).then(|| {
            let (within, copy_for) = self.released(&endpoint, &call.origin, call.session);
            Call {
                routing: endpoint.routing(),
                endpoint,
                origin: call.origin.clone(),
                rule: None,
                instead_of: Some(call.endpoint.name().to_owned()),
                copy_for,
                shadow: false,
                within: Arc::new(within),
                session: call.session,
            }
        })
    }
}

impl Call {
    /// Which replicas it may go to.
    pub(crate) fn among(&self) -> Among<'_> {
        match self.within.as_ref() {
            Within::All | Within::Released(_) | Within::NotReleased => Among::All,
            Within::Version(version) => Among::Version(*version),
            Within::These(ids) => Among::These(ids),
        }
    }

    /// Which of those it goes to if they take requests, where `others` are the replicas of no version that is being
    /// released: what fails there is tried again with what has proven itself.
    pub(crate) fn preferably<'a>(
        &'a self,
        tried: &[ReplicaId],
        others: &'a [ReplicaId],
    ) -> Option<Among<'a>> {
        match self.within.as_ref() {
            Within::Released(version) if tried.is_empty() => Some(Among::Version(*version)),
            Within::Released(_) | Within::NotReleased => Some(Among::These(others)),
            _ => None,
        }
    }

    /// Whether it came to this version because that one is being released, so that another one may answer what it does not.
    pub(crate) fn falls_back_from(&self, version: u32) -> bool {
        matches!(self.within.as_ref(), Within::Released(released) if *released == version)
    }

    /// A copy of it for this version.
    pub(crate) fn copied_to(&self, version: u32) -> Self {
        Self {
            copy_for: None,
            shadow: true,
            within: Arc::new(Within::Version(version)),
            ..self.clone()
        }
    }

    /// Its session.
    pub(crate) fn session(&self) -> Option<u64> {
        self.session
    }

    /// Whether its endpoint looks at where prompts begin.
    pub(crate) fn wants_blocks(&self) -> bool {
        self.routing.router == router::Strategy::PrefixAware
    }

    /// How long all attempts together may take for the first answer, at most so long.
    pub(crate) fn patience(&self, most: Duration) -> Duration {
        let own = self.routing.timeout_ms.map(Duration::from_millis);
        own.map_or(most, |own| own.min(most))
    }

    /// How long one of them may, if that is bounded.
    pub(crate) fn attempt_timeout(&self) -> Option<Duration> {
        self.routing.attempt_timeout_ms.map(Duration::from_millis)
    }

    /// How long this one may, where all together have so long: a version that is being released leaves time for the one that
    /// answers in its place.
    pub(crate) fn attempt_within(&self, patience: Duration, lease: &Lease) -> Option<Duration> {
        let own = self.attempt_timeout();
        let leaves_half = self.falls_back_from(lease.version) && self.endpoint.has_proven(&[]);
        let half = leaves_half.then_some(patience / 2);
        own.into_iter().chain(half).min()
    }

    /// After how long another replica is asked as well.
    pub(crate) fn hedge_after(&self) -> Option<Duration> {
        self.routing.hedge_after_ms.map(Duration::from_millis)
    }
}

fn session(routing: &Routing, origin: &Origin) -> Option<u64> {
    let named = origin.headers.get(&routing.session_header)?;
    Some(stable_hash(named.as_bytes()))
}

fn decide<'a>(
    routing: &'a Routing,
    version: Option<u32>,
    origin: &Origin,
    prompt_tokens: u64,
) -> (Route<'a>, Option<usize>) {
    if routing.rules.is_empty() {
        return (
            version.map_or(Route::Here(Among::All), |version| {
                Route::Here(Among::Version(version))
            }),
            None,
        );
    }
    let headers: Vec<(&str, &str)> = origin
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let facts = Facts {
        version,
        headers: &headers,
        tenant: Some(&origin.caller),
        prompt_tokens,
    };
    match (route(&routing.rules, &facts), version) {
        // No rule says otherwise: what the client asks for by name is what it gets.
        ((_, None), Some(version)) => (Route::Here(Among::Version(version)), None),
        (decided, _) => decided,
    }
}
