//! `corliss down`: stop the server and wait until it is gone.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::Api;
use crate::args::DownArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_UNREACHABLE};
use crate::{home, output};

const STOP_DEADLINE: Duration = Duration::from_secs(90);

/// Asks the server to stop and waits until its lock on the home folder is free.
pub fn run(context: &Context, args: &DownArgs) -> CliResult {
    let api = Api::new(home::own_credentials(&context.home)?)?;
    let asked: CliResult<Value> = api.post(
        "/api/v1/system/shutdown",
        &json!({ "keep_tasks": args.keep_tasks }),
    );
    match asked {
        Ok(_) => {}
        Err(error) if error.exit_code == EXIT_UNREACHABLE && super::up::lock_is_free(&context.home) => {
            return done(context, "it was not running");
        }
        Err(error) => return Err(error),
    }
    let started = Instant::now();
    while !super::up::lock_is_free(&context.home) {
        if started.elapsed() > STOP_DEADLINE {
            return Err(CliError::failed(format!(
                "the server still runs after {} s",
                STOP_DEADLINE.as_secs()
            ))
            .hint(format!(
                "look at {}",
                super::up::log_path(&context.home).display()
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    done(context, "stopped")
}

fn done(context: &Context, what: &str) -> CliResult {
    if context.json {
        output::say_json(&json!({ "state": what }));
    } else {
        output::say(&format!("Corliss in {}: {what}.", context.home.display()));
    }
    Ok(())
}
