//! One Corliss server per database.
//!
//! Two mechanisms, because either alone has a gap. An advisory lock on a connection of its own lets a second
//! server see at once that the first is alive; but that connection can break while the first goes on
//! writing. So each owner also raises an epoch number, and every write checks it in its own transaction:
//! once a new owner has raised it, the old one can commit nothing more. A table lock makes the new owner wait for
//! writes under way. It is taken before the transaction's snapshot, so the epoch that a write sees is the newest; and
//! unlike a row's lock it writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

use super::errors::from_postgres;
use crate::migrate;
use crate::{Migrations, StoreError};

/// The advisory lock's key: "corliss" in ASCII.
const LOCK_KEY: i64 = 0x63_6f72_6c69_7373;
/// A server that was just stopped may need a moment until PostgreSQL has seen its connection close.
const CLAIM_ATTEMPTS: u32 = 20;
const CLAIM_PAUSE: Duration = Duration::from_millis(100);
const RECLAIM_PAUSE: Duration = Duration::from_secs(1);

/// Our claim on the database; given up when dropped.
pub(super) struct Owner {
    epoch: i64,
    lost: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

struct Session {
    client: Client,
    connection: JoinHandle<()>,
}

impl Owner {
    /// Takes the lock, migrates the schema, raises the epoch.
    pub(super) async fn claim(
        config: &Config,
        name: &str,
        migrations: &[Migrations],
    ) -> Result<Self, StoreError> {
        let session = Session::connect(config).await?;
        let mut attempt = 0;
        while !session.try_lock().await? {
            attempt += 1;
            if attempt == CLAIM_ATTEMPTS {
                return Err(StoreError::InUse {
                    database: name.to_owned(),
                });
            }
            tokio::time::sleep(CLAIM_PAUSE).await;
        }
        session.check_encoding().await?;
        session.migrate(migrations).await?;
        let epoch = session.raise_epoch().await?;
        let lost = Arc::new(AtomicBool::new(false));
        let keeper = tokio::spawn(keep(session, config.clone(), epoch, Arc::clone(&lost)));
        Ok(Self { epoch, lost, keeper })
    }

    pub(super) const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Refuses at once, without a round trip, when another server is known to have taken over.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.lost.load(Ordering::Acquire) {
            Err(superseded())
        } else {
            Ok(())
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Why a server that has lost its database can do nothing more.
pub(super) fn superseded() -> StoreError {
    StoreError::InUse {
        database: "the PostgreSQL database, which was taken over after its connection broke,".into(),
    }
}

/// Holds the lock's connection; when it breaks, takes the lock again unless somebody else was faster.
async fn keep(mut session: Session, config: Config, epoch: i64, lost: Arc<AtomicBool>) {
    loop {
        session.closed().await;
        tracing::warn!("the connection that holds the metadata store's lock broke; taking the lock again");
        session = loop {
            tokio::time::sleep(RECLAIM_PAUSE).await;
            match reclaim(&config, epoch).await {
                Ok(Some(session)) => break session,
                Ok(None) => {
                    tracing::error!("another Corliss server has taken over the database");
                    lost.store(true, Ordering::Release);
                    return;
                }
                Err(error) => tracing::warn!(%error, "the metadata store's lock is not back yet"),
            }
        };
    }
}

async fn reclaim(config: &Config, epoch: i64) -> Result<Option<Session>, StoreError> {
    let session = Session::connect(config).await?;
    if session.epoch().await? != epoch {
        return Ok(None);
    }
    if session.try_lock().await? {
        return Ok(Some(session));
    }
    // Held either by our own dying connection or by a server about to raise the epoch: look again.
    Err(StoreError::Unavailable {
        message: "the lock is still held".to_owned(),
    })
}

impl Session {
    async fn connect(config: &Config) -> Result<Self, StoreError> {
        let (client, connection) = config
            .connect(NoTls)
            .await
            .map_err(|error| from_postgres(&error, ""))?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "the connection of the metadata store's lock ended");
            }
        });
        Ok(Self { client, connection })
    }

    async fn closed(&mut self) {
        // A panic of the connection's task also means that it is closed.
        let _ = (&mut self.connection).await;
    }

    async fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|error| from_postgres(&error, sql))
    }

    async fn try_lock(&self) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT pg_try_advisory_lock($1)";
        let row = self.client.query_one(SQL, &[&LOCK_KEY]).await;
        row.and_then(|row| row.try_get(0))
            .map_err(|error| from_postgres(&error, SQL))
    }

    async fn check_encoding(&self) -> Result<(), StoreError> {
        const SQL: &str = "SHOW server_encoding";
        let row = self.client.query_one(SQL, &[]).await;
        let encoding: String = row
            .and_then(|row| row.try_get(0))
            .map_err(|error| from_postgres(&error, SQL))?;
        if encoding == "UTF8" {
            return Ok(());
        }
        Err(StoreError::Config {
            message: format!("the database's encoding is {encoding}, it must be UTF8"),
        })
    }

    async fn migrate(&self, known: &[Migrations]) -> Result<(), StoreError> {
        self.run(migrate::CREATE_TABLE).await?;
        self.run(
            "CREATE TABLE IF NOT EXISTS metastore_owner (id BIGINT NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL);
             INSERT INTO metastore_owner (id, epoch) VALUES (1, 0) ON CONFLICT (id) DO NOTHING",
        )
        .await?;
        let applied = self.applied().await?;
        for (component, version, step) in migrate::pending(&applied, known)? {
            let step = migrate::for_postgres(step);
            let sql = format!(
                "BEGIN; {step}; {}; COMMIT",
                migrate::record_sql(component, version)
            );
            if let Err(error) = self.run(&sql).await {
                self.run("ROLLBACK").await?;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn applied(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let rows = self.client.query(migrate::SELECT, &[]).await;
        rows.and_then(|rows| {
            rows.iter()
                .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                .collect()
        })
        .map_err(|error| from_postgres(&error, migrate::SELECT))
    }

    async fn raise_epoch(&self) -> Result<i64, StoreError> {
        const SQL: &str = "BEGIN; LOCK TABLE metastore_owner IN EXCLUSIVE MODE;
            UPDATE metastore_owner SET epoch = epoch + 1 WHERE id = 1; COMMIT";
        self.run(SQL).await?;
        self.epoch().await
    }

    async fn epoch(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT epoch FROM metastore_owner WHERE id = 1";
        let row = self.client.query_one(SQL, &[]).await;
        row.and_then(|row| row.try_get(0))
            .map_err(|error| from_postgres(&error, SQL))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
