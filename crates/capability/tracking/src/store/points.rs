//! The points of metrics: batches as they were logged, and chunks of histories that batches are put into.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, Value, params};
use corliss_mlflow_wire::PointsDigest;

use super::batches::Batches;
use super::history::{
    CHUNK_POINTS, Grown, Point, appended, decode, decode_batch, encode, encode_batch, into_chunk,
};

/// A run's batches are put into chunks when there are so many (in this file's tests, far fewer): a reader of a history
/// goes through no more.
const BATCHES: i64 = if cfg!(test) { 4 } else { 64 };
/// A batch of more points is put into chunks at once. A call logs fewer; a home that is moved has more.
const BATCH_POINTS: usize = if cfg!(test) { 250 } else { 4096 };
/// Chunks that are read at a time where a whole history goes by.
const CHUNKS_READ: i64 = if cfg!(test) { 2 } else { 256 };

/// Points by the number of their metric's name.
pub(super) type ByKey = BTreeMap<i64, Vec<Point>>;

/// A chunk of a history on its way into the table.
struct ChunkRow {
    key_no: i64,
    number: i64,
    points: Vec<Point>,
}

/// Adds points to the histories of a run.
pub(super) fn add_points(
    tx: &mut dyn Tx,
    batches: &Batches,
    run_no: i64,
    new: ByKey,
) -> Result<(), StoreError> {
    let count: usize = new.values().map(Vec::len).sum();
    if count <= BATCH_POINTS && batches.count(tx, run_no)? < BATCHES {
        tx.execute(
            "INSERT INTO tracking_batches (run_no, batch, data) VALUES ($1, $2, $3)",
            params![run_no, batches.next(), encode_batch(&new)],
        )?;
        batches.added(run_no);
        return Ok(());
    }
    batches.forget(run_no);
    put_into_chunks(tx, run_no, new)
}

/// Puts what is in batches, and these points, into chunks.
fn put_into_chunks(tx: &mut dyn Tx, run_no: i64, mut all: ByKey) -> Result<(), StoreError> {
    each_of_batches(tx, run_no, |key_no, point| {
        all.entry(key_no).or_default().push(point)
    })?;
    let keys: Vec<i64> = all.keys().copied().collect();
    let mut tails = tails_of(tx, run_no, &keys)?;
    let mut chunks = Vec::new();
    for (key_no, mut points) in all {
        points.sort_unstable();
        points.dedup();
        let tail = tails.remove(&key_no);
        place(tx, run_no, key_no, tail, &points, &mut chunks)?;
    }
    put_chunks(tx, run_no, &chunks)?;
    tx.execute("DELETE FROM tracking_batches WHERE run_no = $1", params![run_no])?;
    Ok(())
}

fn each_of_batches(tx: &mut dyn Tx, run_no: i64, mut each: impl FnMut(i64, Point)) -> Result<(), StoreError> {
    let rows = tx.query(
        "SELECT data FROM tracking_batches WHERE run_no = $1 ORDER BY batch",
        params![run_no],
    )?;
    for row in rows {
        decode_batch(&row.blob("data")?, &mut each).ok_or_else(|| malformed("batch"))?;
    }
    Ok(())
}

fn malformed(what: &str) -> StoreError {
    StoreError::Malformed {
        column: "data".to_owned(),
        message: format!("it is no {what} of points"),
    }
}

fn points_of(row: &Row) -> Result<Vec<Point>, StoreError> {
    decode(&row.blob("data")?).ok_or_else(|| malformed("chunk"))
}

/// A chunk with its number.
type Chunk = (i64, Vec<Point>);

/// The last chunk of each of these histories, by the number of its name. Each is looked up by itself, in one statement.
fn tails_of(tx: &mut dyn Tx, run_no: i64, keys: &[i64]) -> Result<BTreeMap<i64, Chunk>, StoreError> {
    let mut tails = BTreeMap::new();
    for mut list in super::number_lists(keys) {
        let run = list.len() + 1;
        let sql = format!(
            "SELECT p.key_no, p.chunk, p.data
             FROM (SELECT k.key_no, (SELECT MAX(chunk) FROM tracking_points
                                     WHERE run_no = ${run} AND key_no = k.key_no) AS chunk
                   FROM tracking_keys k WHERE k.key_no IN ({})) t
             JOIN tracking_points p ON p.run_no = ${run} AND p.key_no = t.key_no AND p.chunk = t.chunk",
            super::list(list.len())
        );
        list.push(run_no.into());
        for row in tx.query(&sql, &list)? {
            let chunk = (row.integer("chunk")?, points_of(&row)?);
            tails.insert(row.integer("key_no")?, chunk);
        }
    }
    Ok(tails)
}

/// Finds the chunks that sorted points of one metric go into, whose last chunk is `tail`.
fn place(
    tx: &mut dyn Tx,
    run_no: i64,
    key_no: i64,
    tail: Option<Chunk>,
    points: &[Point],
    chunks: &mut Vec<ChunkRow>,
) -> Result<(), StoreError> {
    let mut write = |written: Vec<(i64, Vec<Point>)>| {
        chunks.extend(written.into_iter().map(|(number, points)| ChunkRow {
            key_no,
            number,
            points,
        }));
    };
    let Some((tail, last_points)) = tail else {
        write(appended(None, points));
        return Ok(());
    };
    let is_behind = last_points.last() < points.first();
    if is_behind {
        write(appended(Some((tail, last_points)), points));
        return Ok(());
    }
    if last_points.first() <= points.first() {
        match into_chunk(tail, &last_points, points, None) {
            Grown::Same => return Ok(()),
            Grown::Chunks(grown) => {
                write(grown);
                return Ok(());
            }
            Grown::Crowded => {}
        }
    }
    // Out of order, far back: seldom, so it need not be fast, only right.
    rewrite(tx, run_no, key_no, points, &mut write)
}

/// Adds points wherever they belong in a history.
fn rewrite(
    tx: &mut dyn Tx,
    run_no: i64,
    key_no: i64,
    points: &[Point],
    write: &mut dyn FnMut(Vec<(i64, Vec<Point>)>),
) -> Result<(), StoreError> {
    let numbered = chunks_of(tx, run_no, key_no)?;
    let mut rest = points;
    let mut grown_all = Vec::new();
    for (at, (number, chunk)) in numbered.iter().enumerate() {
        let next = numbered.get(at + 1);
        let own = rest.partition_point(|point| {
            next.is_none_or(|(_, points)| points.first().is_none_or(|first| point < first))
        });
        let (own, others) = rest.split_at(own);
        rest = others;
        if own.is_empty() {
            continue;
        }
        match into_chunk(*number, chunk, own, next.map(|(number, _)| *number)) {
            Grown::Same => {}
            Grown::Chunks(grown) => grown_all.extend(grown),
            Grown::Crowded => {
                let mut all: Vec<Point> = numbered.into_iter().flat_map(|(_, points)| points).collect();
                all.extend_from_slice(points);
                all.sort_unstable();
                all.dedup();
                tx.execute(
                    "DELETE FROM tracking_points WHERE run_no = $1 AND key_no = $2",
                    params![run_no, key_no],
                )?;
                write(appended(None, &all));
                return Ok(());
            }
        }
    }
    write(grown_all);
    Ok(())
}

fn put_chunks(tx: &mut dyn Tx, run_no: i64, chunks: &[ChunkRow]) -> Result<(), StoreError> {
    for some in super::row_groups(chunks) {
        let cells = some.iter().flat_map(|chunk| -> [Value; 4] {
            [
                run_no.into(),
                chunk.key_no.into(),
                chunk.number.into(),
                encode(&chunk.points).into(),
            ]
        });
        let sql = format!(
            "INSERT INTO tracking_points (run_no, key_no, chunk, data) VALUES {}
             ON CONFLICT (run_no, key_no, chunk) DO UPDATE SET data = excluded.data",
            super::placeholders(some.len(), 4)
        );
        tx.execute(&sql, &cells.collect::<Vec<_>>())?;
    }
    Ok(())
}

fn chunks_of(tx: &mut dyn Tx, run_no: i64, key_no: i64) -> Result<Vec<(i64, Vec<Point>)>, StoreError> {
    let rows = tx.query(
        "SELECT chunk, data FROM tracking_points WHERE run_no = $1 AND key_no = $2 ORDER BY chunk",
        params![run_no, key_no],
    )?;
    rows.iter()
        .map(|row| Ok((row.integer("chunk")?, points_of(row)?)))
        .collect()
}

/// All points of a metric of a run, in order of time, step and value.
pub(crate) fn points(tx: &mut dyn Tx, run_no: i64, key_no: i64) -> Result<Vec<Point>, StoreError> {
    let chunks = chunks_of(tx, run_no, key_no)?;
    let mut all: Vec<Point> = chunks.into_iter().flat_map(|(_, points)| points).collect();
    let in_chunks = all.len();
    each_of_batches(tx, run_no, |of, point| {
        if of == key_no {
            all.push(point);
        }
    })?;
    if all.len() > in_chunks {
        all.sort();
        all.dedup();
    }
    Ok(all)
}

/// The points of each metric of a run, counted and digested, by the number of its name. However long a history is, a few
/// chunks of it are held at a time.
pub(crate) fn digests_of(tx: &mut dyn Tx, run_no: i64) -> Result<BTreeMap<i64, PointsDigest>, StoreError> {
    let mut in_batches = ByKey::new();
    each_of_batches(tx, run_no, |key_no, point| {
        in_batches.entry(key_no).or_default().push(point);
    })?;
    let rows = tx.query(
        "SELECT key_no FROM tracking_latest WHERE run_no = $1",
        params![run_no],
    )?;
    let mut digests = BTreeMap::new();
    for row in rows {
        let key_no = row.integer("key_no")?;
        let mut batched = in_batches.remove(&key_no).unwrap_or_default();
        batched.sort_unstable();
        let mut batched = batched.into_iter().peekable();
        let mut digest = PointsDigest::default();
        let mut add = |point: Point| digest.add(point.logged_ms, point.step, point.value);
        each_of_chunks(tx, run_no, key_no, |point| {
            while let Some(earlier) = batched.next_if(|one| *one < point) {
                add(earlier);
            }
            add(point);
        })?;
        batched.for_each(add);
        digests.insert(key_no, digest);
    }
    Ok(digests)
}

/// The points of a metric that are in chunks, in their order.
fn each_of_chunks(
    tx: &mut dyn Tx,
    run_no: i64,
    key_no: i64,
    mut each: impl FnMut(Point),
) -> Result<(), StoreError> {
    let mut after = i64::MIN;
    loop {
        let rows = tx.query(
            "SELECT chunk, data FROM tracking_points WHERE run_no = $1 AND key_no = $2 AND chunk > $3
             ORDER BY chunk LIMIT $4",
            params![run_no, key_no, after, CHUNKS_READ],
        )?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.integer("chunk")?;
        for row in &rows {
            points_of(row)?.into_iter().for_each(&mut each);
        }
    }
}

const _: () = assert!(
    CHUNK_POINTS > 1,
    "a chunk that is divided leaves something on both sides"
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use corliss_metastore::Metastore;
    use proptest::prelude::*;

    use super::super::metrics::log_metrics;
    use super::super::runs::RunRef;
    use super::*;
    use crate::types::LifecycleStage;

    const RUN: RunRef = RunRef {
        number: 1,
        experiment_id: 0,
        stage: LifecycleStage::Active,
    };

    /// With the names that the tests log under.
    async fn store_of_keys() -> (Metastore, Arc<Batches>) {
        let store = Metastore::in_memory(&[super::super::MIGRATIONS]).await.unwrap();
        let sql = "INSERT INTO tracking_keys (key_no, name) VALUES (1, 'a'), (2, 'b')";
        let _: u64 = store
            .write(|tx| tx.execute(sql, &[]))
            .await
            .map_err(|error: StoreError| error)
            .unwrap();
        let batches = Arc::new(Batches::open(&store).await.unwrap());
        (store, batches)
    }

    /// Calls that log points: in order, out of order, twice, in one call and in many.
    fn calls() -> impl Strategy<Value = Vec<Vec<(i64, Point)>>> {
        let value = prop_oneof![Just(f64::NAN), Just(0.0), Just(f64::INFINITY), -2.0..2.0_f64];
        let point = (0..400_i64, 0..3_i64, value).prop_map(|(logged_ms, step, value)| Point {
            logged_ms,
            step,
            value,
        });
        let call = prop_oneof![
            prop::collection::vec((1..3_i64, point.clone()), 1..6),
            prop::collection::vec((1..3_i64, point), 100..300),
        ];
        let forward = (0..50_i64, 1..200_i64).prop_map(|(from, count)| {
            let point = |at: i64| Point {
                logged_ms: from * 10 + at,
                step: at,
                value: at as f64,
            };
            (0..count).map(|at| (1, point(at))).collect()
        });
        prop::collection::vec(prop_oneof![call, forward], 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_history_is_the_sorted_set_of_its_points_and_the_latest_its_greatest(calls in calls()) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (store, batches) = store_of_keys().await;
                let mut model: BTreeMap<i64, BTreeSet<Point>> = BTreeMap::new();
                for call in calls {
                    for (key_no, point) in &call {
                        model.entry(*key_no).or_default().insert(*point);
                    }
                    let batches = Arc::clone(&batches);
                    store.write(move |tx| log_metrics(tx, &batches, &RUN, &call)).await.unwrap();
                }
                let found = store.read(|tx| digests_of(tx, 1)).await.unwrap();
                let found: BTreeMap<_, _> = found.iter().map(|(key_no, of)| (*key_no, of.finish())).collect();
                let expected: BTreeMap<_, _> = model
                    .iter()
                    .map(|(key_no, points)| {
                        let mut digest = PointsDigest::default();
                        points.iter().for_each(|point| digest.add(point.logged_ms, point.step, point.value));
                        (*key_no, digest.finish())
                    })
                    .collect();
                assert_eq!(found, expected);
                for (key_no, expected) in model {
                    let (found, sizes) = store
                        .read(move |tx| {
                            let sizes = chunks_of(tx, 1, key_no)?.iter().map(|(_, points)| points.len()).collect();
                            Ok::<(_, Vec<usize>), StoreError>((points(tx, 1, key_no)?, sizes))
                        })
                        .await
                        .unwrap();
                    assert!(found.iter().eq(expected.iter()), "{found:?} is not {expected:?}");
                    assert!(sizes.iter().all(|size| (1..=CHUNK_POINTS).contains(size)), "{sizes:?}");
                    let latest = store
                        .read(move |tx| tx.query_one("SELECT * FROM tracking_latest WHERE key_no = $1", params![key_no]))
                        .await
                        .unwrap();
                    let latest = super::super::metrics::point_of(&latest).unwrap();
                    assert!(expected.iter().all(|point| !point.is_later_than(&latest)), "{latest:?}");
                }
            });
        }
    }

    #[tokio::test]
    async fn points_that_come_backwards_are_numbered_anew_when_no_room_is_left() {
        let (store, batches) = store_of_keys().await;
        let count = 8_000;
        let point = |at: i64| Point {
            logged_ms: at,
            step: 0,
            value: 1.0,
        };
        for first in (0..count).step_by(10).collect::<Vec<_>>().into_iter().rev() {
            let call: Vec<_> = (first..first + 10).map(|at| (1, point(at))).collect();
            let batches = Arc::clone(&batches);
            store
                .write(move |tx| log_metrics(tx, &batches, &RUN, &call))
                .await
                .unwrap();
        }
        let found = store.read(|tx| points(tx, 1, 1)).await.unwrap();
        assert!(found.iter().map(|point| point.logged_ms).eq(0..count));
    }
}
