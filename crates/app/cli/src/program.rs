//! How a hint names this program: with the home that the user named, so that what it says can be typed as it
//! is.

use std::path::Path;
use std::sync::OnceLock;

use crate::text;

static HOME_FLAG: OnceLock<String> = OnceLock::new();

/// Remembers the home of the command line. One from the environment goes without saying.
pub fn home_was_named(home: &Path) {
    let flag = format!(" --home {}", text::shell_word(&home.to_string_lossy()));
    // It is set once, at the start; a second time would say the same.
    let _ = HOME_FLAG.set(flag);
}

/// `corliss up`, or `corliss --home DIR up`
#[must_use]
pub fn command(words: &str) -> String {
    format!("corliss{} {words}", HOME_FLAG.get().map_or("", String::as_str))
}
