//! A search over runs as a statement. Where it starts is said and not left to the database, which does not know how
//! many runs a value leads to: joins are `CROSS JOIN`, whose order SQLite keeps.

use corliss_metastore::Value;
use corliss_mlflow_wire::{Sql, WireError};

use super::super::runs::COLUMNS;
use super::condition::{Condition, Subject};
use crate::types::ViewType;

/// A clause of an order, its subject known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clause {
    pub subject: Subject,
    pub ascending: bool,
}

/// What is searched.
pub(super) struct Search<'a> {
    pub experiment_ids: &'a [i64],
    pub view: ViewType,
    pub conditions: Vec<Condition>,
    pub order: Vec<Clause>,
}

/// Where a statement starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At the runs, newest first.
    Runs,
    /// At the values that pass this condition.
    Condition(usize),
    /// At the numbers of the metric that is ordered by first, in their order.
    Numbers,
    /// At the runs without such a number.
    NoNumbers,
}

impl Search<'_> {
    /// A page of rows.
    pub fn page(&self, start: Start, (limit, offset): (i64, i64)) -> Result<(String, Vec<Value>), WireError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(COLUMNS);
        self.body(&mut sql, start)?;
        self.order_by(&mut sql, start);
        sql.push(" LIMIT ").bind(limit).push(" OFFSET ").bind(offset);
        Ok(sql.finish())
    }

    /// How many rows there are.
    pub fn count(&self, start: Start) -> Result<(String, Vec<Value>), WireError> {
        let mut sql = Sql::new("SELECT COUNT(*) AS found");
        self.body(&mut sql, start)?;
        Ok(sql.finish())
    }

    /// How many values pass a condition, counted up to a few; none if no index leads to them.
    pub fn few(&self, at: usize, few: i64) -> Result<Option<(String, Vec<Value>)>, WireError> {
        let condition = self.conditions.get(at).filter(|condition| condition.is_indexed());
        let Some((condition, (table, _))) =
            condition.and_then(|condition| Some((condition, condition.subject.table()?)))
        else {
            return Ok(None);
        };
        let mut sql = Sql::new("SELECT COUNT(*) AS found FROM (SELECT 1 AS one FROM ");
        sql.push(table).push(" x WHERE ");
        self.values(&mut sql, condition.subject);
        sql.push(" AND ");
        condition.of_value(&mut sql)?;
        sql.push(" LIMIT ").bind(few).push(") AS few");
        Ok(Some(sql.finish()))
    }

    /// Those rows `x` that hold the values of a subject.
    fn values(&self, sql: &mut Sql, subject: Subject) {
        let (_, number) = subject.table().unwrap_or(("", super::super::keys::NO_KEY));
        sql.push("x.experiment_id IN ").bind_list(self.experiments());
        sql.push(" AND x.key_no = ").bind(number);
        if matches!(subject, Subject::Metric(_)) {
            sql.push(" AND x.is_nan = 0");
        }
    }

    fn experiments(&self) -> impl Iterator<Item = Value> {
        self.experiment_ids.iter().map(|id| Value::from(*id))
    }

    fn body(&self, sql: &mut Sql, start: Start) -> Result<(), WireError> {
        let leading = self.leading(start);
        sql.push(" FROM ");
        if let Some((table, _)) = leading.and_then(Subject::table) {
            sql.push(table).push(" x CROSS JOIN ");
        }
        sql.push("tracking_runs r");
        for (index, clause) in self.order.iter().enumerate() {
            if let Some((table, number)) = clause.subject.table()
                && (start, index) != (Start::Numbers, 0)
            {
                // One row at most for each run, so no run is doubled.
                sql.push(" LEFT JOIN ").push(table).push(" o").push_index(index);
                sql.push(" ON o")
                    .push_index(index)
                    .push(".run_no = r.run_no AND o");
                sql.push_index(index).push(".key_no = ").bind(number);
            }
        }
        sql.push(" WHERE r.experiment_id IN ")
            .bind_list(self.experiments());
        let stages = self.view.stages().iter().map(|stage| stage.as_str().into());
        sql.push(" AND r.lifecycle_stage IN ").bind_list(stages);
        if let Some(subject) = leading {
            sql.push(" AND r.run_no = x.run_no AND ");
            self.values(sql, subject);
        }
        if start == Start::NoNumbers {
            sql.push(" AND (o0.value IS NULL OR o0.is_nan = 1)");
        }
        for (index, condition) in self.conditions.iter().enumerate() {
            sql.push(" AND ");
            let is_of_leading = match start {
                Start::Condition(at) => at == index,
                Start::Numbers => Some(condition.subject) == leading,
                Start::Runs | Start::NoNumbers => false,
            };
            match is_of_leading {
                true => condition.of_value(sql)?,
                false => condition.of_run(sql)?,
            }
        }
        Ok(())
    }

    fn leading(&self, start: Start) -> Option<Subject> {
        match start {
            Start::Runs | Start::NoNumbers => None,
            Start::Condition(at) => self.conditions.get(at).map(|condition| condition.subject),
            Start::Numbers => self.order.first().map(|clause| clause.subject),
        }
    }

    /// Present values first, NaN after numbers, absent last, in either direction; then newest first.
    fn order_by(&self, sql: &mut Sql, start: Start) {
        sql.push(" ORDER BY ");
        let mut by_start = false;
        for (index, clause) in self.order.iter().enumerate() {
            let direction = if clause.ascending { " ASC, " } else { " DESC, " };
            match clause.subject {
                _ if (start, index) == (Start::Numbers, 0) => {
                    sql.push("x.value").push(direction);
                }
                Subject::Text(column) => {
                    sql.push(column).push(direction);
                }
                Subject::Integer(column) => {
                    by_start |= column == "r.start_ms";
                    if column == "r.end_ms" {
                        sql.push("CASE WHEN r.end_ms IS NULL THEN 1 ELSE 0 END, ");
                    }
                    sql.push(column).push(direction);
                }
                subject => {
                    sql.push("CASE WHEN o")
                        .push_index(index)
                        .push(".value IS NULL THEN 2 ");
                    if matches!(subject, Subject::Metric(_)) {
                        sql.push("WHEN o").push_index(index).push(".is_nan = 1 THEN 1 ");
                    }
                    sql.push("ELSE 0 END, o")
                        .push_index(index)
                        .push(".value")
                        .push(direction);
                }
            }
        }
        if !by_start {
            sql.push("r.start_ms DESC, ");
        }
        sql.push("r.run_id");
    }
}
