//! Chores of the house, run as `cargo xtask CHORE`, so that what CI checks is written in the language
//! of the house and needs nothing installed beside the toolchain.

mod layers;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask layers [--bless]

  layers    hold the workspace to layers.toml, to the golden graph and to the rules on files
  --bless   rewrite the golden graph instead of comparing with it";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["layers"] => layers::run(false),
        ["layers", "--bless"] => layers::run(true),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
