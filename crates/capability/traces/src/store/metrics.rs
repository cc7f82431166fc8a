//! Statistics over the rows of traces and assessments, in groups.

use corliss_metastore::{Row, StoreError, Tx};
use corliss_mlflow_wire::{Operand, Operator, Sql, WireError};

use super::filter::Filter;
use crate::TracesError;

/// What is counted, of which traces.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricRows {
    pub(crate) metric: String,
    /// Of assessments that are valid, otherwise of traces.
    pub(crate) of_assessments: bool,
    pub(crate) dimensions: Vec<String>,
    pub(crate) experiments: Vec<i64>,
    /// The groups also are of intervals of this length; 0 for none.
    pub(crate) interval_ms: i64,
    pub(crate) start_ms: Option<i64>,
    pub(crate) end_ms: Option<i64>,
    pub(crate) filters: Vec<Filter>,
    /// Columns of an assessment and what they must hold.
    pub(crate) assessments: Vec<(&'static str, String)>,
}

/// What is known about one group.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct MetricGroup {
    /// When its interval begins.
    pub(crate) bucket_ms: i64,
    /// What its members have in common, in the order of the dimensions.
    pub(crate) dimensions: Vec<String>,
    pub(crate) count: i64,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// In the order in which they were asked for.
    pub(crate) percentiles: Vec<f64>,
}

impl MetricGroup {
    /// The group of nothing.
    pub(crate) fn empty() -> Self {
        Self::default()
    }
}

impl MetricRows {
    /// All that is asked of the traces.
    pub(crate) fn trace_filters(&self) -> Vec<Filter> {
        let limit = |operator, ms: i64| {
            // Times are well below what a double holds exactly.
            Filter::Number(
                "t.request_ms",
                "timestamp_ms",
                operator,
                Operand::Number(ms as f64),
            )
        };
        let mut filters = self.filters.clone();
        filters.extend(self.start_ms.map(|ms| limit(Operator::Ge, ms)));
        filters.extend(self.end_ms.map(|ms| limit(Operator::Le, ms)));
        filters
    }

    /// It asks how many there are, and nothing more.
    pub(crate) fn is_plain_count(&self) -> bool {
        self.metric.ends_with("_count") && self.dimensions.is_empty() && self.interval_ms <= 0
    }

    fn of_sessions(&self) -> bool {
        self.metric == "session_count"
    }

    /// The rows: `b` the interval, `d0`, `d1`… the dimensions, `v` the value.
    fn push(&self, sql: &mut Sql) -> Result<(), WireError> {
        sql.push("SELECT ");
        if self.interval_ms > 0 {
            sql.push("t.request_ms - t.request_ms % ").bind(self.interval_ms);
            sql.push(" AS b");
        } else {
            sql.push("CAST(0 AS BIGINT) AS b");
        }
        for (index, name) in self.dimensions.iter().enumerate() {
            sql.push(", ")
                .push(dimension(name))
                .push(" AS d")
                .push_index(index);
        }
        sql.push(", ")
            .push(value(&self.metric))
            .push(" AS v FROM traces_info t");
        if self.of_assessments {
            sql.push(" JOIN traces_assessments a ON a.number = t.number AND a.valid = 1");
        }
        self.push_conditions(sql)?;
        for (column, value) in &self.assessments {
            sql.push(" AND ").push(column).push(" = ").bind(value);
        }
        for name in &self.dimensions {
            sql.push(" AND ").push(dimension(name)).push(" IS NOT NULL");
        }
        sql.push(" AND ").push(value(&self.metric)).push(" IS NOT NULL");
        Ok(())
    }

    fn push_conditions(&self, sql: &mut Sql) -> Result<(), WireError> {
        sql.push(" WHERE t.experiment_id IN ")
            .bind_list(self.experiments.iter().map(|id| (*id).into()));
        for filter in self.trace_filters() {
            sql.push(" AND ");
            filter.push(sql, &self.experiments)?;
        }
        Ok(())
    }

    /// The columns of a group.
    fn push_keys(&self, sql: &mut Sql) {
        sql.push("q.b");
        for index in 0..self.dimensions.len() {
            sql.push(", q.d").push_index(index);
        }
    }
}

fn dimension(name: &str) -> &'static str {
    match name {
        "trace_name" => "t.name",
        "trace_status" => "t.state",
        "assessment_name" => "a.name",
        _ => "a.value",
    }
}

fn value(metric: &str) -> &'static str {
    match metric {
        "session_count" => "t.session_id",
        "latency" => "CAST(t.duration_ms AS DOUBLE PRECISION)",
        "input_tokens" => "CAST(t.input_tokens AS DOUBLE PRECISION)",
        "output_tokens" => "CAST(t.output_tokens AS DOUBLE PRECISION)",
        "total_tokens" => "CAST(t.total_tokens AS DOUBLE PRECISION)",
        "cache_read_input_tokens" => "CAST(t.cache_read_input_tokens AS DOUBLE PRECISION)",
        "cache_creation_input_tokens" => "CAST(t.cache_creation_input_tokens AS DOUBLE PRECISION)",
        // A verdict counts as one or nothing.
        "assessment_value" => {
            "CAST(CASE WHEN a.value IN ('true', '\"yes\"') THEN 1.0 WHEN a.value IN ('false', '\"no\"') THEN 0.0
                 ELSE a.number_value END AS DOUBLE PRECISION)"
        }
        _ => "CAST(1 AS DOUBLE PRECISION)",
    }
}

/// A page of groups, by time and then by what they have in common.
pub(crate) fn metric_groups(
    tx: &mut dyn Tx,
    rows: &MetricRows,
    percents: &[f64],
    (limit, offset): (i64, i64),
) -> Result<Vec<MetricGroup>, TracesError> {
    let mut sql = Sql::new("SELECT ");
    rows.push_keys(&mut sql);
    sql.push(if rows.of_sessions() {
        ", COUNT(DISTINCT q.v) AS n"
    } else {
        ", COUNT(*) AS n, SUM(q.v) AS total, MIN(q.v) AS least, MAX(q.v) AS most"
    });
    sql.push(" FROM (");
    rows.push(&mut sql)?;
    sql.push(") q");
    // Without dimensions and intervals all rows are one group, which also is there when there are no rows.
    if !rows.is_plain_count() {
        sql.push(" GROUP BY ");
        rows.push_keys(&mut sql);
        sql.push(" ORDER BY ");
        rows.push_keys(&mut sql);
    }
    sql.push(" LIMIT ").bind(limit).push(" OFFSET ").bind(offset);
    let (text, values) = sql.finish();
    let text = if rows.is_plain_count() {
        text.replacen("SELECT q.b,", "SELECT CAST(0 AS BIGINT) AS b,", 1)
    } else {
        text
    };
    let found = tx.query(&text, &values)?;
    let mut groups = found
        .iter()
        .map(|row| group(row, rows))
        .collect::<Result<Vec<_>, StoreError>>()?;
    if !percents.is_empty() && !groups.is_empty() {
        let columns = percentiles(tx, rows, percents, (groups.len(), offset))?;
        for (group, found) in groups.iter_mut().zip(columns) {
            group.percentiles = found;
        }
    }
    Ok(groups)
}

fn group(row: &Row, rows: &MetricRows) -> Result<MetricGroup, StoreError> {
    let count = row.integer("n")?;
    let dimensions = (0..rows.dimensions.len()).map(|index| row.text(&format!("d{index}")));
    let mut group = MetricGroup {
        bucket_ms: row.integer("b")?,
        dimensions: dimensions.collect::<Result<_, _>>()?,
        count,
        ..MetricGroup::default()
    };
    if !rows.of_sessions() {
        group.sum = row.opt_real("total")?;
        group.min = row.opt_real("least")?;
        group.max = row.opt_real("most")?;
    }
    Ok(group)
}

/// The percentiles of these groups of a page. The store finds the values around each place, of which there are few.
fn percentiles(
    tx: &mut dyn Tx,
    rows: &MetricRows,
    percents: &[f64],
    (count, offset): (usize, i64),
) -> Result<Vec<Vec<f64>>, TracesError> {
    let mut sql =
        Sql::new("SELECT g.group_no, g.place, g.size, g.v FROM (SELECT q.v, DENSE_RANK() OVER (ORDER BY ");
    rows.push_keys(&mut sql);
    sql.push(") - 1 AS group_no, ROW_NUMBER() OVER (PARTITION BY ");
    rows.push_keys(&mut sql);
    sql.push(" ORDER BY q.v) - 1 AS place, COUNT(*) OVER (PARTITION BY ");
    rows.push_keys(&mut sql);
    sql.push(") AS size FROM (");
    rows.push(&mut sql)?;
    sql.push(") q) g WHERE g.group_no >= ").bind(offset);
    sql.push(" AND g.group_no < ")
        .bind(offset.saturating_add(i64::try_from(count).unwrap_or(i64::MAX)));
    sql.push(" AND (");
    for (index, percent) in percents.iter().enumerate() {
        sql.push(if index > 0 { " OR " } else { "" });
        sql.push("ABS(g.place - CAST(").bind(*percent);
        sql.push(" AS DOUBLE PRECISION) / 100 * (g.size - 1)) < 1");
    }
    sql.push(") ORDER BY g.group_no, g.place");
    let (text, values) = sql.finish();
    let mut found: Vec<Vec<(i64, i64, f64)>> = vec![Vec::new(); count];
    for row in tx.query(&text, &values)? {
        let number = usize::try_from(row.integer("group_no")? - offset).unwrap_or(usize::MAX);
        if let Some(group) = found.get_mut(number) {
            group.push((row.integer("place")?, row.integer("size")?, row.real("v")?));
        }
    }
    Ok(found
        .iter()
        .map(|group| {
            percents
                .iter()
                .filter_map(|percent| at(group, *percent))
                .collect()
        })
        .collect())
}

/// A percentile of a group of which the values around it are known.
fn at(values: &[(i64, i64, f64)], percent: f64) -> Option<f64> {
    let (_, size, _) = values.first()?;
    let place = percent / 100.0 * (size - 1) as f64;
    let of = |place: i64| {
        values
            .iter()
            .find(|(found, ..)| *found == place)
            .map(|(.., value)| *value)
    };
    let low = of(place.floor() as i64)?;
    Some(interpolated(
        low,
        of(place.floor() as i64 + 1).unwrap_or(low),
        place.fract(),
    ))
}

/// What lies between two values.
pub(crate) fn interpolated(low: f64, high: f64, part: f64) -> f64 {
    low + (high - low) * part
}

/// The bytes of the spans of all traces that are asked for, unpacked.
pub(crate) fn span_bytes_of(tx: &mut dyn Tx, rows: &MetricRows) -> Result<i64, TracesError> {
    let mut sql =
        Sql::new("SELECT CAST(COALESCE(SUM(t.span_bytes), 0) AS BIGINT) AS bytes FROM traces_info t");
    rows.push_conditions(&mut sql)?;
    let (text, values) = sql.finish();
    Ok(tx.query_one(&text, &values)?.integer("bytes")?)
}
