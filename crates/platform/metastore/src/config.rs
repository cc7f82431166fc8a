//! Where the metadata lives.

use std::fmt;
use std::path::PathBuf;

/// Which database holds the metadata.
#[derive(Clone, PartialEq, Eq)]
pub enum MetastoreConfig {
    /// A file of this machine, made if it is missing.
    Sqlite {
        /// The database file; `-wal`, `-shm` and `.lock` files lie beside it.
        path: PathBuf,
    },
    /// A PostgreSQL database, made by its administrator beforehand.
    Postgres {
        /// `postgresql://user:password@host:port/database`.
        url: String,
    },
}

impl fmt::Display for MetastoreConfig {
    /// The database for people: never with a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "SQLite at {}", path.display()),
            Self::Postgres { url } => match url.parse::<tokio_postgres::Config>() {
                Ok(config) => {
                    let host = match config.get_hosts().first() {
                        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
                        Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
                        None => "an unnamed host".to_owned(),
                    };
                    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
                    write!(f, "PostgreSQL database {database} on {host}")
                }
                Err(_) => f.write_str("PostgreSQL"),
            },
        }
    }
}

impl fmt::Debug for MetastoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let config = MetastoreConfig::Postgres {
            url: "postgresql://me:hunter2@db.local:5433/meta".into(),
        };
        assert_eq!(format!("{config}"), "PostgreSQL database meta on db.local");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
