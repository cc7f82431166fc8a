//! Rows of several requests put together for one run of a model, and its outputs taken apart again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tract_onnx::prelude::{DatumType, Tensor};

use super::model::{Model, Named};
use super::tensor;
use crate::EngineError;

/// What one request gets.
pub(super) type Computed = Result<Vec<Named>, EngineError>;

/// How requests are run together.
#[derive(Clone, Copy)]
pub(super) struct Joining<'a> {
    pub model: &'a dyn Model,
    pub instance: usize,
    /// The parameters that all of them have.
    pub params: Option<&'a str>,
    pub max_rows: usize,
}

/// One run of the model that succeeded, and where its time went.
#[derive(Default)]
pub(super) struct Run {
    pub rows: usize,
    pub input: Duration,
    pub infer: Duration,
    pub output: Duration,
}

/// Runs requests as one batch, and one by one if that fails, so that one poisonous row fails alone.
pub(super) fn joined(
    by: Joining<'_>,
    requests: &[Vec<Tensor>],
    rows: &[usize],
    runs: &mut Vec<Run>,
) -> Vec<Computed> {
    match run_rows(by, requests, rows, runs) {
        Ok(results) => results.into_iter().map(Ok).collect(),
        Err(error) if requests.len() == 1 => vec![Err(error)],
        Err(_) => requests
            .iter()
            .zip(rows)
            .map(|(request, rows)| {
                let alone = run_rows(by, std::slice::from_ref(request), &[*rows], runs)?;
                alone.into_iter().next().ok_or_else(|| compute_error("no result"))
            })
            .collect(),
    }
}

/// Runs one request as it is, whatever its rows are.
pub(super) fn alone(by: Joining<'_>, inputs: Vec<Tensor>, runs: &mut Vec<Run>) -> Computed {
    let begun = Instant::now();
    let result = by.model.run(by.instance, inputs, by.params)?;
    runs.push(Run {
        rows: 1,
        infer: begun.elapsed(),
        ..Run::default()
    });
    Ok(result)
}

fn run_rows(
    by: Joining<'_>,
    requests: &[Vec<Tensor>],
    rows: &[usize],
    runs: &mut Vec<Run>,
) -> Result<Vec<Vec<Named>>, EngineError> {
    let begun = Instant::now();
    let inputs: Vec<Tensor> = (0..by.model.inputs().len())
        .map(|index| stack(&requests.iter().map(|request| &request[index]).collect::<Vec<_>>()))
        .collect::<Result<_, _>>()?;
    let total: usize = rows.iter().sum();
    let mut pieces: BTreeMap<usize, Vec<Named>> = BTreeMap::new();
    let (mut start, mut joining) = (0, begun.elapsed());
    while start < total {
        // Where any size will do, a request with more rows than a batch is run as it is.
        let end = if by.model.pads() {
            (start + by.max_rows).min(total)
        } else {
            total
        };
        let (outputs, mut run) = run_bucket(by, &inputs, start, end)?;
        // Joining belongs to the first run, taking apart to the last.
        run.input += std::mem::take(&mut joining);
        runs.push(run);
        for (index, output) in outputs.into_iter().enumerate() {
            pieces.entry(index).or_default().push(output);
        }
        start = end;
    }
    let computed = Instant::now();
    let outputs: Vec<Named> = pieces.into_values().map(rejoined).collect::<Result<_, _>>()?;
    let mut results = Vec::with_capacity(requests.len());
    let mut at = 0;
    for count in rows {
        let parts: Vec<Named> = outputs
            .iter()
            .map(|output| {
                Ok(Named {
                    name: output.name.clone(),
                    tensor: slice(&output.tensor, at, at + count)?,
                })
            })
            .collect::<Result<_, EngineError>>()?;
        results.push(parts);
        at += count;
    }
    if let Some(last) = runs.last_mut() {
        last.output += computed.elapsed();
    }
    Ok(results)
}

/// The parts of one output, in order.
fn rejoined(parts: Vec<Named>) -> Result<Named, EngineError> {
    let Some(name) = parts.first().map(|part| part.name.clone()) else {
        return Err(compute_error("no result"));
    };
    if parts.iter().any(|part| part.name != name) {
        return Err(compute_error("outputs of one request have different names"));
    }
    let tensors: Vec<&Tensor> = parts.iter().map(|part| &part.tensor).collect();
    Ok(Named {
        tensor: stack(&tensors)?,
        name,
    })
}

/// Runs rows `start..end`. Where few sizes are better, they are padded with zeros to the next power of two.
fn run_bucket(
    by: Joining<'_>,
    inputs: &[Tensor],
    start: usize,
    end: usize,
) -> Result<(Vec<Named>, Run), EngineError> {
    let begun = Instant::now();
    let rows = end - start;
    let bucket = if by.model.pads() {
        rows.next_power_of_two()
    } else {
        rows
    };
    let padded: Vec<Tensor> = inputs
        .iter()
        .map(|input| {
            let part = slice(input, start, end)?;
            if bucket == rows {
                Ok(part)
            } else {
                stack(&[&part, &zeros(&part, bucket - rows)?])
            }
        })
        .collect::<Result<_, EngineError>>()?;
    let joined = Instant::now();
    let outputs = by.model.run(by.instance, padded, by.params)?;
    let computed = Instant::now();
    let outputs = outputs
        .into_iter()
        .map(|Named { name, tensor }| match tensor.shape().first() {
            Some(given) if *given == bucket && bucket == rows => Ok(Named { name, tensor }),
            Some(given) if *given == bucket => Ok(Named {
                tensor: slice(&tensor, 0, rows)?,
                name,
            }),
            _ => Err(compute_error("an output does not have one row per input row")),
        })
        .collect::<Result<_, EngineError>>()?;
    let run = Run {
        rows,
        input: joined - begun,
        infer: computed - joined,
        output: computed.elapsed(),
    };
    Ok((outputs, run))
}

fn zeros(like: &Tensor, rows: usize) -> Result<Tensor, EngineError> {
    let mut shape = like.shape().to_vec();
    if let Some(first) = shape.first_mut() {
        *first = rows;
    }
    let datum: DatumType = like.datum_type();
    if datum == DatumType::String {
        let texts = vec![String::new(); shape.iter().product()];
        return tensor::of_texts(&shape, texts).map_err(compute_error);
    }
    Tensor::zero_dt(datum, &shape).map_err(compute_error)
}

fn stack(parts: &[&Tensor]) -> Result<Tensor, EngineError> {
    match parts {
        [only] => Ok((*only).clone()),
        several => Tensor::stack_tensors(0, several).map_err(compute_error),
    }
}

fn slice(tensor: &Tensor, start: usize, end: usize) -> Result<Tensor, EngineError> {
    if start == 0 && tensor.shape().first() == Some(&end) {
        return Ok(tensor.clone());
    }
    tensor.slice(0, start, end).map_err(compute_error)
}

pub(super) fn compute_error(error: impl std::fmt::Display) -> EngineError {
    EngineError::Compute {
        detail: format!("{error:#}"),
    }
}
