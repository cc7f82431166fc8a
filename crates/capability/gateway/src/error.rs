//! Why a request is not answered.

use std::time::Duration;

use corliss_diagnostics::{Diagnose, ErrorReport, Meaning};
use corliss_engine::EngineError;
use corliss_http::ApiError;
use corliss_metastore::StoreError;
use corliss_policy_serving::limits::{Denied, Period};
use corliss_types::Timestamp;
use corliss_upstream::UpstreamError;

use crate::service::forward::remote::Refusal;

/// An engine's code for a request whose own time was up before it was answered.
const LATE: &str = "request_deadline_exceeded";
/// An engine's code for a request that is wrong: only while it followed a format did it find that this is too much work.
const REFUSED: &str = "invalid_request";

/// An error of this capability.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// No endpoint has this name.
    #[error("there is no endpoint '{name}'")]
    ModelNotFound {
        /// As asked for.
        name: String,
    },
    /// The endpoint serves another version.
    #[error("endpoint '{name}' does not serve version {version}")]
    VersionNotFound {
        /// Endpoint.
        name: String,
        /// As asked for.
        version: String,
    },
    /// The endpoint serves another kind of model.
    #[error("endpoint '{name}' serves {serves}, which does not answer this path")]
    WrongKind {
        /// Endpoint.
        name: String,
        /// What it serves, in words.
        serves: &'static str,
        /// Which path to use.
        use_path: &'static str,
    },
    /// No replica takes requests.
    #[error("endpoint '{name}' is not ready: {reason}")]
    NotReady {
        /// Endpoint.
        name: String,
        /// Why.
        reason: String,
    },
    /// Too many requests at once.
    #[error("endpoint '{name}' works on {limit} requests already, which is its limit")]
    Busy {
        /// Endpoint.
        name: String,
        /// The limit.
        limit: usize,
    },
    /// Each replica has all the requests that it can line up.
    #[error("every replica of endpoint '{name}' has as many requests as it can line up")]
    Full {
        /// Endpoint.
        name: String,
        /// When one of them wanted to be asked again.
        retry_after_s: u64,
    },
    /// It took longer than allowed.
    #[error("endpoint '{name}' gave no answer within {seconds} s")]
    DeadlineExceeded {
        /// Endpoint.
        name: String,
        /// The limit.
        seconds: f64,
    },
    /// One replica took longer than an attempt may.
    #[error("a replica of endpoint '{name}' gave no first answer within {millis} ms")]
    AttemptTimedOut {
        /// Endpoint.
        name: String,
        /// The limit of one attempt.
        millis: u64,
    },
    /// A caller's limit does not allow it now.
    #[error("{reason}")]
    Limited {
        /// Which limit, and how far it is reached.
        reason: String,
        /// After how many seconds it would be allowed; none if waiting does not help soon.
        wait_s: Option<u64>,
        /// Whether it is the budget.
        is_budget: bool,
    },
    /// A caller has as many requests on their way as it may.
    #[error("'{caller}' has {limit} requests on their way already, which is its limit")]
    TooManyAtOnce {
        /// Who.
        caller: String,
        /// The limit.
        limit: u32,
    },
    /// A request that no limit of its caller would ever allow.
    #[error("the request may use {asked} tokens, more than the {limit} a minute that its caller may use")]
    TooManyTokens {
        /// Tokens of prompt and answer.
        asked: u64,
        /// The limit.
        limit: u64,
    },
    /// Nobody of this name has limits.
    #[error("'{name}' has no limits")]
    NoLimits {
        /// As asked for.
        name: String,
    },
    /// Limits of which none is given, where there are none to be exempt from.
    #[error(
        "the limits name none: give at least one of requests_per_minute, tokens_per_minute, concurrent_max and budget"
    )]
    EmptyLimits,
    /// The record of what callers use could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A parameter that is not supported and cannot be ignored.
    #[error("the parameter '{parameter}' is not supported")]
    UnsupportedParameter {
        /// Its name.
        parameter: String,
        /// What to do instead, if anything.
        instead: Option<&'static str>,
    },
    /// A parameter of a wrong type or value.
    #[error("{parameter}: {reason}")]
    InvalidParameter {
        /// Its name.
        parameter: String,
        /// What is wrong.
        reason: String,
    },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A service elsewhere was not reached, or its answer broke off. Where it is its callers need not know.
    #[error("{}", without_place(.0))]
    Upstream(UpstreamError),
    /// A service elsewhere says that something is wrong.
    #[error("{}", said(.0))]
    Service(Box<Refusal>),
    /// A request came back to be passed on again and again.
    #[error("the request was passed on {hops} times already; the endpoints lead to one another")]
    Loop {
        /// How often.
        hops: usize,
    },
    /// A request for engines of ours came to a service elsewhere, or the other way round.
    #[error("what answers here is not asked this way")]
    WrongWay,
    /// The engine failed after it had begun to answer.
    #[error("{}", .0.message)]
    Generation(Box<ErrorReport>),
}

// By hand, since a source would be told behind it, and that one names the place.
impl From<UpstreamError> for GatewayError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

impl Diagnose for GatewayError {
    fn code(&self) -> &'static str {
        match self {
            Self::ModelNotFound { .. } => "model_not_found",
            Self::VersionNotFound { .. } => "model_version_not_found",
            Self::WrongKind { .. } => "model_kind_mismatch",
            Self::NotReady { .. } => "endpoint_not_ready",
            Self::Busy { .. } | Self::Full { .. } => "endpoint_busy",
            Self::DeadlineExceeded { .. } | Self::AttemptTimedOut { .. } => "inference_timed_out",
            Self::Limited { is_budget: true, .. } => "insufficient_quota",
            Self::Limited { .. } | Self::TooManyAtOnce { .. } => "rate_limit_exceeded",
            Self::TooManyTokens { .. } => "request_exceeds_limit",
            Self::NoLimits { .. } => "limits_not_found",
            Self::EmptyLimits => "limits_empty",
            Self::Store(error) => error.code(),
            Self::UnsupportedParameter { .. } => "unsupported_parameter",
            Self::InvalidParameter { .. } => "invalid_parameter",
            Self::Engine(error) => error.code(),
            Self::Upstream(error) => error.code(),
            Self::Service(refusal) if refusal.is_about_key() => "upstream_key_refused",
            Self::Service(refusal) if refusal.meaning() == Meaning::Unavailable => "upstream_failed",
            Self::Service(_) => "upstream_refused",
            Self::Loop { .. } => "upstream_loop",
            Self::WrongWay => "upstream_kind_mismatch",
            Self::Generation(report) if report.code == LATE => LATE,
            Self::Generation(report) if report.code == REFUSED => REFUSED,
            Self::Generation(_) => "generation_failed",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::ModelNotFound { .. } | Self::VersionNotFound { .. } | Self::NoLimits { .. } => {
                Meaning::NotFound
            }
            Self::Limited { .. } | Self::TooManyAtOnce { .. } => Meaning::ResourceExhausted,
            Self::TooManyTokens { .. } | Self::EmptyLimits => Meaning::InvalidInput,
            Self::Store(error) => error.meaning(),
            Self::WrongKind { .. } | Self::UnsupportedParameter { .. } | Self::InvalidParameter { .. } => {
                Meaning::InvalidInput
            }
            Self::NotReady { .. } => Meaning::Unavailable,
            Self::Busy { .. } | Self::Full { .. } => Meaning::ResourceExhausted,
            Self::DeadlineExceeded { .. } | Self::AttemptTimedOut { .. } => Meaning::DeadlineExceeded,
            Self::Engine(error) => error.meaning(),
            Self::Upstream(error) => error.meaning(),
            Self::Service(refusal) => refusal.meaning(),
            Self::Loop { .. } => Meaning::InvalidInput,
            Self::WrongWay => Meaning::Internal,
            Self::Generation(report) if report.retryable => Meaning::Unavailable,
            Self::Generation(report) if report.code == LATE => Meaning::DeadlineExceeded,
            Self::Generation(report) if report.code == REFUSED => Meaning::InvalidInput,
            Self::Generation(_) => Meaning::Internal,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::ModelNotFound { .. } => Some("model".to_owned()),
            Self::UnsupportedParameter { parameter, .. } | Self::InvalidParameter { parameter, .. } => {
                Some(parameter.clone())
            }
            Self::Engine(error) => error.field(),
            Self::Service(refusal) => refusal.field.clone(),
            Self::Generation(report) => report.field.clone(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::ModelNotFound { .. } => Some("list endpoints with: corliss endpoints list".to_owned()),
            Self::WrongKind { use_path, .. } => Some(format!("use {use_path}")),
            Self::Limited {
                is_budget: true,
                wait_s,
                ..
            } => {
                let lower = "shorten the prompt, or set max_tokens lower, which bounds what an answer costs";
                Some(match wait_s {
                    Some(_) => format!("{lower}; or wait for the next period"),
                    None => format!("{lower}; or ask an administrator for more"),
                })
            }
            Self::TooManyAtOnce { .. } => Some("wait until one of them has ended".to_owned()),
            Self::TooManyTokens { .. } => Some("shorten the prompt, or set max_tokens lower".to_owned()),
            Self::NoLimits { .. } => Some("list limits with: corliss admin limits list".to_owned()),
            Self::EmptyLimits => {
                Some("DELETE takes limits away; corliss admin limits remove NAME does so".to_owned())
            }
            Self::Store(error) => error.hint(),
            Self::Busy { .. } | Self::Full { .. } => Some("try again shortly, or add replicas".to_owned()),
            Self::UnsupportedParameter { instead, .. } => Some(instead.unwrap_or("leave it out").to_owned()),
            Self::Engine(error) => error.hint(),
            Self::Service(refusal) if refusal.is_about_key() => {
                Some("an administrator can give the server another key for it".to_owned())
            }
            Self::Generation(report) => report.hint.clone(),
            _ => None,
        }
    }
}

impl GatewayError {
    /// That an endpoint gave no answer within this time.
    pub(crate) fn deadline(name: String, allowed: Duration) -> Self {
        Self::DeadlineExceeded {
            name,
            seconds: allowed.as_secs_f64(),
        }
    }

    /// That the limits of a caller do not allow a request now.
    pub(crate) fn limited(caller: &str, denied: Denied, now: Timestamp) -> Self {
        let (reason, wait, is_budget) = match denied {
            Denied::TooManyTokens { limit, asked } => return Self::TooManyTokens { asked, limit },
            Denied::Requests { limit, wait } => (
                format!("'{caller}' may make {limit} requests a minute"),
                Some(wait),
                false,
            ),
            Denied::Tokens { limit, wait } => (
                format!("'{caller}' may use {limit} tokens a minute"),
                Some(wait),
                false,
            ),
            Denied::Budget {
                budget,
                left_micros,
                asked_micros,
                until,
            } => {
                let period = match budget.period {
                    Period::Day => " a day",
                    Period::Month => " a month",
                    Period::Ever => "",
                };
                let (whole, left) = (Micros(budget.micros), Micros(left_micros));
                let asked = Micros(asked_micros);
                let reason = format!(
                    "'{caller}' may spend {whole}{period}; {left} is left, and the request may cost {asked}"
                );
                // What costs more than all of it is not begun in the next period either.
                let until = until.filter(|_| asked_micros <= budget.micros);
                (reason, until.map(|until| until.since(now)), true)
            }
        };
        Self::Limited {
            reason,
            wait_s: wait.map(|wait| wait.0.div_ceil(1_000).max(1)),
            is_budget,
        }
    }

    /// As an answer in the dialects that know endpoints as models.
    pub(crate) fn into_api(self) -> ApiError {
        let (known, error) = (self.code(), self.answer());
        // These are codes that OpenAI's clients look at; ours are the same words.
        match known {
            "model_not_found" | "context_length_exceeded" | "insufficient_quota" | "rate_limit_exceeded" => {
                error.with_foreign_code(known)
            }
            _ => error,
        }
    }

    /// As an answer to MLflow's clients, which have codes of their own.
    pub(crate) fn into_mlflow(self) -> ApiError {
        self.answer()
    }

    /// As an answer of the native API, in which an endpoint is called that by everybody.
    pub(crate) fn into_native(self) -> ApiError {
        match &self {
            Self::ModelNotFound { .. } => {
                let error = ApiError::new(self.meaning(), "endpoint_not_found", self.to_string());
                match self.hint() {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            }
            _ => self.answer(),
        }
    }

    /// With the time after which trying again makes sense.
    fn answer(&self) -> ApiError {
        let error = ApiError::of(self);
        match (self, self.meaning()) {
            (Self::Limited { wait_s: None, .. }, _) => error,
            (
                Self::Limited {
                    wait_s: Some(seconds),
                    ..
                },
                _,
            ) => error.with_retry_after(*seconds),
            (_, Meaning::ResourceExhausted | Meaning::Unavailable) => {
                error.with_retry_after(self.retry_after_s())
            }
            _ => error,
        }
    }

    fn retry_after_s(&self) -> u64 {
        match self {
            Self::Engine(error) => error.retry_after_s().unwrap_or(1),
            Self::Service(refusal) => refusal.retry_after_s.unwrap_or(1),
            Self::Full { retry_after_s, .. } => *retry_after_s,
            _ => 1,
        }
    }

    /// Whether another replica may answer what this one did not.
    pub(crate) fn elsewhere(&self) -> bool {
        match self {
            Self::Engine(error) => matches!(
                error.code(),
                "engine_unreachable"
                    | "engine_connection_lost"
                    | "engine_not_ready"
                    | "engine_queue_full"
                    | "engine_stopped"
            ),
            Self::Generation(report) => report.code == "engine_stopped",
            // What is too large here is too large there.
            Self::Upstream(error) => matches!(
                error,
                UpstreamError::Unreachable { .. }
                    | UpstreamError::Lost { .. }
                    | UpstreamError::NotUnderstood { .. }
            ),
            Self::Service(refusal) => refusal.elsewhere(),
            Self::AttemptTimedOut { .. } => true,
            _ => false,
        }
    }

    /// Whether it says that the replica takes no requests: it could not be reached, or said so.
    pub(crate) fn is_refusal_by_replica(&self) -> bool {
        match self {
            Self::Engine(error) => matches!(error.code(), "engine_unreachable" | "engine_not_ready"),
            Self::Upstream(error) => matches!(error, UpstreamError::Unreachable { .. }),
            _ => false,
        }
    }

    /// When a replica that has all the requests that it can line up wants to be asked again.
    pub(crate) fn full_for_s(&self) -> Option<u64> {
        match self {
            Self::Engine(error) if error.code() == "engine_queue_full" => {
                Some(error.retry_after_s().unwrap_or(1))
            }
            _ => None,
        }
    }

    /// Whether the replica failed a request by its own fault.
    pub(crate) fn is_failure_of_replica(&self) -> bool {
        match self {
            Self::AttemptTimedOut { .. } => true,
            Self::Generation(report) => report.code == "engine_stopped",
            Self::Engine(error) => matches!(error.code(), "engine_connection_lost" | "engine_stopped"),
            Self::Upstream(error) => matches!(
                error,
                UpstreamError::Lost { .. } | UpstreamError::NotUnderstood { .. }
            ),
            Self::Service(refusal) => refusal.is_failure(),
            _ => false,
        }
    }

    /// What is told to those who look after the endpoint: the address too, if there is one.
    pub(crate) fn in_full(&self) -> String {
        match self {
            Self::Upstream(error) => error.to_string(),
            other => other.to_string(),
        }
    }

    /// Whether the caller's limits do not allow it.
    pub(crate) const fn is_about_limits(&self) -> bool {
        matches!(
            self,
            Self::Limited { .. } | Self::TooManyAtOnce { .. } | Self::TooManyTokens { .. }
        )
    }

    /// Whether another endpoint may answer what this one did not.
    pub(crate) fn allows_fallback(&self) -> bool {
        matches!(
            self.meaning(),
            Meaning::Unavailable | Meaning::ResourceExhausted | Meaning::DeadlineExceeded | Meaning::Internal
        )
    }
}

/// What became of a service, without its address.
fn without_place(error: &UpstreamError) -> String {
    match error {
        UpstreamError::Unreachable { source, .. } => format!("the service cannot be reached: {source}"),
        UpstreamError::Lost { detail, .. } => format!("the service broke off: {detail}"),
        UpstreamError::NotUnderstood { detail, .. } => {
            format!("the answer of the service is not understood: {detail}")
        }
        UpstreamError::TooLarge { limit_bytes, .. } => {
            format!("the answer of the service is larger than {limit_bytes} bytes")
        }
        other => other.to_string(),
    }
}

/// What a service said, told so that nobody takes it for our own word.
fn said(refusal: &Refusal) -> String {
    if refusal.is_about_key() {
        return format!(
            "the service refuses the key that it was shown ({})",
            refusal.status
        );
    }
    match refusal.meaning() {
        // About the request, in whose words it is: clients look for what they know.
        Meaning::InvalidInput | Meaning::NotFound | Meaning::TooLarge => refusal.message.clone(),
        _ => format!(
            "the service answered {}: {}",
            refusal.status.as_u16(),
            refusal.message
        ),
    }
}

impl AsRef<Self> for GatewayError {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// An amount of money, of which it is a millionth.
struct Micros(u64);

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let rest = format!("{rest:06}");
        let rest = rest.trim_end_matches('0');
        write!(f, "{whole}.{rest:0<2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_that_ends_by_its_own_format_is_the_request_s_fault() {
        let told = |code: &str| {
            let mut report = ErrorReport::of(&EngineError::Stopped);
            (report.code, report.retryable) = (code.to_owned(), false);
            let error = GatewayError::Generation(Box::new(report));
            (error.code(), error.meaning().http_status())
        };
        assert_eq!(told("invalid_request"), ("invalid_request", 400));
        assert_eq!(told("engine_compute_failed"), ("generation_failed", 500));
        assert_eq!(told(LATE), (LATE, 504));
    }

    #[test]
    fn money_is_written_with_two_digits_or_as_many_as_it_has() {
        let written = |micros| Micros(micros).to_string();
        assert_eq!(
            [0, 1, 1_500_000, 12_345_600].map(written),
            ["0.00", "0.000001", "1.50", "12.3456"]
        );
    }
}
