//! Tokens to comparisons, and the operators each may use.

use super::lexer::{Token, tokens};
use crate::WireError;

/// More comparisons than any person writes; each costs the database a subquery.
const COMPARISONS_MAX: usize = 100;
/// Values of one IN list; both databases bind each as a parameter.
const LIST_MAX: usize = 1000;
/// Tokens of a list that a refusal repeats.
const LIST_SHOWN: usize = 20;

/// How a comparison compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
    Ilike,
    Rlike,
    In,
    NotIn,
    IsNull,
    IsNotNull,
}

impl Operator {
    /// As written in a filter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Like => "LIKE",
            Self::Ilike => "ILIKE",
            Self::Rlike => "RLIKE",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::IsNull => "IS NULL",
            Self::IsNotNull => "IS NOT NULL",
        }
    }
}

/// What is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Nothing: IS NULL, IS NOT NULL.
    None,
    /// A quoted text.
    Text(String),
    /// A number.
    Number(f64),
    /// A list of quoted texts.
    List(Vec<String>),
}

/// One comparison, such as `metrics.loss < 0.5`.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What stood before the first dot; none for a bare attribute.
    pub entity: Option<String>,
    /// What stood after it.
    pub key: String,
    /// How.
    pub operator: Operator,
    /// With what.
    pub operand: Operand,
}

/// One `key [ASC|DESC]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What stood before the first dot; none for a bare attribute.
    pub entity: Option<String>,
    /// What stood after it.
    pub key: String,
    /// The direction; ascending unless DESC was said.
    pub ascending: bool,
}

/// Reads a filter; an empty one has no comparisons.
///
/// # Errors
/// It is not a list of comparisons joined by AND.
pub fn parse_filter(filter: &str) -> Result<Vec<Comparison>, WireError> {
    let tokens = tokens(filter)?;
    let mut rest = tokens.as_slice();
    let mut comparisons = Vec::new();
    while !rest.is_empty() {
        if !comparisons.is_empty() {
            rest = match rest {
                [Token::Word(word), tail @ ..] if word.eq_ignore_ascii_case("and") && !tail.is_empty() => {
                    tail
                }
                [other, ..] => return Err(stray(other)),
                [] => break,
            };
        }
        let (comparison, tail) = comparison(rest)?;
        comparisons.push(comparison);
        if comparisons.len() > COMPARISONS_MAX {
            return Err(WireError::new(format!(
                "A filter can hold at most {COMPARISONS_MAX} comparisons."
            )));
        }
        rest = tail;
    }
    Ok(comparisons)
}

fn stray(token: &Token) -> WireError {
    WireError::new(format!("Invalid clause(s) in filter string: {token}"))
}

fn comparison(tokens: &[Token]) -> Result<(Comparison, &[Token]), WireError> {
    let (name, rest) = match tokens {
        [Token::Word(name) | Token::Quoted('`' | '"', name), rest @ ..] => (name, rest),
        [other, ..] => {
            return Err(WireError::new(format!(
                "Invalid comparison clause. Expected 'Identifier' found '{other}'"
            )));
        }
        [] => {
            return Err(WireError::new(
                "Invalid comparison clause. Expected 3 tokens found 0",
            ));
        }
    };
    let (operator, rest) = operator(name, rest)?;
    let (operand, rest) = match operator {
        Operator::IsNull | Operator::IsNotNull => (Operand::None, rest),
        Operator::In | Operator::NotIn => list(rest)?,
        _ => match rest {
            [Token::Quoted('\'' | '"', text), rest @ ..] => (Operand::Text(text.clone()), rest),
            [Token::Number(number), rest @ ..] => (Operand::Number(number.parse().unwrap_or(f64::NAN)), rest),
            [Token::Punctuation('('), ..] => list(rest)?,
            [other, ..] => {
                return Err(WireError::new(format!(
                    "Parameter value is either not quoted or unidentified quote types used for string value {other}. Use \
                     either single or double quotes."
                )));
            }
            [] => {
                return Err(WireError::new(
                    "Invalid comparison clause. Expected 3 tokens found 2",
                ));
            }
        },
    };
    let (entity, key) = split(name);
    Ok((
        Comparison {
            entity,
            key,
            operator,
            operand,
        },
        rest,
    ))
}

fn operator<'t>(name: &str, tokens: &'t [Token]) -> Result<(Operator, &'t [Token]), WireError> {
    let words: Vec<String> = tokens
        .iter()
        .take(3)
        .map(|token| {
            if let Token::Word(word) = token {
                word.to_ascii_uppercase()
            } else {
                String::new()
            }
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let found = match (tokens.first(), words.as_slice()) {
        (Some(Token::Compare(compare)), _) => {
            let all = [
                Operator::Eq,
                Operator::Ne,
                Operator::Lt,
                Operator::Le,
                Operator::Gt,
                Operator::Ge,
            ];
            all.into_iter()
                .find(|operator| operator.as_str() == *compare)
                .map(|operator| (operator, 1))
        }
        (_, ["LIKE", ..]) => Some((Operator::Like, 1)),
        (_, ["ILIKE", ..]) => Some((Operator::Ilike, 1)),
        (_, ["RLIKE", ..]) => Some((Operator::Rlike, 1)),
        (_, ["IN", ..]) => Some((Operator::In, 1)),
        (_, ["NOT", "IN", ..]) => Some((Operator::NotIn, 2)),
        (_, ["IS", "NULL", ..]) => Some((Operator::IsNull, 2)),
        (_, ["IS", "NOT", "NULL"]) => Some((Operator::IsNotNull, 3)),
        _ => None,
    };
    match found {
        Some((operator, used)) => Ok((operator, &tokens[used..])),
        None => Err(WireError::new(format!(
            "Invalid clause(s) in filter string: {name}"
        ))),
    }
}

fn list(tokens: &[Token]) -> Result<(Operand, &[Token]), WireError> {
    let ill_formed = || {
        WireError::new(
            "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.",
        )
    };
    let [Token::Punctuation('('), rest @ ..] = tokens else {
        return Err(ill_formed());
    };
    match rest {
        [Token::Punctuation(')'), ..] => {
            return Err(WireError::new(
                "While parsing a list in the query, expected a non-empty list of string values, but got empty list",
            ));
        }
        [Token::Number(_), ..] => {
            let end = rest.iter().position(|token| *token == Token::Punctuation(')'));
            let shown: Vec<String> = rest[..end.unwrap_or(rest.len()).min(LIST_SHOWN)]
                .iter()
                .filter(|token| **token != Token::Punctuation(','))
                .map(ToString::to_string)
                .collect();
            return Err(WireError::new(format!(
                "While parsing a list in the query, expected string value, punctuation, or whitespace, but got different \
                 type in list: ({})",
                shown.join(", ")
            )));
        }
        _ => {}
    }
    let mut rest = rest;
    let mut values = Vec::new();
    loop {
        match rest {
            [
                Token::Quoted('\'' | '"', text),
                Token::Punctuation(mark @ (',' | ')')),
                tail @ ..,
            ] => {
                values.push(text.clone());
                rest = tail;
                if values.len() > LIST_MAX {
                    return Err(WireError::new(format!(
                        "A list in a filter can hold at most {LIST_MAX} values."
                    )));
                }
                if *mark == ')' {
                    return Ok((Operand::List(values), rest));
                }
            }
            // A trailing comma, as Python writes a tuple of one.
            [Token::Punctuation(')'), tail @ ..] if !values.is_empty() => {
                return Ok((Operand::List(values), tail));
            }
            _ => return Err(ill_formed()),
        }
    }
}

fn split(name: &str) -> (Option<String>, String) {
    match name.split_once('.') {
        Some((entity, key)) => (Some(entity.to_owned()), key.to_owned()),
        None => (None, name.to_owned()),
    }
}

/// Reads one order clause.
///
/// # Errors
/// It is not a key with an optional ASC or DESC.
pub fn parse_order(clause: &str) -> Result<Order, WireError> {
    let tokens = tokens(clause)?;
    let unparsable = || {
        WireError::new(format!(
            "Invalid order_by clause '{clause}'. Could not be parsed."
        ))
    };
    let (name, direction) = match tokens.as_slice() {
        [Token::Word(name) | Token::Quoted('`' | '"', name)] => (name, "asc".to_owned()),
        [
            Token::Word(name) | Token::Quoted('`' | '"', name),
            Token::Word(direction),
        ] => (name, direction.to_ascii_lowercase()),
        _ => return Err(unparsable()),
    };
    let ascending = match direction.as_str() {
        "asc" => true,
        "desc" => false,
        _ => {
            return Err(WireError::new(format!(
                "Invalid ordering key in order_by clause '{clause}'."
            )));
        }
    };
    let (entity, key) = split(name);
    Ok(Order {
        entity,
        key,
        ascending,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(filter: &str) -> Comparison {
        let mut all = parse_filter(filter).unwrap();
        assert_eq!(all.len(), 1, "{filter}");
        all.remove(0)
    }

    #[test]
    fn keys_may_be_quoted_in_each_way_that_the_documentation_shows() {
        for filter in [
            "metrics.`val loss` < 0.5",
            "metrics.\"val loss\"<0.5",
            "`metrics.val loss` < 0.5",
        ] {
            let comparison = one(filter);
            assert_eq!(
                (comparison.entity.as_deref(), comparison.key.as_str()),
                (Some("metrics"), "val loss")
            );
            assert_eq!(
                (comparison.operator, comparison.operand),
                (Operator::Lt, Operand::Number(0.5))
            );
        }
        assert_eq!(one("tags.mlflow.parentRunId = 'x'").key, "mlflow.parentRunId");
        assert_eq!(one("status = \"RUNNING\"").entity, None);
    }

    #[test]
    fn values_lists_and_nulls() {
        assert_eq!(one("params.a = 'it''s'").operand, Operand::Text("it's".into()));
        assert_eq!(one("metrics.a >= -1.5e-3").operand, Operand::Number(-0.0015));
        assert_eq!(
            one("run_id NOT IN ('a', 'b')").operand,
            Operand::List(vec!["a".into(), "b".into()])
        );
        assert_eq!(one("run_id in ('a',)").operator, Operator::In);
        assert_eq!(one("tags.x rlike '^a'").operator, Operator::Rlike);
        assert_eq!(one("tags.x IS NOT NULL").operator, Operator::IsNotNull);
        assert_eq!(one("tags.x is null").operator, Operator::IsNull);
        assert_eq!(
            parse_filter("params.a = '1' AND metrics.b > 2 and tags.c LIKE '%z'")
                .unwrap()
                .len(),
            3
        );
        assert!(parse_filter("").unwrap().is_empty());
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "metrics.a > 1 OR metrics.b < 2",
            "metrics.a",
            "metrics.a >",
            "> 1",
            "params.a = b",
            "params.a = 'x",
            "metrics.a > 1 metrics.b < 2",
            "metrics.a > 1 AND",
            "run_id IN ()",
            "run_id IN ('a'",
            "a = 'b'; DROP TABLE x",
            "(metrics.a > 1)",
            "run_id IN (1)",
            "AND",
        ] {
            assert!(parse_filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn orders() {
        let order = parse_order("metrics.`val loss` DESC").unwrap();
        assert_eq!((order.key.as_str(), order.ascending), ("val loss", false));
        assert!(parse_order("start_time").unwrap().ascending);
        for bad in ["", "a b c", "a sideways", "a; b"] {
            assert!(parse_order(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = parse_filter(&text);
            let _ = parse_order(&text);
        }
    }
}
