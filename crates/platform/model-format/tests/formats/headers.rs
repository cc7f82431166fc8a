//! safetensors, ONNX and GGUF: whole, cut at every length, and wrong in each way.

use bytes::Bytes;
use corliss_model_format::{Declared, Folder, Verdict, find};
use proptest::prelude::*;

use super::build::{
    external_tensor, field, gguf, gguf_keys, gguf_tensor, gguf_with, net, number, onnx, onnx_with,
    raw_tensor, safetensors, text, with_header,
};
use super::{InMemory, found, found_in, verdict};

fn damaged(path: &str, bytes: &[u8], what: &str) {
    let found = found(path, bytes);
    assert_eq!(found.verdict, Verdict::Damaged, "{what}: {}", found.detail);
    assert!(
        found.detail.contains(what),
        "'{}' does not say '{what}'",
        found.detail
    );
    assert!(found.at_byte.is_some_and(|at| at <= bytes.len() as u64));
}

#[test]
fn whole_files_are_verified_and_cut_ones_damaged_at_every_length() {
    for (path, whole, detail) in [
        ("model.safetensors", net(), "tensors: 3"),
        ("deep/model.onnx", onnx(), "nodes: 1, IR version 8"),
        ("model.GGUF", gguf(), "tiny, tensors: 2"),
    ] {
        let found = found(path, &whole);
        assert_eq!(
            (found.verdict, found.detail.as_str()),
            (Verdict::Verified, detail),
            "{path}"
        );
        for length in 0..whole.len() {
            let cut = verdict(path, &whole[..length]);
            assert_eq!(cut, Verdict::Damaged, "{path} cut to {length} of {}", whole.len());
        }
        let longer = [whole.clone(), vec![0]].concat();
        let is_padded = path.ends_with("GGUF");
        assert_eq!(
            verdict(path, &longer) == Verdict::Verified,
            is_padded,
            "{path} with a byte more"
        );
    }
}

#[test]
fn a_safetensors_header_that_lies_is_damaged() {
    let path = "m.safetensors";
    let one = |dtype, shape: &[u64], span, data| safetensors(&[("a", dtype, shape, span)], data);
    damaged(
        path,
        &one("F32", &[2], (0, 4), 4),
        "needs 8 bytes and its offsets give it 4",
    );
    damaged(path, &one("F99", &[2], (0, 4), 4), "no known dtype");
    damaged(path, &one("F32", &[1], (4, 0), 4), "ends before it begins");
    damaged(path, &one("F32", &[u64::MAX, 2], (0, 4), 4), "impossible shape");
    damaged(path, &one("F4", &[3], (0, 1), 1), "impossible shape");
    damaged(path, &one("F32", &[1], (4, 8), 8), "belong to no tensor");
    damaged(path, &one("F32", &[1], (0, 4), 9), "take 4 bytes and it has 9");
    let two = |second| safetensors(&[("a", "U8", &[4], (0, 4)), ("b", "U8", &[4], second)], 8);
    damaged(path, &two((2, 6)), "within the one before it");
    let twice = with_header(
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
        2,
    );
    damaged(path, &twice, "twice");
    damaged(path, &with_header("[1]", 0), "does not begin with '{'");
    damaged(path, &with_header(r#"{"a":1}"#, 0), "cannot be read");
    damaged(path, &u64::MAX.to_le_bytes(), "the format allows 100000000");
    damaged(path, &with_header(&"{\"a\":".repeat(3000), 0), "cannot be read");
    assert_eq!(found(path, &one("F99", &[2], (0, 4), 4)).format, "safetensors");
}

#[test]
fn an_onnx_file_that_lies_is_damaged() {
    let path = "m.onnx";
    damaged(path, &onnx_with(&raw_tensor(7)), "needs 8 bytes and has 7");
    damaged(path, &onnx_with(&raw_tensor(0)), "needs 8 bytes and has 0");
    let typed = [raw_tensor(0), field(4, &[0; 8])].concat();
    assert_eq!(verdict(path, &onnx_with(&typed)), Verdict::Verified);
    let graph = field(7, &field(2, b"g"));
    damaged(path, &[number(1, 8), graph.clone()].concat(), "which operators");
    assert_eq!(
        verdict(path, &[number(1, 2), graph.clone()].concat()),
        Verdict::Verified
    );
    damaged(path, &[graph.clone(), field(8, &[])].concat(), "ir_version");
    damaged(path, &[number(1, 8), field(8, &[])].concat(), "no graph");
    damaged(
        path,
        &[number(1, 8), number(7, 1)].concat(),
        "a graph should be in field 7",
    );
    damaged(path, &[number(1, 8), field(99, b"x")].concat(), "no field 99");
    damaged(path, b"just a text", "");
    let mut deep = field(2, b"g");
    for _ in 0..40 {
        deep = field(1, &field(5, &field(6, &deep)));
    }
    damaged(path, &[number(1, 8), field(7, &deep)].concat(), "too deep");
}

#[test]
fn external_data_of_onnx_stays_in_its_folder() {
    let folder = Folder::from([("net/weights.bin".to_owned(), 12)]);
    let of = |entries: &[(&str, &str)]| {
        let found = found_in(
            "net/m.onnx",
            &onnx_with(&external_tensor(entries)),
            &folder,
            &Declared::default(),
        );
        (found.verdict, found.detail)
    };
    for entries in [
        &[("location", "weights.bin")][..],
        &[("location", "./weights.bin"), ("offset", "4"), ("length", "8")],
    ] {
        assert_eq!(of(entries).0, Verdict::Verified, "{entries:?}");
    }
    for (entries, what) in [
        (&[("location", "../weights.bin")][..], "outside of its folder"),
        (&[("location", "/etc/passwd")], "outside of its folder"),
        (&[("location", "a/../../weights.bin")], "outside of its folder"),
        (&[("location", "..\\weights.bin")], "outside of its folder"),
        (&[("offset", "0")], "outside of its folder"),
        (&[("location", "other.bin")], "not there"),
        (&[("location", "weights.bin"), ("offset", "5")], "which has 12"),
        (
            &[("location", "weights.bin"), ("offset", "18446744073709551615")],
            "which has 12",
        ),
        (&[("location", "weights.bin"), ("length", "4")], "needs 8 bytes"),
        (&[("location", "weights.bin"), ("length", "many")], "not a number"),
    ] {
        let (verdict, detail) = of(entries);
        assert!(
            verdict == Verdict::Damaged && detail.contains(what),
            "{entries:?}: {detail}"
        );
    }
}

#[test]
fn a_gguf_file_that_lies_is_damaged() {
    let path = "m.gguf";
    let with = |tensors: &[Vec<u8>], data| gguf_with(&gguf_keys(), tensors, data);
    damaged(
        path,
        &with(&[gguf_tensor("a", &[9], 0)], 32),
        "ends at byte 36 of the data, which has 32",
    );
    damaged(path, &with(&[gguf_tensor("a", &[2], 8)], 64), "not aligned");
    damaged(
        path,
        &with(&[gguf_tensor("a", &[16], 0), gguf_tensor("b", &[4], 32)], 64),
        "within the one before",
    );
    damaged(
        path,
        &with(&[gguf_tensor("a", &[1], 0), gguf_tensor("a", &[1], 32)], 64),
        "occurs twice",
    );
    damaged(
        path,
        &with(&[gguf_tensor("a", &[u64::MAX, 2], 0)], 64),
        "impossible shape",
    );
    damaged(path, &with(&[gguf_tensor("a", &[1; 9], 0)], 64), "9 dimensions");
    damaged(path, &with(&[], 64), "no tensor");
    let mut version = gguf();
    version[4] = 9;
    damaged(path, &version, "version is 9");
    let mut many = gguf();
    many[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    damaged(path, &many, "tensors; at most");
    let odd = [
        text("general.alignment"),
        4_u32.to_le_bytes().to_vec(),
        3_u32.to_le_bytes().to_vec(),
    ]
    .concat();
    damaged(
        path,
        &gguf_with(&[odd], &[gguf_tensor("a", &[1], 0)], 32),
        "alignment is 3",
    );
    let keys = gguf_keys();
    let twice = [keys[0].clone(), keys[0].clone()];
    damaged(
        path,
        &gguf_with(&twice, &[gguf_tensor("a", &[1], 0)], 32),
        "occurs twice",
    );
    damaged(path, b"not one at all", "does not begin with 'GGUF'");
    assert_eq!(
        verdict("weights.dat", &gguf()),
        Verdict::Verified,
        "by its content"
    );
}

/// A large file is not read: only what describes it.
#[test]
fn tensors_are_passed_over() {
    let data = 8 << 20;
    let big = safetensors(&[("a", "U8", &[data as u64], (0, data as u64))], data);
    let graph = onnx_with(&[number(1, data as u64), number(2, 3), field(9, &vec![1; data])].concat());
    for (path, bytes) in [("m.safetensors", big), ("m.onnx", graph)] {
        let size = bytes.len() as u64;
        let mut file = InMemory {
            bytes: Bytes::from(bytes),
            read: 0,
        };
        let found = find(path, size, &Folder::new(), &Declared::default(), &mut file).unwrap();
        assert_eq!(found.verdict, Verdict::Verified, "{}", found.detail);
        assert!(file.read < 512 << 10, "{path}: {} bytes read", file.read);
    }
}

proptest! {
    #[test]
    fn a_flipped_byte_never_panics(which in 0..3_usize, at in 0..4096_usize, value: u8) {
        let (path, mut bytes) = match which {
            0 => ("m.safetensors", net()),
            1 => ("m.onnx", onnx()),
            _ => ("m.gguf", gguf()),
        };
        let at = at % bytes.len();
        bytes[at] = value;
        found(path, &bytes);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, name in "[a-z]{1,3}[.](safetensors|onnx|gguf|pkl|bin|zip)") {
        found(&name, &bytes);
        found(&name, &[b"PK\x03\x04".to_vec(), bytes.clone()].concat());
        found(&name, &[b"GGUF\x03\0\0\0".to_vec(), bytes].concat());
    }
}
