//! Whether what a model gave is what its signature says that it gives. Clients read the signature as the model's
//! metadata, so an answer of another kind is a fault of the model and not an answer.
//!
//! Numbers may be of another width or kind than declared: signatures are inferred from examples, and libraries choose
//! their own. Nor is the number of rows known where rows are not computed by themselves: a forecast has as many as it is
//! asked for. But there is one at least, and texts are no numbers.

use std::fmt::Write as _;

use tract_onnx::prelude::{DatumType, Tensor};

use super::signature::{Promise, Signature};
use crate::EngineError;
use crate::predict::{Named, TensorSpec, datatype_name};

/// Refuses an answer that breaks the signature, if that says anything of answers. `rows` are those that each output
/// must have, where each is computed by itself.
pub(super) fn hold(given: &[Named], signature: &Signature, rows: Option<usize>) -> Result<(), EngineError> {
    let declared = signature.outputs.as_slice();
    if let [only] = given
        && is_table(&only.tensor, declared)
    {
        return declared.iter().zip(&signature.promises).try_for_each(|pair| {
            let holds = is_of_kind(&only.tensor, pair) && has_rows(&only.tensor, rows);
            if holds {
                Ok(())
            } else {
                Err(broken(pair.0, only, rows))
            }
        });
    }
    for pair in declared.iter().zip(&signature.promises) {
        match given.iter().find(|output| *output.name == *pair.0.name) {
            Some(output) if holds(&output.tensor, pair, rows) => {}
            Some(output) => return Err(broken(pair.0, output, rows)),
            None if pair.1.is_optional => {}
            None => return Err(lacking(pair.0, given)),
        }
    }
    Ok(())
}

/// One array with as many cells in each row as columns are declared.
fn is_table(tensor: &Tensor, declared: &[TensorSpec]) -> bool {
    let are_columns = declared.iter().all(|spec| spec.is_column);
    are_columns && declared.len() > 1 && matches!(tensor.shape(), [_, width] if *width == declared.len())
}

fn holds(tensor: &Tensor, pair: (&TensorSpec, &Promise), rows: Option<usize>) -> bool {
    is_of_kind(tensor, pair) && is_of_shape(tensor.shape(), &pair.0.dims) && has_rows(tensor, rows)
}

fn is_of_kind(tensor: &Tensor, (spec, promise): (&TensorSpec, &Promise)) -> bool {
    let is_text = |datum| datum == DatumType::String;
    promise.is_any_kind || is_text(tensor.datum_type()) == is_text(spec.datum)
}

/// Axes of one at the end make no difference: libraries add and drop them.
fn is_of_shape(given: &[usize], declared: &[Option<usize>]) -> bool {
    let fits = |(size, dim): (&usize, &Option<usize>)| dim.map_or(*size > 0, |dim| dim == *size);
    let shared = given.len().min(declared.len());
    let are_one = given[shared..].iter().all(|size| *size == 1)
        && declared[shared..]
            .iter()
            .all(|dim| dim.is_none_or(|dim| dim == 1));
    are_one && given.iter().zip(declared).all(fits)
}

fn has_rows(tensor: &Tensor, rows: Option<usize>) -> bool {
    let first = tensor.shape().first().copied();
    rows.map_or(first != Some(0), |rows| first == Some(rows))
}

fn broken(spec: &TensorSpec, given: &Named, rows: Option<usize>) -> EngineError {
    let mut detail = format!(
        "'{}' is declared as {}, but {} of shape {:?} came",
        spec.name,
        told(spec),
        datatype_name(given.tensor.datum_type()),
        given.tensor.shape()
    );
    if let Some(rows) = rows {
        let _ = write!(detail, " for {rows} rows of input");
    }
    EngineError::SignatureBroken { detail }
}

fn lacking(spec: &TensorSpec, given: &[Named]) -> EngineError {
    let names: Vec<String> = given.iter().map(|output| format!("'{}'", output.name)).collect();
    let came = match names.as_slice() {
        [] => "nothing came".to_owned(),
        names => format!("there came {}", names.join(", ")),
    };
    EngineError::SignatureBroken {
        detail: format!("'{}' is declared as {}, but {came}", spec.name, told(spec)),
    }
}

fn told(spec: &TensorSpec) -> String {
    let about = spec.metadata();
    format!("{} of shape {:?}", about.datatype, about.shape)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use corliss_model_format::Declared;

    use super::*;
    use crate::predict::tensor_of_bytes;

    fn signature(outputs: &str) -> Signature {
        Signature::read(&Declared {
            inputs: Some(r#"[{"type": "double", "name": "x"}]"#.to_owned()),
            outputs: Some(outputs.to_owned()),
            ..Declared::default()
        })
        .unwrap()
    }

    /// Zeros, or empty texts, each of which is its length and nothing more.
    fn zeros(name: &str, datum: DatumType, shape: &[usize]) -> Named {
        let width = if datum == DatumType::String {
            4
        } else {
            datum.size_of()
        };
        let bytes = vec![0; shape.iter().product::<usize>() * width];
        Named {
            name: Arc::from(name),
            tensor: tensor_of_bytes(&bytes, datum, shape).unwrap(),
        }
    }

    fn refused(given: &[Named], outputs: &str, rows: Option<usize>) -> String {
        let told = hold(given, &signature(outputs), rows).unwrap_err();
        assert_eq!(
            corliss_diagnostics::Diagnose::meaning(&told).http_status(),
            500,
            "{told}"
        );
        told.to_string()
    }

    const ARRAY: &str = r#"[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]"#;
    const COLUMNS: &str =
        r#"[{"type": "double", "name": "a"}, {"type": "long", "name": "b", "required": true}]"#;

    #[test]
    fn what_breaks_the_signature_is_told_with_what_came() {
        let texts = zeros("output-0", DatumType::String, &[3]);
        assert_eq!(
            refused(&[texts], ARRAY, None),
            "the model's answer breaks its signature: 'output-0' is declared as FP64 of shape [-1], but BYTES of \
             shape [3] came"
        );
        let none = zeros("output-0", DatumType::F64, &[0]);
        assert!(refused(&[none], ARRAY, None).contains("but FP64 of shape [0] came"));
        let few = zeros("output-0", DatumType::F64, &[2]);
        assert!(refused(&[few], ARRAY, Some(3)).ends_with("of shape [2] came for 3 rows of input"));
        let wide = zeros("output-0", DatumType::F64, &[3, 2]);
        assert!(refused(&[wide], ARRAY, None).contains("[3, 2]"));
        let fixed = r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]"#;
        let narrow = zeros("output-0", DatumType::F32, &[3, 2]);
        assert!(refused(&[narrow], fixed, None).contains("of shape [-1, 4], but FP32 of shape [3, 2]"));
        let alone = zeros("a", DatumType::F64, &[3]);
        assert!(
            refused(&[alone], COLUMNS, None)
                .contains("'b' is declared as INT64 of shape [-1], but there came 'a'")
        );
        let number = r#"[{"type": "string"}]"#;
        assert!(refused(&[zeros("output-0", DatumType::I64, &[1])], number, None).contains("as BYTES"));
    }

    #[test]
    fn what_libraries_do_with_numbers_and_axes_holds() {
        let held = |given: &[Named], outputs: &str| hold(given, &signature(outputs), None).unwrap();
        held(&[zeros("output-0", DatumType::F32, &[3])], ARRAY);
        held(&[zeros("output-0", DatumType::I64, &[3, 1])], ARRAY);
        // A forecast of a day for one row that says how many.
        held(&[zeros("output-0", DatumType::F64, &[24])], ARRAY);
        held(&[zeros("output-0", DatumType::F64, &[3, 2])], COLUMNS);
        let of_any_kind = r#"[{"type": "tensor", "tensor-spec": {"dtype": "object", "shape": [-1]}}]"#;
        held(&[zeros("output-0", DatumType::F64, &[3])], of_any_kind);
        let optional =
            r#"[{"type": "double", "name": "a"}, {"type": "long", "name": "b", "required": false}]"#;
        held(&[zeros("a", DatumType::F64, &[3])], optional);
        // What no tensor has a type for is not declared here.
        held(
            &[zeros("o", DatumType::String, &[0])],
            r#"[{"type": "object", "name": "o", "properties": {}}]"#,
        );
    }
}
