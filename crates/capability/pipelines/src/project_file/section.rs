//! Typed reading of the tree: each helper returns the value or reports what is wrong and where.

use std::fmt::Display;
use std::str::FromStr;

use super::problem::{Mark, Problems, suggest};
use super::scalar::{self, Kind, kind_of};
use super::tree::{Entry, Node, Value, join};

/// A value and where it stands, for checks that compare several places.
#[derive(Debug, Clone)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) at: Mark,
    pub(super) field: String,
}

/// One mapping of the file with a fixed set of keys.
pub(super) struct Section<'a> {
    pub(super) at: Mark,
    pub(super) field: String,
    entries: &'a [Entry],
}

/// A node and its path.
#[derive(Clone, Copy)]
pub(super) struct Located<'a> {
    pub(super) node: &'a Node,
    pub(super) field: &'a str,
}

impl<'a> Section<'a> {
    /// Opens a mapping and reports every key that is not in `known`.
    pub(super) fn open(
        node: &'a Node,
        field: &str,
        at: Mark,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let entries = mapping(node, field, problems)?;
        for entry in entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let mut path = field.to_owned();
            join(&mut path, &entry.key);
            let message = format!("unknown key '{}'", entry.key);
            problems.add_with_hint(
                entry.key_at,
                &path,
                message,
                suggest(&entry.key, known.iter().copied()),
            );
        }
        Some(Self {
            at,
            field: field.to_owned(),
            entries,
        })
    }

    pub(super) fn path(&self, key: &str) -> String {
        let mut path = self.field.clone();
        join(&mut path, key);
        path
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of an optional key through `read`; a key without a value counts as wrong, not as absent.
    pub(super) fn get<T>(
        &self,
        key: &str,
        problems: &mut Problems,
        read: impl FnOnce(Located<'_>, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        read(
            Located {
                node: &entry.value,
                field: &self.path(key),
            },
            problems,
        )
    }

    /// As [`Section::get`], and reports the key's absence.
    pub(super) fn require<T>(
        &self,
        key: &str,
        problems: &mut Problems,
        read: impl FnOnce(Located<'_>, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        if self.entry(key).is_none() {
            problems.add(self.at, &self.path(key), format!("'{key}' is missing"));
        }
        self.get(key, problems, read)
    }
}

/// The entries of a mapping; reports anything else.
pub(super) fn mapping<'a>(node: &'a Node, field: &str, problems: &mut Problems) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        other => {
            problems.add(
                node.at,
                field,
                format!("expected keys and values, found {}", noun(other)),
            );
            None
        }
    }
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::Scalar { text, plain: true } => kind_of(text).noun(),
        Value::Scalar { .. } => Kind::Text.noun(),
        Value::List(_) => "a list",
        Value::Map(_) => "keys and values",
    }
}

fn expected(what: &str, located: Located<'_>, problems: &mut Problems) {
    let message = format!("expected {what}, found {}", noun(&located.node.value));
    problems.add(located.node.at, located.field, message);
}

/// A text; an unquoted `true` or `1` is not one, because YAML reads it as something else.
pub(super) fn text(located: Located<'_>, problems: &mut Problems) -> Option<String> {
    match &located.node.value {
        Value::Scalar { text, plain } if !plain || kind_of(text) == Kind::Text => {
            if text.trim().is_empty() {
                problems.add(
                    located.node.at,
                    located.field,
                    "expected text, found an empty one",
                );
                return None;
            }
            Some(text.clone())
        }
        Value::Scalar { text, plain: true } if kind_of(text) != Kind::Null => {
            let message = format!("expected text, found {}", kind_of(text).noun());
            let hint = Some(format!("write it in quotes: \"{text}\""));
            problems.add_with_hint(located.node.at, located.field, message, hint);
            None
        }
        _ => {
            expected("text", located, problems);
            None
        }
    }
}

/// A text that `parse` accepts.
pub(super) fn parsed<T>(
    located: Located<'_>,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let value = text(located, problems)?;
    match parse(&value) {
        Ok(value) => Some(value),
        Err(message) => {
            problems.add(located.node.at, located.field, message);
            None
        }
    }
}

/// A name under the rule for steps, data and outputs.
pub(super) fn name(located: Located<'_>, problems: &mut Problems) -> Option<String> {
    let value = text(located, problems)?;
    is_name(&value, located.node.at, located.field, problems).then_some(value)
}

pub(super) fn is_name(value: &str, at: Mark, field: &str, problems: &mut Problems) -> bool {
    let fine = scalar::is_name(value);
    if !fine {
        let hint = Some(scalar::NAME_RULE.to_owned());
        problems.add_with_hint(at, field, format!("'{value}' is not a name"), hint);
    }
    fine
}

/// A name, and where it stands.
pub(super) fn spanned_name(located: Located<'_>, problems: &mut Problems) -> Option<Spanned<String>> {
    let value = name(located, problems)?;
    Some(Spanned {
        value,
        at: located.node.at,
        field: located.field.to_owned(),
    })
}

/// A whole number within bounds, unquoted.
pub(super) fn integer<T: FromStr + PartialOrd + Display>(
    located: Located<'_>,
    problems: &mut Problems,
    bounds: std::ops::RangeInclusive<T>,
) -> Option<T> {
    let Some(digits) = plain_number(located) else {
        expected("a whole number", located, problems);
        return None;
    };
    match T::from_str(digits) {
        Ok(value) if bounds.contains(&value) => Some(value),
        _ => {
            let message = format!(
                "{digits} is not a whole number from {} to {}",
                bounds.start(),
                bounds.end()
            );
            problems.add(located.node.at, located.field, message);
            None
        }
    }
}

/// A number or a text, as `cpus: 0.5` and `timeout: 20s` are; quoted numbers are refused.
pub(super) fn quantity(
    located: Located<'_>,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<u64, String>,
) -> Option<u64> {
    match plain_number(located) {
        Some(digits) => match parse(digits) {
            Ok(value) => Some(value),
            Err(message) => {
                problems.add(located.node.at, located.field, message);
                None
            }
        },
        None => parsed(located, problems, parse),
    }
}

fn plain_number<'a>(located: Located<'a>) -> Option<&'a str> {
    match &located.node.value {
        Value::Scalar { text, plain: true } if kind_of(text) == Kind::Number => Some(text),
        _ => None,
    }
}

/// `true` or `false`, unquoted.
pub(super) fn boolean(located: Located<'_>, problems: &mut Problems) -> Option<bool> {
    match &located.node.value {
        Value::Scalar { text, plain: true } if kind_of(text) == Kind::Boolean => {
            Some(text.eq_ignore_ascii_case("true"))
        }
        _ => {
            expected("true or false", located, problems);
            None
        }
    }
}

/// Any scalar as its text, as environment variables are.
pub(super) fn any_scalar(located: Located<'_>, problems: &mut Problems) -> Option<String> {
    match &located.node.value {
        Value::Scalar { text, plain } if !plain || kind_of(text) != Kind::Null => Some(text.clone()),
        _ => {
            expected("a value", located, problems);
            None
        }
    }
}

/// A list of names without repetition. `None` if it is no list; wrong items are reported and left out.
pub(super) fn names(located: Located<'_>, problems: &mut Problems) -> Option<Vec<Spanned<String>>> {
    let Value::List(items) = &located.node.value else {
        expected("a list of names such as [a, b]", located, problems);
        return None;
    };
    let mut found: Vec<Spanned<String>> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let field = format!("{}[{index}]", located.field);
        let Some(value) = name(
            Located {
                node: item,
                field: &field,
            },
            problems,
        ) else {
            continue;
        };
        if !seen.insert(value.clone()) {
            problems.add(item.at, &field, format!("'{value}' is listed twice"));
            continue;
        }
        found.push(Spanned {
            value,
            at: item.at,
            field,
        });
    }
    Some(found)
}
