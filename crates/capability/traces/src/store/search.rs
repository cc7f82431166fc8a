//! Searches over traces: a page of rows that pass every filter, in order.

use std::collections::HashSet;

use corliss_metastore::{StoreError, Tx, params};
use corliss_mlflow_wire::{Operand, Operator, Sql};

use super::filter::{Filter, Ordering};
use super::infos::{ALIASED, Head, from_row};
use crate::json::cut;
use crate::{TracesError, limits};

/// What to look for.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    /// Experiments; none means nothing is found.
    pub(crate) experiments: Vec<i64>,
    /// All of these must hold.
    pub(crate) filters: Vec<Filter>,
    /// Keys, and whether each ascends.
    pub(crate) order: Vec<(Ordering, bool)>,
}

/// Rows of traces that may be what is looked for, in order.
pub(crate) fn candidates(
    tx: &mut dyn Tx,
    wanted: &Candidates,
    limit: i64,
    offset: i64,
) -> Result<Vec<Head>, TracesError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(ALIASED).push(" FROM traces_info t");
    joins(&mut sql, &wanted.order);
    conditions(tx, &mut sql, wanted)?;
    order(&mut sql, &wanted.order);
    sql.push(" LIMIT ").bind(limit).push(" OFFSET ").bind(offset);
    let (text, values) = sql.finish();
    let rows = tx.query(&text, &values)?;
    Ok(rows.iter().map(from_row).collect::<Result<_, StoreError>>()?)
}

/// How many traces the store lets through.
pub(crate) fn count_candidates(tx: &mut dyn Tx, wanted: &Candidates) -> Result<i64, TracesError> {
    let mut sql = Sql::new("SELECT COUNT(*) AS n FROM traces_info t");
    conditions(tx, &mut sql, wanted)?;
    let (text, values) = sql.finish();
    Ok(tx.query_one(&text, &values)?.integer("n")?)
}

/// The numbers of all traces that the store lets through.
pub(crate) fn candidate_numbers(tx: &mut dyn Tx, wanted: &Candidates) -> Result<HashSet<i64>, TracesError> {
    let mut sql = Sql::new("SELECT t.number FROM traces_info t");
    conditions(tx, &mut sql, wanted)?;
    let (text, values) = sql.finish();
    let rows = tx.query(&text, &values)?;
    Ok(rows
        .iter()
        .map(|row| row.integer("number"))
        .collect::<Result<_, _>>()?)
}

fn conditions(tx: &mut dyn Tx, sql: &mut Sql, wanted: &Candidates) -> Result<(), TracesError> {
    // Neither database knows how rare a value is when it plans. Told by a plus that the experiment is no way in, both
    // begin with the few traces that hold a rare value; otherwise they read the index of times until a page is full.
    sql.push(if any_rare(tx, &wanted.filters)? {
        " WHERE +t.experiment_id "
    } else {
        " WHERE t.experiment_id "
    });
    match wanted.experiments.as_slice() {
        // An equality lets both databases read the rows in the order of an index.
        [one] => sql.push("= ").bind(*one),
        several => sql.push("IN ").bind_list(several.iter().map(|id| (*id).into())),
    };
    for filter in &wanted.filters {
        sql.push(" AND ");
        filter.push(sql, &wanted.experiments)?;
    }
    Ok(())
}

/// Whether a filter asks for a value that so few traces hold that beginning with them is best.
fn any_rare(tx: &mut dyn Tx, filters: &[Filter]) -> Result<bool, StoreError> {
    const FEW: i64 = 1000;
    for filter in filters {
        let rows = match filter {
            Filter::Pair(pair, key, Operator::Eq, Operand::Text(value)) => {
                let sql = format!(
                    "SELECT number FROM {} WHERE key = $1 AND head = $2 LIMIT $3",
                    pair.table()
                );
                tx.query(&sql, params![key, cut(value, limits::HEAD_LEN), FEW])?
            }
            Filter::Text("t.session_id", Operator::Eq, Operand::Text(value)) => {
                let sql = "SELECT number FROM traces_info WHERE session_id = $1 LIMIT $2";
                tx.query(sql, params![value, FEW])?
            }
            Filter::Span(tests) => {
                let name = tests.iter().find_map(|test| match test {
                    ("k.name", Operator::Eq, Operand::Text(name)) => Some(name),
                    _ => None,
                });
                let Some(name) = name else { continue };
                let sql = "SELECT number FROM traces_span_kinds WHERE name = $1 LIMIT $2";
                tx.query(sql, params![name, FEW])?
            }
            Filter::Assessment(kind, name, operator, _) if *operator != Operator::IsNull => {
                let sql = "SELECT number FROM traces_assessments WHERE name = $1 AND kind = $2 LIMIT $3";
                tx.query(sql, params![name, *kind, FEW])?
            }
            Filter::Text("t.trace_id", Operator::Eq | Operator::In, _)
            | Filter::Run(_)
            | Filter::Prompt(_)
            | Filter::Issue(_) => {
                return Ok(true);
            }
            _ => continue,
        };
        if (rows.len() as i64) < FEW {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Joins what the order needs: one row at most per trace and clause, so no trace is doubled.
fn joins(sql: &mut Sql, order: &[(Ordering, bool)]) {
    for (index, (key, _)) in order.iter().enumerate() {
        if let Ordering::Pair(pair, key) = key {
            sql.push(" LEFT JOIN ")
                .push(pair.table())
                .push(" o")
                .push_index(index);
            sql.push(" ON o")
                .push_index(index)
                .push(".number = t.number AND o");
            sql.push_index(index).push(".key = ").bind(key);
        }
    }
}

/// Present values first in either direction; then newest first, and by id.
fn order(sql: &mut Sql, order: &[(Ordering, bool)]) {
    sql.push(" ORDER BY ");
    let mut named: Vec<&'static str> = Vec::new();
    for (index, (key, ascending)) in order.iter().enumerate() {
        let direction = if *ascending { " ASC, " } else { " DESC, " };
        match key {
            Ordering::Column(column, nullable) => {
                named.push(*column);
                if *nullable {
                    sql.push("CASE WHEN ")
                        .push(column)
                        .push(" IS NULL THEN 1 ELSE 0 END, ");
                }
                sql.push(column).push(direction);
            }
            Ordering::Pair(..) => {
                sql.push("CASE WHEN o")
                    .push_index(index)
                    .push(".value IS NULL THEN 1 ELSE 0 END, o");
                sql.push_index(index).push(".value").push(direction);
            }
        }
    }
    if !named.contains(&"t.request_ms") {
        sql.push("t.request_ms DESC, ");
    }
    // The id twice would do no harm, but neither any good.
    sql.push(if named.contains(&"t.trace_id") {
        "t.number"
    } else {
        "t.trace_id"
    });
}
