//! Trying again: a bounded number of times, with growing pauses, within a time limit.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::failure::{Failure, FailureKind};
use super::settings::BucketLimits;

/// No pause is longer, whatever the service asks for.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Tries until it works, fails in a way that lasts, or has been tried often or long enough. What is tried must
/// be safe to do twice.
pub(super) async fn retry<T, F, Fut>(
    limits: &BucketLimits,
    until: Instant,
    mut attempt: F,
) -> Result<T, Failure>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Failure>>,
{
    let mut last: Option<Failure> = None;
    for tried in 1.. {
        let failure = match timeout_at(until, attempt()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(failure)) => failure,
            Err(_) => return Err(last.unwrap_or_else(|| Failure::passing("no answer came in time"))),
        };
        if failure.kind != FailureKind::Passing {
            return Err(failure);
        }
        let pause = failure
            .wait
            .unwrap_or_default()
            .max(pause(limits, tried))
            .min(PAUSE_MAX);
        if tried >= limits.tries || Instant::now() + pause >= until {
            let message = format!("{} (tried {tried} times)", failure.message);
            return Err(Failure::passing(message));
        }
        tracing::debug!(message = failure.message, tried, "a bucket is asked again");
        sleep(pause).await;
        last = Some(failure);
    }
    Err(last.unwrap_or_else(|| Failure::passing("it was not tried")))
}

/// Between half of the step and the step, so that those who failed together do not come back together.
fn pause(limits: &BucketLimits, tried: u32) -> Duration {
    let step = limits
        .pause
        .saturating_mul(1 << (tried - 1).min(16))
        .min(PAUSE_MAX);
    let mut chance = [0; 2];
    // Without randomness the pause is the longest.
    let chance = aws_lc_rs::rand::fill(&mut chance).map_or(u16::MAX, |()| u16::from_be_bytes(chance));
    step / 2 + (step / 2).mul_f64(f64::from(chance) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let limits = BucketLimits::default();
        for (tried, low, high) in [(1, 100, 200), (2, 200, 400), (4, 800, 1600), (60, 5000, 10_000)] {
            for _ in 0..50 {
                let pause = pause(&limits, tried).as_millis();
                assert!((low..=high).contains(&pause), "{tried}: {pause}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_limit_ends_it_whatever_is_tried() {
        let limits = BucketLimits {
            tries: 1000,
            ..BucketLimits::default()
        };
        let until = || Instant::now() + Duration::from_secs(30);
        let began = Instant::now();
        let hangs = retry::<(), _, _>(&limits, until(), std::future::pending).await;
        assert_eq!(hangs.unwrap_err().message, "no answer came in time");
        let fails = retry::<(), _, _>(&limits, until(), || async { Err(Failure::passing("busy")) }).await;
        assert!(fails.unwrap_err().message.starts_with("busy (tried "));
        let asks = retry::<(), _, _>(&limits, until(), || async {
            Err(Failure {
                wait: Some(Duration::from_secs(3600)),
                ..Failure::passing("later")
            })
        });
        assert_eq!(asks.await.unwrap_err().message, "later (tried 3 times)");
        assert!(began.elapsed() <= Duration::from_secs(90));
    }
}
