//! Lists of values in statements. A connection keeps each statement compiled, so there are to be few different ones:
//! lists are padded to a few lengths.

use std::fmt::Write;
use std::ops::RangeInclusive;

use crate::Value;

/// Values of one IN list. Lists are padded to one of these lengths with their last value, so that three statements serve
/// every number of values.
const IN_LENGTHS: [usize; 3] = [1, 32, 512];

/// Splits values into padded lists, for one statement each.
#[must_use]
pub fn in_lists<T>(items: &[T], value: impl Fn(&T) -> Value) -> Vec<Vec<Value>> {
    items
        .chunks(IN_LENGTHS[2])
        .map(|chunk| {
            let length = IN_LENGTHS
                .into_iter()
                .find(|length| *length >= chunk.len())
                .unwrap_or(chunk.len());
            let padding = chunk.last().into_iter().cycle().take(length - chunk.len());
            chunk.iter().chain(padding).map(&value).collect()
        })
        .collect()
}

/// Numbers as [`in_lists`].
#[must_use]
pub fn number_lists(numbers: &[i64]) -> Vec<Vec<Value>> {
    in_lists(numbers, |number| (*number).into())
}

/// Texts as [`in_lists`].
#[must_use]
pub fn text_lists(texts: &[String]) -> Vec<Vec<Value>> {
    in_lists(texts, |text| text.into())
}

/// `$1,$2,…`: placeholders of one list.
#[must_use]
pub fn list(length: usize) -> String {
    let mut text = String::with_capacity(length * 5);
    push_list(&mut text, 1..=length);
    text
}

/// `($1,$2),($3,$4)`: placeholders of so many rows of so many columns.
#[must_use]
pub fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * (columns * 5 + 3));
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        push_list(&mut text, row * columns + 1..=(row + 1) * columns);
        text.push(')');
    }
    text
}

fn push_list(text: &mut String, numbers: RangeInclusive<usize>) {
    let first = *numbers.start();
    for number in numbers {
        if number > first {
            text.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "${number}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_few_lengths_and_repeat_their_last_value() {
        let numbers: Vec<i64> = (0..1000).collect();
        let lengths: Vec<usize> = number_lists(&numbers).iter().map(Vec::len).collect();
        assert_eq!(lengths, [512, 512]);
        let few = number_lists(&numbers[..5]);
        assert_eq!(few[0].len(), 32);
        assert_eq!(
            (&few[0][4], &few[0][31]),
            (&Value::from(4_i64), &Value::from(4_i64))
        );
        assert_eq!(number_lists(&numbers[..1])[0].len(), 1);
        assert!(number_lists(&[]).is_empty() && text_lists(&[]).is_empty());
    }

    #[test]
    fn placeholders_are_counted_through() {
        assert_eq!((list(3).as_str(), list(0).as_str()), ("$1,$2,$3", ""));
        assert_eq!(placeholders(2, 2), "($1,$2),($3,$4)");
    }
}
