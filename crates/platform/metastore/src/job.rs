//! A write or read closure on its way to a database thread, its types erased.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::{StoreError, Tx};

/// A closure and the caller who waits for it. It can be run more than once and is answered once.
pub(crate) trait Job: Send {
    /// Runs the closure; `true` if it wants to keep its changes.
    fn run(&mut self, tx: &mut dyn Tx) -> bool;
    /// Answers the caller: with the closure's own outcome, or with why its changes were not kept.
    fn finish(self: Box<Self>, verdict: Result<(), StoreError>);
}

pub(crate) struct TypedJob<T, E, F> {
    closure: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

/// Boxes a closure; the receiver gets its answer.
pub(crate) fn boxed<T, E, F>(closure: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, E>>)
where
    F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (
        Box::new(TypedJob {
            closure,
            outcome: None,
            reply,
        }),
        answer,
    )
}

impl<T, E, F> Job for TypedJob<T, E, F>
where
    F: FnMut(&mut dyn Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> bool {
        let outcome = call(&mut self.closure, tx);
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn finish(self: Box<Self>, verdict: Result<(), StoreError>) {
        let answer = match (verdict, self.outcome) {
            // The closure's own error says more than what followed from it.
            (_, Some(Err(own))) => Err(own),
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(kept)) => kept,
            (Ok(()), None) => Err(StoreError::Closed.into()),
        };
        // The caller may have gone away; the change stands all the same.
        let _ = self.reply.send(answer);
    }
}

/// Calls the closure; a panic becomes an error, so that it cannot take a database thread with it.
pub(crate) fn call<T, E, F>(closure: &mut F, tx: &mut dyn Tx) -> Result<T, E>
where
    F: FnMut(&mut dyn Tx) -> Result<T, E>,
    E: From<StoreError>,
{
    catch_unwind(AssertUnwindSafe(|| closure(tx))).unwrap_or_else(|panic| {
        Err(StoreError::Panicked {
            message: panic_message(&*panic),
        }
        .into())
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}
