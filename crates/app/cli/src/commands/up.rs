//! `corliss up`: start the server in its own session and return when it is ready.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde_json::json;

use crate::args::UpArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::{home, output};

const READY_DEADLINE: Duration = Duration::from_secs(60);

/// The server's log when it runs in the background.
pub fn log_path(home: &Path) -> PathBuf {
    home.join("logs").join("server.log")
}

fn lock_path(home: &Path) -> PathBuf {
    home.join("run").join("server.lock")
}

/// Whether no server holds this home. The server keeps an exclusive lock on this file while it lives, so
/// the answer is right even after kill -9.
pub fn lock_is_free(home: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).open(lock_path(home)) else {
        return true;
    };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_ok()
}

/// Starts the server, or says that it runs already.
pub fn run(context: &Context, args: &UpArgs) -> CliResult {
    let home = &context.home;
    if !lock_is_free(home) {
        let credentials = home::own_credentials(home)?;
        return ready(context, &credentials.url, None);
    }
    let started = Instant::now();
    let mut child = spawn(home, args)?;
    let url = wait_until_ready(home, &mut child, started)?;
    ready(context, &url, Some(started.elapsed()))
}

fn spawn(home: &Path, args: &UpArgs) -> CliResult<Child> {
    let log = open_log(home)
        .map_err(|error| CliError::input(format!("cannot write {}: {error}", log_path(home).display())))?;
    let errors = log
        .try_clone()
        .map_err(|error| CliError::failed(format!("cannot share the log: {error}")))?;
    let binary = std::env::current_exe()
        .map_err(|error| CliError::failed(format!("cannot find this program's own file: {error}")))?;
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
        .map_err(|error| CliError::failed(format!("cannot start the server: {error}")))
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

fn wait_until_ready(home: &Path, child: &mut Child, started: Instant) -> CliResult<String> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(CliError::failed(format!(
                "the server ended while starting ({status}): {}",
                last_words(home)
            ))
            .hint(format!("its log is {}", log_path(home).display())));
        }
        if let Some(url) = announced(home, child.id()) {
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
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The address that the server with this process id wrote into its lock file once it answered requests.
fn announced(home: &Path, pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(lock_path(home)).ok()?;
    let (owner, url) = text.strip_suffix('\n')?.split_once('\n')?;
    (owner.parse() == Ok(pid)).then(|| url.to_owned())
}

/// The last error line of the log, without its prefix.
fn last_words(home: &Path) -> String {
    let text = std::fs::read_to_string(log_path(home)).unwrap_or_default();
    let error = text.lines().rev().find_map(|line| line.strip_prefix("error: "));
    error
        .or_else(|| text.lines().next_back())
        .unwrap_or("it said nothing")
        .to_owned()
}

fn ready(context: &Context, url: &str, took: Option<Duration>) -> CliResult {
    let ready_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let token = home::own_credentials(&context.home)?.token;
    if context.json {
        output::say_json(
            &json!({ "url": url, "home": context.home, "started": took.is_some(), "ready_ms": ready_ms }),
        );
        return Ok(());
    }
    match ready_ms {
        Some(ms) => output::say(&format!("Corliss is ready at {url} ({})", output::duration(ms))),
        None => output::say(&format!("Corliss is running already at {url}")),
    }
    output::say(&format!("console   {url}/#token={token}"));
    output::say("next      corliss run FILE, or eval \"$(corliss env)\" for mlflow, openai and others");
    Ok(())
}
