//! Files of settings that are sent to the server as they are: JSON objects.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::error::{CliError, CliResult, cause};

/// Most of such a file; the server takes no more than fits into it.
const FILE_MAX: u64 = 1 << 20;

/// The object in a file, or on standard input for `-`. What may be in it is for the server to say; `hint` adds what such a
/// file holds to the error where it holds no object.
pub fn read(file: &Path, hint: impl FnOnce(CliError) -> CliError) -> CliResult<Value> {
    let failed =
        |error: &std::io::Error| CliError::input(format!("cannot read {}: {}", file.display(), cause(error)));
    let mut text = String::new();
    let done = if file == Path::new("-") {
        std::io::stdin().lock().take(FILE_MAX).read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file).map_err(|error| failed(&error))?;
        opened.take(FILE_MAX).read_to_string(&mut text)
    };
    done.map_err(|error| failed(&error))?;
    parsed(&text).map_err(|problem| hint(CliError::input(format!("{} {problem}", file.display()))))
}

/// The settings, or what is wrong with the text.
fn parsed(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    match serde_json::from_str(text) {
        Ok(settings @ Value::Object(_)) => Ok(settings),
        Ok(_) => Err("holds no object".to_owned()),
        Err(error) if error.is_eof() => Err("ends before its JSON is complete".to_owned()),
        Err(error) => Err(format!(
            "is no JSON: it goes wrong at line {}, column {}",
            error.line(),
            error.column()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_settings_says_where_it_goes_wrong() {
        assert_eq!(parsed("{\"attempts\": 3}").unwrap()["attempts"], 3);
        for (text, problem) in [
            (" \n", "is empty"),
            ("[]", "holds no object"),
            ("{\"router\": ", "ends before its JSON is complete"),
            (
                "{\n  \"concurrent_max\": ,\n}",
                "is no JSON: it goes wrong at line 2, column 21",
            ),
        ] {
            assert_eq!(parsed(text).unwrap_err(), problem);
        }
    }
}
