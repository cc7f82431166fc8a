//! Why the server cannot start or had to stop.

use std::path::PathBuf;

use corliss_diagnostics::{Diagnose, Meaning};

use crate::config::ConfigError;

/// A failure of the server as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The home folder cannot be used.
    #[error("cannot use {} as home", path.display())]
    Home {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another server owns the home folder.
    #[error("a Corliss server{} already runs in {}", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), path.display())]
    HomeInUse {
        /// The folder.
        path: PathBuf,
        /// The other process, if it wrote its id.
        pid: Option<u32>,
    },
    /// A room could not be opened.
    #[error("cannot start {room}: {message}")]
    Room {
        /// Which one.
        room: &'static str,
        /// Its sentence.
        message: String,
        /// Its code.
        code: &'static str,
        /// Its meaning.
        meaning: Meaning,
        /// Its fix.
        hint: Option<String>,
    },
    /// The runtime could not be built.
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
}

impl ServerError {
    /// A room's error, kept whole.
    pub fn room<E: Diagnose>(room: &'static str) -> impl FnOnce(E) -> Self {
        move |error| {
            let report = corliss_diagnostics::ErrorReport::of(&error);
            Self::Room {
                room,
                message: report.message,
                code: error.code(),
                meaning: error.meaning(),
                hint: report.hint,
            }
        }
    }
}

impl Diagnose for ServerError {
    fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Home { .. } => "home_unusable",
            Self::HomeInUse { .. } => "home_in_use",
            Self::Room { code, .. } => code,
            Self::Runtime(_) => "runtime",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Config(error) => error.meaning(),
            Self::Home { .. } => Meaning::InvalidInput,
            Self::HomeInUse { .. } => Meaning::Conflict,
            Self::Room { meaning, .. } => *meaning,
            Self::Runtime(_) => Meaning::Internal,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.field(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::HomeInUse { .. } => {
                Some("use it, stop it with `corliss down`, or choose another folder with --home".to_owned())
            }
            Self::Room { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}
