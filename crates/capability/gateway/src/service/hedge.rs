//! A second question beside the first, when that takes long: whoever answers first is heard, and the other one
//! is dropped, which ends its work.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

/// Waits for `first`, and from `after` on also for what `second` makes, if it makes anything. A failure
/// counts only if both fail, and then it is that of `first`.
pub(super) async fn hedged<T, E, A, B>(
    first: A,
    after: Option<Duration>,
    second: impl FnOnce() -> Option<B>,
) -> Result<T, E>
where
    A: Future<Output = Result<T, E>>,
    B: Future<Output = Option<T>>,
{
    let Some(after) = after else {
        return first.await;
    };
    let mut first = pin!(first);
    if let Ok(done) = tokio::time::timeout(after, first.as_mut()).await {
        return done;
    }
    let Some(second) = second() else {
        return first.await;
    };
    match select(first, pin!(second)).await {
        Either::Left((Ok(done), _)) | Either::Right((Some(done), _)) => Ok(done),
        Either::Left((Err(error), second)) => second.await.ok_or(error),
        Either::Right((None, first)) => first.await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, pending, ready};

    use super::*;

    const SOON: Option<Duration> = Some(Duration::from_millis(5));

    async fn after<T>(millis: u64, what: T) -> T {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        what
    }

    #[tokio::test]
    async fn the_faster_one_is_heard() {
        let never = pending::<Result<&str, &str>>;
        assert_eq!(
            hedged(never(), SOON, || Some(ready(Some("second")))).await,
            Ok("second")
        );
        let slow = || after(50, Ok::<_, &str>("first"));
        assert_eq!(hedged(slow(), SOON, || Some(pending())).await, Ok("first"));
        assert_eq!(hedged(slow(), SOON, || None::<Ready<_>>).await, Ok("first"));
        let needless = || -> Option<Ready<Option<&str>>> { panic!("it was fast enough") };
        assert_eq!(
            hedged(ready(Ok::<_, &str>("first")), SOON, needless).await,
            Ok("first")
        );
        assert_eq!(hedged(slow(), None, needless).await, Ok("first"));
    }

    #[tokio::test]
    async fn a_failure_counts_only_if_both_fail() {
        let fails = || after(20, Err::<&str, _>("no"));
        assert_eq!(
            hedged(fails(), SOON, || Some(after(50, Some("second")))).await,
            Ok("second")
        );
        assert_eq!(hedged(fails(), SOON, || Some(after(50, None))).await, Err("no"));
        let slow = after(50, Ok::<_, &str>("first"));
        assert_eq!(hedged(slow, SOON, || Some(ready(None))).await, Ok("first"));
        assert_eq!(hedged(fails(), SOON, || None::<Ready<_>>).await, Err("no"));
    }
}
