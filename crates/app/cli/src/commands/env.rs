//! `corliss env`: the variables that mlflow, the OpenAI client and others read.

use serde_json::json;

use crate::context::Context;
use crate::error::CliResult;
use crate::output;
use crate::text;

/// Prints `export` lines, or one JSON object.
pub fn run(context: &Context) -> CliResult {
    let api = context.api()?;
    let (url, token) = (api.url(), api.token());
    let openai_url = format!("{url}/v1");
    let ca = api.ca().map(|ca| ca.to_string_lossy().into_owned());
    let mut variables = vec![
        ("CORLISS_URL", url),
        ("CORLISS_TOKEN", token),
        ("MLFLOW_TRACKING_URI", url),
        ("MLFLOW_TRACKING_TOKEN", token),
        ("OPENAI_BASE_URL", &openai_url),
        ("OPENAI_API_KEY", token),
    ];
    if let Some(ca) = &ca {
        variables.extend([
            ("CORLISS_CA", ca.as_str()),
            ("MLFLOW_TRACKING_SERVER_CERT_PATH", ca),
        ]);
    }
    if context.json {
        let object: serde_json::Map<_, _> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        output::say_json(&object);
    } else {
        for (name, value) in variables {
            output::say(&format!("export {name}={}", text::shell_quoted(value)));
        }
    }
    Ok(())
}
