//! Tests that SQL is not asked: regular expressions, which the two databases write differently, and everything
//! about the contents of spans, which lie packed.

use corliss_mlflow_wire::{Operand, Operator, WireError};
use regex::{Regex, RegexBuilder};

use super::filter::shown;
use crate::AnyValue;
use crate::json::spaced;
use crate::limits;
use crate::span::Span;
use crate::types::{AssessmentValue, TraceInfo};

/// How a text is compared.
#[derive(Debug)]
pub(super) enum Pattern {
    Equal(String),
    Differs(String),
    Among(Vec<String>),
    NotAmong(Vec<String>),
    /// Also what LIKE says, as a regular expression: its time is linear in the text, whatever the pattern.
    Matches(Regex),
}

impl Pattern {
    /// A comparison of a filter.
    pub(super) fn of(operator: Operator, operand: &Operand, what: &str) -> Result<Self, WireError> {
        Ok(match (operator, operand) {
            (Operator::Eq, Operand::Text(text)) => Self::Equal(text.clone()),
            (Operator::Ne, Operand::Text(text)) => Self::Differs(text.clone()),
            (Operator::In, Operand::List(texts)) => Self::Among(texts.clone()),
            (Operator::NotIn, Operand::List(texts)) => Self::NotAmong(texts.clone()),
            (Operator::Like, Operand::Text(text)) => Self::like(text, false)?,
            (Operator::Ilike, Operand::Text(text)) => Self::like(text, true)?,
            (Operator::Rlike, Operand::Text(text)) => Self::regex(text)?,
            _ => {
                return Err(WireError::new(format!(
                    "Expected a quoted string value for {what} (e.g. 'my-value'). Got value {}",
                    shown(operand)
                )));
            }
        })
    }

    /// A regular expression that is found anywhere in a text.
    pub(super) fn regex(pattern: &str) -> Result<Self, WireError> {
        build(pattern, pattern, false)
    }

    /// A pattern in which `%` stands for any text and `_` for any character.
    fn like(pattern: &str, ignore_case: bool) -> Result<Self, WireError> {
        let inner = pattern.trim_matches('%');
        let mut regex = String::from(if pattern.starts_with('%') { "" } else { "^" });
        for c in inner.chars() {
            match c {
                '%' => regex.push_str(".*"),
                '_' => regex.push('.'),
                c => regex.push_str(&regex::escape(&c.to_string())),
            }
        }
        regex.push_str(if pattern.ends_with('%') { "" } else { "$" });
        build(&regex, pattern, ignore_case)
    }

    /// Whether a text passes. What is absent never does.
    pub(super) fn passes(&self, text: &str) -> bool {
        match self {
            Self::Equal(other) => text == other,
            Self::Differs(other) => text != other,
            Self::Among(texts) => texts.iter().any(|other| other == text),
            Self::NotAmong(texts) => texts.iter().all(|other| other != text),
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

fn build(regex: &str, shown: &str, ignore_case: bool) -> Result<Pattern, WireError> {
    RegexBuilder::new(regex)
        .case_insensitive(ignore_case)
        .dot_matches_new_line(true)
        .size_limit(limits::PATTERN_BYTES)
        .dfa_size_limit(4 * limits::PATTERN_BYTES)
        .build()
        .map(Pattern::Matches)
        .map_err(|error| WireError::new(format!("Invalid pattern '{shown}': {error}")))
}

/// What of a trace is tested.
#[derive(Debug)]
pub(super) enum Subject {
    TraceId,
    State,
    ClientRequestId,
    Tag(String),
    Metadata(String),
    /// A valid assessment of this kind and name, of the trace itself.
    Assessment(&'static str, String),
}

/// A test of what is known about a trace.
#[derive(Debug)]
pub(super) struct InfoTest {
    subject: Subject,
    pattern: Pattern,
}

impl InfoTest {
    pub(super) const fn new(subject: Subject, pattern: Pattern) -> Self {
        Self { subject, pattern }
    }

    pub(super) fn passes(&self, info: &TraceInfo) -> bool {
        let pair = |value: Option<&String>| value.is_some_and(|value| self.pattern.passes(value));
        match &self.subject {
            Subject::TraceId => self.pattern.passes(&info.trace_id),
            Subject::State => self.pattern.passes(info.state.as_str()),
            Subject::ClientRequestId => pair(info.client_request_id.as_ref()),
            Subject::Tag(key) => pair(info.tags.get(key)),
            Subject::Metadata(key) => pair(info.metadata.get(key)),
            Subject::Assessment(kind, name) => info.assessments.iter().any(|assessment| {
                assessment.valid
                    && assessment.value.kind() == *kind
                    && assessment.name == *name
                    && match &assessment.value {
                        AssessmentValue::Feedback { value, .. } | AssessmentValue::Expectation(value) => {
                            self.pattern.passes(&spaced(value))
                        }
                        AssessmentValue::Issue(_) => false,
                    }
            }),
        }
    }
}

/// What of a span is tested.
#[derive(Debug)]
enum Part {
    Name,
    Type,
    Status,
    Content,
    Attribute(String),
}

/// A test of a span.
#[derive(Debug)]
pub(super) struct SpanTest {
    part: Part,
    pattern: Pattern,
}

impl SpanTest {
    /// `key` is what stands behind `span.`, checked before.
    pub(super) fn new(key: &str, pattern: Pattern) -> Self {
        let part = match key {
            "name" => Part::Name,
            "type" => Part::Type,
            "status" => Part::Status,
            "content" => Part::Content,
            other => Part::Attribute(
                other
                    .strip_prefix("attributes.")
                    .unwrap_or(other)
                    .trim_matches('`')
                    .to_owned(),
            ),
        };
        Self { part, pattern }
    }

    fn passes(&self, span: &Span, content: &str) -> bool {
        match &self.part {
            Part::Name => self.pattern.passes(&span.name),
            Part::Type => span
                .span_type()
                .is_some_and(|span_type| self.pattern.passes(&span_type)),
            Part::Status => self.pattern.passes(span.status.short()),
            Part::Content => self.pattern.passes(content),
            // The reference server searches for the value somewhere behind the key in the span's text; here it is
            // the attribute's own value, so that what a user means is found and nothing else.
            Part::Attribute(key) => span
                .attribute(key)
                .is_some_and(|text| match AnyValue::of_text(text) {
                    AnyValue::Text(value) => self.pattern.passes(&value),
                    _ => self.pattern.passes(text),
                }),
        }
    }
}

/// Whether one of these spans passes all tests.
pub(super) fn any_span(tests: &[SpanTest], spans: &[Span]) -> bool {
    let content = tests.iter().any(|test| matches!(test.part, Part::Content));
    spans.iter().any(|span| {
        let text = if content { spaced(span) } else { String::new() };
        tests.iter().all(|test| test.passes(span, &text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span;

    #[test]
    fn like_means_what_sql_means_by_it() {
        for (pattern, text, expected) in [
            ("a%", "abc", true),
            ("a%", "ba", false),
            ("%a", "ba", true),
            ("%a%", "xay\nz", true),
            ("a_c", "abc", true),
            ("a_c", "abbc", false),
            ("a.c", "abc", false),
            ("%", "", true),
            ("", "", true),
            ("", "x", false),
            ("a%b%c", "a1b2c", true),
        ] {
            let like = Pattern::like(pattern, false).unwrap();
            assert_eq!(like.passes(text), expected, "{pattern} {text}");
        }
        assert!(Pattern::like("ÄB%", true).unwrap().passes("äbc"));
    }

    #[test]
    fn all_tests_of_spans_must_hold_for_one() {
        let spans = [span(1, None), span(2, Some(1))];
        let test = |key: &str, value: &str| SpanTest::new(key, Pattern::Equal(value.into()));
        assert!(any_span(
            &[test("name", "s1"), test("type", "LLM"), test("status", "ERROR")],
            &spans
        ));
        assert!(!any_span(
            &[test("name", "s1"), test("attributes.z", "2")],
            &spans
        ));
        assert!(any_span(&[test("attributes.z", "1")], &spans));
        let content = SpanTest::new("content", Pattern::like("%\"z\": \"1\"%", false).unwrap());
        assert!(any_span(&[content], &spans));
    }

    #[test]
    fn a_pattern_that_would_grow_without_bound_is_refused() {
        assert!(Pattern::regex("(a{500}){500}").is_err());
        assert!(Pattern::regex("^a.c$").unwrap().passes("abc"));
    }
}
