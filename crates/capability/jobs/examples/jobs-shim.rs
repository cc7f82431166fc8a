//! The shim alone, as the real binary's `corliss shim --dir DIR`: for this crate's tests.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(2) {
        Some(dir) => corliss_executor::shim::main(&PathBuf::from(dir)),
        None => ExitCode::from(2),
    }
}
