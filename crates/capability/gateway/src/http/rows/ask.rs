//! Rows and columns of JSON as a request with tensors. Whether the data fits the model is for the engine to say, which
//! names what does not; here it is found out which input is meant, and which shape the data has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use corliss_engine::protocol::{Metadata, TensorMetadata};
use serde_json::{Map, Value, json};

use crate::error::GatewayError;

/// Deeper arrays are no tensors; the engine says so.
const NESTING_MAX: usize = 16;

/// A request, and how many rows it has if it came in rows.
#[derive(Debug)]
pub(super) struct Given {
    inputs: Vec<Value>,
    params: Map<String, Value>,
    pub(super) rows: Option<usize>,
}

impl Given {
    /// As the engine takes it.
    pub(super) fn body(&self) -> Result<Vec<u8>, GatewayError> {
        let mut body = json!({ "inputs": self.inputs });
        if !self.params.is_empty() {
            body["parameters"] = json!(self.params);
        }
        serde_json::to_vec(&body).map_err(|error| invalid("body", &error.to_string()))
    }
}

/// The same request, and what it says beside its data.
pub(super) fn with_params(
    model: &Metadata,
    params: Map<String, Value>,
    given: Given,
) -> Result<Given, GatewayError> {
    let is_unknown = |name: &&String| !model.parameters.contains(*name);
    if let Some(name) = params.keys().find(is_unknown) {
        let name: String = name.chars().take(80).collect();
        let reason = match model.parameters.as_slice() {
            [] => format!("has '{name}', and the model takes none"),
            known => format!("has '{name}', and the model takes {}", known.join(", ")),
        };
        return Err(invalid("params", &reason));
    }
    Ok(Given { params, ..given })
}

/// A value for each row: of the one input, or an object with a value for each.
pub(super) fn of_rows(model: &Metadata, field: &str, rows: Vec<Value>) -> Result<Given, GatewayError> {
    if rows.is_empty() {
        return Err(invalid(field, "must have at least one row"));
    }
    let count = rows.len();
    let is_named = |row: &Value| row.as_object().is_some_and(|row| !is_packed(row));
    if is_table(model, &rows) {
        return of_cells(model, field, rows);
    }
    if !rows.iter().any(is_named) {
        let input = only(model, field, "each row must be an object with a value for each")?;
        return given(vec![tensor(input, Value::Array(rows), field)?], Some(count));
    }
    let mut columns: Vec<Vec<Value>> = vec![Vec::with_capacity(count); model.inputs.len()];
    for (at, row) in rows.into_iter().enumerate() {
        let place = format!("{field}[{at}]");
        let Value::Object(mut row) = row else {
            return Err(invalid(&place, "must be an object, as other rows are"));
        };
        for (input, column) in model.inputs.iter().zip(&mut columns) {
            let value = row.remove(&input.name);
            column.push(value.ok_or_else(|| missing(&place, input))?);
        }
        nothing_left(&place, &row, model)?;
    }
    let columns = model.inputs.iter().zip(columns);
    let tensors: Result<_, _> = columns
        .map(|(input, column)| tensor(input, Value::Array(column), field))
        .collect();
    given(tensors?, Some(count))
}

/// Whether rows are lists with a cell for each of several columns, in their order.
fn is_table(model: &Metadata, rows: &[Value]) -> bool {
    let width = model.inputs.len();
    let are_columns = model.inputs.iter().all(|input| input.shape == [-1]);
    let has_cells = |row: &Value| row.as_array().is_some_and(|cells| cells.len() == width);
    width > 1 && are_columns && rows.iter().all(has_cells)
}

fn of_cells(model: &Metadata, field: &str, rows: Vec<Value>) -> Result<Given, GatewayError> {
    let names: Vec<String> = model.inputs.iter().map(|input| input.name.clone()).collect();
    let cells = rows.into_iter().map(|row| match row {
        Value::Array(cells) => cells,
        other => vec![other],
    });
    of_table(model, field, &names, cells.collect())
}

/// Whole tensors: that of the one input, or an object with one for each.
pub(super) fn of_tensors(model: &Metadata, field: &str, data: Value) -> Result<Given, GatewayError> {
    let Value::Object(mut named) = data else {
        let input = only(model, field, "they must be an object with a tensor for each")?;
        return given(vec![tensor(input, data, field)?], None);
    };
    let mut tensors = Vec::with_capacity(model.inputs.len());
    for input in &model.inputs {
        let data = named.remove(&input.name).ok_or_else(|| missing(field, input))?;
        tensors.push(tensor(input, data, field)?);
    }
    nothing_left(field, &named, model)?;
    given(tensors, None)
}

/// A table. Columns that are called as the inputs are these; else all columns are one input, side by side.
pub(super) fn of_table(
    model: &Metadata,
    field: &str,
    columns: &[String],
    rows: Vec<Vec<Value>>,
) -> Result<Given, GatewayError> {
    let count = rows.len();
    let place = |name: &str| columns.iter().position(|column| column == name);
    let places: Option<Vec<usize>> = model.inputs.iter().map(|input| place(&input.name)).collect();
    let Some(places) = places else {
        let input = only(model, field, "columns must be called as they are")?;
        let rows = rows.into_iter().map(Value::Array).collect();
        return given(vec![tensor(input, Value::Array(rows), field)?], Some(count));
    };
    if let Some(unknown) = columns
        .iter()
        .find(|column| !model.inputs.iter().any(|input| input.name == **column))
    {
        return Err(unknown_input(field, unknown, model));
    }
    let mut rows = rows;
    let mut tensors = Vec::with_capacity(places.len());
    for (input, place) in model.inputs.iter().zip(places) {
        // A cell of a column is a row of a tensor: in a tensor of two axes it stands alone in its row.
        let has_width = input.shape.len() == 2;
        let column = rows.iter_mut().map(|row| {
            let cell = row.get_mut(place).map(Value::take).unwrap_or_default();
            if has_width && !cell.is_array() {
                json!([cell])
            } else {
                cell
            }
        });
        tensors.push(tensor(input, column.collect(), field)?);
    }
    given(tensors, Some(count))
}

fn given(inputs: Vec<Value>, rows: Option<usize>) -> Result<Given, GatewayError> {
    Ok(Given {
        inputs,
        params: Map::new(),
        rows,
    })
}

fn tensor(input: &TensorMetadata, mut data: Value, field: &str) -> Result<Value, GatewayError> {
    unpack(&mut data, field, 0)?;
    Ok(json!({
        "name": input.name, "datatype": input.datatype, "shape": shape_of(&data), "data": data,
    }))
}

/// The sizes along the first elements; the engine finds out whether the others have them too.
fn shape_of(data: &Value) -> Vec<usize> {
    let mut shape = Vec::new();
    let mut data = data;
    while let Value::Array(items) = data {
        shape.push(items.len());
        match items.first() {
            Some(first) if shape.len() <= NESTING_MAX => data = first,
            _ => break,
        }
    }
    shape
}

/// Bytes come as `{"b64": "…"}`, because not all of them are text.
fn unpack(data: &mut Value, field: &str, depth: usize) -> Result<(), GatewayError> {
    match data {
        Value::Array(items) if depth <= NESTING_MAX => {
            for item in items {
                unpack(item, field, depth + 1)?;
            }
        }
        Value::Object(members) if is_packed(members) => {
            let bytes = members["b64"]
                .as_str()
                .and_then(|text| STANDARD.decode(text).ok());
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            *data =
                Value::String(text.ok_or_else(|| invalid(field, "has b64 that is not a text in base64"))?);
        }
        _ => {}
    }
    Ok(())
}

fn is_packed(members: &Map<String, Value>) -> bool {
    members.len() == 1 && members.contains_key("b64")
}

fn only<'a>(model: &'a Metadata, field: &str, otherwise: &str) -> Result<&'a TensorMetadata, GatewayError> {
    match model.inputs.as_slice() {
        [input] => Ok(input),
        inputs => {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            let reason = format!("the model takes {}: {otherwise}", names.join(", "));
            Err(invalid(field, &reason))
        }
    }
}

fn nothing_left(place: &str, left: &Map<String, Value>, model: &Metadata) -> Result<(), GatewayError> {
    match left.keys().next() {
        None => Ok(()),
        Some(name) => Err(unknown_input(place, name, model)),
    }
}

fn unknown_input(place: &str, name: &str, model: &Metadata) -> GatewayError {
    let names: Vec<&str> = model.inputs.iter().map(|input| input.name.as_str()).collect();
    let name: String = name.chars().take(80).collect();
    invalid(
        place,
        &format!("the model has no input '{name}'; it takes {}", names.join(", ")),
    )
}

fn missing(place: &str, input: &TensorMetadata) -> GatewayError {
    let reason = format!(
        "lacks '{}', a {} of shape {:?}",
        input.name, input.datatype, input.shape
    );
    invalid(place, &reason)
}

pub(super) fn invalid(field: &str, reason: &str) -> GatewayError {
    GatewayError::InvalidParameter {
        parameter: field.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use corliss_types::Flavor;

    use super::*;

    fn model(inputs: &[(&str, &[i64])]) -> Metadata {
        Metadata {
            name: "m".to_owned(),
            versions: Vec::new(),
            platform: String::new(),
            flavor: Flavor::Onnx,
            inputs: inputs
                .iter()
                .map(|(name, shape)| TensorMetadata {
                    name: (*name).to_owned(),
                    datatype: "FP32".to_owned(),
                    shape: shape.to_vec(),
                })
                .collect(),
            outputs: Vec::new(),
            parameters: Vec::new(),
            batching: None,
            language: None,
        }
    }

    fn inputs(given: Result<Given, GatewayError>) -> Value {
        let body: Value = serde_json::from_slice(&given.unwrap().body().unwrap()).unwrap();
        let short = |input: &Value| json!([input["name"], input["shape"], input["data"]]);
        body["inputs"].as_array().unwrap().iter().map(short).collect()
    }

    fn rows(value: Value) -> Vec<Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn rows_are_those_of_the_one_input_or_name_each() {
        let one = model(&[("x", &[-1, 2])]);
        let given = of_rows(&one, "instances", rows(json!([[1, 2], [3, 4], [5, 6]])));
        assert_eq!(inputs(given), json!([["x", [3, 2], [[1, 2], [3, 4], [5, 6]]]]));
        let two = model(&[("x", &[-1, 2]), ("y", &[-1])]);
        let named = json!([{"y": 7, "x": [1, 2]}, {"x": [3, 4], "y": 8}]);
        let given = of_rows(&two, "instances", rows(named));
        assert_eq!(
            inputs(given),
            json!([["x", [2, 2], [[1, 2], [3, 4]]], ["y", [2], [7, 8]]])
        );
        for (model, wrong, words) in [
            (&two, json!([[1, 2]]), "x, y"),
            (&two, json!([[[1, 2], 3]]), "x, y"),
            (&two, json!([{"x": [1, 2]}]), "instances[0]: lacks 'y'"),
            (
                &two,
                json!([{"x": [1, 2], "y": 1}, [1, 2]]),
                "instances[1]: must be an object",
            ),
            (&one, json!([{"x": [1, 2], "z": 1}]), "no input 'z'"),
            (&one, json!([]), "at least one row"),
        ] {
            let error = of_rows(model, "instances", rows(wrong)).unwrap_err().to_string();
            assert!(error.contains(words), "{error} lacks {words}");
        }
    }

    #[test]
    fn lists_are_rows_of_columns_in_their_order() {
        let columns = model(&[("b", &[-1]), ("a", &[-1])]);
        let given = of_rows(&columns, "instances", rows(json!([[1, 2], [3, 4]])));
        assert_eq!(inputs(given), json!([["b", [2], [1, 3]], ["a", [2], [2, 4]]]));
        let short = of_rows(&columns, "instances", rows(json!([[1, 2], [3]])));
        assert!(short.unwrap_err().to_string().contains("the model takes b, a"));
    }

    #[test]
    fn parameters_are_those_of_the_model() {
        let mut model = model(&[("x", &[-1])]);
        let ask = |model: &Metadata, params: Value| {
            let given = of_rows(model, "instances", rows(json!([1]))).unwrap();
            let Value::Object(params) = params else { panic!() };
            with_params(model, params, given).map(|given| given.body().unwrap())
        };
        assert!(ask(&model, json!({})).is_ok());
        let refused = ask(&model, json!({"k": 1})).unwrap_err().to_string();
        assert!(
            refused.contains("'k'") && refused.contains("takes none"),
            "{refused}"
        );
        model.parameters = vec!["k".to_owned()];
        let body: Value = serde_json::from_slice(&ask(&model, json!({"k": 1})).unwrap()).unwrap();
        assert_eq!(body["parameters"], json!({"k": 1}));
        assert!(ask(&model, json!({"j": 1})).is_err());
    }

    #[test]
    fn bytes_are_unpacked() {
        let given = of_rows(
            &model(&[("t", &[-1])]),
            "instances",
            rows(json!([{"b64": "aGk="}, "ho"])),
        );
        assert_eq!(inputs(given), json!([["t", [2], ["hi", "ho"]]]));
        let wrong = of_rows(&model(&[("t", &[-1])]), "instances", rows(json!([{"b64": "?"}])));
        assert!(wrong.unwrap_err().to_string().contains("base64"));
    }

    #[test]
    fn columns_of_a_table_are_inputs_by_name_or_one_input_together() {
        let columns = ["b", "a"].map(str::to_owned);
        let cells = || vec![rows(json!([1, 2])), rows(json!([3, 4]))];
        let named = of_table(&model(&[("a", &[-1, 1]), ("b", &[-1])]), "f", &columns, cells());
        assert_eq!(
            inputs(named),
            json!([["a", [2, 1], [[2], [4]]], ["b", [2], [1, 3]]])
        );
        let together = of_table(&model(&[("x", &[-1, 2])]), "f", &columns, cells());
        assert_eq!(inputs(together), json!([["x", [2, 2], [[1, 2], [3, 4]]]]));
        let unknown = of_table(&model(&[("a", &[-1])]), "f", &columns, cells());
        assert!(unknown.unwrap_err().to_string().contains("no input 'b'"));
        assert!(of_table(&model(&[("x", &[-1]), ("y", &[-1])]), "f", &columns, cells()).is_err());
    }
}
