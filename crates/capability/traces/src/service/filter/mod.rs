//! The filter and order grammar of traces: what each name in a filter means, which operators it takes, and the
//! sentences in which MLflow refuses the rest.

mod assessments;
mod attributes;
mod columns;
mod operands;
mod order;
mod pairs;
mod spans;

use corliss_mlflow_wire::{Comparison, Operand, Operator, WireError, parse_filter};

use self::assessments::{assessment, issue};
use self::attributes::attribute;
use self::columns::{NAME_TAG, RUN_KEY};
use self::pairs::{metadata, prompt, tag};
use self::spans::span;
use super::matching::{InfoTest, SpanTest};
use crate::store::Filter;

pub(super) use operands::shown;
pub(super) use order::read_order;

const ENTITIES: &str = "{'attribute', 'attributes', 'expectation', 'feedback', 'issue', 'metadata', \
                        'request_metadata', 'span', 'tag', 'tags', 'trace'}";

/// A filter, taken apart: what the store tests, and what is tested on what it finds.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) filters: Vec<Filter>,
    pub(super) infos: Vec<InfoTest>,
    /// All of these must hold for one and the same span.
    pub(super) spans: Vec<SpanTest>,
}

/// Reads a filter.
pub(super) fn read_filter(text: &str) -> Result<Wanted, WireError> {
    let mut wanted = Wanted::default();
    let mut indexed = Vec::new();
    for comparison in parse_filter(text)? {
        add(&mut wanted, &mut indexed, comparison)?;
    }
    if !wanted.spans.is_empty() {
        wanted.filters.push(Filter::Span(indexed));
    }
    Ok(wanted)
}

/// Reads one comparison.
pub(super) fn read_comparison(comparison: Comparison) -> Result<Wanted, WireError> {
    let mut wanted = Wanted::default();
    add(&mut wanted, &mut Vec::new(), comparison)?;
    Ok(wanted)
}

impl Wanted {
    /// The store can answer all of it.
    pub(super) const fn is_of_rows(&self) -> bool {
        self.infos.is_empty() && self.spans.is_empty()
    }
}

type Indexed = Vec<(&'static str, Operator, Operand)>;

fn add(wanted: &mut Wanted, indexed: &mut Indexed, comparison: Comparison) -> Result<(), WireError> {
    let Comparison {
        entity,
        key,
        operator,
        operand,
    } = comparison;
    let test = (operator, operand);
    // Behind other entities these names are a user's own keys. The reference server replaces them there too, so that
    // a tag `name` cannot be searched for; that is not copied.
    let replaced = key.to_ascii_lowercase();
    match (entity.as_deref(), replaced.as_str()) {
        (Some("span"), _) => return span(wanted, indexed, &key, test),
        (Some("feedback"), _) => return assessment(wanted, "feedback", key, test),
        (Some("expectation"), _) => return assessment(wanted, "expectation", key, test),
        (Some("issue"), _) => return issue(wanted, &key, test),
        (None | Some("attribute" | "attributes" | "trace"), "name") => return tag(wanted, NAME_TAG, test),
        (None | Some("attribute" | "attributes" | "trace"), "prompt") => return prompt(wanted, test),
        (None | Some("attribute" | "attributes" | "trace"), "run_id") => {
            return metadata(wanted, RUN_KEY, test);
        }
        (None | Some("attribute" | "attributes" | "trace"), "text") => {
            return span(wanted, indexed, "content", test);
        }
        (None | Some("attribute" | "attributes" | "trace"), _) => {}
        (Some("tag" | "tags"), _) => return tag(wanted, &key, test),
        (Some("metadata" | "request_metadata"), _) => return metadata(wanted, &key, test),
        (Some(other), _) => {
            return Err(unknown_entity(other));
        }
    }
    attribute(wanted, &key, test)
}

/// An entity that no trace has.
fn unknown_entity(entity: &str) -> WireError {
    WireError::new(format!(
        "Invalid entity type '{entity}'. Valid values are {ENTITIES}"
    ))
}

#[cfg(test)]
mod tests {
    use corliss_mlflow_wire::{Operand, Operator};

    use super::columns::COST_COLUMNS;
    use super::*;

    #[test]
    fn names_mean_what_they_mean_in_mlflow() {
        for (text, expected) in [
            (
                "status = 'OK'",
                Filter::Text("t.state", Operator::Eq, Operand::Text("OK".into())),
            ),
            (
                "attributes.name = 'a'",
                Filter::Name(Operator::Eq, Operand::Text("a".into())),
            ),
            (
                "tags.`mlflow.traceName` = 'a'",
                Filter::Name(Operator::Eq, Operand::Text("a".into())),
            ),
            ("run_id = 'r'", Filter::Run("r".into())),
            ("metadata.`mlflow.sourceRun` = 'r'", Filter::Run("r".into())),
            ("prompt = 'p/1'", Filter::Prompt("p/1".into())),
            ("issue.id = 'i'", Filter::Issue("i".into())),
            (
                "trace.timestamp > 5",
                Filter::Number("t.request_ms", "timestamp_ms", Operator::Gt, Operand::Number(5.0)),
            ),
            (
                "metadata.`mlflow.trace.cost` IS NULL",
                Filter::Counted(COST_COLUMNS, false),
            ),
        ] {
            assert_eq!(read_filter(text).unwrap().filters, [expected], "{text}");
        }
        let spans = read_filter("span.name = 'a' AND span.type LIKE 'L%' AND text LIKE '%x%'").unwrap();
        assert_eq!((spans.filters.len(), spans.spans.len()), (1, 3));
    }

    #[test]
    fn misfits_are_refused_in_mlflows_words() {
        for (text, start) in [
            (
                "foo = 'x'",
                "Invalid attribute key 'foo' specified. Valid keys are",
            ),
            ("params.a = 'x'", "Invalid entity type 'params'. Valid values are"),
            ("status > 'OK'", "Invalid comparator '>' not one of"),
            ("status = 3", "Only the '{"),
            ("timestamp_ms LIKE '3'", "Invalid comparator 'LIKE' not one of"),
            ("timestamp_ms IN ('3')", "Only attributes in"),
            ("tags.a IN ('x')", "Invalid comparator 'IN' not one of"),
            (
                "feedback.a = 0.8",
                "Expected a quoted string value for feedback (e.g. 'my-value'). Got value 0.8",
            ),
            (
                "feedback.a > 'x'",
                "Expected a numeric value for feedback when using comparator '>'. Got value 'x'",
            ),
            ("span.content = 'x'", "span.content comparator '=' not one of"),
            (
                "span.depth = 'x'",
                "Invalid span attribute 'depth'. Supported attributes: name, status, type,",
            ),
            (
                "span.attributes. = 'x'",
                "Span attribute name cannot be empty after 'attributes.'",
            ),
            ("prompt LIKE 'x'", "Invalid comparator 'LIKE' for prompts filter."),
            ("prompt = 'x'", "Invalid prompts filter value 'x'."),
            ("issue.name = 'x'", "Invalid issue attribute 'name'."),
            ("tags.a RLIKE '('", "Invalid pattern '('"),
            (
                "metadata.`mlflow.trace.cost` LIKE 'x'",
                "Comparator 'LIKE' is not supported for reserved metadata",
            ),
            (
                "status = 'OK' OR status = 'ERROR'",
                "Invalid clause(s) in filter string",
            ),
        ] {
            let refused = read_filter(text).unwrap_err().to_string();
            assert!(refused.starts_with(start), "{text}: {refused}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(
            key in "(tags|metadata|span|feedback|attributes|issue|trace)?\\.?[a-z_.`]{0,12}",
            operator in "(=|!=|<|<=|>|>=|LIKE|ILIKE|RLIKE|IN|NOT IN|IS NULL|IS NOT NULL)",
            value in "('.{0,8}'|[0-9.]{1,4}|\\('a','b'\\)|)",
        ) {
            let _ = read_filter(&format!("{key} {operator} {value}"));
            let _ = read_order(&[format!("{key} {value}")]);
        }
    }
}
