//! What is refused, and that what is whole is not.

use std::fs;
use std::os::unix::fs::symlink;

use corliss_diagnostics::Diagnose;

use super::*;

/// A GGUF file with one F32 tensor of `elements` elements and `given` bytes of data.
fn gguf(elements: u64, given: usize) -> Vec<u8> {
    let text = |text: &str| -> Vec<u8> {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    let mut file = b"GGUF".to_vec();
    file.extend_from_slice(&3_u32.to_le_bytes());
    file.extend_from_slice(&1_u64.to_le_bytes());
    file.extend_from_slice(&2_u64.to_le_bytes());
    file.extend(text("general.architecture"));
    file.extend_from_slice(&8_u32.to_le_bytes());
    file.extend(text("llama"));
    file.extend(text("tokens"));
    file.extend_from_slice(&9_u32.to_le_bytes());
    file.extend_from_slice(&8_u32.to_le_bytes());
    file.extend_from_slice(&2_u64.to_le_bytes());
    file.extend(text("a"));
    file.extend(text("bc"));
    file.extend(text("weight"));
    file.extend_from_slice(&1_u32.to_le_bytes());
    file.extend_from_slice(&elements.to_le_bytes());
    file.extend_from_slice(&0_u32.to_le_bytes());
    file.extend_from_slice(&0_u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32) + given, 7);
    file
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn refusal(files: &[(&str, &[u8])]) -> EngineError {
    locate(folder(files).path()).unwrap_err()
}

/// Field 1 (ir_version) and field 7 (an empty graph).
const ONNX: &[u8] = &[0x08, 8, 0x3a, 0];

#[test]
fn whole_files_are_found() {
    let dir = folder(&[("model.gguf", &gguf(8, 32)), ("readme.txt", b"hello")]);
    assert_eq!(detect_flavor(dir.path()).unwrap(), Flavor::Gguf);
    let summary = summarise_gguf(&dir.path().join("model.gguf")).unwrap();
    assert_eq!((summary.architecture.as_str(), summary.tensors), ("llama", 1));
    let dir = folder(&[
        ("other.onnx", ONNX),
        ("model.onnx", ONNX),
        ("state.pt", b"\x80\x02}q"),
    ]);
    assert_eq!(locate(dir.path()).unwrap().path, dir.path().join("model.onnx"));
    assert_eq!(detect_flavor(dir.path()).unwrap(), Flavor::Onnx);
}

#[test]
fn a_gguf_cut_anywhere_is_named_as_cut() {
    let whole = gguf(8, 32);
    for length in [5, 12, 40, 70, 100, whole.len() - 33, whole.len() - 1] {
        let error = refusal(&[("m.gguf", &whole[..length])]);
        assert_eq!(error.code(), "model_truncated", "at {length}: {error}");
        assert!(error.to_string().contains("m.gguf"));
    }
}

#[test]
fn a_gguf_that_lies_is_refused() {
    let mut claims_too_much = gguf(u64::MAX / 2, 32);
    assert!(matches!(
        refusal(&[("m.gguf", &claims_too_much)]).code(),
        "model_truncated" | "model_invalid"
    ));
    claims_too_much[4] = 9;
    assert_eq!(refusal(&[("m.gguf", &claims_too_much)]).code(), "model_invalid");
    assert_eq!(
        refusal(&[("m.gguf", b"something else entirely")]).code(),
        "model_invalid"
    );
}

#[test]
fn a_torn_or_false_onnx_is_told_apart() {
    assert_eq!(
        refusal(&[("m.onnx", &[0x08, 8, 0x3a, 40, 1, 2])]).code(),
        "model_truncated"
    );
    assert_eq!(refusal(&[("m.onnx", b"")]).code(), "model_truncated");
    assert_eq!(refusal(&[("m.onnx", &[0x08, 8])]).code(), "model_invalid");
    assert_eq!(refusal(&[("m.onnx", b"<!DOCTYPE html>")]).code(), "model_invalid");
}

#[test]
fn pickles_are_refused_by_name_with_the_fix() {
    let zip = [b"PK\x03\x04".as_slice(), &[0; 60], b"archive/data.pkl", &[0; 30]].concat();
    for (name, bytes) in [
        ("model.pkl", b"\x80\x04\x95".as_slice()),
        ("model.onnx", b"\x80\x02}"),
        ("model.pt", &zip),
    ] {
        let error = refusal(&[(name, bytes)]);
        assert_eq!(error.code(), "model_is_pickle", "{name}");
        assert!(error.to_string().contains(name));
        assert!(error.hint().unwrap().contains("torch.onnx.export"));
    }
    assert_eq!(
        detect_flavor(folder(&[("model.pkl", b"\x80\x04\x95")]).path()).unwrap(),
        Flavor::Other
    );
    assert!(detect_flavor(folder(&[("model.onnx", b"\x80\x04\x95")]).path()).is_err());
}

#[test]
fn an_empty_folder_and_an_ambiguous_one_say_so() {
    assert!(refusal(&[]).to_string().contains("empty"));
    assert!(refusal(&[("notes.txt", b"x")]).to_string().contains("notes.txt"));
    let both = refusal(&[("a.onnx", ONNX), ("b.onnx", ONNX)]);
    assert_eq!(both.code(), "model_ambiguous");
    assert!(both.to_string().contains("a.onnx, b.onnx"));
}

#[test]
fn a_link_out_of_the_folder_is_refused_and_one_inside_is_not() {
    let outside = folder(&[("secret.onnx", ONNX)]);
    let dir = folder(&[("real.bin", ONNX)]);
    symlink(dir.path().join("real.bin"), dir.path().join("model.onnx")).unwrap();
    assert_eq!(locate(dir.path()).unwrap().flavor, Flavor::Onnx);
    symlink(outside.path().join("secret.onnx"), dir.path().join("extra.txt")).unwrap();
    assert_eq!(locate(dir.path()).unwrap_err().code(), "model_escapes");
}

#[test]
fn what_mlflow_logged_for_python_is_pythons_unless_an_engine_of_ours_loads_it() {
    let python = b"flavors: {python_function: {loader_module: mlflow.sklearn}}".as_slice();
    let pickled = ("model.pkl", b"\x80\x04\x95".as_slice());
    let dir = folder(&[("MLmodel", python), pickled]);
    let found = locate(dir.path()).unwrap();
    assert_eq!((found.flavor, found.path.as_path()), (Flavor::Pyfunc, dir.path()));
    let both = folder(&[("MLmodel", python), ("model.onnx", ONNX)]);
    assert_eq!(locate(both.path()).unwrap().flavor, Flavor::Onnx);
    let other = b"flavors: {onnx: {data: model.onnx}}".as_slice();
    assert_eq!(refusal(&[("MLmodel", other), pickled]).code(), "model_is_pickle");
}
