//! The shim alone, as the real binary's `corliss shim --dir DIR`: for the tests of this crate and of those
//! above it.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match (args.next(), args.next()) {
        (Some(flag), Some(dir)) if flag == "--dir" => corliss_executor::shim::main(&PathBuf::from(dir)),
        _ => {
            eprintln!("usage: shim --dir DIR");
            ExitCode::from(2)
        }
    }
}
