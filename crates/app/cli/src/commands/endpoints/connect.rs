//! `corliss endpoints connect`: a service elsewhere behind an endpoint. Its key never stands on a command line.

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use super::print_endpoint;
use crate::args::{ConnectArgs, Dialect};
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::flags::Flags;
use crate::readiness::path;
use crate::views::EndpointView;
use crate::{text, units};

/// Of an address that is told of.
const URL_SHOWN: usize = 100;

pub(super) fn run(context: &Context, args: &ConnectArgs) -> CliResult {
    if args.weights.len() > args.urls.len() {
        let count = |count: usize, flag: &str| units::plural_of(count as u64, flag, flag);
        return Err(CliError::input(format!(
            "there are {} for {}",
            count(args.weights.len(), "--weight"),
            count(args.urls.len(), "--url")
        ))
        .hint("give each --url at most one --weight, in the same order"));
    }
    let weights = args.weights.iter().copied().chain(std::iter::repeat(1));
    let targets = args.urls.iter().zip(weights);
    let targets: Vec<Value> = targets
        .map(|(url, weight)| json!({ "url": url, "weight": weight }))
        .collect();
    let dialect = match args.dialect {
        Dialect::Openai => "openai",
        Dialect::OpenInference => "open_inference",
    };
    let mut body = json!({ "dialect": dialect, "model": args.model, "targets": targets });
    if args.no_key {
        body["api_key"] = Value::Null;
    } else if let Some(key) = key(args)? {
        body["api_key"] = key.into();
    }
    let answer: CliResult<Value> = context
        .api()?
        .put(&format!("{}/service", path(&args.name)), &body);
    let answer = answer.map_err(|error| flags(args).name(error))?;
    context.answer(answer, |endpoint: EndpointView| print_endpoint(&endpoint))
}

fn flags(args: &ConnectArgs) -> Flags {
    let key = match args.key_file {
        Some(_) => "--key-file",
        None => "--key-env",
    };
    let flags = Flags::new(&[
        ("name", "NAME"),
        ("model", "--model"),
        ("targets", "--url"),
        ("api_key", key),
    ]);
    let urls = args.urls.iter().enumerate();
    urls.fold(flags, |flags, (index, url)| {
        let told = format!("--url {}", shown(url));
        flags
            .and(format!("targets[{index}].url"), told)
            .and(format!("targets[{index}].weight"), "--weight")
    })
}

/// An address as it is repeated: not what may be a key in it.
fn shown(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let start = url[..end].rfind('@').map_or(0, |at| at + 1);
    format!("'{}'", text::fit(&url[start..end], URL_SHOWN))
}

fn key(args: &ConnectArgs) -> CliResult<Option<String>> {
    let text = match (&args.key_env, &args.key_file) {
        (Some(name), _) => std::env::var(name).map_err(|_| {
            CliError::input(format!(
                "--key-env: there is no environment variable {name} that holds text"
            ))
        })?,
        (None, Some(file)) => read(file)?,
        (None, None) => return Ok(None),
    };
    match text.trim() {
        "" => Err(CliError::input(
            "the key is empty; --no-key takes it away".to_owned(),
        )),
        key => Ok(Some(key.to_owned())),
    }
}

fn read(file: &Path) -> CliResult<String> {
    let mut text = String::new();
    let done = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    match done {
        Ok(_) => Ok(text),
        Err(error) => Err(CliError::input(format!("--key-file {}: {error}", file.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn an_address_is_repeated_without_a_key() {
        assert_eq!(shown("nourl"), "'nourl'");
        assert_eq!(
            shown("http://ana:secret@gpu1:8000/v1?key=secret"),
            "'gpu1:8000/v1'"
        );
        assert!(shown(&"x".repeat(5_000)).chars().count() <= 102);
    }
}
