//! What an answer must be: `response_format`, `text.format` of a response, and for those who know vLLM its `guided_…`
//! and `structured_outputs`.

use corliss_engine::EngineError;
use corliss_engine::protocol::AnswerFormat;
use corliss_http::json_words;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::parameters::{Parameters, invalid, only};
use crate::error::GatewayError;

const RESPONSE_FORMAT: &str = "response_format";
const TEXT_FORMAT: &str = "text.format";
const STRUCTURED: &str = "structured_outputs";
/// Ways to say it in vLLM: without prefix within `structured_outputs`, and with one by themselves.
const KINDS: [&str; 5] = ["json", "regex", "choice", "grammar", "json_object"];
const NAME_MAX: usize = 64;

/// A format, and what the client called it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) format: AnswerFormat,
    pub(super) parameter: String,
}

/// Takes the format from the parameters; one at most may be given.
pub(super) fn take(parameters: &mut Parameters) -> Result<Option<Asked>, GatewayError> {
    let mut given = Vec::new();
    if let Some(format) = parameters.optional::<Value>(RESPONSE_FORMAT)? {
        given.extend(of_kind(RESPONSE_FORMAT, &format, Some("json_schema"))?);
    }
    for kind in KINDS {
        let name = format!("guided_{kind}");
        if let Some(value) = parameters.optional::<Value>(&name)? {
            given.extend(guided(kind, value, name)?);
        }
    }
    if let Some(mut members) = parameters.optional::<Map<String, Value>>(STRUCTURED)? {
        if members.values().all(Value::is_null) {
            let reason = format!("must hold one of {}", KINDS.join(", "));
            return Err(invalid(STRUCTURED, &reason));
        }
        for kind in KINDS {
            if let Some(value) = members.remove(kind).filter(|value| !value.is_null()) {
                given.extend(guided(kind, value, format!("{STRUCTURED}.{kind}"))?);
            }
        }
        only(STRUCTURED, &members, &KINDS)?;
    }
    if let [first, second, ..] = given.as_slice() {
        let reason = format!(
            "says what the answer must be, and so does {}; give one",
            first.parameter
        );
        return Err(invalid(&second.parameter, &reason));
    }
    Ok(given.pop())
}

/// The format of a response's text.
pub(super) fn of_text(format: &Value) -> Result<Option<Asked>, GatewayError> {
    of_kind(TEXT_FORMAT, format, None)
}

/// OpenAI's own form, under this name. What describes a schema lies in the member `within`, or beside the kind.
fn of_kind(name: &str, format: &Value, within: Option<&str>) -> Result<Option<Asked>, GatewayError> {
    const DESCRIBED: [&str; 4] = ["name", "description", "schema", "strict"];
    let nothing = Map::new();
    let members = format.as_object().unwrap_or(&nothing);
    match (format["type"].as_str(), within) {
        (Some("text"), _) => only(name, members, &["type"]).map(|()| None),
        (Some("json_object"), _) => {
            only(name, members, &["type"])?;
            Ok(Some(Asked {
                format: AnswerFormat::JsonObject,
                parameter: name.to_owned(),
            }))
        }
        (Some("json_schema"), None) => {
            let asked = of_schema(name, format)?;
            only(name, members, &[&["type"][..], &DESCRIBED].concat())?;
            Ok(Some(asked))
        }
        (Some("json_schema"), Some(member)) => {
            let place = format!("{name}.{member}");
            let asked = of_schema(&place, &format[member])?;
            only(name, members, &["type", member])?;
            only(&place, format[member].as_object().unwrap_or(&nothing), &DESCRIBED)?;
            Ok(Some(asked))
        }
        _ => Err(invalid(
            &format!("{name}.type"),
            "must be text, json_object or json_schema",
        )),
    }
}

/// The schema that is described in this place. It holds whether `strict` is said or not.
fn of_schema(place: &str, described: &Value) -> Result<Asked, GatewayError> {
    if !described.is_object() {
        return Err(invalid(place, "must be an object with name and schema"));
    }
    let field = |field: &str| format!("{place}.{field}");
    match described["name"].as_str() {
        Some(name) if !name.is_empty() && name.len() <= NAME_MAX => {}
        _ => return Err(invalid(&field("name"), "must be a text of 1 to 64 characters")),
    }
    if !matches!(described["strict"], Value::Null | Value::Bool(_)) {
        return Err(invalid(&field("strict"), "must be true or false"));
    }
    match &described["schema"] {
        Value::Null => Err(invalid(&field("schema"), "is missing")),
        schema => Ok(Asked {
            format: AnswerFormat::JsonSchema(schema.clone()),
            parameter: field("schema"),
        }),
    }
}

fn guided(kind: &str, value: Value, parameter: String) -> Result<Option<Asked>, GatewayError> {
    fn read<T: DeserializeOwned>(value: Value, parameter: &str, what: &str) -> Result<T, GatewayError> {
        serde_json::from_value(value).map_err(|_| invalid(parameter, what))
    }
    let format = match kind {
        "json_object" => {
            if !read::<bool>(value, &parameter, "must be true or false")? {
                return Ok(None);
            }
            AnswerFormat::JsonObject
        }
        "regex" => AnswerFormat::Regex(read(value, &parameter, "must be a regular expression")?),
        "choice" => AnswerFormat::Choice(read(value, &parameter, "must be an array of texts")?),
        "grammar" => AnswerFormat::Lark(read(value, &parameter, "must be a grammar in Lark")?),
        // There the schema may also be a text.
        _ => AnswerFormat::JsonSchema(match value {
            Value::String(text) => {
                serde_json::from_str(&text).map_err(|error| invalid(&parameter, &no_schema(&error)))?
            }
            schema => schema,
        }),
    };
    Ok(Some(Asked { format, parameter }))
}

fn no_schema(error: &serde_json::Error) -> String {
    let told = json_words(&error.to_string());
    let place = told.place.map(|place| format!(" ({place})")).unwrap_or_default();
    format!("is not a JSON schema: {}{place}", told.reason)
}

/// An engine's error about the format in the client's words.
pub(super) fn renamed(error: GatewayError, parameter: Option<&str>) -> GatewayError {
    let renamed = |field: &mut Option<String>| {
        if let Some(parameter) = parameter
            && field.as_deref() == Some("format")
        {
            *field = Some(parameter.to_owned());
        }
    };
    match error {
        GatewayError::Engine(EngineError::Remote { status, mut report }) => {
            renamed(&mut report.field);
            GatewayError::Engine(EngineError::Remote { status, report })
        }
        GatewayError::Generation(mut report) => {
            renamed(&mut report.field);
            GatewayError::Generation(report)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Option<Asked>, GatewayError> {
        let mut parameters = Parameters::new(body.as_object().unwrap().clone());
        let asked = take(&mut parameters);
        parameters.finish().unwrap();
        asked
    }

    #[test]
    fn formats_are_read_in_all_their_forms() {
        let schema = json!({"type": "object", "properties": {"z": {}, "a": {}}});
        let of_schema = AnswerFormat::JsonSchema(schema.clone());
        for (body, format, parameter) in [
            (
                json!({"response_format": {"type": "json_object"}}),
                AnswerFormat::JsonObject,
                "response_format",
            ),
            (
                json!({"response_format": {"type": "json_schema",
                    "json_schema": {"name": "n", "strict": true, "schema": schema}}}),
                of_schema.clone(),
                "response_format.json_schema.schema",
            ),
            (json!({"guided_json": schema}), of_schema.clone(), "guided_json"),
            (
                json!({"guided_json": schema.to_string()}),
                of_schema.clone(),
                "guided_json",
            ),
            (
                json!({"guided_regex": "a+"}),
                AnswerFormat::Regex("a+".to_owned()),
                "guided_regex",
            ),
            (
                json!({"structured_outputs": {"choice": ["a", "b"], "regex": null}}),
                AnswerFormat::Choice(vec!["a".to_owned(), "b".to_owned()]),
                "structured_outputs.choice",
            ),
            (
                json!({"structured_outputs": {"json_object": true}}),
                AnswerFormat::JsonObject,
                "structured_outputs.json_object",
            ),
            (
                json!({"guided_grammar": "start: \"a\""}),
                AnswerFormat::Lark("start: \"a\"".to_owned()),
                "guided_grammar",
            ),
        ] {
            let parameter = parameter.to_owned();
            assert_eq!(read(body).unwrap(), Some(Asked { format, parameter }));
        }
        for none in [
            json!({}),
            json!({"response_format": {"type": "text"}, "guided_json": null}),
            json!({"structured_outputs": {"json_object": false}}),
        ] {
            assert_eq!(read(none).unwrap(), None);
        }
    }

    #[test]
    fn responses_describe_a_schema_beside_its_kind() {
        let schema = json!({"type": "object"});
        let asked = of_text(&json!({"type": "json_schema", "name": "n", "schema": schema})).unwrap();
        let parameter = "text.format.schema".to_owned();
        let format = AnswerFormat::JsonSchema(schema);
        assert_eq!(asked, Some(Asked { format, parameter }));
        let asked = of_text(&json!({"type": "json_object"})).unwrap().unwrap();
        assert_eq!(asked.parameter, "text.format");
        assert_eq!(of_text(&json!({"type": "text"})).unwrap(), None);
        for (format, field) in [
            (
                json!({"type": "json_schema", "json_schema": {}}),
                "text.format.name",
            ),
            (json!({"type": "json_schema", "name": "n"}), "text.format.schema"),
            (
                json!({"type": "json_schema", "name": "n", "schema": {}, "json_schema": {"name": "n"}}),
                "text.format.json_schema",
            ),
            (json!({"type": "xml"}), "text.format.type"),
            (json!("json"), "text.format.type"),
        ] {
            assert_eq!(of_text(&format).unwrap_err().field().as_deref(), Some(field));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let named = |name: Value, schema: Value| json!({"response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}});
        for (body, field) in [
            (json!({"response_format": "json"}), "response_format.type"),
            (
                json!({"response_format": {"type": "xml"}}),
                "response_format.type",
            ),
            (
                json!({"response_format": {"type": "json_schema"}}),
                "response_format.json_schema",
            ),
            (named(json!(null), json!({})), "response_format.json_schema.name"),
            (
                named(json!("n"), json!(null)),
                "response_format.json_schema.schema",
            ),
            (json!({"guided_choice": "a"}), "guided_choice"),
            (json!({"guided_json": "{"}), "guided_json"),
            (
                json!({"structured_outputs": {"xml": 1}}),
                "structured_outputs.xml",
            ),
            (json!({"structured_outputs": 1}), "structured_outputs"),
            (json!({"structured_outputs": {}}), "structured_outputs"),
            (
                json!({"structured_outputs": {"regex": null}}),
                "structured_outputs",
            ),
            (
                json!({"response_format": {"type": "json_object", "schema": {"type": "array"}}}),
                "response_format.schema",
            ),
            (
                json!({"response_format": {"type": "json_schema", "strict": true,
                    "json_schema": {"name": "n", "schema": {}}}}),
                "response_format.strict",
            ),
            (
                json!({"response_format": {"type": "json_schema",
                    "json_schema": {"name": "n", "schema": {}, "strct": true}}}),
                "response_format.json_schema.strct",
            ),
            (
                json!({"guided_regex": "a", "response_format": {"type": "json_object"}}),
                "guided_regex",
            ),
        ] {
            let mut parameters = Parameters::new(body.as_object().unwrap().clone());
            let error = take(&mut parameters).unwrap_err();
            assert_eq!(error.field().as_deref(), Some(field), "{body}");
        }
    }
}
