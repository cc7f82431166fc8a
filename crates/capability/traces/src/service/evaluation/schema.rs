//! The schema of a dataset: which names its records have ever held, and of which type.

use serde_json::{Map, Value, json};

use super::RecordDraft;
use crate::limits;

const VERSION: &str = "1.0";

/// The schema of a dataset after these records were merged into it.
pub(super) fn widened<'r>(
    schema: Option<Value>,
    records: impl IntoIterator<Item = &'r RecordDraft>,
) -> Value {
    let mut schema = match schema {
        Some(Value::Object(schema)) => schema,
        _ => Map::new(),
    };
    let mut part = |name: &str| match schema.remove(name) {
        Some(Value::Object(names)) => names,
        _ => Map::new(),
    };
    let (mut inputs, mut expectations) = (part("inputs"), part("expectations"));
    let mut outputs = schema.remove("outputs").unwrap_or_else(|| json!({}));
    for record in records {
        add(&mut inputs, &record.inputs);
        add(
            &mut expectations,
            record.expectations.as_ref().unwrap_or(&Map::new()),
        );
        match (&mut outputs, &record.outputs) {
            (Value::Object(names), Some(Value::Object(members))) => add(names, members),
            (outputs, Some(Value::Object(members))) if !members.is_empty() => {
                let mut names = Map::new();
                add(&mut names, members);
                *outputs = Value::Object(names);
            }
            (_, None | Some(Value::Null | Value::Object(_))) => {}
            (Value::Object(names), Some(other)) if names.is_empty() => outputs = json!(type_of(other)),
            _ => {}
        }
    }
    json!({ "inputs": inputs, "outputs": outputs, "expectations": expectations, "version": VERSION })
}

/// Adds names that are new, and types where only null was seen.
fn add(names: &mut Map<String, Value>, members: &Map<String, Value>) {
    for (name, value) in members {
        let room = names.len() < limits::SCHEMA_NAMES && name.len() <= limits::KEY_LEN;
        match names.get_mut(name) {
            Some(known) if *known == "null" => *known = json!(type_of(value)),
            None if room => {
                names.insert(name.clone(), json!(type_of(value)));
            }
            _ => {}
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(record: Value) -> RecordDraft {
        RecordDraft::read(&record, 0).unwrap()
    }

    #[test]
    fn the_first_type_of_a_name_stays_unless_it_was_null() {
        let first = widened(
            None,
            &[
                draft(json!({"inputs": {"q": "a", "n": null}, "expectations": {"e": true}, "outputs": {}})),
                draft(json!({"inputs": {"q": 1, "n": 1.5, "l": [], "o": {}}, "outputs": 5})),
            ],
        );
        assert_eq!(
            first,
            json!({
                "inputs": {"q": "string", "n": "float", "l": "array", "o": "object"},
                "outputs": "integer",
                "expectations": {"e": "boolean"},
                "version": "1.0",
            })
        );
        let second = widened(
            Some(first),
            &[draft(json!({"inputs": {}, "outputs": {"answer": "x"}}))],
        );
        assert_eq!(second["outputs"], json!({"answer": "string"}));
        assert_eq!(second["inputs"]["q"], "string");
    }

    #[test]
    fn names_are_bounded() {
        let many: Map<String, Value> = (0..limits::SCHEMA_NAMES + 5)
            .map(|index| (format!("k{index}"), Value::Null))
            .collect();
        let schema = widened(None, &[draft(json!({ "inputs": many }))]);
        assert_eq!(schema["inputs"].as_object().unwrap().len(), limits::SCHEMA_NAMES);
    }
}
