//! Cuts a filter or order text into tokens.

use crate::WireError;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A word, or a word with a quoted tail (`` params.`learning rate` ``).
    Word(String),
    /// A text in single or double quotes, or a name in backticks.
    Quoted(char, String),
    /// A number as written.
    Number(String),
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Compare(&'static str),
    /// `(`, `)`, `,`.
    Punctuation(char),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) => f.write_str(text),
            Self::Quoted(quote, text) => write!(f, "{quote}{text}{quote}"),
            Self::Compare(text) => f.write_str(text),
            Self::Punctuation(mark) => write!(f, "{mark}"),
        }
    }
}

const COMPARISONS: [&str; 7] = ["!=", "<=", ">=", "<>", "=", "<", ">"];

/// All tokens of the text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, WireError> {
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, used) = one(rest, first, text)?;
        tokens.push(token);
        rest = rest[used..].trim_start();
    }
    Ok(tokens)
}

fn one(rest: &str, first: char, whole: &str) -> Result<(Token, usize), WireError> {
    if let Some(compare) = COMPARISONS.iter().find(|compare| rest.starts_with(**compare)) {
        let canonical = if *compare == "<>" { "!=" } else { compare };
        return Ok((Token::Compare(canonical), compare.len()));
    }
    match first {
        '(' | ')' | ',' => Ok((Token::Punctuation(first), 1)),
        '\'' | '"' | '`' => {
            let (text, used) = quoted(rest, first, whole)?;
            Ok((Token::Quoted(first, text), used))
        }
        '0'..='9' | '-' | '+' | '.' => Ok(number(rest)),
        _ if is_word(first) => word(rest, whole),
        _ => Err(WireError::new(format!(
            "Invalid clause(s) in filter string: '{first}'"
        ))),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':')
}

fn number(rest: &str) -> (Token, usize) {
    let mut end = 0;
    for (index, c) in rest.char_indices() {
        let sign = matches!(c, '-' | '+') && (index == 0 || rest[..index].ends_with(['e', 'E']));
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign) {
            break;
        }
        end = index + c.len_utf8();
    }
    let text = &rest[..end];
    match text.parse::<f64>() {
        Ok(_) => (Token::Number(text.to_owned()), end),
        // Such as `2nd`: a word, which the parser will find out of place or take as a key.
        Err(_) => (Token::Word(text.to_owned()), end),
    }
}

fn word(rest: &str, whole: &str) -> Result<(Token, usize), WireError> {
    let end = rest
        .char_indices()
        .find(|(_, c)| !is_word(*c))
        .map_or(rest.len(), |(index, _)| index);
    let bare = &rest[..end];
    match rest[end..].chars().next() {
        Some(quote @ ('`' | '"')) if bare.ends_with('.') => {
            let (tail, used) = quoted(&rest[end..], quote, whole)?;
            Ok((Token::Word(format!("{bare}{tail}")), end + used))
        }
        _ => Ok((Token::Word(bare.to_owned()), end)),
    }
}

/// The text between quotes, where a doubled quote stands for one; and how many bytes it took.
fn quoted(rest: &str, quote: char, whole: &str) -> Result<(String, usize), WireError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((index, c)) = characters.next() {
        if c != quote {
            text.push(c);
        } else if characters.peek().is_some_and(|(_, next)| *next == quote) {
            characters.next();
            text.push(quote);
        } else {
            return Ok((text, index + 1));
        }
    }
    Err(WireError::new(format!(
        "Invalid filter '{whole}'. Could not be parsed."
    )))
}
