//! What a caller has left of its rates once its request was counted, told with the answer as OpenAI tells it.

use std::sync::{Mutex, PoisonError};

use corliss_policy_serving::limits::{Limits, Rate, Usage};
use corliss_types::{DurationMs, Timestamp};
use http::{HeaderName, HeaderValue};

/// Filled in when the request is counted; again if it is counted again.
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<Rates>);

#[derive(Debug, Default, Clone, Copy)]
struct Rates {
    requests: Option<Rate>,
    tokens: Option<Rate>,
}

impl Standing {
    pub(super) fn tell(&self, limits: &Limits, usage: &Usage, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Rates {
            requests: limits.requests(usage, now),
            tokens: limits.tokens(usage, now),
        };
    }

    /// The headers that say it. None before the request was counted.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let rates = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = rates.requests.map(|rate| {
            of(
                rate,
                [
                    "x-ratelimit-limit-requests",
                    "x-ratelimit-remaining-requests",
                    "x-ratelimit-reset-requests",
                ],
            )
        });
        let tokens = rates.tokens.map(|rate| {
            of(
                rate,
                [
                    "x-ratelimit-limit-tokens",
                    "x-ratelimit-remaining-tokens",
                    "x-ratelimit-reset-tokens",
                ],
            )
        });
        requests.into_iter().chain(tokens).flatten()
    }
}

fn of(rate: Rate, [limit, remaining, reset]: [&'static str; 3]) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (HeaderName::from_static(limit), HeaderValue::from(rate.limit)),
        (
            HeaderName::from_static(remaining),
            HeaderValue::from(rate.remaining),
        ),
    ];
    let value = HeaderValue::try_from(spelled(rate.reset)).ok();
    headers.extend(value.map(|value| (HeaderName::from_static(reset), value)));
    headers
}

/// As OpenAI spells times: `12ms`, `1s`, `1.5s`, `6m0s`.
fn spelled(DurationMs(ms): DurationMs) -> String {
    if ms > 0 && ms < 1_000 {
        return format!("{ms}ms");
    }
    let (minutes, ms) = (ms / 60_000, ms % 60_000);
    let mut seconds = (ms / 1_000).to_string();
    if !ms.is_multiple_of(1_000) {
        let fraction = format!(".{:03}", ms % 1_000);
        seconds.push_str(fraction.trim_end_matches('0'));
    }
    if minutes == 0 {
        format!("{seconds}s")
    } else {
        format!("{minutes}m{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_openai_does() {
        for (ms, text) in [
            (0, "0s"),
            (12, "12ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (30_951, "30.951s"),
            (360_000, "6m0s"),
            (90_050, "1m30.05s"),
        ] {
            assert_eq!(spelled(DurationMs(ms)), text);
        }
    }
}
