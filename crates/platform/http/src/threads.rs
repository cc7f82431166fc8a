//! Threads that connections live on: each has a reactor of its own, and a request is read, answered, and asked of whoever
//! computes the answer on the one thread, so that nothing waits for another thread to be woken. What runs in the
//! background, and what a handler computes on the blocking pool, is elsewhere and does not hold it up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Threads of a server's connections. They end when this is dropped, with whatever is left on them.
pub struct Threads {
    all: Vec<Thread>,
}

struct Thread {
    handle: Handle,
    /// Connections that it has.
    connections: Arc<AtomicUsize>,
    /// Dropped, it ends the thread.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A connection's place on a thread.
pub(crate) struct Seat {
    pub(crate) handle: Handle,
    connections: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Threads {
    /// Starts as many as the machine has processors.
    ///
    /// # Errors
    /// If the system gives no thread or no reactor.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let all = (0..count).map(Thread::start).collect::<Result<_, _>>()?;
        Ok(Self { all })
    }

    /// A place where the fewest connections are.
    pub(crate) fn seat(&self) -> Option<Seat> {
        let count = |thread: &&Thread| thread.connections.load(Ordering::Relaxed);
        let thread = self.all.iter().min_by_key(count)?;
        thread.connections.fetch_add(1, Ordering::Relaxed);
        Some(Seat {
            handle: thread.handle.clone(),
            connections: thread.connections.clone(),
        })
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(format!("connections-{number}"))
            .spawn(move || {
                runtime.block_on(async {
                    let _ = ended.await;
                });
                // What blocks must not keep the process from ending.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            connections: Arc::default(),
            end: Some(end),
            thread: Some(thread),
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in &mut self.all {
            thread.end.take();
        }
        for thread in &mut self.all {
            if let Some(thread) = thread.thread.take() {
                let _ = thread.join();
            }
        }
    }
}
