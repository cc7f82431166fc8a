//! The tensors of an answer as rows of JSON. Numbers are not read: their text is put into brackets.

use corliss_engine::EngineError;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::GatewayError;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    outputs: Vec<Output<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    name: String,
    shape: Vec<usize>,
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// What was predicted: a list with an entry for each of so many rows where the outputs have them, else whole tensors.
/// An entry or tensor of several outputs is an object with each by its name.
pub(super) fn read(answer: &[u8], rows: Option<usize>) -> Result<Box<RawValue>, GatewayError> {
    let odd = |detail: String| GatewayError::from(EngineError::Protocol { detail });
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| odd(error.to_string()))?;
    let elements = |shape: &[usize]| {
        shape
            .iter()
            .try_fold(1_usize, |product, size| product.checked_mul(*size))
    };
    if answer
        .outputs
        .iter()
        .any(|output| elements(&output.shape) != Some(output.data.len()))
    {
        return Err(odd("an output is not of its shape".to_owned()));
    }
    let has_rows = |rows: usize| {
        let mut outputs = answer.outputs.iter();
        outputs.all(|output| output.shape.first() == Some(&rows))
    };
    let mut text = String::new();
    match rows.filter(|rows| has_rows(*rows)) {
        None => together(&answer.outputs, &mut text, |output, text| {
            nested(&output.shape, &output.data, text);
        })?,
        Some(rows) => {
            text.push('[');
            for row in 0..rows {
                comma(row, &mut text);
                together(&answer.outputs, &mut text, |output, text| {
                    let size = output.data.len() / rows;
                    nested(
                        &output.shape[1..],
                        &output.data[row * size..(row + 1) * size],
                        text,
                    );
                })?;
            }
            text.push(']');
        }
    }
    RawValue::from_string(text).map_err(|error| odd(error.to_string()))
}

fn together(
    outputs: &[Output<'_>],
    text: &mut String,
    write: impl Fn(&Output<'_>, &mut String),
) -> Result<(), GatewayError> {
    if let [output] = outputs {
        write(output, text);
        return Ok(());
    }
    text.push('{');
    for (index, output) in outputs.iter().enumerate() {
        comma(index, text);
        let name = serde_json::to_string(&output.name).map_err(|error| EngineError::Protocol {
            detail: error.to_string(),
        })?;
        text.push_str(&name);
        text.push(':');
        write(output, text);
    }
    text.push('}');
    Ok(())
}

fn nested(shape: &[usize], data: &[&RawValue], text: &mut String) {
    let Some((size, inner)) = shape.split_first() else {
        text.push_str(data.first().map_or("null", |value| value.get()));
        return;
    };
    text.push('[');
    let step = data.len().checked_div(*size).unwrap_or(0);
    for index in 0..*size {
        comma(index, text);
        nested(inner, &data[index * step..(index + 1) * step], text);
    }
    text.push(']');
}

fn comma(index: usize, text: &mut String) {
    if index > 0 {
        text.push(',');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answered(outputs: Value, rows: Option<usize>) -> Value {
        let answer = json!({ "outputs": outputs }).to_string();
        let text = read(answer.as_bytes(), rows).unwrap();
        serde_json::from_str(text.get()).unwrap()
    }

    #[test]
    fn one_output_is_a_list_of_rows_and_several_are_named() {
        let y = json!({"name": "y", "shape": [2, 2], "datatype": "FP32", "data": [1, 2.5, null, 4]});
        assert_eq!(answered(json!([y]), Some(2)), json!([[1, 2.5], [null, 4]]));
        let class = json!({"name": "class", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]});
        assert_eq!(
            answered(json!([class, y]), Some(2)),
            json!([{"class": "a", "y": [1, 2.5]}, {"class": "b", "y": [null, 4]}])
        );
        assert_eq!(answered(json!([class]), None), json!(["a", "b"]));
        let sum = json!({"name": "sum", "shape": [], "datatype": "FP32", "data": [9]});
        assert_eq!(
            answered(json!([class, sum]), Some(2)),
            json!({"class": ["a", "b"], "sum": 9}),
            "not every output has a row for each"
        );
    }

    #[test]
    fn exact_numbers_stay_exact_and_lies_are_found() {
        let big = json!({"name": "n", "shape": [1], "datatype": "UINT64", "data": [u64::MAX]});
        assert_eq!(answered(json!([big]), Some(1)), json!([u64::MAX]));
        let lie =
            json!({"outputs": [{"name": "n", "shape": [3], "datatype": "FP32", "data": [1]}]}).to_string();
        assert!(read(lie.as_bytes(), Some(3)).is_err());
    }
}
