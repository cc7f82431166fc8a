//! One suite on every database that the metadata store supports.

use corliss_metastore::{Metastore, MetastoreConfig, Migrations};

use crate::postgres;

/// Runs the suite on a SQLite file, in memory, and on a fresh database of a real PostgreSQL server.
///
/// The name of the backend is printed before its turn, so it stands above the panic of a failed suite.
///
/// # Panics
/// A store cannot be opened, or PostgreSQL is missing and `CORLISS_TEST_SKIP_POSTGRES` is not set.
pub async fn for_each_backend<F, Fut>(migrations: &[Migrations], suite: F)
where
    F: Fn(Metastore) -> Fut,
    Fut: Future<Output = ()>,
{
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sqlite = MetastoreConfig::Sqlite {
        path: folder.path().join("meta.db"),
    };
    eprintln!("backend: {sqlite}");
    suite(
        Metastore::open(&sqlite, migrations)
            .await
            .expect("a SQLite file opens"),
    )
    .await;

    eprintln!("backend: SQLite in memory");
    suite(
        Metastore::in_memory(migrations)
            .await
            .expect("a store in memory opens"),
    )
    .await;

    if let Some(url) = postgres::fresh_database().await {
        let config = MetastoreConfig::Postgres { url };
        eprintln!("backend: {config}");
        suite(
            Metastore::open(&config, migrations)
                .await
                .expect("PostgreSQL opens"),
        )
        .await;
    }
}
