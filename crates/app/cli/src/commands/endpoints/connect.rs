//! `corliss endpoints connect`: a service elsewhere behind an endpoint. Its key never stands on a command line.

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use super::print_endpoint;
use crate::args::{ConnectArgs, Dialect};
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::readiness::path;
use crate::views::EndpointView;

pub(super) fn run(context: &Context, args: &ConnectArgs) -> CliResult {
    if args.weights.len() > args.urls.len() {
        return Err(CliError::input(format!(
            "there are {} weights for {} addresses",
            args.weights.len(),
            args.urls.len()
        )));
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
    let answer: Value = context
        .api()?
        .put(&format!("{}/service", path(&args.name)), &body)?;
    context.answer(answer, |endpoint: EndpointView| print_endpoint(&endpoint))
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
