//! `when:` conditions: `metrics.NAME OP NUMBER`, joined by `and`. Small on purpose: a gate that a person
//! can read at a glance, and whose refusal can be told in one sentence.

use std::collections::BTreeMap;
use std::fmt;

const MAX_CLAUSES: usize = 16;

/// How a metric is compared with its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `<`
    Below,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

impl Comparison {
    // Longer signs first: `>` is a prefix of `>=`.
    const SIGNS: [(&'static str, Self); 6] = [
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        (">", Self::Above),
        ("<", Self::Below),
    ];

    fn sign(self) -> &'static str {
        Self::SIGNS
            .iter()
            .find(|(_, comparison)| *comparison == self)
            .map_or("", |(sign, _)| sign)
    }

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::AtLeast => value >= bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::Below => value < bound,
            Self::Equal => value == bound,
            // A metric that is not a number passes no gate, though NaN differs from everything.
            Self::Unequal => !value.is_nan() && value != bound,
        }
    }

    /// How a value stands to its bound when the comparison does not hold.
    fn refusal(self) -> &'static str {
        match self {
            Self::AtLeast => "is below",
            Self::AtMost => "is above",
            Self::Above => "is not above",
            Self::Below => "is not below",
            Self::Equal => "is not equal to",
            Self::Unequal => "is equal to",
        }
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// The metric's name, as logged.
    pub metric: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what; finite.
    pub bound: f64,
}

/// A gate: all clauses must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    clauses: Vec<Clause>,
}

/// Why a text is not a condition, and at which character of it (from 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionError {
    /// Characters from the start of the text.
    pub offset: usize,
    /// One sentence.
    pub message: String,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// Says what was expected where the text stops being a condition.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let mut cursor = Cursor { text, at: 0 };
        let mut clauses = vec![cursor.clause()?];
        loop {
            cursor.skip_space();
            if cursor.rest().is_empty() {
                return Ok(Self { clauses });
            }
            let word = cursor.word();
            if word != "and" {
                return Err(cursor.error("expected 'and' or the end of the condition"));
            }
            cursor.at += word.len();
            if clauses.len() == MAX_CLAUSES {
                return Err(cursor.error(&format!("a condition has at most {MAX_CLAUSES} comparisons")));
            }
            clauses.push(cursor.clause()?);
        }
    }

    /// The comparisons, in the order they are written.
    #[must_use]
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// Whether the metrics pass.
    ///
    /// # Errors
    /// One sentence that names each comparison that does not hold, such as `accuracy 0.93 is below 0.95`.
    pub fn check(&self, metrics: &BTreeMap<String, f64>) -> Result<(), String> {
        let refusals: Vec<String> = self
            .clauses
            .iter()
            .filter_map(|clause| refusal(clause, metrics))
            .collect();
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(refusals.join(" and "))
        }
    }
}

fn refusal(clause: &Clause, metrics: &BTreeMap<String, f64>) -> Option<String> {
    let Clause {
        metric,
        comparison,
        bound,
    } = clause;
    match metrics.get(metric) {
        None => {
            let near = corliss_diagnostics::nearest(metric, metrics.keys().map(String::as_str));
            let hint = near
                .map(|name| format!(" (did you mean '{name}'?)"))
                .unwrap_or_default();
            Some(format!("no step logged a metric '{metric}'{hint}"))
        }
        Some(value) if comparison.holds(*value, *bound) => None,
        Some(value) if value.is_nan() => Some(format!("{metric} is not a number")),
        Some(value) => Some(format!("{metric} {value} {} {bound}", comparison.refusal())),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, clause) in self.clauses.iter().enumerate() {
            let joint = if index == 0 { "" } else { " and " };
            write!(
                f,
                "{joint}metrics.{} {} {}",
                clause.metric,
                clause.comparison.sign(),
                clause.bound
            )?;
        }
        Ok(())
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len())]
    }

    fn error(&self, message: &str) -> ConditionError {
        let offset = self
            .text
            .get(..self.at)
            .map_or(0, |before| before.chars().count());
        ConditionError {
            offset,
            message: message.to_owned(),
        }
    }

    fn clause(&mut self) -> Result<Clause, ConditionError> {
        self.skip_space();
        let Some(rest) = self.rest().strip_prefix("metrics.") else {
            return Err(self.error("expected a metric such as metrics.accuracy"));
        };
        let is_metric = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
        let metric = &rest[..rest.find(|c| !is_metric(c)).unwrap_or(rest.len())];
        if metric.is_empty() || metric.len() > 250 {
            return Err(self.error("expected the name of a metric after 'metrics.'"));
        }
        self.at += "metrics.".len() + metric.len();
        self.skip_space();
        let found = Comparison::SIGNS
            .iter()
            .find(|(sign, _)| self.rest().starts_with(sign));
        let Some((sign, comparison)) = found else {
            return Err(self.error("expected one of >=, <=, >, <, == and !="));
        };
        self.at += sign.len();
        self.skip_space();
        let rest = self.rest();
        let number = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        match number.parse::<f64>() {
            Ok(bound) if bound.is_finite() => {
                self.at += number.len();
                Ok(Clause {
                    metric: metric.to_owned(),
                    comparison: *comparison,
                    bound,
                })
            }
            _ => Err(self.error("expected a number to compare with")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect()
    }

    #[test]
    fn a_gate_says_why_it_refuses() {
        let gate = Condition::parse("metrics.accuracy >= 0.95 and metrics.loss<1").unwrap();
        assert_eq!(gate.check(&metrics(&[("accuracy", 0.95), ("loss", 0.2)])), Ok(()));
        assert_eq!(
            gate.check(&metrics(&[("accuracy", 0.93), ("loss", 0.2)])),
            Err("accuracy 0.93 is below 0.95".to_owned())
        );
        assert_eq!(
            gate.check(&metrics(&[("acuracy", 0.99), ("loss", 1.0)])),
            Err(
                "no step logged a metric 'accuracy' (did you mean 'acuracy'?) and loss 1 is not below 1"
                    .to_owned()
            )
        );
        assert_eq!(gate.to_string(), "metrics.accuracy >= 0.95 and metrics.loss < 1");
    }

    #[test]
    fn nothing_passes_as_not_a_number() {
        for sign in [">=", "<=", ">", "<", "==", "!="] {
            let gate = Condition::parse(&format!("metrics.a {sign} 0")).unwrap();
            assert_eq!(
                gate.check(&metrics(&[("a", f64::NAN)])),
                Err("a is not a number".to_owned())
            );
        }
    }

    #[test]
    fn errors_point_into_the_text() {
        let offset = |text: &str| Condition::parse(text).unwrap_err().offset;
        assert_eq!(offset("accuracy >= 1"), 0);
        assert_eq!(offset("metrics.a => 1"), 10);
        assert_eq!(offset("metrics.a >= high"), 13);
        assert_eq!(offset("metrics.a >= 1 or metrics.b > 2"), 15);
        assert_eq!(offset(""), 0);
        assert_eq!(offset("metrics. > 1"), 0);
    }
}
