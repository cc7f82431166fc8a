//! Pickles under any name, and what is none.

use corliss_model_format::{Declared, Folder, Verdict};

use super::build::{gguf, net, onnx, zip};
use super::{found, found_in, verdict};

/// `pickle.dumps(os.system, 2)` and `pickle.dumps({"a": 1}, 5)`, as CPython writes them.
const IMPORTS: &[u8] = b"\x80\x02cposix\nsystem\nq\x00.";
const PROTOCOL_5: &[u8] = b"\x80\x05\x95\x0a\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.";
/// `pickle.dumps(os.system, 0)`.
const PROTOCOL_0: &[u8] = b"cposix\nsystem\np0\n.";
/// `pickle.dumps([1], 0)`.
const PLAIN: &[u8] = b"(lp0\nI1\na.";

#[test]
fn a_pickle_is_one_whatever_it_is_called() {
    for name in [
        "model.pkl",
        "model.onnx",
        "model.safetensors",
        "model.gguf",
        "weights.bin",
        "README.md",
    ] {
        for bytes in [IMPORTS, PROTOCOL_5, PROTOCOL_0] {
            let found = found(name, bytes);
            assert_eq!(
                (found.verdict, found.format),
                (Verdict::Unsafe, "pickle"),
                "{name}: {bytes:?}"
            );
        }
    }
    // joblib writes arrays between the operations, torch several pickles and then tensors.
    let joblib = [
        b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05numpy".to_vec(),
        vec![0xff; 100_000],
    ]
    .concat();
    assert_eq!(verdict("model.joblib", &joblib), Verdict::Unsafe);
    let torch = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    assert_eq!(verdict("old.pt", torch), Verdict::Unsafe);
    // Longer than what is looked at.
    let long = [
        b"cposix\nsystem\n".to_vec(),
        b"I1\n".repeat(40_000),
        b".".to_vec(),
    ]
    .concat();
    assert_eq!(verdict("x.dat", &long), Verdict::Unsafe);
}

#[test]
fn plain_values_are_a_pickle_where_one_is_expected() {
    assert_eq!(verdict("x.txt", PLAIN), Verdict::Unknown);
    assert_eq!(verdict("x.pkl", PLAIN), Verdict::Unsafe);
    let zlib = b"\x78\x9c\x01\x02\x03";
    assert_eq!(verdict("x.joblib", zlib), Verdict::Unsafe);
    assert_eq!(verdict("x.pkl", b"\x1f\x8b\x08\x00rest"), Verdict::Unsafe);
    assert_eq!(verdict("table.csv.gz", b"\x1f\x8b\x08\x00rest"), Verdict::Unknown);
    let declared = Declared {
        pickles: ["odd.name".to_owned()].into(),
        ..Declared::default()
    };
    let found = |path| found_in(path, b"{}", &Folder::new(), &declared);
    assert_eq!(found("odd.name").verdict, Verdict::Unsafe);
    assert!(found("odd.name").detail.contains("MLmodel"));
    assert_eq!(found("other.name").verdict, Verdict::Unknown);
}

#[test]
fn archives_are_looked_into_by_their_names() {
    let torch = found("model.pt", &zip(&["archive/version", "archive/data.pkl"]));
    assert_eq!((torch.verdict, torch.format), (Verdict::Unsafe, "torch"));
    assert!(torch.detail.contains("'archive/data.pkl'"), "{}", torch.detail);
    assert_eq!(
        verdict("model.onnx", &zip(&["archive/data.pkl"])),
        Verdict::Unsafe
    );
    assert_eq!(
        verdict("table.zip", &zip(&["a.csv", "pickled.txt"])),
        Verdict::Unknown
    );
    // Without its directory it is still one.
    let whole = zip(&["archive/data.pkl"]);
    assert_eq!(verdict("cut.pt", &whole[..50]), Verdict::Unsafe);
    for length in 0..whole.len() {
        verdict("cut.pt", &whole[..length]);
    }
}

#[test]
fn arrays_of_objects_are_pickles_and_numbers_are_not() {
    let npy = |descr: &str| {
        [
            b"\x93NUMPY\x01\x00v\x00".to_vec(),
            format!("{{'descr': {descr}, }}").into_bytes(),
        ]
        .concat()
    };
    assert_eq!(verdict("x.npy", &npy("'|O'")), Verdict::Unsafe);
    assert_eq!(verdict("x.npy", &npy("'<f4'")), Verdict::Unknown);
}

#[test]
fn what_is_no_pickle_is_not_taken_for_one() {
    for bytes in [
        &b""[..],
        b".",
        b"flavors: {}\n",
        b"{\"a\": 1}",
        b"column,b\n1,2\n",
        b"import os\nprint(1).",
        b"# a model\n\nI am a text. It says so.\n",
        b"\x80\x02",
        b"\x80\x02\xff\xff",
        b"c\n\n.",
        b"c1x\ny\n.",
        b"cposix\nsystem\n. and more",
    ] {
        assert_eq!(verdict("file.txt", bytes), Verdict::Unknown, "{bytes:?}");
    }
    for (path, bytes) in [("m.safetensors", net()), ("m.onnx", onnx()), ("m.gguf", gguf())] {
        assert_eq!(verdict(path, &bytes), Verdict::Verified);
    }
}
