//! Where new points go: behind the last chunk, as nearly all do, or into the chunk in whose time they lie.

use super::Point;

/// Points of a full chunk: few enough that a chunk lies within a page of the database with others, and that adding
/// a point writes less than a page.
pub(crate) const CHUNK_POINTS: usize = 64;
/// Numbers between neighbouring chunks, for those that come between them.
pub(crate) const STRIDE: i64 = 1 << 20;

/// Points behind the end of a history, the last chunk of which (with its number) they fill first. Answers the chunks to
/// write. All of them come after what is there.
pub(crate) fn appended(tail: Option<(i64, Vec<Point>)>, new: &[Point]) -> Vec<(i64, Vec<Point>)> {
    let (mut number, mut open) = tail.unwrap_or((0, Vec::new()));
    let mut written = Vec::new();
    let mut is_changed = false;
    for point in new {
        if open.len() >= CHUNK_POINTS {
            let full = std::mem::take(&mut open);
            if is_changed {
                written.push((number, full));
            }
            number += STRIDE;
        }
        open.push(*point);
        is_changed = true;
    }
    written.push((number, open));
    written
}

/// What a chunk becomes that takes in points of its own time.
pub(crate) enum Grown {
    /// It has them all already.
    Same,
    /// Itself, and those that follow it before the next one.
    Chunks(Vec<(i64, Vec<Point>)>),
    /// There is no number left between it and the next one: the history must be numbered anew.
    Crowded,
}

/// A chunk and new points that belong between its first and the next chunk, which has the number `next`.
pub(crate) fn into_chunk(number: i64, points: &[Point], new: &[Point], next: Option<i64>) -> Grown {
    let mut all = points.to_vec();
    all.extend_from_slice(new);
    all.sort_unstable();
    all.dedup();
    if all.len() == points.len() {
        return Grown::Same;
    }
    let parts = all.len().div_ceil(CHUNK_POINTS);
    let room = next.map_or(STRIDE, |next| next - number);
    let Ok(wanted) = i64::try_from(parts) else {
        return Grown::Crowded;
    };
    if room < wanted {
        return Grown::Crowded;
    }
    // As full as each other, and as far apart.
    let (each, apart) = (all.len().div_ceil(parts), room / wanted);
    let chunks = (0..).zip(all.chunks(each));
    Grown::Chunks(
        chunks
            .map(|(at, points): (i64, _)| (number + at * apart, points.to_vec()))
            .collect(),
    )
}
