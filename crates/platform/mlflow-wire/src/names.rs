//! The names that MLflow allows for metrics, parameters and tags, and its length limits.

use crate::WireError;

const ALLOWED: &str = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), \
                       spaces ( ), colon(:) and slashes (/).";

/// Checks the name of a metric, parameter or tag; `field` is where it stood in the request.
///
/// Names are never paths here. The rule about paths is kept because clients and their tests rely on it, and
/// because an export to files must stay possible.
///
/// # Errors
/// The name holds other characters, or would name something else if it were a path.
pub fn check_key(field: &str, name: &str) -> Result<(), WireError> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ' | ':');
    if !name.chars().all(allowed) {
        return Err(WireError::invalid_value(field, name, ALLOWED));
    }
    let normal = normalised(name);
    if normal != name || normal == "." || normal.starts_with("..") || normal.starts_with('/') {
        let reason = format!(
            "Names may be treated as files in certain cases, and must not resolve to other names when treated \
             as such. This name would resolve to '{normal}'"
        );
        return Err(WireError::invalid_value(field, name, &reason));
    }
    Ok(())
}

/// Checks that a value can be stored; `field` is where it stood in the request.
///
/// # Errors
/// It holds a NUL character, which PostgreSQL's texts cannot.
pub fn check_text(field: &str, value: &str) -> Result<(), WireError> {
    if value.contains('\0') {
        return Err(WireError::invalid_value(
            field,
            value,
            "must not contain NUL characters",
        ));
    }
    Ok(())
}

/// Checks that a value has at most `limit` characters.
///
/// # Errors
/// It has more.
pub fn check_length(field: &str, limit: usize, value: &str) -> Result<(), WireError> {
    // Bytes bound characters from above, so the common case counts nothing.
    if value.len() <= limit || value.chars().count() <= limit {
        return Ok(());
    }
    let message = format!("'{field}' exceeds the maximum length of {limit} characters");
    Err(WireError::new(message).about(field))
}

/// A value cut to at most `limit` characters, as MLflow's server keeps one that is longer.
#[must_use]
pub fn shortened(limit: usize, mut value: String) -> String {
    if let Some((end, _)) = value.char_indices().nth(limit) {
        value.truncate(end);
    }
    value
}

/// What POSIX path normalisation makes of a name.
fn normalised(name: &str) -> String {
    let absolute = name.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            _ => parts.push(part),
        }
    }
    let slashes = match (absolute, name.starts_with("//") && !name.starts_with("///")) {
        (_, true) => "//",
        (true, false) => "/",
        (false, false) => "",
    };
    let path = format!("{slashes}{}", parts.join("/"));
    if path.is_empty() { ".".to_owned() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_refused_with_its_field() {
        let error = check_text("params[0].value", "a\0b").unwrap_err().to_string();
        assert!(
            error.contains("'params[0].value'") && error.contains("NUL"),
            "{error}"
        );
        check_text("params[0].value", "a\tb").unwrap();
    }

    #[test]
    fn good_names_pass() {
        for good in ["loss", "val/loss", "a b", "mlflow.runName", "süß", "a:b", "a-b_c"] {
            check_key("key", good).unwrap();
        }
    }

    #[test]
    fn bad_names_are_refused_in_the_reference_servers_words() {
        for (bad, word) in [
            ("", "'.'"),
            ("..", "'..'"),
            ("a/../b", "'b'"),
            ("/a", "'/a'"),
            ("a//b", "'a/b'"),
            ("a;b", "colon(:)"),
        ] {
            let error = check_key("key", bad).unwrap_err().to_string();
            assert!(
                error.contains(word) && error.contains("for parameter 'key' supplied"),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn lengths_are_in_characters() {
        check_length("value", 3, "äöü").unwrap();
        assert_eq!(
            check_length("value", 3, "äöüß").unwrap_err().to_string(),
            "'value' exceeds the maximum length of 3 characters"
        );
    }
}
