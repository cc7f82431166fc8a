//! The command line of Corliss. It parses, talks to the server over the native API and prints; it decides
//! nothing that the server should decide.
//!
//! Three verbs are not carried out here, because this crate knows no server, shim or engine: they come back
//! to the binary as an [`Invocation`].

mod api;
mod args;
mod commands;
mod confirm;
mod context;
mod data;
mod error;
mod flags;
mod home;
mod instance;
mod interrupt;
mod link;
mod money;
mod moving;
mod output;
mod parallel;
mod program;
mod progress;
mod readiness;
mod run;
mod settings_file;
mod text;
mod units;
mod unreachable;
mod views;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use corliss_engine::EngineArgs;

use crate::args::{Cli, Command, EndpointsCommand, ExperimentsCommand, HelpArgs, Part, RunsCommand};
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_BAD_INPUT};

/// What the binary has to do after the command line was read.
pub enum Invocation {
    /// Everything is done; end with this code.
    Done(ExitCode),
    /// Be the server, in this process.
    Serve {
        /// Absolute home folder.
        home: PathBuf,
        /// Address from the command line, if given.
        listen: Option<String>,
    },
    /// Be the shim of the task with this state folder.
    Shim(PathBuf),
    /// Be one model's engine.
    Engine(Box<EngineArgs>),
}

/// Reads the command line and carries it out, or says what the binary has to be.
#[must_use]
pub fn invoke() -> Invocation {
    let first = std::env::args_os().nth(1);
    if first.is_some_and(|word| Part::WORDS.iter().any(|part| word == *part)) {
        return match Part::try_parse() {
            Ok(Part::Shim(args)) => Invocation::Shim(args.dir),
            Ok(Part::Engine(args)) => Invocation::Engine(args),
            Err(answer) => Invocation::Done(without_command(&answer)),
        };
    }
    let cli = match Cli::try_parse() {
        Ok(Cli {
            command: Command::Help(args),
            ..
        }) => return Invocation::Done(help(&args)),
        Ok(cli) => cli,
        Err(answer) => return Invocation::Done(without_command(&answer)),
    };
    let json = cli.json;
    match dispatch(cli) {
        Ok(invocation) => invocation,
        Err(error) => {
            error.show(json);
            Invocation::Done(ExitCode::from(error.exit_code))
        }
    }
}

/// `corliss help run` is `corliss run --help`.
fn help(args: &HelpArgs) -> ExitCode {
    let words = std::iter::once("corliss")
        .chain(args.words.iter().map(String::as_str))
        .chain(["--help"]);
    match Cli::try_parse_from(words) {
        // Nothing parses with --help in it.
        Ok(_) => ExitCode::SUCCESS,
        Err(answer) => without_command(&answer),
    }
}

/// Prints help or the version, or what is wrong with the command line; a program that asked for JSON gets
/// the same shape for this error as for any other.
fn without_command(answer: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    let shows_help = answer.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if wants_json && shows_help {
        CliError::input("the command is not complete")
            .hint("see --help for what may follow")
            .show(true);
    } else if wants_json && answer.use_stderr() {
        CliError::misread(&answer.render().to_string()).show(true);
    } else if answer.use_stderr() && said_by_user(char::is_control) {
        output::complain(answer.render().to_string().trim_end());
    } else {
        // A closed pipe is nobody's loss.
        let _ = answer.print();
    }
    ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(EXIT_BAD_INPUT))
}

/// Whether the command line has such a character in it: the error repeats it.
fn said_by_user(is_such: fn(char) -> bool) -> bool {
    std::env::args_os().any(|argument| argument.to_string_lossy().contains(is_such))
}

/// Shows an error of the binary in the command line's form and gives its exit code.
#[must_use]
pub fn fail(error: &dyn corliss_diagnostics::Diagnose) -> ExitCode {
    let error = CliError::diagnosed(error);
    error.show(false);
    ExitCode::from(error.exit_code)
}

fn dispatch(cli: Cli) -> CliResult<Invocation> {
    let from_environment = std::env::var_os("CORLISS_HOME").map(PathBuf::from);
    if let Some(home) = &cli.home {
        program::home_was_named(home);
    }
    let context = Context {
        home: home::resolve(cli.home.as_deref().or(from_environment.as_deref()))?,
        home_is_meant: cli.home.is_some(),
        json: cli.json,
    };
    if let Command::Up(args) = &cli.command
        && args.foreground
    {
        commands::up::greet(&context.home);
        return Ok(Invocation::Serve {
            home: context.home,
            listen: args.listen.clone(),
        });
    }
    if follows(&cli.command) {
        interrupt::watch(context.json);
    }
    carry_out(&context, &cli.command)?;
    Ok(Invocation::Done(ExitCode::SUCCESS))
}

/// Whether the command looks on at something that goes on without it, or takes long and can be taken up again.
fn follows(command: &Command) -> bool {
    match command {
        Command::Run(_)
        | Command::Experiments(ExperimentsCommand::Import { .. })
        | Command::Runs(RunsCommand::Rerun { .. }) => true,
        Command::Endpoints(EndpointsCommand::Deploy(args)) => !args.detach,
        Command::Endpoints(EndpointsCommand::Releases(args)) => args.follow,
        Command::Logs(args) => args.follow,
        _ => false,
    }
}

fn carry_out(context: &Context, command: &Command) -> CliResult {
    match command {
        Command::Up(args) => commands::up::run(context, args),
        Command::Down(args) => commands::down::run(context, args),
        Command::Status => commands::status::run(context),
        Command::Env => commands::env::run(context),
        Command::Run(args) => run::run(context, args),
        Command::Check(args) => commands::check::run(context, args),
        Command::Simulate(args) => commands::simulate::run(context, args),
        Command::Runs(command) => commands::runs::run(context, command),
        Command::Jobs(command) => commands::jobs::run(context, command),
        Command::Logs(args) => commands::logs::run(context, args),
        Command::Why(args) => commands::why::run(context, args),
        Command::Queue => commands::queue::run(context),
        Command::Data(command) => commands::data::run(context, command),
        Command::Experiments(command) => commands::experiments::run(context, command),
        Command::Models(command) => commands::models::run(context, command),
        Command::Endpoints(command) => commands::endpoints::run(context, command),
        Command::Admin(command) => commands::admin::run(context, command),
        // Answered before there was a context.
        Command::Help(_) => Ok(()),
    }
}
