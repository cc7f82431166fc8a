//! The filters of statistics: each one comparison by `=`, such as `trace.tag.team = 'search'` or `span.type = 'LLM'`.

use corliss_mlflow_wire::{Comparison, Operand, Operator, WireError, parse_filter};

use super::MetricView;
use crate::limits;
use crate::service::filter::read_comparison;
use crate::span::Span;
use crate::store::Filter;

/// What must hold, apart by what it speaks of.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) traces: Vec<Filter>,
    /// A column of an assessment, and its value.
    pub(super) assessments: Vec<(&'static str, String)>,
    pub(super) spans: Vec<SpanFilter>,
}

/// What a span must have.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SpanFilter {
    Name(String),
    Status(String),
    Type(String),
}

impl SpanFilter {
    pub(super) fn passes(&self, span: &Span, span_type: &str) -> bool {
        match self {
            Self::Name(name) => span.name == *name,
            Self::Status(status) => span.status.short() == status,
            Self::Type(wanted) => span_type == wanted,
        }
    }
}

impl Filters {
    pub(super) fn read(view: MetricView, texts: &[String]) -> Result<Self, WireError> {
        let mut filters = Self::default();
        for text in texts {
            let mut comparisons = parse_filter(text)?.into_iter();
            let Some(first) = comparisons.next() else { continue };
            if comparisons.next().is_some() {
                return Err(WireError::new("Invalid clause(s) in filter string: AND"));
            }
            filters.add(view, first)?;
        }
        Ok(filters)
    }

    fn add(&mut self, view: MetricView, comparison: Comparison) -> Result<(), WireError> {
        let entity = comparison.entity.as_deref().unwrap_or(&comparison.key);
        let (of_spans, of_assessments) = (view == MetricView::Spans, view == MetricView::Assessments);
        match entity {
            "trace" => {}
            "span" if of_spans => {}
            "assessment" if of_assessments => {}
            "span" | "assessment" => {
                return Err(WireError::new(format!(
                    "Filtering by {entity} is only supported for {}S view type, got {}",
                    entity.to_ascii_uppercase(),
                    view.as_str()
                )));
            }
            other => {
                return Err(WireError::new(format!(
                    "Invalid view type '{other}'. Valid values are dict_keys(['trace', 'span', 'assessment'])"
                )));
            }
        }
        if comparison.operator != Operator::Eq {
            return Err(WireError::new(format!(
                "Invalid comparator: '{}', only '=' operator is supported",
                comparison.operator.as_str()
            )));
        }
        let key = comparison.key.as_str();
        let value = |operand: &Operand| match operand {
            Operand::Text(text) => Ok(text.clone()),
            other => Err(WireError::new(format!(
                "Expected a quoted string value for {key} value (e.g. 'my-value'). Got value {}",
                crate::service::filter::shown(other)
            ))),
        };
        match (entity, key) {
            ("span", "name") => self.spans.push(SpanFilter::Name(value(&comparison.operand)?)),
            ("span", "status") => self.spans.push(SpanFilter::Status(value(&comparison.operand)?)),
            ("span", "type") => self.spans.push(SpanFilter::Type(value(&comparison.operand)?)),
            ("span", other) => return Err(unknown(entity, other, "['name', 'status', 'type']")),
            ("assessment", "name") => self.assessments.push(("a.name", value(&comparison.operand)?)),
            ("assessment", "type") => self.assessments.push(("a.kind", value(&comparison.operand)?)),
            ("assessment", other) => return Err(unknown(entity, other, "['name', 'type']")),
            _ => {
                value(&comparison.operand)?;
                self.of_trace(comparison)?;
            }
        }
        Ok(())
    }

    /// What a search asks of a trace in other words.
    fn of_trace(&mut self, comparison: Comparison) -> Result<(), WireError> {
        let valid = "['status', 'tag', 'metadata']";
        let (entity, key) = match comparison.key.split_once('.') {
            None if comparison.key == "status" => (None, "status"),
            Some(("tag", key)) => (Some("tags"), key),
            Some(("metadata", key)) => (Some("metadata"), key),
            Some((other, _)) => return Err(unknown("trace", other, valid)),
            None => return Err(unknown("trace", &comparison.key, valid)),
        };
        let found = read_comparison(Comparison {
            entity: entity.map(str::to_owned),
            key: key
                .trim_matches(['`', '"'])
                .chars()
                .take(limits::KEY_LEN)
                .collect(),
            operator: comparison.operator,
            operand: comparison.operand,
        })?;
        if !found.infos.is_empty() {
            return Err(WireError::new(format!(
                "Statistics cannot be filtered by '{key}', which is a sum of what is counted"
            )));
        }
        self.traces.extend(found.filters);
        Ok(())
    }
}

fn unknown(view: &str, entity: &str, valid: &str) -> WireError {
    WireError::new(format!(
        "Invalid entity '{entity}' specified for view type '{view}'. Valid entities are {valid}"
    ))
}
