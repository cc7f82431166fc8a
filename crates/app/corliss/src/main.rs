//! One binary that is the command line, the server, the shim of a task or the engine of a model, so that
//! they can never be of different versions.

use std::process::ExitCode;

use corliss_cli::Invocation;
use mimalloc::MiMalloc;

/// A request makes and frees a hundred small pieces on the thread of its connection, which is what this one is made for.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match corliss_cli::invoke() {
        Invocation::Done(code) => code,
        Invocation::Serve { home, listen } => match corliss_server::serve(&home, listen.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => corliss_cli::fail(&error),
        },
        Invocation::Shim(folder) => corliss_executor::shim::main(&folder),
        Invocation::Engine(arguments) => corliss_engine::process::main(*arguments),
    }
}
