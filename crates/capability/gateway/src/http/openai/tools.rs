//! The tools of a chat or a response: what the model may call, and whether it must.

use corliss_diagnostics::ErrorReport;
use corliss_engine::EngineError;
use corliss_engine::protocol::{GenerateRequest, Tool, ToolChoice};
use serde_json::{Map, Value, json};

use super::parameters::{Parameters, invalid, only};
use crate::error::GatewayError;

const CHOICE: &str = "tool_choice";

/// Where an API says what describes a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Within `function`: chats.
    Nested,
    /// Beside `type`: responses.
    Flat,
}

impl Shape {
    fn function(self, value: &Value) -> &Value {
        match self {
            Self::Nested => &value["function"],
            Self::Flat => value,
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Nested => "function.",
            Self::Flat => "",
        }
    }

    /// Refuses what neither the object in this place nor what describes its function may have.
    fn only(self, place: &str, value: &Value, described: &[&str]) -> Result<(), GatewayError> {
        let of = |place: &str, value: &Value, known: &[&str]| match value {
            Value::Object(members) => only(place, members, known),
            _ => Ok(()),
        };
        match self {
            Self::Nested => {
                of(place, value, &["type", "function"])?;
                of(&format!("{place}.function"), &value["function"], described)
            }
            Self::Flat => of(place, value, &[&["type"][..], described].concat()),
        }
    }
}

/// Takes what is offered and puts it into the request.
pub(super) fn take(
    shape: Shape,
    parameters: &mut Parameters,
    request: &mut GenerateRequest,
) -> Result<(), GatewayError> {
    let given: Vec<Value> = parameters.optional("tools")?.unwrap_or_default();
    request.tools = given
        .iter()
        .enumerate()
        .map(|(at, tool)| read(shape, at, tool))
        .collect::<Result<_, _>>()?;
    request.tool_choice = choice(shape, parameters.optional(CHOICE)?)?;
    request.parallel_tool_calls = parameters.optional("parallel_tool_calls")?.unwrap_or(true);
    if request.tools.is_empty() && matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_))
    {
        return Err(invalid(CHOICE, "is only allowed with tools"));
    }
    Ok(())
}

fn read(shape: Shape, at: usize, tool: &Value) -> Result<Tool, GatewayError> {
    let place = |field: &str| format!("tools[{at}].{field}");
    let within = |field: &str| place(&format!("{}{field}", shape.prefix()));
    match tool["type"].as_str() {
        Some("function") => {}
        Some(_) => {
            return Err(GatewayError::UnsupportedParameter {
                parameter: place("type"),
                instead: Some("offer functions only"),
            });
        }
        None => return Err(invalid(&place("type"), "must be 'function'")),
    }
    let function = shape.function(tool);
    let Some(name) = function["name"].as_str() else {
        return Err(invalid(&within("name"), "must be a text"));
    };
    let description = match &function["description"] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        _ => return Err(invalid(&within("description"), "must be a text")),
    };
    let parameters = match &function["parameters"] {
        Value::Null => None,
        schema @ Value::Object(_) => Some(schema.clone()),
        _ => {
            return Err(invalid(
                &within("parameters"),
                "must be a JSON schema, which is an object",
            ));
        }
    };
    let strict = match &function["strict"] {
        Value::Null => false,
        Value::Bool(strict) => *strict,
        _ => return Err(invalid(&within("strict"), "must be true or false")),
    };
    let known = ["name", "description", "parameters", "strict"];
    shape.only(&format!("tools[{at}]"), tool, &known)?;
    Ok(Tool {
        name: name.to_owned(),
        description,
        parameters,
        strict,
    })
}

fn choice(shape: Shape, given: Option<Value>) -> Result<ToolChoice, GatewayError> {
    let Some(given) = given else {
        return Ok(ToolChoice::Auto);
    };
    match (
        given.as_str(),
        given["type"].as_str(),
        shape.function(&given)["name"].as_str(),
    ) {
        (Some("auto"), ..) => Ok(ToolChoice::Auto),
        (Some("none"), ..) => Ok(ToolChoice::None),
        (Some("required"), ..) => Ok(ToolChoice::Required),
        (None, Some("function"), Some(name)) => {
            shape.only(CHOICE, &given, &["name"])?;
            Ok(ToolChoice::Named(name.to_owned()))
        }
        _ => Err(invalid(
            CHOICE,
            "must be none, auto, required, or a function by name",
        )),
    }
}

/// Refuses arguments of an earlier call, in this place, that no call can have.
pub(super) fn check_arguments(place: &str, arguments: &str) -> Result<(), GatewayError> {
    if arguments.is_empty() || serde_json::from_str::<Map<String, Value>>(arguments).is_ok() {
        return Ok(());
    }
    Err(invalid(place, "must be a JSON object, written as a text"))
}

/// An engine's error about a tool in a chat's words: there what describes a tool lies one deeper.
pub(super) fn renamed(mut error: GatewayError) -> GatewayError {
    if let GatewayError::Engine(EngineError::Remote { report, .. }) = &mut error {
        rename(report);
    }
    error
}

fn rename(report: &mut ErrorReport) {
    if let Some(field) = &mut report.field
        && field.starts_with("tools[")
    {
        *field = field.replacen("].", "].function.", 1);
    }
}

/// The id of a call, unlike that of any other: by its answer's, by which of the choices makes it, and by its place there.
pub(super) fn call_id(answer: &str, index: usize, call: u32) -> String {
    format!("call_{answer}{index:02x}{call:02x}")
}

/// A call as a chat tells it: with its id and kind where it begins.
pub(super) fn told(id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    match (id, name) {
        (Some(id), Some(name)) => json!({
            "id": id, "type": "function", "function": { "name": name, "arguments": arguments }
        }),
        _ => json!({ "function": { "arguments": arguments } }),
    }
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;

    use super::*;

    fn taken(body: Value) -> Result<GenerateRequest, GatewayError> {
        let mut request = GenerateRequest::default();
        let mut parameters = Parameters::new(body.as_object().unwrap().clone());
        take(Shape::Nested, &mut parameters, &mut request).map(|()| request)
    }

    fn one() -> Value {
        json!([{"type": "function", "function": {
            "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}}])
    }

    #[test]
    fn tools_and_choices_are_read() {
        let request = taken(json!({"tools": one()})).unwrap();
        assert_eq!(request.tools[0].name, "f");
        assert!(request.tools[0].strict && request.parallel_tool_calls);
        assert_eq!(request.tools[0].parameters, Some(json!({"type": "object"})));
        for (given, choice) in [
            (json!(null), ToolChoice::Auto),
            (json!("auto"), ToolChoice::Auto),
            (json!("none"), ToolChoice::None),
            (json!("required"), ToolChoice::Required),
            (
                json!({"type": "function", "function": {"name": "f"}}),
                ToolChoice::Named("f".to_owned()),
            ),
        ] {
            let body = json!({"tools": one(), "tool_choice": given, "parallel_tool_calls": false});
            let request = taken(body).unwrap();
            assert_eq!(
                (request.tool_choice, request.parallel_tool_calls),
                (choice, false)
            );
        }
        assert!(
            taken(json!({"tools": [], "tool_choice": "none"}))
                .unwrap()
                .tools
                .is_empty()
        );
    }

    #[test]
    fn responses_describe_a_function_beside_its_kind() {
        let flat = |body: Value| {
            let mut request = GenerateRequest::default();
            let mut parameters = Parameters::new(body.as_object().unwrap().clone());
            take(Shape::Flat, &mut parameters, &mut request).map(|()| request)
        };
        let tool = json!({"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true});
        let request =
            flat(json!({"tools": [tool], "tool_choice": {"type": "function", "name": "f"}})).unwrap();
        assert_eq!(
            (request.tools[0].name.as_str(), request.tools[0].strict),
            ("f", true)
        );
        assert_eq!(request.tool_choice, ToolChoice::Named("f".to_owned()));
        for (body, field) in [
            (
                json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
                "tools[0].name",
            ),
            (
                json!({"tools": [{"type": "function", "name": "f", "strict": 1}]}),
                "tools[0].strict",
            ),
            (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
            (
                json!({"tools": [{"type": "function", "name": "f", "schema": {"type": "object"}}]}),
                "tools[0].schema",
            ),
            (
                json!({"tools": [tool], "tool_choice": {"type": "function", "function": {"name": "f"}}}),
                "tool_choice",
            ),
        ] {
            assert_eq!(
                flat(body.clone()).unwrap_err().field().as_deref(),
                Some(field),
                "{body}"
            );
        }
    }

    #[test]
    fn arguments_are_an_object_as_a_text() {
        for fine in ["", "{}", " {\"a\": [1]} "] {
            check_arguments("x", fine).unwrap();
        }
        for wrong in ["7", "[]", "{", "hello"] {
            assert_eq!(
                check_arguments("x", wrong).unwrap_err().field().as_deref(),
                Some("x")
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let tool = |function: Value| json!({"tools": [{"type": "function", "function": function}]});
        for (body, field) in [
            (json!({"tools": 7}), "tools"),
            (json!({"tools": [{}]}), "tools[0].type"),
            (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
            (tool(json!({})), "tools[0].function.name"),
            (
                tool(json!({"name": "f", "parameters": "x"})),
                "tools[0].function.parameters",
            ),
            (
                tool(json!({"name": "f", "strict": 1})),
                "tools[0].function.strict",
            ),
            (
                tool(json!({"name": "f", "description": 1})),
                "tools[0].function.description",
            ),
            (
                tool(json!({"name": "f", "paramters": {"type": "object"}})),
                "tools[0].function.paramters",
            ),
            (
                json!({"tools": [{"type": "function", "function": {"name": "f"}, "strict": true}]}),
                "tools[0].strict",
            ),
            (
                json!({"tools": one(), "tool_choice": {"type": "function", "function": {"name": "f", "x": 1}}}),
                "tool_choice.function.x",
            ),
            (json!({"tools": one(), "tool_choice": "maybe"}), "tool_choice"),
            (json!({"tool_choice": "required"}), "tool_choice"),
            (
                json!({"tools": one(), "parallel_tool_calls": "no"}),
                "parallel_tool_calls",
            ),
        ] {
            let error = taken(body.clone()).unwrap_err();
            assert_eq!(error.field().as_deref(), Some(field), "{body}");
        }
        let mut report = ErrorReport::of(&EngineError::Stopped);
        report.field = Some("tools[3].parameters".to_owned());
        rename(&mut report);
        assert_eq!(report.field.as_deref(), Some("tools[3].function.parameters"));
    }
}
