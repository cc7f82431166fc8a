//! `corliss up`: start the server in its own session and return when it is ready.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use corliss_diagnostics::ErrorReport;
use serde_json::json;

use crate::args::UpArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_FAILED, cause};
use crate::instance::{self, POLL, READY_DEADLINE, log_path};
use crate::{home, output, program, units};

/// What is read of the log for the server's last words.
const LOG_TAIL: u64 = 64 * 1024;

/// Starts the server, or says that it runs already.
pub fn run(context: &Context, args: &UpArgs) -> CliResult {
    let home = &context.home;
    let started = Instant::now();
    if let Some(server) = instance::running(home, started)? {
        return already_running(context, args, &server.url);
    }
    let log_length = std::fs::metadata(log_path(home)).map_or(0, |meta| meta.len());
    let mut child = spawn(home, args)?;
    match wait_until_ready(home, &mut child, started, log_length) {
        Ok(url) => ready(context, &url, Some(started.elapsed())),
        // Of several `up` at once one server gets the home; the others' callers are told its address.
        Err(error) => match instance::running(home, started)? {
            Some(server) => already_running(context, args, &server.url),
            None => Err(error),
        },
    }
}

fn already_running(context: &Context, args: &UpArgs, url: &str) -> CliResult {
    if let Some(listen) = &args.listen
        && !listens_at(url, listen)
    {
        return Err(CliError::input(format!(
            "Corliss runs already at {url}, so the address {listen} was not taken"
        ))
        .hint(format!(
            "to move it: {}, then {}",
            program::command("down --keep-tasks"),
            program::command(&format!("up --listen {listen}"))
        )));
    }
    ready(context, url, None)
}

/// Whether a running server with this URL listens at this address. A URL with a name in it says not where
/// the server listens; then the address is its own if nobody else can have it.
fn listens_at(url: &str, listen: &str) -> bool {
    let Ok(wanted) = listen.parse::<SocketAddr>() else {
        return false;
    };
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Ok(running) = authority.trim_end_matches('/').parse::<SocketAddr>() else {
        return TcpListener::bind(wanted).is_err();
    };
    let same_port = wanted.port() == 0 || wanted.port() == running.port();
    same_port && wanted.ip() == running.ip()
}

fn spawn(home: &Path, args: &UpArgs) -> CliResult<Child> {
    let log = open_log(home).map_err(|error| {
        CliError::input(format!(
            "cannot write {}: {}",
            log_path(home).display(),
            cause(&error)
        ))
    })?;
    let errors = log
        .try_clone()
        .map_err(|error| CliError::failed(format!("cannot share the log: {}", cause(&error))))?;
    let binary = std::env::current_exe().map_err(|error| {
        CliError::failed(format!("cannot find this program's own file: {}", cause(&error)))
    })?;
    let mut command = Command::new(binary);
    command.arg("up").arg("--foreground").arg("--home").arg(home);
    if let Some(listen) = &args.listen {
        command.arg("--listen").arg(listen);
    }
    command.env("CORLISS_DETACHED", "1");
    // Its own process group: Ctrl-C in this terminal is not meant for the server.
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .current_dir("/");
    command
        .spawn()
        .map_err(|error| CliError::failed(format!("cannot start the server: {}", cause(&error))))
}

fn open_log(home: &Path) -> std::io::Result<File> {
    let folder = home.join("logs");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)?;
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log_path(home))
}

/// The address that a server announced, if this process is the server.
fn announced_by(process: u32, home: &Path) -> Option<String> {
    let found = instance::announcement(home)?;
    (u32::try_from(found.process.as_raw()) == Ok(process)).then_some(found.url)
}

fn wait_until_ready(home: &Path, child: &mut Child, started: Instant, log_length: u64) -> CliResult<String> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(ended(home, status, log_length));
        }
        if let Some(url) = announced_by(child.id(), home) {
            return Ok(url);
        }
        if started.elapsed() > READY_DEADLINE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(CliError::failed(format!(
                "the server was not ready after {} s",
                READY_DEADLINE.as_secs()
            ))
            .hint(format!("look at {}", log_path(home).display())));
        }
        std::thread::sleep(POLL);
    }
}

/// Why the server ended while it started: its own error, and its own exit code.
fn ended(home: &Path, status: ExitStatus, log_length: u64) -> CliError {
    let log = log_path(home);
    let exit_code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .filter(|code| *code != 0)
        .unwrap_or(EXIT_FAILED);
    let said = said_since(&log, log_length).unwrap_or_default();
    if let Some(report) = last_error(&said) {
        return CliError::of(report, exit_code);
    }
    let last = said.lines().next_back().unwrap_or("it said nothing");
    let message = format!("the server ended while starting ({status}): {last}");
    CliError::new(exit_code, "server_ended", message).hint(format!("its log is {}", log.display()))
}

/// What was written to the log after its first `from` bytes; its end, where that is long.
fn said_since(log: &Path, from: u64) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(
        from.max(length.saturating_sub(LOG_TAIL)).min(length),
    ))?;
    let mut said = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// The last error in the form of [`CliError::show`], with its field and its hint.
fn last_error(said: &str) -> Option<ErrorReport> {
    let start = said.rfind("\nerror: ").map(|at| at + 1);
    let start = start.or_else(|| said.starts_with("error: ").then_some(0))?;
    let mut report = CliError::failed("").report;
    for line in said[start..].lines() {
        if let Some(message) = line.strip_prefix("error: ") {
            message.clone_into(&mut report.message);
        } else if let Some(field) = line.strip_prefix("  field: ") {
            report.field = Some(field.to_owned());
        } else if let Some(hint) = line.strip_prefix("  hint: ") {
            report.hint = Some(hint.to_owned());
        } else {
            break;
        }
    }
    "server_ended".clone_into(&mut report.code);
    Some(report)
}

fn ready(context: &Context, url: &str, took: Option<Duration>) -> CliResult {
    let ready_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let token = home::own_credentials(&context.home)?.token;
    if context.json {
        output::say_json(
            &json!({ "url": url, "home": context.home.to_string_lossy(), "started": took.is_some(), "ready_ms": ready_ms }),
        );
        return Ok(());
    }
    match ready_ms {
        Some(ms) => output::say(&format!("Corliss is ready at {url} ({})", units::duration(ms))),
        None => output::say(&format!("Corliss is running already at {url}")),
    }
    output::say(&sign_in(url, &token));
    output::say(&format!(
        "next      {}, or eval \"$({})\" for mlflow, openai and others",
        program::command("run FILE"),
        program::command("env")
    ));
    Ok(())
}

fn sign_in(url: &str, token: &str) -> String {
    format!("console   {url}/#token={token}")
}

/// For a server that is about to start in this process: says, on a terminal, how to sign in once it is ready.
pub fn greet(home: &Path) {
    if !std::io::stdout().is_terminal() {
        return;
    }
    let home = home.to_path_buf();
    std::thread::spawn(move || {
        let started = Instant::now();
        while started.elapsed() < READY_DEADLINE {
            if let Some(url) = announced_by(std::process::id(), &home) {
                if let Ok(own) = home::own_credentials(&home) {
                    output::say(&sign_in(&url, &own.token));
                }
                return;
            }
            std::thread::sleep(POLL);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_error_comes_with_its_field_and_hint() {
        let log = "error: old\n  hint: old\n2026 INFO x\nerror: no 'x'\n  field: server.x\n  hint: did you mean 'y'?\n";
        let report = last_error(log).unwrap();
        assert_eq!(report.message, "no 'x'");
        assert_eq!(report.field.as_deref(), Some("server.x"));
        assert_eq!(report.hint.as_deref(), Some("did you mean 'y'?"));
        assert!(last_error("INFO error: not at the start").is_none());
    }

    #[test]
    fn an_address_is_the_running_one_or_not() {
        assert!(listens_at("http://127.0.0.1:7070", "127.0.0.1:7070"));
        assert!(listens_at("https://127.0.0.1:7070", "127.0.0.1:0"));
        assert!(!listens_at("http://127.0.0.1:7070", "127.0.0.1:7071"));
        assert!(!listens_at("http://127.0.0.1:7070", "here"));
        assert!(listens_at("http://[::1]:7070", "[::1]:7070"));
    }
}
