//! The ONNX engine against models written here byte by byte, with results computed by hand.

use bytes::Bytes;
use corliss_diagnostics::Diagnose;
use serde_json::{Value, json};

use super::*;

/// Protobuf's two wire types that ONNX files use here.
mod proto {
    pub fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }
    pub fn number(field: u64, value: u64) -> Vec<u8> {
        [varint(field << 3), varint(value)].concat()
    }
    pub fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
        [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
    }
    pub fn message(field: u64, parts: &[Vec<u8>]) -> Vec<u8> {
        bytes(field, &parts.concat())
    }
}
use proto::{bytes, message, number};

enum Dim {
    Fixed(u64),
    Named(&'static str),
}

/// A graph's input (field 11) or output (field 12).
fn value_info(field: u64, name: &str, element: u64, dims: &[Dim]) -> Vec<u8> {
    let dims: Vec<Vec<u8>> = dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => message(1, &[number(1, *size)]),
            Dim::Named(symbol) => message(1, &[bytes(2, symbol.as_bytes())]),
        })
        .collect();
    let tensor = message(1, &[number(1, element), message(2, &dims)]);
    message(field, &[bytes(1, name.as_bytes()), message(2, &[tensor])])
}

fn weights(name: &str, dims: &[u64], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dims: Vec<u8> = dims.iter().flat_map(|dim| number(1, *dim)).collect();
    message(
        5,
        &[dims, number(2, 1), bytes(8, name.as_bytes()), bytes(9, &raw)],
    )
}

fn node(op: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs: Vec<u8> = inputs
        .iter()
        .flat_map(|input| bytes(1, input.as_bytes()))
        .collect();
    message(1, &[inputs, bytes(2, output.as_bytes()), bytes(4, op.as_bytes())])
}

fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    let opset = message(8, &[bytes(1, b""), number(2, 13)]);
    [number(1, 8), message(7, &[graph.concat(), bytes(2, b"g")]), opset].concat()
}

/// y = relu(x · W + b), x of shape [batch, 3], y of shape [batch, 2].
fn linear() -> Vec<u8> {
    model(&[
        node("MatMul", &["x", "W"], "xW"),
        node("Add", &["xW", "b"], "z"),
        node("Relu", &["z"], "y"),
        weights("W", &[3, 2], &[1.0, -1.0, 2.0, 0.5, 0.0, 4.0]),
        weights("b", &[2], &[0.25, -3.0]),
        value_info(11, "x", 1, &[Dim::Named("batch"), Dim::Fixed(3)]),
        value_info(12, "y", 1, &[Dim::Named("batch"), Dim::Fixed(2)]),
    ])
}

/// What `linear` computes, in double precision.
fn expected(row: [f64; 3]) -> [f64; 2] {
    [
        (row[0] + 2.0 * row[1] + 0.25).max(0.0),
        (-row[0] + 0.5 * row[1] + 4.0 * row[2] - 3.0).max(0.0),
    ]
}

struct Fixture {
    engine: OnnxEngine,
    _dir: tempfile::TempDir,
}

fn load(file: &[u8], change: impl FnOnce(&mut EngineArgs)) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    std::fs::write(&path, file).unwrap();
    let mut args = EngineArgs::new(Flavor::Onnx, dir.path(), "/unused");
    args.threads = 2;
    change(&mut args);
    Fixture {
        engine: OnnxEngine::load(&path, &args).unwrap(),
        _dir: dir,
    }
}

async fn infer(engine: &OnnxEngine, request: &Value) -> Result<Value, EngineError> {
    let answer = engine.infer(&Bytes::from(request.to_string())).await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

fn request(rows: &[[f64; 3]]) -> Value {
    json!({"inputs": [{"name": "x", "shape": [rows.len(), 3], "datatype": "FP32", "data": rows}]})
}

fn assert_rows(answer: &Value, rows: &[[f64; 3]]) {
    let given: Vec<f64> = serde_json::from_value(answer["outputs"][0]["data"].clone()).unwrap();
    let wanted: Vec<f64> = rows.iter().flat_map(|row| expected(*row)).collect();
    assert_eq!(given.len(), wanted.len());
    for (given, wanted) in given.iter().zip(&wanted) {
        assert!((given - wanted).abs() < 1e-5, "{given} is not {wanted}");
    }
}

#[tokio::test]
async fn the_numbers_agree() {
    let fixture = load(&linear(), |args| args.name = "line".to_owned());
    let rows = [[1.0, 2.0, 3.0], [-4.0, 0.5, 0.125], [0.0, 0.0, 0.0]];
    let mut asked = request(&rows);
    asked["id"] = json!("call-7");
    let answer = infer(&fixture.engine, &asked).await.unwrap();
    assert_rows(&answer, &rows);
    assert_eq!(answer["model_name"], "line");
    assert_eq!(answer["id"], "call-7");
    assert_eq!(answer["outputs"][0]["name"], "y");
    assert_eq!(answer["outputs"][0]["datatype"], "FP32");
    assert_eq!(answer["outputs"][0]["shape"], json!([3, 2]));
}

#[tokio::test]
async fn metadata_says_what_is_taken() {
    let metadata = load(&linear(), |_| ()).engine.metadata();
    assert_eq!(
        (
            metadata.inputs[0].datatype.as_str(),
            metadata.inputs[0].shape.as_slice()
        ),
        ("FP32", &[-1, 3][..])
    );
    assert_eq!(
        (
            metadata.outputs[0].name.as_str(),
            metadata.outputs[0].shape.as_slice()
        ),
        ("y", &[-1, 2][..])
    );
}

#[tokio::test]
async fn many_callers_share_batches_and_each_gets_its_own_rows() {
    let fixture = load(&linear(), |args| args.batch_delay_us = 20_000);
    let engine = &fixture.engine;
    let calls = (0..24).map(|call| async move {
        let rows: Vec<[f64; 3]> = (0..1 + call % 3)
            .map(|row| [f64::from(call), f64::from(row), 0.5])
            .collect();
        let answer = infer(engine, &request(&rows)).await.unwrap();
        assert_rows(&answer, &rows);
    });
    futures(calls).await;
    let stats = engine.stats();
    assert_eq!(stats.completed_total, 24);
    let batches: u64 = stats.batch_sizes.values().sum();
    assert!(batches < 24, "nothing was joined: {stats:?}");
    assert_eq!(stats.batch_closed.values().sum::<u64>(), batches);
}

/// Polls all to the end, interleaved, on this one task.
async fn futures<F: Future<Output = ()>>(calls: impl Iterator<Item = F>) {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        calls.retain_mut(|call| call.as_mut().poll(context).is_pending());
        if calls.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

#[tokio::test]
async fn more_rows_than_a_batch_holds_are_computed_in_parts() {
    let fixture = load(&linear(), |args| args.max_batch = 4);
    let rows: Vec<[f64; 3]> = (0..11).map(|row| [f64::from(row), 1.0, -1.0]).collect();
    assert_rows(&infer(&fixture.engine, &request(&rows)).await.unwrap(), &rows);
    assert_eq!(fixture.engine.stats().batch_closed.get("unbatchable"), Some(&1));
}

#[tokio::test]
async fn every_mismatch_names_the_input_and_both_sides() {
    let fixture = load(&linear(), |_| ());
    let input = |name: &str, shape: Value, datatype: &str, data: Value| json!({"inputs": [{"name": name, "shape": shape, "datatype": datatype, "data": data}]});
    let cases = [
        (
            input("x", json!([2, 3]), "FP32", json!([1, 2, 3, 4, 5])),
            "inputs[0].data",
            vec!["'x'", "6", "5"],
        ),
        (
            input("x", json!([1, 4]), "FP32", json!([1, 2, 3, 4])),
            "inputs[0].shape",
            vec!["'x'", "[-1, 3]", "[1, 4]"],
        ),
        (
            input("x", json!([3]), "FP32", json!([1, 2, 3])),
            "inputs[0].shape",
            vec!["[-1, 3]", "[3]"],
        ),
        (
            input("x", json!([-1, 3]), "FP32", json!([1, 2, 3])),
            "inputs[0].shape",
            vec!["[-1, 3]"],
        ),
        (
            input("x", json!([0, 3]), "FP32", json!([])),
            "inputs[0].shape",
            vec!["[0, 3]"],
        ),
        (
            input("x", json!([1, 3]), "FP64", json!([1, 2, 3])),
            "inputs[0].datatype",
            vec!["FP32", "FP64"],
        ),
        (
            input("x", json!([1, 3]), "FP32", json!([1, "a", 3])),
            "inputs[0].data",
            vec!["'a'", "element 1"],
        ),
        (
            input("X", json!([1, 3]), "FP32", json!([1, 2, 3])),
            "inputs[0].name",
            vec!["'X'"],
        ),
        (json!({"inputs": []}), "inputs", vec!["'x'", "missing"]),
        (json!({"inputs": "x"}), "body", vec!["not valid"]),
    ];
    for (request, field, words) in cases {
        let error = infer(&fixture.engine, &request).await.unwrap_err();
        assert_eq!(error.meaning().http_status(), 400, "{request}");
        assert_eq!(error.field().as_deref(), Some(field), "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{error} lacks {word}");
        }
    }
    let mut wrong_output = request(&[[1.0, 2.0, 3.0]]);
    wrong_output["outputs"] = json!([{"name": "z"}]);
    let error = infer(&fixture.engine, &wrong_output).await.unwrap_err();
    assert!(error.hint().unwrap().contains('y'));
}

#[tokio::test]
async fn integers_pass_unchanged_through_a_model_without_a_batch_axis() {
    let identity = model(&[
        node("Identity", &["ids"], "same"),
        value_info(11, "ids", 7, &[Dim::Fixed(2)]),
        value_info(12, "same", 7, &[Dim::Fixed(2)]),
    ]);
    let fixture = load(&identity, |_| ());
    let ask =
        json!({"inputs": [{"name": "ids", "shape": [2], "datatype": "INT64", "data": [i64::MAX, i64::MIN]}]});
    let answer = infer(&fixture.engine, &ask).await.unwrap();
    assert_eq!(answer["outputs"][0]["data"], json!([i64::MAX, i64::MIN]));
    assert_eq!(fixture.engine.stats().batch_closed.get("unbatchable"), Some(&1));
}

#[tokio::test]
async fn an_operator_that_is_unknown_fails_on_loading() {
    let unknown = model(&[
        node("NoSuchOperator", &["x"], "y"),
        value_info(11, "x", 1, &[Dim::Named("batch"), Dim::Fixed(3)]),
        value_info(12, "y", 1, &[Dim::Named("batch"), Dim::Fixed(3)]),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    std::fs::write(&path, unknown).unwrap();
    let error = OnnxEngine::load(&path, &EngineArgs::new(Flavor::Onnx, dir.path(), "/unused"))
        .err()
        .unwrap();
    assert_eq!(error.code(), "model_unsupported");
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_withdrawn_request_gives_its_place_back() {
    let fixture = load(&linear(), |args| {
        args.max_waiting = 2;
        args.max_batch = 4;
        args.batch_delay_us = 60_000_000;
    });
    let engine = &fixture.engine;
    let one = Bytes::from(request(&[[1.0, 1.0, 1.0]]).to_string());
    // Nothing was computed yet, so the first waits for company, and so does the second.
    let (mut first, mut second) = (Box::pin(engine.infer(&one)), Box::pin(engine.infer(&one)));
    assert!(poll_once(&mut first).await.is_none());
    assert!(poll_once(&mut second).await.is_none());
    let refused = engine.infer(&one).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.meaning().http_status()),
        ("engine_queue_full", 429)
    );
    drop(first);
    // Three more rows fill the batch, in the place that the withdrawn request held.
    let rows = [[1.0, 2.0, 3.0]; 3];
    assert_rows(&infer(engine, &request(&rows)).await.unwrap(), &rows);
    second.await.unwrap();
    assert_eq!(engine.stats().cancelled_total, 1);
    assert_eq!(engine.stats().batch_closed.get("full"), Some(&1));
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
