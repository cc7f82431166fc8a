//! The filter and order grammar of traces: what each name in a filter means, which operators it takes, and the
//! sentences in which MLflow refuses the rest.

use corliss_mlflow_wire::{Comparison, Operand, Operator, Order, WireError, parse_filter, parse_order};

use super::matching::{InfoTest, Pattern, SpanTest, Subject};
use crate::limits;
use crate::store::{Filter, Ordering, Pair};

const ENTITIES: &str = "{'attribute', 'attributes', 'expectation', 'feedback', 'issue', 'metadata', \
                        'request_metadata', 'span', 'tag', 'tags', 'trace'}";
const ATTRIBUTES: &str = "{'client_request_id', 'end_time', 'end_time_ms', 'execution_time', 'execution_time_ms', \
                          'name', 'prompt', 'request_id', 'run_id', 'status', 'text', 'timestamp', 'timestamp_ms'}";
const ORDERED: &str = "{'end_time', 'end_time_ms', 'execution_time', 'execution_time_ms', 'experiment_id', 'name', \
                       'request_id', 'run_id', 'status', 'timestamp', 'timestamp_ms'}";
const LISTED: &str = "{'client_request_id', 'name', 'request_id', 'run_id', 'status'}";

const NAME_TAG: &str = "mlflow.traceName";
const PROMPTS_TAG: &str = "mlflow.linkedPrompts";
const RUN_KEY: &str = "mlflow.sourceRun";
const SESSION_KEY: &str = "mlflow.trace.session";
const USAGE_KEY: &str = "mlflow.trace.tokenUsage";
const COST_KEY: &str = "mlflow.trace.cost";
const USAGE_COLUMNS: &str = "t.input_tokens, t.output_tokens, t.total_tokens, t.cache_read_input_tokens, \
                             t.cache_creation_input_tokens, t.cache_creation_input_tokens_above_1hr";
const COST_COLUMNS: &str = "t.input_cost, t.output_cost, t.total_cost";
const END: &str = "t.request_ms + COALESCE(t.duration_ms, 0)";

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
            return Err(WireError::new(format!(
                "Invalid entity type '{other}'. Valid values are {ENTITIES}"
            )));
        }
    }
    attribute(wanted, &key, test)
}

fn attribute(
    wanted: &mut Wanted,
    key: &str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    let (column, subject) = match key {
        "request_id" => ("t.trace_id", Subject::TraceId),
        "status" => ("t.state", Subject::State),
        "client_request_id" => ("t.client_request_id", Subject::ClientRequestId),
        "timestamp" | "timestamp_ms" => {
            return number(wanted, "t.request_ms", "timestamp_ms", operator, operand);
        }
        "execution_time" | "execution_time_ms" => {
            return number(wanted, "t.duration_ms", "execution_time_ms", operator, operand);
        }
        "end_time" | "end_time_ms" => return number(wanted, END, "end_time_ms", operator, operand),
        other => {
            return Err(WireError::new(format!(
                "Invalid attribute key '{other}' specified. Valid keys are '{ATTRIBUTES}'"
            )));
        }
    };
    if matches!(operand, Operand::Number(_)) {
        return Err(WireError::new(
            "Only the '{'end_time', 'end_time_ms', 'execution_time', 'execution_time_ms', 'timestamp', \
             'timestamp_ms'}' attributes support comparison with numeric values.",
        ));
    }
    check(
        operator,
        &[
            Operator::Eq,
            Operator::Ne,
            Operator::In,
            Operator::NotIn,
            Operator::Like,
            Operator::Ilike,
            Operator::Rlike,
        ],
    )?;
    if operator == Operator::Rlike {
        wanted
            .infos
            .push(InfoTest::new(subject, Pattern::regex(text_of(&operand)?)?));
    }
    wanted.filters.push(Filter::Text(column, operator, operand));
    Ok(())
}

fn number(
    wanted: &mut Wanted,
    expression: &'static str,
    what: &'static str,
    operator: Operator,
    operand: Operand,
) -> Result<(), WireError> {
    // A number in quotes is one: the reference server leaves that to its database, which takes it for one.
    let operand = match operand {
        Operand::Text(text) => match text.parse() {
            Ok(number) => Operand::Number(number),
            Err(_) => Operand::Text(text),
        },
        Operand::List(_) => {
            return Err(WireError::new(format!(
                "Only attributes in {LISTED} supports comparison with a list of quoted string values."
            )));
        }
        other => other,
    };
    check(
        operator,
        &[
            Operator::Eq,
            Operator::Ne,
            Operator::Lt,
            Operator::Le,
            Operator::Gt,
            Operator::Ge,
        ],
    )?;
    let operand = whole(operator, operand);
    wanted
        .filters
        .push(Filter::Number(expression, what, operator, operand));
    Ok(())
}

/// A fraction, as a client computes one from seconds, in terms of the whole milliseconds that are kept.
fn whole(operator: Operator, operand: Operand) -> Operand {
    match operand {
        Operand::Number(number) if number.fract() != 0.0 => Operand::Number(match operator {
            Operator::Gt | Operator::Le => number.floor(),
            Operator::Ge | Operator::Lt => number.ceil(),
            // Nothing is equal to a fraction, and nothing took so long ago.
            _ => i64::MIN as f64,
        }),
        other => other,
    }
}

const PAIR_OPERATORS: [Operator; 7] = [
    Operator::Eq,
    Operator::Ne,
    Operator::Like,
    Operator::Ilike,
    Operator::Rlike,
    Operator::IsNull,
    Operator::IsNotNull,
];

fn tag(wanted: &mut Wanted, key: &str, (operator, operand): (Operator, Operand)) -> Result<(), WireError> {
    check(operator, &PAIR_OPERATORS)?;
    if operator == Operator::Rlike {
        let subject = Subject::Tag(key.to_owned());
        wanted
            .infos
            .push(InfoTest::new(subject, Pattern::regex(text_of(&operand)?)?));
    }
    wanted.filters.push(if key == NAME_TAG {
        Filter::Name(operator, operand)
    } else if key == PROMPTS_TAG {
        return prompt(wanted, (operator, operand));
    } else {
        Filter::Pair(Pair::Tag, key.to_owned(), operator, operand)
    });
    Ok(())
}

fn metadata(
    wanted: &mut Wanted,
    key: &str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    check(operator, &PAIR_OPERATORS)?;
    match key {
        RUN_KEY if operator == Operator::Eq => {
            wanted.filters.push(Filter::Run(text_of(&operand)?.to_owned()));
            return Ok(());
        }
        USAGE_KEY => return counted(wanted, key, USAGE_COLUMNS, (operator, operand)),
        COST_KEY => return counted(wanted, key, COST_COLUMNS, (operator, operand)),
        _ => {}
    }
    if operator == Operator::Rlike {
        let subject = Subject::Metadata(key.to_owned());
        wanted
            .infos
            .push(InfoTest::new(subject, Pattern::regex(text_of(&operand)?)?));
    }
    wanted.filters.push(if key == SESSION_KEY {
        Filter::Text("t.session_id", operator, operand)
    } else {
        Filter::Pair(Pair::Metadata, key.to_owned(), operator, operand)
    });
    Ok(())
}

/// Token usage and cost are numbers inside, and a JSON text only for clients.
fn counted(
    wanted: &mut Wanted,
    key: &str,
    columns: &'static str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    let subject = Subject::Metadata(key.to_owned());
    match operator {
        Operator::IsNull | Operator::IsNotNull => {}
        Operator::Eq => wanted.infos.push(InfoTest::new(
            subject,
            Pattern::Equal(text_of(&operand)?.to_owned()),
        )),
        Operator::Ne => wanted.infos.push(InfoTest::new(
            subject,
            Pattern::Differs(text_of(&operand)?.to_owned()),
        )),
        other => {
            return Err(WireError::new(format!(
                "Comparator '{}' is not supported for reserved metadata '{key}'. Only '=', '!=', 'IS NULL', and \
                 'IS NOT NULL' are supported.",
                other.as_str()
            )));
        }
    }
    wanted
        .filters
        .push(Filter::Counted(columns, operator != Operator::IsNull));
    Ok(())
}

fn prompt(wanted: &mut Wanted, (operator, operand): (Operator, Operand)) -> Result<(), WireError> {
    if operator != Operator::Eq {
        return Err(WireError::new(format!(
            "Invalid comparator '{}' for prompts filter. Only '=' is supported with format: prompt = \"name/version\"",
            operator.as_str()
        )));
    }
    let prompt = text_of(&operand)?;
    if prompt.matches('/').count() != 1 {
        return Err(WireError::new(format!(
            "Invalid prompts filter value '{prompt}'. Expected format: prompt = \"name/version\""
        )));
    }
    wanted.filters.push(Filter::Prompt(prompt.to_owned()));
    Ok(())
}

fn issue(wanted: &mut Wanted, key: &str, (operator, operand): (Operator, Operand)) -> Result<(), WireError> {
    if key != "id" {
        return Err(WireError::new(format!(
            "Invalid issue attribute '{key}'. Supported attributes: id"
        )));
    }
    if operator != Operator::Eq {
        return Err(WireError::new(format!(
            "issue.id comparator '{}' not one of '{{'='}}'",
            operator.as_str()
        )));
    }
    wanted.filters.push(Filter::Issue(text_of(&operand)?.to_owned()));
    Ok(())
}

fn assessment(
    wanted: &mut Wanted,
    kind: &'static str,
    name: String,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    if name.is_empty() {
        return Err(WireError::new("Assessment field name cannot be empty"));
    }
    let numeric = matches!(
        operator,
        Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge
    );
    match (&operand, numeric) {
        (Operand::None, _) | (Operand::Text(_), false) | (Operand::Number(_), true) => {}
        (_, true) => {
            return Err(WireError::new(format!(
                "Expected a numeric value for {kind} when using comparator '{}'. Got value {}",
                operator.as_str(),
                shown(&operand)
            )));
        }
        (_, false) => {
            return Err(WireError::new(format!(
                "Expected a quoted string value for {kind} (e.g. 'my-value'). Got value {}",
                shown(&operand)
            )));
        }
    }
    if matches!(operator, Operator::In | Operator::NotIn) {
        return Err(WireError::new(format!(
            "assessment.{name} comparator '{}' not one of '{{'!=', '<', '<=', '=', '>', '>=', 'ILIKE', \
             'IS NOT NULL', 'IS NULL', 'LIKE', 'RLIKE'}}'",
            operator.as_str()
        )));
    }
    if operator == Operator::Rlike {
        let subject = Subject::Assessment(kind, name.clone());
        wanted
            .infos
            .push(InfoTest::new(subject, Pattern::regex(text_of(&operand)?)?));
    }
    wanted
        .filters
        .push(Filter::Assessment(kind, name, operator, operand));
    Ok(())
}

fn span(
    wanted: &mut Wanted,
    indexed: &mut Indexed,
    key: &str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    const OPERATORS: [Operator; 7] = [
        Operator::Eq,
        Operator::Ne,
        Operator::In,
        Operator::NotIn,
        Operator::Like,
        Operator::Ilike,
        Operator::Rlike,
    ];
    let (column, allowed): (_, &[Operator]) = match key {
        "name" => (Some("k.name"), &OPERATORS),
        "type" => (Some("k.span_type"), &OPERATORS),
        "status" => (Some("k.status"), &OPERATORS),
        "content" => (None, &[Operator::Like, Operator::Ilike]),
        "attributes." => {
            return Err(WireError::new(
                "Span attribute name cannot be empty after 'attributes.'",
            ));
        }
        key if key.starts_with("attributes.") => (None, &OPERATORS),
        other => {
            return Err(WireError::new(format!(
                "Invalid span attribute '{other}'. Supported attributes: name, status, type, \
                 attributes.<attribute_name>."
            )));
        }
    };
    if !allowed.contains(&operator) {
        let names: Vec<String> = allowed
            .iter()
            .map(|operator| format!("'{}'", operator.as_str()))
            .collect();
        return Err(WireError::new(format!(
            "span.{key} comparator '{}' not one of '{{{}}}'",
            operator.as_str(),
            names.join(", ")
        )));
    }
    wanted
        .spans
        .push(SpanTest::new(key, Pattern::of(operator, &operand, "span")?));
    if let Some(column) = column
        && operator != Operator::Rlike
    {
        indexed.push((column, operator, operand));
    }
    Ok(())
}

fn check(operator: Operator, allowed: &[Operator]) -> Result<(), WireError> {
    if allowed.contains(&operator) {
        return Ok(());
    }
    let names: Vec<String> = allowed
        .iter()
        .map(|operator| format!("'{}'", operator.as_str()))
        .collect();
    Err(WireError::new(format!(
        "Invalid comparator '{}' not one of '{{{}}}'",
        operator.as_str(),
        names.join(", ")
    )))
}

fn text_of(operand: &Operand) -> Result<&str, WireError> {
    match operand {
        Operand::Text(text) => Ok(text),
        other => Err(WireError::new(format!(
            "Expected a quoted string value (e.g. 'my-value'). Got value {}",
            shown(other)
        ))),
    }
}

pub(super) fn shown(operand: &Operand) -> String {
    match operand {
        Operand::None => "NULL".to_owned(),
        Operand::Text(text) => format!("'{text}'"),
        Operand::Number(number) => number.to_string(),
        Operand::List(values) => format!("('{}')", values.join("', '")),
    }
}

/// Reads an order.
pub(super) fn read_order(clauses: &[String]) -> Result<Vec<(Ordering, bool)>, WireError> {
    if clauses.len() > limits::ORDER_CLAUSES {
        return Err(WireError::new(format!(
            "An order can hold at most {} keys.",
            limits::ORDER_CLAUSES
        )));
    }
    let mut order: Vec<(Ordering, bool)> = Vec::new();
    for clause in clauses {
        let Order {
            entity,
            key,
            ascending,
        } = parse_order(clause)?;
        let ordering = ordering(entity.as_deref(), &key)?;
        if order.iter().any(|(other, _)| *other == ordering) {
            return Err(WireError::new(format!(
                "`order_by` contains duplicate fields: ['{}']",
                clauses.join("', '")
            )));
        }
        order.push((ordering, ascending));
    }
    Ok(order)
}

fn ordering(entity: Option<&str>, key: &str) -> Result<Ordering, WireError> {
    Ok(match (entity, key) {
        (None | Some("attribute" | "attributes" | "trace"), key) => match key {
            "experiment_id" => Ordering::Column("t.experiment_id", false),
            "timestamp" | "timestamp_ms" => Ordering::Column("t.request_ms", false),
            "execution_time" | "execution_time_ms" => Ordering::Column("t.duration_ms", true),
            "end_time" | "end_time_ms" => Ordering::Column(END, false),
            "status" => Ordering::Column("t.state", false),
            "request_id" => Ordering::Column("t.trace_id", false),
            "name" => Ordering::Column("t.name", true),
            "run_id" => Ordering::Pair(Pair::Metadata, RUN_KEY.to_owned()),
            other => {
                return Err(WireError::new(format!(
                    "Invalid attribute key '{other}' specified. Valid keys are '{ORDERED}'"
                )));
            }
        },
        (Some("tag" | "tags"), NAME_TAG) => Ordering::Column("t.name", true),
        (Some("tag" | "tags"), key) => Ordering::Pair(Pair::Tag, key.to_owned()),
        (Some("metadata" | "request_metadata"), SESSION_KEY) => Ordering::Column("t.session_id", true),
        (Some("metadata" | "request_metadata"), USAGE_KEY | COST_KEY) => {
            return Err(WireError::new(format!(
                "Ordering by reserved metadata '{key}' is not supported because it is represented by multiple columns."
            )));
        }
        (Some("metadata" | "request_metadata"), key) => Ordering::Pair(Pair::Metadata, key.to_owned()),
        (Some(entity @ ("span" | "feedback" | "expectation" | "issue")), _) => {
            return Err(WireError::new(format!("Invalid identifier type '{entity}'")));
        }
        (Some(other), _) => {
            return Err(WireError::new(format!(
                "Invalid entity type '{other}'. Valid values are {ENTITIES}"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn orders() {
        let order = [
            "timestamp_ms ASC",
            "tags.a DESC",
            "metadata.`mlflow.trace.session`",
        ]
        .map(str::to_owned);
        assert_eq!(
            read_order(&order).unwrap(),
            [
                (Ordering::Column("t.request_ms", false), true),
                (Ordering::Pair(Pair::Tag, "a".into()), false),
                (Ordering::Column("t.session_id", true), true),
            ]
        );
        let twice = ["timestamp".to_owned(), "timestamp_ms DESC".to_owned()];
        assert!(
            read_order(&twice)
                .unwrap_err()
                .to_string()
                .contains("duplicate fields")
        );
        for bad in [
            "span.name",
            "feedback.x",
            "metadata.`mlflow.trace.cost`",
            "client_request_id",
            "params.x",
        ] {
            assert!(read_order(&[bad.to_owned()]).is_err(), "{bad}");
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
