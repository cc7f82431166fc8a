//! The server as a command sees it that follows something: it may go away and come back, perhaps at another
//! address.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::Api;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_UNREACHABLE};
use crate::{output, program};

/// How long a server may be away.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries to reach it.
pub const PAUSE: Duration = Duration::from_millis(250);

/// A connection that outlives the server's restarts.
pub struct Link<'a> {
    context: &'a Context,
    api: Api,
    lost: Option<Instant>,
    /// What the user was told last: whether the server is away.
    told_lost: bool,
    /// What goes on without this command, and the command that looks at it.
    goes_on: (&'static str, String),
}

impl<'a> Link<'a> {
    /// A link over a connection that has been used already. For the case that the server stays away: what
    /// goes on without it, and the words of the command that shows it.
    pub fn new(context: &'a Context, api: Api, what: &'static str, look: String) -> Self {
        Self {
            context,
            api,
            lost: None,
            told_lost: false,
            goes_on: (what, look),
        }
    }

    /// The connection as it is now.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Something else is followed from now on.
    pub fn follows(&mut self, what: &'static str, look: String) {
        self.goes_on = (what, look);
    }

    /// GET; nothing if the server is away and there is reason to hope. The caller waits and asks again.
    pub fn get(&mut self, path: &str) -> CliResult<Option<Value>> {
        let answer = self.api.poll(path);
        self.judge(answer)
    }

    fn judge(&mut self, answer: CliResult<Value>) -> CliResult<Option<Value>> {
        match answer {
            Ok(answer) => {
                self.lost = None;
                Ok(Some(answer))
            }
            Err(error) if self.moved() || error.exit_code == EXIT_UNREACHABLE => {
                let since = *self.lost.get_or_insert_with(Instant::now);
                if since.elapsed() < PATIENCE {
                    Ok(None)
                } else {
                    Err(self.give_up(error))
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the server has got another address or token since it was last asked; it is then taken.
    fn moved(&mut self) -> bool {
        let Ok(now) = self.context.credentials() else {
            return false;
        };
        if now == *self.api.credentials() {
            return false;
        }
        match Api::new(now) {
            Ok(api) => {
                self.api = api;
                true
            }
            Err(_) => false,
        }
    }

    fn give_up(&self, error: CliError) -> CliError {
        let (what, look) = &self.goes_on;
        let look = program::command(look);
        let start = match self.api.credentials().from_environment {
            true => String::new(),
            false => format!("{}, then ", program::command("up")),
        };
        error.hint(format!("{what} goes on: {start}{look}"))
    }

    /// What there is to say while the server is away.
    pub fn trouble(&self) -> Option<String> {
        self.lost
            .map(|_| format!("the server at {} is not reachable; trying again", self.api.url()))
    }

    /// Says on standard error what there is to say. What a program reads is the answer alone.
    pub fn tell(&mut self) {
        if let Some(news) = self.news().filter(|_| !self.context.json) {
            output::complain(&news);
        }
    }

    /// What there is to say since the last time: that the server has gone away, or that it is back.
    pub fn news(&mut self) -> Option<String> {
        if self.told_lost == self.lost.is_some() {
            return None;
        }
        self.told_lost = self.lost.is_some();
        self.trouble()
            .or_else(|| Some(format!("the server answers again at {}", self.api.url())))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn context(home: &Path) -> Context {
        Context {
            home: home.to_path_buf(),
            home_is_meant: true,
            json: false,
        }
    }

    fn write_credentials(home: &Path, url: &str) {
        std::fs::write(
            home.join("credentials"),
            format!("url = \"{url}\"\ntoken = \"t\"\n"),
        )
        .unwrap();
    }

    fn away() -> CliError {
        CliError::new(EXIT_UNREACHABLE, "unreachable", "cannot reach it")
    }

    #[test]
    fn a_server_that_is_away_is_told_once_and_found_at_its_new_address() {
        let home = tempfile::tempdir().unwrap();
        write_credentials(home.path(), "http://127.0.0.1:1");
        let context = context(home.path());
        let api = context.api().unwrap();
        let mut link = Link::new(&context, api, "the run", "runs show run_1".to_owned());
        assert_eq!(link.news(), None);
        assert_eq!(link.judge(Err(away())).unwrap(), None);
        let told = link.news().unwrap();
        assert_eq!(
            told,
            "the server at http://127.0.0.1:1 is not reachable; trying again"
        );
        assert_eq!(link.news(), None);
        write_credentials(home.path(), "http://127.0.0.1:2");
        assert_eq!(link.judge(Err(away())).unwrap(), None);
        assert_eq!(link.judge(Ok(json!(1))).unwrap(), Some(json!(1)));
        assert_eq!(
            link.news().unwrap(),
            "the server answers again at http://127.0.0.1:2"
        );
    }

    #[test]
    fn a_server_that_stays_away_does_not_end_the_run() {
        let home = tempfile::tempdir().unwrap();
        write_credentials(home.path(), "http://127.0.0.1:1");
        let context = context(home.path());
        let api = context.api().unwrap();
        let mut link = Link::new(&context, api, "the run", "runs show run_1".to_owned());
        link.lost = Instant::now().checked_sub(PATIENCE);
        let error = link.judge(Err(away())).unwrap_err();
        assert_eq!(
            error.report.hint.as_deref(),
            Some("the run goes on: corliss up, then corliss runs show run_1")
        );
        let refused = CliError::new(5, "run_not_found", "no such run");
        assert_eq!(link.judge(Err(refused)).unwrap_err().exit_code, 5);
    }
}
