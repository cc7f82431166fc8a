//! How the server starts and stops.
//!
//! Stopping goes from the outside in. First those who submit work (pipelines, serving) stop; then, unless
//! tasks are to stay, the jobs that run are interrupted while the jobs room still records how they end;
//! then the listener drains; then the remaining workers finish their round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use corliss_clock::Sources;
use corliss_http::serve::{self, ServeConfig, Threads};
use corliss_reconcile::{Shutdown, WorkerBoard};
use tokio::signal::unix::{SignalKind, signal};

use crate::compose::{self, Rooms};
use crate::{Config, Home, ServerError, descriptors, reserve};

/// A client's connection, and one to whoever computes its answer.
const DESCRIPTORS_OF_CONNECTION: usize = 2;
/// How long interrupted tasks may take to end.
const TASKS_PATIENCE: Duration = Duration::from_secs(45);
/// How long background workers may take to finish their round.
const WORKERS_PATIENCE: Duration = Duration::from_secs(10);

/// Asks the server to end.
#[derive(Clone, Default)]
pub struct Stop {
    requested: Shutdown,
    keep_tasks: Arc<AtomicBool>,
}

impl Stop {
    /// Ends the server; what runs is left running or interrupted. The first request counts.
    pub fn request(&self, keep_tasks: bool) {
        if !self.requested.is_triggered() {
            self.keep_tasks.store(keep_tasks, Ordering::SeqCst);
            self.requested.trigger();
        }
    }
}

/// Opens everything, serves, and closes everything.
pub async fn run(config: &Config, home: &Home) -> Result<(), ServerError> {
    let sources = Sources::system();
    let workers = WorkerBoard::new(&sources);
    // Bound first, so that an address that is taken is told before anything is touched.
    let mut at = ServeConfig::at(config.listen);
    at.max_connections = at
        .max_connections
        .min(descriptors::raise() / DESCRIPTORS_OF_CONNECTION);
    at.tls = config.tls.as_ref().map(|files| serve::TlsFiles {
        cert: files.cert.clone(),
        key: files.key.clone(),
    });
    let listener = serve::bind(at).await.map_err(ServerError::room("the listener"))?;
    let url = config.url.clone().unwrap_or_else(|| listener.url());
    let ca = config.tls.as_ref().and_then(|tls| tls.ca.as_deref());
    let (submitters, rest) = (Shutdown::new(), Shutdown::new());
    let rooms = Rooms::open(config, home, &sources, &url, &submitters).await?;
    let stop = Stop::default();
    let routes = compose::all_routes(&rooms, home, &url, config, &workers, &stop);
    let router = routes
        .into_app(rooms.security.clone())
        .map_err(ServerError::room("the routes"))?;
    rooms
        .security
        .ensure_credentials(&home.root().join("credentials"), &url, ca)
        .await
        .map_err(ServerError::room("credentials"))?;
    rooms.start(&submitters, &rest, &workers);
    reserve::start(home.root(), &rest, &workers);
    watch_signals(&stop)?;
    let drained = Shutdown::new();
    // They outlive the listener: what ended requests have used is still written down on them.
    let threads = Arc::new(Threads::start().map_err(ServerError::Runtime)?);
    let serving = tokio::spawn(listener.on(threads.clone()).run(router, {
        let drained = drained.clone();
        async move { drained.wait().await }
    }));
    home.announce(&url)?;
    tracing::info!(%url, home = %home.root().display(), "ready");
    stop.requested.wait().await;
    submitters.trigger();
    rooms.drain_submitters().await;
    if !stop.keep_tasks.load(Ordering::SeqCst) {
        interrupt(&rooms).await;
    }
    drained.trigger();
    let _ = serving.await;
    rooms.drain_gateway().await;
    drop(threads);
    rest.trigger();
    let late = workers.drain(WORKERS_PATIENCE).await;
    if !late.is_empty() {
        tracing::warn!(workers = %late.join(", "), "cut off in the middle of a round");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn interrupt(rooms: &Rooms) {
    match rooms.jobs.interrupt_all(TASKS_PATIENCE).await {
        Ok(0) => {}
        Ok(left) => tracing::warn!(left, "jobs still run; the next start takes them over"),
        Err(error) => tracing::error!(%error, "cannot interrupt jobs"),
    }
}

/// SIGTERM is how a service manager restarts us: tasks stay. Ctrl-C is a person who wants everything gone.
fn watch_signals(stop: &Stop) -> Result<(), ServerError> {
    for (kind, keep_tasks) in [(SignalKind::terminate(), true), (SignalKind::interrupt(), false)] {
        let mut signals = signal(kind).map_err(ServerError::Runtime)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                stop.request(keep_tasks);
            }
        });
    }
    Ok(())
}
