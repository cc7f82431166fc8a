//! Text as it stands on a terminal: how many columns it takes, and cutting it to some.

use std::borrow::Cow;

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

/// The text in lines of at most so many columns, broken between words, and within one that is longer than a line.
#[must_use]
pub fn broken(text: &str, columns: usize) -> Vec<String> {
    if width(text) <= columns {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    let mut last = 0;
    for mut word in text.split_whitespace().map(str::to_owned) {
        let is_joined = lines[last].is_empty() || width(&lines[last]) + 1 + width(&word) <= columns;
        if !is_joined {
            lines.push(String::new());
            last += 1;
        }
        while width(&word) > columns {
            let rest = word.split_off(whole_chars(&word, columns));
            if rest.is_empty() {
                break;
            }
            lines[last] = std::mem::replace(&mut word, rest);
            lines.push(String::new());
            last += 1;
        }
        if !lines[last].is_empty() {
            lines[last].push(' ');
        }
        lines[last].push_str(&word);
    }
    lines
}

/// How many bytes of the text take so many columns; one character at least.
fn whole_chars(text: &str, columns: usize) -> usize {
    let mut taken = 0;
    let cut = text.char_indices().find(|(at, char)| {
        taken += UnicodeWidthChar::width(*char).unwrap_or(0);
        *at > 0 && taken > columns
    });
    cut.map_or(text.len(), |(at, _)| at)
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

/// The text with every control character but the end of a line and the tabulator as a space: nothing that
/// came from a file, a name or a server may command the terminal.
#[must_use]
pub fn harmless(text: &str) -> String {
    let harmless = |char: char| !char.is_control() || matches!(char, '\n' | '\t');
    text.chars()
        .map(|char| if harmless(char) { char } else { ' ' })
        .collect()
}

/// A line of a log without what would colour it, which is more readable than its remains.
#[must_use]
pub fn colourless(line: &str) -> Cow<'_, str> {
    console::strip_ansi_codes(line)
}

/// The text as one word of a shell: as it is where that is plain, else in single quotes.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-+=:,@%".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        shell_quoted(text)
    }
}

/// The text in single quotes, so that a shell takes it as it is.
#[must_use]
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
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
    fn a_sentence_is_broken_between_words() {
        assert_eq!(broken("as it is", 8), ["as it is"]);
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("a 0123456789 b", 4), ["a", "0123", "4567", "89 b"]);
        assert_eq!(broken("数字数字", 4), ["数字", "数字"]);
        assert_eq!(broken("数字", 1), ["数", "字"]);
        assert_eq!(broken("", 4), [""]);
    }

    #[test]
    fn a_log_line_cannot_move_the_cursor() {
        assert_eq!(tame("a\u{1b}[2J\tb", 99), "a [2J b");
        assert_eq!(tame("abc", 2), "ab");
        assert_eq!(colourless("\u{1b}[31mred\u{1b}[0m"), "red");
    }

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(
            harmless("a\u{1b}]0;title\u{7}b\r\u{9b}2J\u{7f}\tc\nd"),
            "a ]0;title b  2J \tc\nd"
        );
    }

    #[test]
    fn a_shell_takes_a_word_as_it_is() {
        assert_eq!(shell_word("/tmp/home"), "/tmp/home");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_quoted("a'$(rm)"), r"'a'\''$(rm)'");
    }
}
