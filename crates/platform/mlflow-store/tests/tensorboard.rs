//! Event files, written by hand as TensorBoard's writers write them: what they hold comes out, and damage is told.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::fs;
use std::path::Path;

use corliss_mlflow_store::{EventFiles, EventRun, Pair, Point};

/// CRC-32C, bit by bit.
fn masked(bytes: &[u8]) -> u32 {
    let mut sum = !0_u32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 {
                sum >> 1 ^ 0x82f6_3b78
            } else {
                sum >> 1
            };
        }
    }
    (!sum).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    [
        &length[..],
        &masked(&length).to_le_bytes(),
        event,
        &masked(event).to_le_bytes(),
    ]
    .concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn event(wall_time: f64, step: i64, value: &[u8]) -> Vec<u8> {
    let time = [&[9][..], &wall_time.to_le_bytes()].concat();
    let step = [vec![16], varint(step.cast_unsigned())].concat();
    record(&[time, step, bytes(5, &bytes(1, value))].concat())
}

fn simple(tag: &str, value: f32) -> Vec<u8> {
    [bytes(1, tag.as_bytes()), vec![0x15], value.to_le_bytes().to_vec()].concat()
}

fn plugin(name: &str, content: &[u8]) -> Vec<u8> {
    bytes(
        9,
        &bytes(1, &[bytes(1, name.as_bytes()), bytes(2, content)].concat()),
    )
}

fn version() -> Vec<u8> {
    record(
        &[
            vec![9],
            100.0_f64.to_le_bytes().to_vec(),
            bytes(3, b"brain.Event:2"),
        ]
        .concat(),
    )
}

fn scalars(tag: &str, count: i64) -> Vec<u8> {
    (0..count)
        .flat_map(|step| event(100.0 + step as f64, step, &simple(tag, step as f32 / 2.0)))
        .collect()
}

fn write(folder: &Path, name: &str, parts: &[Vec<u8>]) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(format!("events.out.tfevents.{name}")), parts.concat()).unwrap();
}

fn runs(root: &Path) -> Vec<EventRun> {
    EventFiles::open(root)
        .unwrap()
        .runs("digits")
        .map(Result::unwrap)
        .collect()
}

fn steps(points: &[Point]) -> Vec<i64> {
    points.iter().map(|point| point.step).collect()
}

#[test]
fn each_folder_is_a_run_and_each_scalar_a_metric() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("logs");
    write(&root.join("a/train"), "1", &[version(), scalars("loss", 3)]);
    write(
        &root.join("a/train"),
        "2",
        &[version(), event(200.0, -1, &simple("loss", f32::NAN))],
    );
    write(
        &root,
        "1",
        &[version(), event(100.5, 7, &simple("acc (top 5)", 0.5))],
    );
    fs::write(root.join("a/notes.txt"), "no events").unwrap();
    let found = runs(&root);
    let names: Vec<&str> = found.iter().map(|run| run.run.name.as_str()).collect();
    assert_eq!(names, ["a/train", "logs"]);
    let train = &found[0];
    assert_eq!(steps(&train.points["loss"]), [0, 1, 2, -1]);
    assert_eq!(train.points["loss"][2].value, 1.0);
    assert!(train.points["loss"][3].value.is_nan());
    assert_eq!((train.run.start_ms, train.run.end_ms), (100_000, Some(200_000)));
    assert_eq!(train.points["loss"].len(), 4);
    assert_eq!(train.run.tags, [Pair::new("mlflow.runName", "a/train")]);
    assert!(train.notices.is_empty() && train.damage.is_empty());
    assert_eq!(found[1].points.keys().next().unwrap(), "acc _top 5_");
    assert_eq!(
        found[1].notices,
        ["the tag 'acc (top 5)' is the metric 'acc _top 5_'"]
    );
    // The same wherever it lies; another in another experiment.
    let moved = home.path().join("logs2/logs");
    fs::create_dir_all(moved.parent().unwrap()).unwrap();
    fs::rename(&root, &moved).unwrap();
    assert_eq!(runs(&moved)[0].run.run_id, train.run.run_id);
    assert_eq!(train.run.run_id.len(), 32);
    let other = EventFiles::open(&moved)
        .unwrap()
        .runs("other")
        .next()
        .unwrap()
        .unwrap();
    assert_ne!(other.run.run_id, train.run.run_id);
}

#[test]
fn tensors_of_one_number_are_scalars_and_other_kinds_are_counted() {
    let home = tempfile::tempdir().unwrap();
    let tensor =
        |kind: u64, field: Vec<u8>| bytes(8, &[vec![8], varint(kind), bytes(2, &[]), field].concat());
    let tagged = |tag: &str, parts: &[Vec<u8>]| [bytes(1, tag.as_bytes()), parts.concat()].concat();
    let float = tensor(1, bytes(4, &0.25_f32.to_le_bytes()));
    let double = tensor(2, bytes(6, &0.1_f64.to_le_bytes()));
    let whole = tensor(9, bytes(10, &varint(5)));
    let many = tensor(1, bytes(5, &[0; 8]));
    write(
        home.path(),
        "1",
        &[
            event(1.0, 1, &tagged("float", &[float.clone(), plugin("scalars", b"")])),
            event(1.0, 1, &tagged("double", &[double])),
            event(1.0, 1, &tagged("whole", &[whole])),
            event(1.0, 1, &tagged("many", &[many])),
            event(1.0, 1, &tagged("text", &[float.clone(), plugin("text", b"")])),
            // Only the first value of a tag says its kind.
            event(1.0, 2, &tagged("text", &[float])),
            event(1.0, 1, &tagged("picture", &[bytes(4, b"png")])),
            event(1.0, 1, &tagged("weights", &[bytes(5, b"histo")])),
        ],
    );
    let run = &runs(home.path())[0];
    let found: Vec<(&str, f64)> = run
        .points
        .iter()
        .map(|(key, points)| (key.as_str(), points[0].value))
        .collect();
    assert_eq!(found, [("double", 0.1), ("float", 0.25), ("whole", 5.0)]);
    let left: Vec<(&str, u64)> = run
        .left_out
        .iter()
        .map(|(kind, count)| (kind.as_str(), *count))
        .collect();
    assert_eq!(
        left,
        [("histograms", 1), ("images", 1), ("other", 1), ("text", 2)]
    );
}

#[test]
fn hparams_are_parameters() {
    let home = tempfile::tempdir().unwrap();
    let number = |value: f64| [vec![17], value.to_le_bytes().to_vec()].concat();
    let entry = |key: &str, value: Vec<u8>| bytes(1, &[bytes(1, key.as_bytes()), bytes(2, &value)].concat());
    let session = [
        entry("rate", number(0.001)),
        entry("layers", number(3.0)),
        entry("optimizer", bytes(3, b"adam")),
        entry("nesterov", vec![32, 1]),
    ];
    let content = [vec![8, 0], bytes(3, &session.concat())].concat();
    let value = [
        bytes(1, b"_hparams_/session_start_info"),
        plugin("hparams", &content),
    ]
    .concat();
    write(home.path(), "1", &[event(1.0, 0, &value)]);
    let params = [
        ("layers", "3"),
        ("nesterov", "True"),
        ("optimizer", "adam"),
        ("rate", "0.001"),
    ];
    assert_eq!(
        runs(home.path())[0].run.params,
        params.map(|(key, value)| Pair::new(key, value))
    );
}

#[test]
fn a_file_that_ends_early_is_read_to_there_at_every_byte() {
    let home = tempfile::tempdir().unwrap();
    let whole = [version(), scalars("loss", 2)].concat();
    let last = event(101.0, 1, &simple("loss", 0.5)).len();
    let second = whole.len() - last;
    for length in second + 1..whole.len() {
        write(home.path(), "1", &[whole[..length].to_vec()]);
        let run = &runs(home.path())[0];
        assert_eq!(steps(&run.points["loss"]), [0], "{length}");
        assert!(run.damage.is_empty(), "{length}: {:?}", run.damage);
        assert_eq!(run.notices.len(), 1, "{length}");
        assert!(
            run.notices[0].contains(&format!("at byte {second}, is not complete")),
            "{:?}",
            run.notices
        );
    }
}

#[test]
fn a_record_that_does_not_fit_its_checksum_is_damage() {
    let home = tempfile::tempdir().unwrap();
    let whole = [version(), scalars("loss", 3)].concat();
    let one = event(100.0, 0, &simple("loss", 0.0)).len();
    let second = version().len() + one;
    for (at, problem) in [
        (second, "the length of a record"),
        (second + 9, "the length of a record"),
        (second + 20, "a record does not fit"),
        (second + one - 1, "a record does not fit"),
    ] {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        write(home.path(), "1", &[bad]);
        let run = &runs(home.path())[0];
        assert_eq!(steps(&run.points["loss"]), [0], "byte {at}");
        assert_eq!(run.damage.len(), 1);
        assert!(run.damage[0].contains(problem), "{:?}", run.damage);
        assert!(
            run.damage[0].contains(&format!("at byte {second}")),
            "{:?}",
            run.damage
        );
    }
}

#[test]
fn a_long_history_is_read_and_a_folder_without_events_refused() {
    let home = tempfile::tempdir().unwrap();
    assert!(
        EventFiles::open(home.path())
            .unwrap_err()
            .to_string()
            .contains("no event file")
    );
    write(home.path(), "1", &[version(), scalars("loss", 250_000)]);
    let run = &runs(home.path())[0];
    assert!(run.points["loss"].iter().map(|point| point.step).eq(0..250_000));
}

#[test]
fn an_event_whose_time_is_none_is_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let timeless = [f64::NAN, f64::INFINITY, 1e300, -1.0].map(|time| event(time, 9, &simple("loss", 1.0)));
    let mut parts = vec![version()];
    parts.extend(timeless);
    parts.push(scalars("loss", 2));
    write(folder.path(), "events.out.tfevents.1", &parts);
    let run = runs(folder.path()).remove(0);
    assert_eq!(steps(&run.points["loss"]), [0, 1]);
    assert_eq!(run.damage.len(), 1);
    assert!(
        run.damage[0].starts_with("left out: 4 events of the run '"),
        "{:?}",
        run.damage
    );
}
