//! Points as bytes: for each the differences of time and step from the point before it, as variable-length integers with
//! the sign in the lowest bit, and the value as it is. A chunk is the points of one metric; a batch, those of several as
//! one call logged them.

use std::collections::BTreeMap;

use super::Point;

/// Bytes of a chunk.
pub(crate) fn encode(points: &[Point]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(points.len() * 12);
    let mut before = (0, 0);
    points
        .iter()
        .for_each(|point| put_point(&mut bytes, &mut before, point));
    bytes
}

/// The points of a chunk; None if it is none.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Vec<Point>> {
    let mut points = Vec::with_capacity(bytes.len() / 10);
    let mut before = (0, 0);
    while !bytes.is_empty() {
        points.push(take_point(&mut bytes, &mut before)?);
    }
    Some(points)
}

/// Bytes of a batch: points by the number of their metric's name.
pub(crate) fn encode_batch(batch: &BTreeMap<i64, Vec<Point>>) -> Vec<u8> {
    let count: usize = batch.values().map(Vec::len).sum();
    let mut bytes = Vec::with_capacity(count * 14);
    // A call's points are of about the same time, whatever their metric.
    let mut before = (0, 0);
    for (key_no, points) in batch {
        put(&mut bytes, *key_no);
        put(&mut bytes, i64::try_from(points.len()).unwrap_or(i64::MAX));
        points
            .iter()
            .for_each(|point| put_point(&mut bytes, &mut before, point));
    }
    bytes
}

/// The points of a batch, each with the number of its metric's name; None if it is none.
pub(crate) fn decode_batch(mut bytes: &[u8], mut each: impl FnMut(i64, Point)) -> Option<()> {
    let mut before = (0, 0);
    while !bytes.is_empty() {
        let key_no = take(&mut bytes)?;
        for _ in 0..take(&mut bytes)? {
            each(key_no, take_point(&mut bytes, &mut before)?);
        }
    }
    Some(())
}

/// Behind a point with this time and step.
fn put_point(bytes: &mut Vec<u8>, (logged_ms, step): &mut (i64, i64), point: &Point) {
    put(bytes, point.logged_ms.wrapping_sub(*logged_ms));
    put(bytes, point.step.wrapping_sub(*step));
    bytes.extend_from_slice(&point.value.to_le_bytes());
    (*logged_ms, *step) = (point.logged_ms, point.step);
}

fn take_point(bytes: &mut &[u8], (logged_ms, step): &mut (i64, i64)) -> Option<Point> {
    *logged_ms = logged_ms.wrapping_add(take(bytes)?);
    *step = step.wrapping_add(take(bytes)?);
    let (value, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(Point {
        logged_ms: *logged_ms,
        step: *step,
        value: f64::from_le_bytes(*value),
    })
}

fn put(bytes: &mut Vec<u8>, signed: i64) {
    let mut rest = (signed.wrapping_shl(1) ^ (signed >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut folded = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        folded |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_bit_by_bit() {
        let edges = [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN, 1_763_000_000_000];
        let values = [
            0.0,
            -0.0,
            1.5,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::INFINITY,
            f64::NAN,
        ];
        let mut points = Vec::new();
        for (at, logged_ms) in edges.into_iter().enumerate() {
            for step in edges {
                points.push(Point {
                    logged_ms,
                    step,
                    value: values[(at + points.len()) % values.len()],
                });
            }
        }
        let bytes = encode(&points);
        let back = decode(&bytes).unwrap();
        assert_eq!(back.len(), points.len());
        for (one, other) in points.iter().zip(&back) {
            assert_eq!((one.logged_ms, one.step), (other.logged_ms, other.step));
            assert_eq!(one.value.to_bits(), other.value.to_bits());
        }
        assert!(decode(&[]).unwrap().is_empty());
        for end in 0..bytes.len() {
            if let Some(part) = decode(&bytes[..end]) {
                assert_eq!(encode(&part), &bytes[..end], "cut between two points");
            }
        }
        assert!(decode(&[0xff; 40]).is_none());
    }

    #[test]
    fn a_batch_has_the_points_of_each_metric() {
        let point = |at: i64| Point {
            logged_ms: 1_763_000_000_000 + at % 3,
            step: at,
            value: at as f64,
        };
        let batch: BTreeMap<i64, Vec<Point>> = [(1, 0..3), (7, 3..4), (900, 4..9)]
            .map(|(key_no, points)| (key_no, points.map(point).collect()))
            .into();
        let bytes = encode_batch(&batch);
        let mut back: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
        let read = decode_batch(&bytes, |key_no, point| {
            back.entry(key_no).or_default().push(point)
        });
        assert_eq!((read, &back), (Some(()), &batch));
        let whole = (1..bytes.len()).filter(|end| decode_batch(&bytes[..*end], |_, _| ()).is_some());
        assert_eq!(
            whole.count(),
            2,
            "cut between two metrics, or in the middle of something"
        );
        assert!(decode_batch(&[0, 0x80], |_, _| ()).is_none());
    }

    #[test]
    fn a_point_costs_a_dozen_bytes() {
        let points: Vec<Point> = (0..1000)
            .map(|at| Point {
                logged_ms: 1_763_000_000_000 + at * 137,
                step: at * 10,
                value: 1.0 / at as f64,
            })
            .collect();
        assert!(encode(&points).len() < 12 * points.len());
    }
}
