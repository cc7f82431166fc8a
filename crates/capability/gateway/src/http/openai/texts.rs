//! What both completions and embeddings take: a text, several, or the same in tokens.

use corliss_engine::EngineError;
use serde::Deserialize;

use super::parameters::{Parameters, invalid};
use crate::error::GatewayError;

#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Text(String),
    Tokens(Vec<i32>),
    Texts(Vec<String>),
    TokenLists(Vec<Vec<i32>>),
}

/// One text.
#[derive(Debug, PartialEq)]
pub(super) enum Text {
    Plain(String),
    Tokens(Vec<i32>),
}

/// What a parameter holds.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) all: Vec<Text>,
    /// Whether they came as a list, so that a place in it says which.
    pub(super) listed: bool,
}

/// Takes the texts of this parameter, of which there are at most so many.
pub(super) fn take(parameters: &mut Parameters, name: &str, most: usize) -> Result<Texts, GatewayError> {
    const FORMS: &str = "must be a string, an array of strings, an array of tokens, or an array of those";
    let given = parameters
        .optional(name)
        .map_err(|_| invalid(name, FORMS))?
        .ok_or_else(|| invalid(name, "is missing"))?;
    let (all, listed): (Vec<Text>, bool) = match given {
        Given::Text(text) => (vec![Text::Plain(text)], false),
        Given::Tokens(tokens) => (vec![Text::Tokens(tokens)], false),
        Given::Texts(texts) => (texts.into_iter().map(Text::Plain).collect(), true),
        Given::TokenLists(lists) => (lists.into_iter().map(Text::Tokens).collect(), true),
    };
    if all.len() > most {
        let reason = format!("must hold at most {most} texts, not {}", all.len());
        return Err(invalid(name, &reason));
    }
    Ok(Texts { all, listed })
}

/// An engine's error in this API's words: `name` is the client's, `place` that of the text in its list.
/// Engines say one of `fields`, perhaps with places behind it, and nothing if a text is too long.
pub(super) fn renamed(
    error: GatewayError,
    fields: &[&str],
    name: &str,
    place: Option<usize>,
) -> GatewayError {
    let (status, mut report) = match error {
        GatewayError::Engine(EngineError::Remote { status, report }) => (status, report),
        other => return other,
    };
    let name = place.map_or_else(|| name.to_owned(), |place| format!("{name}[{place}]"));
    let of_text = report.field.as_deref().and_then(|field| {
        let mut rests = fields.iter().filter_map(|known| field.strip_prefix(known));
        let rest = rests.find(|rest| rest.is_empty() || rest.starts_with('['));
        rest.map(ToOwned::to_owned)
    });
    if let Some(rest) = of_text {
        report.field = Some(format!("{name}{rest}"));
    } else if report.code == "context_length_exceeded" {
        report.field = Some(name);
    }
    GatewayError::Engine(EngineError::Remote { status, report })
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::{Diagnose, ErrorReport};
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Texts, GatewayError> {
        let body = json!({ "prompt": value });
        take(
            &mut Parameters::new(body.as_object().unwrap().clone()),
            "prompt",
            3,
        )
    }

    #[test]
    fn four_forms_are_read_and_no_other() {
        let texts = read(json!("a")).unwrap();
        assert_eq!(
            (texts.all, texts.listed),
            (vec![Text::Plain("a".to_owned())], false)
        );
        let texts = read(json!([1, 2])).unwrap();
        assert_eq!((texts.all, texts.listed), (vec![Text::Tokens(vec![1, 2])], false));
        let texts = read(json!(["a", "b"])).unwrap();
        assert_eq!((texts.all.len(), texts.listed), (2, true));
        let texts = read(json!([[1], [2, 3]])).unwrap();
        assert_eq!(
            (texts.all[1] == Text::Tokens(vec![2, 3]), texts.listed),
            (true, true)
        );
        for wrong in [
            json!(null),
            json!(7),
            json!({}),
            json!(["a", 1]),
            json!([1.5]),
            json!(vec!["a"; 4]),
        ] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.field().as_deref(), Some("prompt"));
        }
    }

    #[test]
    fn errors_name_what_the_client_sent() {
        let remote = |field: Option<&str>, code: &str| {
            let mut report = ErrorReport::of(&EngineError::Stopped);
            (report.field, report.code) = (field.map(ToOwned::to_owned), code.to_owned());
            GatewayError::Engine(EngineError::Remote {
                status: 400,
                report: Box::new(report),
            })
        };
        let named = |field, code, place| {
            renamed(remote(field, code), &["prompt", "prompt_tokens"], "prompt", place).field()
        };
        let is = |name: &str| Some(name.to_owned());
        assert_eq!(
            named(Some("prompt_tokens[7]"), "invalid_request", None),
            is("prompt[7]")
        );
        assert_eq!(
            named(Some("prompt_tokens[7]"), "invalid_request", Some(2)),
            is("prompt[2][7]")
        );
        assert_eq!(named(Some("prompt"), "invalid_request", Some(2)), is("prompt[2]"));
        assert_eq!(named(None, "context_length_exceeded", Some(1)), is("prompt[1]"));
        assert_eq!(named(Some("stop"), "invalid_request", Some(1)), is("stop"));
        assert_eq!(named(None, "engine_queue_full", Some(1)), None);
    }
}
