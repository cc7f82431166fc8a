//! Several threads that take one item after another, for what waits for a server or a disk.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::CliResult;

/// Runs `work` on so many threads; each gets the line to take items from. The first error ends all of them,
/// each after the item that it is at.
pub fn on_threads<T: Sync>(
    threads: usize,
    items: &[T],
    work: impl Fn(&mut dyn Iterator<Item = &T>) -> CliResult + Sync,
) -> CliResult {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut line = std::iter::from_fn(|| items.get(next.fetch_add(1, Ordering::Relaxed)));
        let result = work(&mut line);
        if result.is_err() {
            next.store(items.len(), Ordering::Relaxed);
        }
        result
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let joined = running.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;
    use crate::error::CliError;

    #[test]
    fn every_item_is_taken_once_and_an_error_ends_the_work() {
        let items: Vec<u32> = (0..1000).collect();
        let taken = Mutex::new(Vec::new());
        on_threads(3, &items, |line| {
            line.for_each(|item| taken.lock().unwrap().push(*item));
            Ok(())
        })
        .unwrap();
        let taken = taken.into_inner().unwrap();
        let distinct: BTreeSet<u32> = taken.iter().copied().collect();
        assert_eq!((taken.len(), distinct.len()), (1000, 1000));
        let failed = on_threads(3, &items, |line| match line.next() {
            Some(_) => Err(CliError::failed("no".to_owned())),
            None => Ok(()),
        });
        assert!(failed.is_err());
    }
}
