//! PostgreSQL: a pool of connections; closures run on blocking threads, one statement at a time. Writes share commits
//! (see `writers`), reads have a snapshot each.
//!
//! Transactions are SERIALIZABLE and run again after a serialisation failure. Ownership: see `owner`.

mod errors;
mod owner;
mod tx;
mod types;
mod writers;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::sync::{RwLock, mpsc};
use tokio_postgres::{Config, NoTls};

use crate::job::{Job, boxed};
use crate::{MetastoreConfig, Migrations, StoreCounters, StoreError, Tx};

use errors::from_postgres;
use owner::Owner;

/// Connections: enough for the concurrency of one server, few enough for a default PostgreSQL (100).
const POOL_LEN: usize = 12;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An open PostgreSQL database.
pub(crate) struct PostgresStore {
    server: Arc<Server>,
    writers: mpsc::Sender<Box<dyn Job>>,
}

/// What readers and writers share.
struct Server {
    pool: Pool,
    owner: Owner,
    /// Held for reading by ordinary writers; one that keeps losing conflicts takes it alone.
    turn: Arc<RwLock<()>>,
    writes: AtomicU64,
    commits: AtomicU64,
}

impl PostgresStore {
    pub(crate) async fn open(url: &str, migrations: &[Migrations]) -> Result<Self, StoreError> {
        let mut config = Config::from_str(url).map_err(|error| StoreError::Config {
            message: without_secrets(&error),
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.application_name("corliss");
        let name = MetastoreConfig::Postgres { url: url.to_owned() }.to_string();
        let owner = Owner::claim(&config, &name, migrations).await?;
        let manager_config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let pool = Pool::builder(Manager::from_config(config, NoTls, manager_config))
            .max_size(POOL_LEN)
            .wait_timeout(Some(Duration::from_secs(30)))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Config {
                message: error.to_string(),
            })?;
        let server = Arc::new(Server {
            pool,
            owner,
            turn: Arc::new(RwLock::new(())),
            writes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
        });
        let writers = writers::start(&server);
        Ok(Self { server, writers })
    }

    pub(crate) async fn write<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = boxed(closure);
        self.writers.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) async fn read<T, E, F>(&self, mut closure: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let client = self.server.client().await?;
        let handle = tokio::runtime::Handle::current();
        let task = tokio::task::spawn_blocking(move || tx::snapshot(&handle, client, &mut closure));
        task.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) fn counters(&self) -> StoreCounters {
        StoreCounters {
            writes: self.server.writes.load(Ordering::Relaxed),
            commits: self.server.commits.load(Ordering::Relaxed),
        }
    }
}

impl Server {
    async fn client(&self) -> Result<Object, StoreError> {
        self.owner.check()?;
        self.pool.get().await.map_err(|error| match error {
            deadpool_postgres::PoolError::Backend(error) => from_postgres(&error, ""),
            other => StoreError::Unavailable {
                message: other.to_string(),
            },
        })
    }
}

/// A parse error of the address quotes keys, never values; kept in one place so that it stays so.
fn without_secrets(error: &tokio_postgres::Error) -> String {
    let mut message = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        message = format!("{message}: {source}");
    }
    message
}
