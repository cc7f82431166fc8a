//! Searches over runs.
//!
//! A search starts where the fewest rows are looked at: at a value that few runs have, at the metric that is ordered
//! by, or at the newest run. So it takes as long among a hundred thousand runs as among a few thousand.

use corliss_metastore::{StoreError, Tx};
use corliss_mlflow_wire::{Comparison, Order};

use super::super::keys::Keys;
use super::super::runs::{NumberedRun, from_row};
use super::condition::{Condition, Subject};
use super::statement::{Clause, Search, Start};
use crate::TrackingError;
use crate::types::ViewType;

/// A value that so many runs have at most is where a search starts. Beyond it, one run in twenty of a hundred thousand,
/// a page is full soon.
pub(crate) const FEW: i64 = 5000;
/// Conditions of which it is asked how many runs pass them; a filter with more is not looked at further.
const ASKED: usize = 8;

/// A search over runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunQuery<'a> {
    pub experiment_ids: &'a [i64],
    pub view: ViewType,
    pub filter: &'a [Comparison],
    pub order: &'a [Order],
    /// How many rows, from which.
    pub rows: (i64, i64),
    /// [`FEW`], or less in a test.
    pub few: i64,
}

/// A page of runs, without what they logged.
pub(crate) fn search_runs(
    tx: &mut dyn Tx,
    keys: &Keys,
    query: RunQuery<'_>,
) -> Result<Vec<NumberedRun>, TrackingError> {
    let conditions = query.filter.iter();
    let conditions: Vec<Condition> = conditions
        .map(|comparison| Condition::read(tx, keys, comparison))
        .collect::<Result<_, _>>()?;
    let search = Search {
        experiment_ids: query.experiment_ids,
        view: query.view,
        conditions,
        order: clauses(tx, keys, query.order)?,
    };
    let by_metric = search
        .order
        .first()
        .is_some_and(|clause| matches!(clause.subject, Subject::Metric(_)));
    match start(tx, &search, query.few)? {
        // Of several experiments no index has the numbers in one order.
        Start::Runs if by_metric && query.experiment_ids.len() == 1 => by_numbers(tx, &search, query.rows),
        start => page(tx, &search, start, query.rows),
    }
}

fn clauses(tx: &mut dyn Tx, keys: &Keys, order: &[Order]) -> Result<Vec<Clause>, TrackingError> {
    let mut clauses: Vec<Clause> = Vec::with_capacity(order.len());
    for (index, one) in order.iter().enumerate() {
        let is_same = |other: &Order| other.entity == one.entity && other.key == one.key;
        if order.iter().take(index).any(is_same) {
            return Err(TrackingError::invalid(format!(
                "`order_by` contains duplicate fields: {}",
                one.key
            )));
        }
        let subject = Subject::read(tx, keys, one.entity.as_deref(), &one.key)?;
        if subject == Subject::Dataset {
            return Err(TrackingError::invalid("Invalid identifier type 'dataset'"));
        }
        clauses.push(Clause {
            subject,
            ascending: one.ascending,
        });
    }
    Ok(clauses)
}

/// At the condition that the fewest pass, if they are few.
fn start(tx: &mut dyn Tx, search: &Search<'_>, few: i64) -> Result<Start, TrackingError> {
    let mut best = (few + 1, Start::Runs);
    for at in 0..search.conditions.len().min(ASKED) {
        if let Some((sql, values)) = search.few(at, best.0)? {
            let found = tx.query_one(&sql, &values)?.integer("found")?;
            if found < best.0 {
                best = (found, Start::Condition(at));
            }
        }
    }
    Ok(best.1)
}

/// The runs with a number in the order of their numbers, then the others.
fn by_numbers(
    tx: &mut dyn Tx,
    search: &Search<'_>,
    (limit, offset): (i64, i64),
) -> Result<Vec<NumberedRun>, TrackingError> {
    let mut found = page(tx, search, Start::Numbers, (limit, offset))?;
    let here = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let ordered_by = search.order.first().map(|clause| clause.subject);
    let has_number = search
        .conditions
        .iter()
        .any(|condition| Some(condition.subject) == ordered_by);
    if here >= limit || has_number {
        return Ok(found);
    }
    let numbers = if here > 0 || offset == 0 {
        offset + here
    } else {
        let (sql, values) = search.count(Start::Numbers)?;
        tx.query_one(&sql, &values)?.integer("found")?
    };
    let rest = (limit - here, (offset - numbers).max(0));
    found.extend(page(tx, search, Start::NoNumbers, rest)?);
    Ok(found)
}

fn page(
    tx: &mut dyn Tx,
    search: &Search<'_>,
    start: Start,
    rows: (i64, i64),
) -> Result<Vec<NumberedRun>, TrackingError> {
    let (sql, values) = search.page(start, rows)?;
    let rows = tx.query(&sql, &values)?;
    Ok(rows.iter().map(from_row).collect::<Result<_, StoreError>>()?)
}

#[cfg(test)]
mod tests {
    use corliss_metastore::{Metastore, params};
    use corliss_mlflow_wire::{parse_filter, parse_order};

    use super::*;
    use crate::store::{Batches, Point, RunRef, insert_params, log_metrics, put_tags};
    use crate::types::{LifecycleStage, RunInfo, RunStatus};

    const RUNS: i64 = 60;

    /// Runs with ties, gaps, not-a-numbers and a few that are deleted.
    fn fill(tx: &mut dyn Tx, batches: &Batches) -> Result<(), StoreError> {
        for (number, name) in [(1, "a"), (2, "b"), (3, "p"), (4, "t")] {
            tx.execute(
                "INSERT INTO tracking_keys (key_no, name) VALUES ($1, $2)",
                params![number, name],
            )?;
        }
        tx.execute(
            "INSERT INTO tracking_experiments VALUES (0, 'Default', '', 'active', 1, 1)",
            &[],
        )?;
        for number in 0..RUNS {
            let lifecycle = match number % 17 {
                0 => LifecycleStage::Deleted,
                _ => LifecycleStage::Active,
            };
            let info = RunInfo {
                run_id: format!("r{:02}", (number * 37) % RUNS),
                experiment_id: 0,
                name: format!("name {}", number % 3),
                user: String::new(),
                status: RunStatus::Running,
                start_ms: number / 4,
                end_ms: (number % 3 == 0).then_some(number),
                lifecycle,
                artifact_uri: String::new(),
            };
            super::super::super::insert_run(tx, number, &info)?;
            let run = RunRef {
                number,
                experiment_id: 0,
                stage: lifecycle,
            };
            let point = |value: f64| Point {
                logged_ms: 1,
                step: 0,
                value,
            };
            let mut metrics = Vec::new();
            match number % 7 {
                0 => {}
                1 => metrics.push((1, point(f64::NAN))),
                _ => metrics.push((1, point((number % 5) as f64))),
            }
            if number % 2 == 0 {
                metrics.push((2, point(number as f64 / 10.0)));
            }
            log_metrics(tx, batches, &run, &metrics)?;
            if number % 4 > 0 {
                let long = "x".repeat(70) + &(number % 4).to_string();
                insert_params(tx, &run, &[(3, long)])?;
            }
            put_tags(tx, &run, &[(4, format!("{}", number % 6))])?;
        }
        Ok(())
    }

    fn found(
        tx: &mut dyn Tx,
        filter: &str,
        order: &[&str],
        experiment_ids: &[i64],
        few: i64,
        rows: (i64, i64),
    ) -> Result<Vec<String>, TrackingError> {
        let store_keys = Keys::of_nothing();
        let order: Vec<Order> = order.iter().map(|clause| parse_order(clause).unwrap()).collect();
        let filter = parse_filter(filter).unwrap();
        let query = RunQuery {
            experiment_ids,
            view: ViewType::ActiveOnly,
            filter: &filter,
            order: &order,
            rows,
            few,
        };
        let found = search_runs(tx, &store_keys, query)?;
        Ok(found.into_iter().map(|(_, info)| info.run_id).collect())
    }

    #[tokio::test]
    async fn wherever_a_search_starts_it_finds_the_same_in_the_same_order() {
        let x2 = format!("params.p = '{}2'", "x".repeat(70));
        let filters = [
            "",
            "metrics.a > 1",
            "metrics.a >= 4 AND metrics.b < 3.5",
            "metrics.a != 2 AND tags.t = '3'",
            &x2,
            "params.p IS NULL",
            "tags.t = '2' AND attributes.run_name = 'name 1'",
            "metrics.nothing > 0",
            "attributes.run_id IN ('r01', 'r02', 'r07', 'r30')",
        ];
        let orders: [&[&str]; 9] = [
            &[],
            &["metrics.a DESC"],
            &["metrics.a ASC", "attributes.end_time DESC"],
            &["metrics.b"],
            &["metrics.nothing DESC"],
            &["params.p DESC", "metrics.a"],
            &["tags.t ASC"],
            &["attributes.start_time ASC", "metrics.b DESC"],
            &["attributes.end_time ASC"],
        ];
        let store = Metastore::in_memory(&[crate::MIGRATIONS]).await.unwrap();
        let batches = Batches::open(&store).await.unwrap();
        store.write(move |tx| fill(tx, &batches)).await.unwrap();
        let filters = filters.map(str::to_owned);
        store
            .read(move |tx| {
                let mut sizes = std::collections::BTreeSet::new();
                for filter in &filters {
                    for order in orders {
                        // Of two experiments, one of which has no runs, no order of an index is used.
                        let all = found(tx, filter, order, &[0, 999], 0, (100, 0))?;
                        sizes.insert(all.len());
                        for few in [0, 3, 1000] {
                            for limit in [1_usize, 7, 50, 100] {
                                for offset in [0, 1, 10, 33, 56, 80] {
                                    let rows = (limit as i64, offset as i64);
                                    let part = found(tx, filter, order, &[0], few, rows)?;
                                    let expected: Vec<_> =
                                        all.iter().skip(offset).take(limit).cloned().collect();
                                    assert_eq!(part, expected, "{filter}, {order:?}, {few}, {rows:?}");
                                }
                            }
                        }
                    }
                }
                assert!(sizes.len() > 5, "{sizes:?}");
                Ok::<_, TrackingError>(())
            })
            .await
            .unwrap();
    }
}
