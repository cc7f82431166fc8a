//! `corliss down`: stop the server and wait until it is gone.

use std::time::{Duration, Instant};

use corliss_diagnostics::counted;
use serde_json::{Value, json};

use crate::api::Api;
use crate::args::DownArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_UNREACHABLE};
use crate::home::Credentials;
use crate::instance::{self, Announcement};
use crate::{home, output, program};

const STOP_DEADLINE: Duration = Duration::from_secs(90);
/// How often a server that stops is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Asks the server to stop, a starting one once it answers, and waits until it is gone.
pub fn run(context: &Context, args: &DownArgs) -> CliResult {
    let Some(server) = instance::running(&context.home, Instant::now())? else {
        // A home that never had a server is likely not the one that was meant.
        home::own_credentials(&context.home)?;
        return match instance::tasks_running(&context.home) {
            left if left > 0 && !args.keep_tasks => Err(outlived(left)),
            _ => done(context, "it was not running"),
        };
    };
    // The file may still hold the address of the server before this one.
    let credentials = Credentials {
        url: server.url.clone(),
        ..home::own_credentials(&context.home)?
    };
    let asked: CliResult<Value> = Api::new(credentials)?.post(
        "/api/v1/system/shutdown",
        &json!({ "keep_tasks": args.keep_tasks }),
    );
    match asked {
        Ok(_) => {
            wait_until_gone(context, &server)?;
            done(context, "stopped")
        }
        // It does not answer any more because somebody else has stopped it.
        Err(error) if error.exit_code == EXIT_UNREACHABLE => match wait_until_gone(context, &server) {
            Ok(()) => done(context, "stopped"),
            Err(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Tasks outlive a server that was killed, or that was told to keep them.
fn outlived(tasks: usize) -> CliError {
    let still_run = counted(tasks, "of its tasks still runs", "of its tasks still run");
    CliError::failed(format!("the server was not running, but {still_run}")).hint(format!(
        "to end them: {}, then {}; or go on with {0}",
        program::command("up"),
        program::command("down")
    ))
}

fn wait_until_gone(context: &Context, server: &Announcement) -> CliResult {
    let started = Instant::now();
    while instance::still_runs(&context.home, server) {
        if started.elapsed() > STOP_DEADLINE {
            return Err(CliError::failed(format!(
                "the server still runs after {} s",
                STOP_DEADLINE.as_secs()
            ))
            .hint(format!("look at {}", instance::log_path(&context.home).display())));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn done(context: &Context, what: &str) -> CliResult {
    if context.json {
        output::say_json(&json!({ "state": what }));
    } else {
        output::say(&format!("Corliss in {}: {what}.", context.home.display()));
    }
    Ok(())
}
