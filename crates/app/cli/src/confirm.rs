//! Asking before something is destroyed.

use std::io::{IsTerminal, Write};

use crate::error::{CliError, CliResult};
use crate::text;

/// Goes on if somebody types a name, for what cannot be undone; without a terminal nobody can.
pub fn confirm_name(question: &str, name: &str) -> CliResult {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::input("this needs a confirmation").hint("pass --yes"));
    }
    let mut out = std::io::stderr();
    let _ = write!(out, "{} ", text::harmless(question)).and_then(|()| out.flush());
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(_) if answer.trim() == name => Ok(()),
        _ => Err(CliError::failed("nothing was changed")),
    }
}

/// Goes on if somebody says yes; without a terminal nobody can.
pub fn confirm(question: &str) -> CliResult {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::input("this needs a confirmation").hint("pass --yes"));
    }
    let mut out = std::io::stderr();
    let _ = write!(out, "{} [y/N] ", text::harmless(question)).and_then(|()| out.flush());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(CliError::failed("nothing was changed"))
}
