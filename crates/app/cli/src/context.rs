//! What every command has: the home folder, the output form and, when asked for, the API.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::Api;
use crate::error::{CliError, CliResult, EXIT_FAILED};
use crate::home::Credentials;
use crate::{home, output};

/// The command line's global flags, resolved.
pub struct Context {
    /// Absolute home folder.
    pub home: PathBuf,
    /// Whether the home was named on the command line, and so outweighs `CORLISS_URL`.
    pub home_is_meant: bool,
    /// Whether to print JSON.
    pub json: bool,
}

impl Context {
    /// The server of this home, or of `CORLISS_URL`.
    pub fn api(&self) -> CliResult<Api> {
        Api::new(self.credentials()?)
    }

    /// Where that server is, and the token for it.
    pub fn credentials(&self) -> CliResult<Credentials> {
        if self.home_is_meant {
            home::own_credentials(&self.home)
        } else {
            home::credentials(&self.home)
        }
    }

    /// Prints the answer as JSON, or hands its typed form to `show`.
    pub fn answer<T: DeserializeOwned>(&self, answer: Value, show: impl FnOnce(T)) -> CliResult {
        if self.json {
            output::say_json(&answer);
            return Ok(());
        }
        show(typed(answer)?);
        Ok(())
    }
}

/// A JSON answer as a view.
pub fn typed<T: DeserializeOwned>(answer: Value) -> CliResult<T> {
    serde_json::from_value(answer).map_err(|error| {
        CliError::new(
            EXIT_FAILED,
            "unexpected_answer",
            format!("the server's answer is not what was expected: {error}"),
        )
        .hint("check that `corliss --version` and the server's version are the same")
    })
}
