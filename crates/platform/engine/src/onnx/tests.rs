//! The ONNX engine against models written here byte by byte, with results computed by hand.

use bytes::Bytes;
use corliss_diagnostics::Diagnose;
use serde_json::{Value, json};

use super::load as load_model;
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
    engine: PredictiveEngine,
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
        engine: load_model(&path, &args).unwrap(),
        _dir: dir,
    }
}

async fn infer(engine: &PredictiveEngine, request: &Value) -> Result<Value, EngineError> {
    let answer = engine.infer(&Bytes::from(request.to_string()), None).await?;
    assert_eq!(answer.json_bytes, None);
    Ok(serde_json::from_slice(&answer.pieces.concat()).unwrap())
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
        (
            json!({"inputs": "x"}),
            "inputs",
            vec!["must be a list, not a string"],
        ),
        (
            json!({"inputs": [{"name": 7, "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}),
            "inputs[0].name",
            vec!["must be a string, not a number"],
        ),
    ];
    for (request, field, words) in cases {
        let error = infer(&fixture.engine, &request).await.unwrap_err();
        assert_eq!(error.meaning().http_status(), 400, "{request}");
        assert_eq!(error.field().as_deref(), Some(field), "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{error} lacks {word}");
        }
    }
    let mut more = request(&[[1.0, 2.0, 3.0]]);
    (more["foo"], more["inputs"][0]["foo"]) = (json!(1), json!({"bar": []}));
    infer(&fixture.engine, &more)
        .await
        .expect("what is not known is passed over, as Triton does");
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
    let error = load_model(&path, &EngineArgs::new(Flavor::Onnx, dir.path(), "/unused"))
        .err()
        .unwrap();
    assert_eq!(error.code(), "model_unsupported");
    let told = error.to_string();
    assert!(
        told.contains("no operator NoSuchOperator") && told.contains("serving.onnx_runtime"),
        "{told}"
    );
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
    let (mut first, mut second) = (
        Box::pin(engine.infer(&one, None)),
        Box::pin(engine.infer(&one, None)),
    );
    assert!(poll_once(&mut first).await.is_none());
    assert!(poll_once(&mut second).await.is_none());
    let refused = engine.infer(&one, None).await.unwrap_err();
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

/// A message whose JSON is followed by these tensors.
async fn infer_binary(
    engine: &PredictiveEngine,
    request: &Value,
    tensors: &[&[u8]],
) -> Result<(Value, Vec<u8>), EngineError> {
    let json = request.to_string();
    let body = Bytes::from([json.as_bytes(), &tensors.concat()].concat());
    let answer = engine.infer(&body, Some(json.len())).await?;
    let bytes = answer.pieces.concat();
    let (json, tensors) = bytes.split_at(answer.json_bytes.unwrap_or(bytes.len()));
    Ok((serde_json::from_slice(json).unwrap(), tensors.to_vec()))
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn binary_input(rows: usize, size: usize) -> Value {
    json!({"name": "x", "shape": [rows, 3], "datatype": "FP32", "parameters": {"binary_data_size": size}})
}

#[tokio::test]
async fn tensors_travel_as_bytes_both_ways_and_with_json_on_either_side() {
    let fixture = load(&linear(), |_| ());
    let engine = &fixture.engine;
    let tensor = bytes_of(&[1.0, 2.0, 3.0, -4.0, 0.5, 0.125]);
    let wanted: Vec<f32> = [[1.0, 2.0, 3.0], [-4.0, 0.5, 0.125]]
        .iter()
        .flat_map(|row| expected(*row))
        .map(|value| value as f32)
        .collect();
    let mut asked = json!({"inputs": [binary_input(2, 24)], "parameters": {"binary_data_output": true}});
    let (answer, bytes) = infer_binary(engine, &asked, &[&tensor]).await.unwrap();
    assert_eq!(answer["outputs"][0]["parameters"]["binary_data_size"], 16);
    assert_eq!(answer["outputs"][0]["shape"], json!([2, 2]));
    assert!(answer["outputs"][0].get("data").is_none());
    assert_eq!(bytes, bytes_of(&wanted));
    // What an output says for itself counts more than what is said for all.
    asked["outputs"] = json!([{"name": "y", "parameters": {"binary_data": false}}]);
    let (answer, bytes) = infer_binary(engine, &asked, &[&tensor]).await.unwrap();
    assert!(bytes.is_empty());
    assert_rows(&answer, &[[1.0, 2.0, 3.0], [-4.0, 0.5, 0.125]]);
}

#[tokio::test]
async fn bytes_that_lie_are_refused_by_the_name_of_their_tensor() {
    let fixture = load(&linear(), |_| ());
    let engine = &fixture.engine;
    let inputs = |input: Value| json!({ "inputs": [input] });
    let tensor = [0_u8; 24];
    let with_data = json!({"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3],
        "parameters": {"binary_data_size": 12}});
    let shared = json!({"name": "x", "shape": [1, 3], "datatype": "FP32",
        "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 12}});
    for (request, tensors, field, word) in [
        (
            inputs(binary_input(2, 24)),
            &tensor[..20],
            "inputs[0].data",
            "24 bytes, but 20",
        ),
        (
            inputs(binary_input(1, 24)),
            &tensor[..],
            "inputs[0].data",
            "12 bytes, but 24",
        ),
        (
            inputs(binary_input(1, 12)),
            &tensor[..],
            "inputs",
            "12 bytes of the body",
        ),
        (
            inputs(json!({"name": "x", "shape": [1, 3], "datatype": "FP32"})),
            &[],
            "inputs[0].data",
            "'x' has no data",
        ),
        (inputs(with_data), &tensor[..12], "inputs[0].data", "both"),
        (
            inputs(shared),
            &[],
            "inputs[0].parameters.shared_memory_region",
            "'x'",
        ),
        (
            inputs(
                json!({"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": -1}}),
            ),
            &[],
            "inputs[0].parameters.binary_data_size",
            "whole number",
        ),
        (
            inputs(json!({"name": "x", "shape": [1.5, 3], "datatype": "FP32", "data": []})),
            &[],
            "inputs[0].shape",
            "'x' must have a shape of whole numbers",
        ),
        (
            inputs(json!({"name": "x", "shape": [u64::MAX, 3], "datatype": "FP32", "data": []})),
            &[],
            "inputs[0].shape",
            "'x'",
        ),
        (
            json!({"inputs": [binary_input(1, 12)], "parameters": {"sequence_id": 7}}),
            &tensor[..12],
            "parameters.sequence_id",
            "sequence_id",
        ),
        (
            json!({"inputs": [binary_input(1, 12)], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}),
            &tensor[..12],
            "outputs[0].parameters.classification",
            "'y'",
        ),
    ] {
        let error = infer_binary(engine, &request, &[tensors]).await.unwrap_err();
        assert_eq!(error.meaning().http_status(), 400, "{request}");
        assert_eq!(error.field().as_deref(), Some(field), "{error}");
        assert!(error.to_string().contains(word), "{error} lacks {word}");
    }
    let short = Bytes::from_static(b"{}");
    let error = engine.infer(&short, Some(3)).await.unwrap_err();
    assert!(
        error.to_string().contains("3 bytes, but the body has 2"),
        "{error}"
    );
    let outside = Bytes::from(inputs(binary_input(1, 12)).to_string());
    let error = engine.infer(&outside, None).await.unwrap_err();
    assert!(error.to_string().contains("header"), "{error}");
}

/// Texts to numbers: rows can be joined, so texts are stacked and padded too.
fn numbered() -> Vec<u8> {
    let texts = |name: &str, values: &[&str]| {
        let values: Vec<u8> = values
            .iter()
            .flat_map(|value| bytes(9, value.as_bytes()))
            .collect();
        message(5, &[bytes(1, name.as_bytes()), values, number(20, 8)])
    };
    let numbers = message(
        5,
        &[
            bytes(1, b"cats_int64s"),
            number(8, 7),
            number(8, 9),
            number(20, 7),
        ],
    );
    let other = message(
        5,
        &[bytes(1, b"default_int64"), number(3, u64::MAX), number(20, 2)],
    );
    let node = message(
        1,
        &[
            bytes(1, b"word"),
            bytes(2, b"n"),
            bytes(4, b"CategoryMapper"),
            texts("cats_strings", &["seven", "nine"]),
            numbers,
            other,
            bytes(7, b"ai.onnx.ml"),
        ],
    );
    let graph = [
        node,
        value_info(11, "word", 8, &[Dim::Named("batch"), Dim::Fixed(1)]),
        value_info(12, "n", 7, &[Dim::Named("batch"), Dim::Fixed(1)]),
    ];
    let ml = message(8, &[bytes(1, b"ai.onnx.ml"), number(2, 2)]);
    [model(&graph), ml].concat()
}

#[tokio::test]
async fn texts_are_read_as_json_and_as_bytes() {
    let fixture = load(&numbered(), |args| args.batch_delay_us = 20_000);
    let engine = &fixture.engine;
    assert_eq!(engine.metadata().inputs[0].datatype, "BYTES");
    let ask = |words: &[&str]| json!({"inputs": [{"name": "word", "shape": [words.len(), 1], "datatype": "BYTES", "data": words}]});
    let answer = infer(engine, &ask(&["nine", "seven", "ten"])).await.unwrap();
    assert_eq!(answer["outputs"][0]["data"], json!([9, 7, -1]));
    let calls = ["seven", "nine", "seven"].into_iter().map(|word| async move {
        let answer = infer(engine, &ask(&[word])).await.unwrap();
        assert_eq!(
            answer["outputs"][0]["data"],
            json!([if word == "nine" { 9 } else { 7 }])
        );
    });
    futures(calls).await;
    let header = json!({"inputs": [{"name": "word", "shape": [2, 1], "datatype": "BYTES",
        "parameters": {"binary_data_size": 17}}]});
    let tensor = [&[5, 0, 0, 0][..], b"seven", &[4, 0, 0, 0], b"nine"].concat();
    let (answer, _) = infer_binary(engine, &header, &[&tensor]).await.unwrap();
    assert_eq!(answer["outputs"][0]["data"], json!([7, 9]));
    let lying = [&[5, 0, 0, 0][..], b"seven", &[99, 0, 0, 0], b"nine"].concat();
    let error = infer_binary(engine, &header, &[&lying]).await.unwrap_err();
    assert!(
        error.to_string().contains("'word'") && error.to_string().contains("99 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn statistics_count_requests_runs_and_where_time_went() {
    let fixture = load(&linear(), |args| args.max_batch = 4);
    let engine = &fixture.engine;
    let rows: Vec<[f64; 3]> = (0..6).map(|row| [f64::from(row), 1.0, -1.0]).collect();
    infer(engine, &request(&rows)).await.unwrap();
    infer(engine, &request(&rows[..1])).await.unwrap();
    let stats = engine.stats().inference;
    assert_eq!((stats.inferences, stats.executions), (7, 3));
    assert_eq!(
        (stats.success.count, stats.queue.count, stats.compute.infer.count),
        (2, 2, 2)
    );
    assert!(stats.success.ns >= stats.queue.ns + stats.compute.infer.ns);
    assert!(stats.compute.infer.ns > 0 && stats.last_ms > 1_600_000_000_000);
    let runs: Vec<(u32, u64)> = stats
        .batches
        .iter()
        .map(|(rows, runs)| (*rows, runs.infer.count))
        .collect();
    assert_eq!(runs, [(1, 1), (2, 1), (4, 1)]);
}

/// Three requests of one row at the same time, after one that makes the engine expect company.
async fn three_at_once(engine: &PredictiveEngine) {
    let one = request(&[[1.0, 2.0, 3.0]]);
    let calls = (0..3).map(|_| async { drop(infer(engine, &one).await.unwrap()) });
    futures(calls).await;
}

#[tokio::test]
async fn a_preferred_size_closes_a_batch_at_once() {
    let fixture = load(&linear(), |args| {
        // Without the preference they would wait for an hour.
        args.batch_delay_us = 3_600_000_000;
        args.prefer_batch = vec![3, 999];
        args.instances = 1;
    });
    let engine = &fixture.engine;
    three_at_once(engine).await;
    let closed = engine.stats().batch_closed;
    assert_eq!(closed.get("preferred"), Some(&1), "{closed:?}");
    let batching = engine.metadata().batching.unwrap();
    assert_eq!(
        (batching.preferred, batching.instances),
        (vec![3], 1),
        "999 is more than a batch may have"
    );
}

#[tokio::test]
async fn a_request_that_is_in_a_hurry_closes_its_batch_and_one_that_is_too_late_is_not_computed() {
    let fixture = load(&linear(), |args| args.batch_delay_us = 3_600_000_000);
    let engine = &fixture.engine;
    let mut hurried = request(&[[1.0, 2.0, 3.0]]);
    hurried["parameters"] = json!({ "timeout": 2_000_000 });
    infer(engine, &hurried).await.unwrap();
    let calls = (0..2).map(|_| async { infer(engine, &hurried).await });
    futures(calls.map(|call| async { assert!(call.await.is_ok()) })).await;
    assert!(engine.stats().batch_closed.contains_key("deadline"));
    hurried["parameters"] = json!({ "timeout": 1 });
    let late = infer(engine, &hurried).await.unwrap_err();
    assert!(late.to_string().contains(" 1 µs "), "{late}");
    assert_eq!(
        (late.code(), late.meaning().http_status()),
        ("request_deadline_exceeded", 504)
    );
    hurried["parameters"] = json!({ "timeout": -1 });
    let wrong = infer(engine, &hurried).await.unwrap_err();
    assert_eq!(wrong.field().as_deref(), Some("parameters.timeout"));
}

#[tokio::test]
async fn an_engine_that_ends_waits_for_nobody() {
    let fixture = load(&linear(), |args| args.batch_delay_us = 3_600_000_000);
    fixture.engine.drain();
    infer(&fixture.engine, &request(&[[1.0, 2.0, 3.0]]))
        .await
        .unwrap();
    let closed = fixture.engine.stats().batch_closed;
    assert_eq!(closed.get("drained"), Some(&1), "{closed:?}");
}
