//! The engine as a process: readiness, refusals, drain, and its end with its parent.
#![allow(clippy::unwrap_used, clippy::panic)] // A helper of a test may fail it.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{DEADLINE, EngineProcess, args, command, folder, signal};
use corliss_diagnostics::Diagnose;
use corliss_engine::protocol::{EngineState, GenerateRequest, TensorMessage};
use corliss_types::Flavor;

#[test]
fn engine_child() {
    common::become_engine_if_asked();
}

/// An ONNX model that answers its input: y = x, of shape [batch, 2].
const IDENTITY: &[u8] = &[
    0x08, 8, // ir_version
    0x3a, 69, // graph
    0x0a, 16, 0x0a, 1, b'x', 0x12, 1, b'y', 0x22, 8, b'I', b'd', b'e', b'n', b't', b'i', b't',
    b'y', // node
    0x12, 1, b'g', // name
    0x5a, 22, 0x0a, 1, b'x', 0x12, 17, 0x0a, 15, 0x08, 1, 0x12, 11, 0x0a, 5, 0x12, 3, b'a', b'b', b'c', 0x0a,
    2, 0x08, 2, // input
    0x62, 22, 0x0a, 1, b'y', 0x12, 17, 0x0a, 15, 0x08, 1, 0x12, 11, 0x0a, 5, 0x12, 3, b'a', b'b', b'c', 0x0a,
    2, 0x08, 2, // output
    0x42, 2, 0x10, 13, // opset
];

const ASK: &str = r#"{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, -2]}]}"#;

fn write_model(dir: &Path, bytes: &[u8]) {
    std::fs::write(dir.join("model.onnx"), bytes).unwrap();
}

#[tokio::test]
async fn it_loads_answers_and_drains_on_sigterm() {
    let dir = folder();
    write_model(dir.path(), IDENTITY);
    let mut engine = EngineProcess::start(&args(Flavor::Onnx, dir.path(), dir.path()));
    engine.ready().await;
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&engine.socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "the socket is for its user alone");
    for _ in 0..3 {
        let answer = engine.client.infer(TensorMessage::of_json(ASK)).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.pieces.concat()).unwrap();
        assert_eq!(answer["outputs"][0]["data"], serde_json::json!([1.5, -2.0]));
    }
    assert_eq!(engine.client.metadata().await.unwrap().inputs[0].shape, [-1, 2]);
    assert_eq!(engine.client.stats().await.unwrap().completed_total, 3);
    let wrong = engine
        .client
        .generate(&GenerateRequest::default())
        .await
        .err()
        .unwrap();
    assert_eq!(wrong.code(), "engine_no_such_route");
    engine.signal("TERM");
    assert!(engine.exit().await.success());
    assert!(!engine.socket.exists(), "the socket is left behind");
    // The connection that it left open is found closed, or none can be made: both tell that it is gone.
    let gone = engine.client.ready().await.unwrap_err();
    let codes = ["engine_unreachable", "engine_connection_lost"];
    assert!(codes.contains(&gone.code()), "{gone}");
}

#[tokio::test]
async fn tensors_pass_as_bytes_in_pieces() {
    let dir = folder();
    write_model(dir.path(), IDENTITY);
    let engine = EngineProcess::start(&args(Flavor::Onnx, dir.path(), dir.path()));
    engine.ready().await;
    let json = r#"{"parameters": {"binary_data_output": true}, "inputs": [{"name": "x", "shape": [2, 2],
        "datatype": "FP32", "parameters": {"binary_data_size": 16}}]}"#;
    let rows = [[1.5_f32, -2.0], [f32::NAN, f32::INFINITY]];
    let tensor: Vec<u8> = rows
        .iter()
        .flatten()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let (one, other) = tensor.split_at(7);
    let pieces = [one, other].map(bytes::Bytes::copy_from_slice);
    let message = TensorMessage::with_tensors(json.into(), pieces);
    let answer = engine.client.infer(message).await.unwrap();
    let bytes = answer.pieces.concat();
    let (json, back) = bytes.split_at(answer.json_bytes.unwrap());
    let json: serde_json::Value = serde_json::from_slice(json).unwrap();
    assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 16);
    assert_eq!(back, tensor, "also what JSON has no word for");
}

#[tokio::test]
async fn a_bad_request_keeps_its_report_on_the_way() {
    let dir = folder();
    write_model(dir.path(), IDENTITY);
    let engine = EngineProcess::start(&args(Flavor::Onnx, dir.path(), dir.path()));
    engine.ready().await;
    let error = engine
        .client
        .infer(TensorMessage::of_json(ASK.replace("[1.5, -2]", "[1.5]")))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.meaning().http_status()),
        ("invalid_request", 400)
    );
    assert_eq!(error.field().as_deref(), Some("inputs[0].data"));
    let too_large = vec![b' '; (65 << 20) + 1];
    let error = engine
        .client
        .infer(TensorMessage::of_json(too_large))
        .await
        .unwrap_err();
    assert!(
        matches!(error.code(), "body_too_large" | "engine_connection_lost"),
        "{error}"
    );
    assert!(engine.client.infer(TensorMessage::of_json(ASK)).await.is_ok());
}

#[tokio::test]
async fn a_model_that_cannot_be_served_is_reported_and_the_process_stays_to_say_so() {
    for (bytes, code) in [
        (b"\x80\x04\x95pickle".as_slice(), "model_is_pickle"),
        (&IDENTITY[..40], "model_truncated"),
    ] {
        let dir = folder();
        write_model(dir.path(), bytes);
        let mut engine = EngineProcess::start(&args(Flavor::Onnx, dir.path(), dir.path()));
        let ready = engine.wait_for(|ready| ready.state == EngineState::Failed).await;
        assert_eq!(ready.error.unwrap().code, code);
        assert_eq!(
            engine
                .client
                .infer(TensorMessage::of_json(ASK))
                .await
                .unwrap_err()
                .code(),
            "engine_not_ready"
        );
        engine.signal("TERM");
        assert!(engine.exit().await.success());
    }
}

/// A child that does not outlive a failed test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn it_ends_when_its_parent_is_killed() {
    let dir = folder();
    write_model(dir.path(), IDENTITY);
    let args = args(Flavor::Onnx, dir.path(), dir.path());
    let engine = command(&args);
    let mut shell = std::process::Command::new("sh");
    // The shell stays as the parent because it has something left to do.
    shell
        .arg("-c")
        .arg("\"$@\"; true")
        .arg("sh")
        .arg(engine.get_program())
        .args(engine.get_args());
    for (name, value) in engine.get_envs() {
        shell.env(name, value.unwrap());
    }
    // Only its parent's death may end the engine, so nothing here holds it but the shell, killed at the end.
    let mut shell = Killed(shell.stdout(std::process::Stdio::null()).spawn().unwrap());
    let client = corliss_engine::client::EngineClient::unix(&args.listen);
    let deadline = Instant::now() + DEADLINE;
    while !client
        .ready()
        .await
        .is_ok_and(|ready| ready.state == EngineState::Ready)
    {
        assert!(Instant::now() < deadline, "the engine did not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    signal(shell.0.id(), "KILL");
    shell.0.wait().unwrap();
    while client.ready().await.is_ok() {
        assert!(Instant::now() < deadline, "the engine outlives its parent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_socket_left_by_a_killed_engine_is_taken_over_and_a_live_one_is_not() {
    let dir = folder();
    write_model(dir.path(), IDENTITY);
    let args = args(Flavor::Onnx, dir.path(), dir.path());
    let mut first = EngineProcess::start(&args);
    first.ready().await;
    let mut rival = EngineProcess::start(&args);
    assert!(!rival.exit().await.success(), "two engines on one socket");
    first.signal("KILL");
    first.exit().await;
    assert!(first.socket.exists());
    let second = EngineProcess::start(&args);
    second.ready().await;
    // The client of the killed one holds a dead connection; it must find the new one.
    assert!(first.client.infer(TensorMessage::of_json(ASK)).await.is_ok());
}
