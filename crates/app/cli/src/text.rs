//! Text as it stands on a terminal: how many columns it takes, and cutting it to some.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// After a character that has a plain and a colourful form: asks for the latter, which is two columns wide.
const EMOJI_FORM: char = '\u{fe0f}';

/// The columns that a text takes; an emoji or a Chinese character takes two.
#[must_use]
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text, cut to so many columns with an ellipsis at its end.
///
/// Counts character by character, which is never less than what a terminal makes of them: some draw joined
/// emoji as one, others side by side.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    let mut taken = 0;
    let mut cut = None;
    for (at, char) in text.char_indices() {
        taken += match char {
            EMOJI_FORM => 1,
            _ => UnicodeWidthChar::width(char).unwrap_or(0),
        };
        if cut.is_none() && taken > columns.saturating_sub(1) {
            cut = Some(at);
        }
        if taken > columns {
            return format!("{}…", &text[..cut.unwrap_or(at)]);
        }
    }
    text.to_owned()
}

/// The text with every control character as a space, so that it cannot move the cursor, and no longer than
/// so many characters.
#[must_use]
pub fn tame(text: &str, longest: usize) -> String {
    let chars = text.chars().take(longest);
    chars
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

/// A version's id as people read it: `v_` and 12 digits. Commands take it so, too.
#[must_use]
pub fn short(version: &str) -> String {
    version.chars().take(14).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_the_rest_is_cut_by_columns() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("数字数字", 8), "数字数字");
        assert_eq!(fit("数字数字", 7), "数字数…");
        assert_eq!(fit("数字数字", 6), "数字…");
        assert_eq!(width(&fit("🎉🎉🎉🎉", 5)), 5);
    }

    #[test]
    fn a_log_line_cannot_move_the_cursor() {
        assert_eq!(tame("a\u{1b}[2J\tb", 99), "a [2J b");
        assert_eq!(tame("abc", 2), "ab");
    }
}
