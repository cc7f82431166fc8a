//! Reads calls out of an answer's text while it is written. Pure.
//!
//! The text follows the grammar of its request, so only the places of things are looked for, not whether they are right.

use super::Form;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";
/// How every call begins.
const NAME: &str = "{\"name\": \"";

/// What an answer is made of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gguf) enum Part {
    Text(String),
    /// A call begins.
    Call {
        name: String,
    },
    /// More of the last call's arguments, which are a JSON text.
    Arguments(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Nothing was told yet (bare form).
    Start,
    Text,
    /// Between the opening tag and the arguments.
    Head,
    Arguments,
    /// Behind the arguments, before the next call.
    Tail,
}

/// The state of one answer.
#[derive(Debug)]
pub(in crate::gguf) struct CallReader {
    form: Form,
    at: At,
    held: String,
    calls: u32,
    /// Of the arguments: open brackets, and whether the place is within a text and behind a backslash.
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl CallReader {
    /// Of an answer whose calls are written like this.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            at: match form {
                Form::Tagged => At::Text,
                Form::Bare => At::Start,
            },
            held: String::new(),
            calls: 0,
            depth: 0,
            quoted: false,
            escaped: false,
        }
    }

    /// Calls that have begun.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Takes more of the text, and answers what is known now. What may be the beginning of a tag is kept until it is not.
    pub fn push(&mut self, text: &str) -> Vec<Part> {
        self.held.push_str(text);
        let mut parts = Vec::new();
        while self.step(&mut parts) {}
        parts
    }

    /// What is left when the answer ends.
    pub fn finish(&mut self) -> Vec<Part> {
        let rest = std::mem::take(&mut self.held);
        match self.at {
            At::Start | At::Text if !rest.is_empty() => vec![Part::Text(rest)],
            _ => Vec::new(),
        }
    }

    /// One step; whether another may follow.
    fn step(&mut self, parts: &mut Vec<Part>) -> bool {
        match self.at {
            At::Start => self.start(),
            At::Text => self.text(parts),
            At::Head => self.head(parts),
            At::Arguments => self.arguments(parts),
            At::Tail => self.tail(),
        }
    }

    fn start(&mut self) -> bool {
        if NAME.starts_with(&self.held) && self.held.len() < NAME.len() {
            return false;
        }
        self.at = if self.held.starts_with(NAME) {
            At::Head
        } else {
            At::Text
        };
        true
    }

    fn text(&mut self, parts: &mut Vec<Part>) -> bool {
        let (end, found) = match (self.form, self.held.find(OPEN)) {
            (Form::Tagged, Some(at)) => (at, true),
            (Form::Tagged, None) => (self.held.len() - possible(&self.held), false),
            (Form::Bare, _) => (self.held.len(), false),
        };
        // White space before a call belongs to neither.
        let told = match self.form {
            Form::Tagged => self.held[..end].trim_end().len(),
            Form::Bare => end,
        };
        if told > 0 {
            parts.push(Part::Text(self.held[..told].to_owned()));
        }
        self.held.drain(..if found { end + OPEN.len() } else { told });
        if found {
            self.at = At::Head;
        }
        found
    }

    fn head(&mut self, parts: &mut Vec<Part>) -> bool {
        let separator = format!("\", \"{}\": ", self.form.arguments());
        let Some(end) = self.held.find(&separator) else {
            return false;
        };
        let name = self.held[..end].trim_start();
        let name = name.strip_prefix(NAME).unwrap_or(name).to_owned();
        parts.push(Part::Call { name });
        self.held.drain(..end + separator.len());
        self.calls += 1;
        (self.at, self.depth, self.quoted, self.escaped) = (At::Arguments, 0, false, false);
        true
    }

    fn arguments(&mut self, parts: &mut Vec<Part>) -> bool {
        let mut end = None;
        for (at, byte) in self.held.bytes().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                b'{' | b'[' if !self.quoted => self.depth += 1,
                b'}' | b']' if !self.quoted => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        end = Some(at + 1);
                        break;
                    }
                }
                _ => {}
            }
        }
        let told: String = self.held.drain(..end.unwrap_or(self.held.len())).collect();
        if !told.is_empty() {
            parts.push(Part::Arguments(told));
        }
        if end.is_some() {
            self.at = At::Tail;
        }
        end.is_some()
    }

    fn tail(&mut self) -> bool {
        match (self.form, self.held.find(CLOSE)) {
            (Form::Tagged, Some(at)) => {
                self.held.drain(..at + CLOSE.len());
                self.at = At::Text;
                true
            }
            _ => false,
        }
    }
}

/// Bytes at the end that may be the beginning of a call: a part of its tag.
fn possible(text: &str) -> usize {
    (1..OPEN.len())
        .rev()
        .find(|length| text.ends_with(&OPEN[..*length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGGED: &str = "Let me look.\n<tool_call>\n{\"name\": \"find\", \"arguments\": {\"q\": \"a}\\\"<b\", \"n\": [1]}}\n</tool_call>\n\
        <tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

    /// Text, and names and arguments of calls.
    fn read(form: Form, pieces: &[&str]) -> (String, Vec<(String, String)>) {
        let mut reader = CallReader::new(form);
        let (mut text, mut calls) = (String::new(), Vec::new());
        let mut parts: Vec<Part> = pieces.iter().flat_map(|piece| reader.push(piece)).collect();
        parts.extend(reader.finish());
        for part in parts {
            match part {
                Part::Text(more) => text.push_str(&more),
                Part::Call { name } => calls.push((name, String::new())),
                Part::Arguments(more) => calls.last_mut().unwrap().1.push_str(&more),
            }
        }
        assert_eq!(reader.calls() as usize, calls.len());
        (text, calls)
    }

    #[test]
    fn calls_are_read_whole_and_in_any_pieces() {
        let expected = (
            "Let me look.".to_owned(),
            vec![
                ("find".to_owned(), "{\"q\": \"a}\\\"<b\", \"n\": [1]}".to_owned()),
                ("now".to_owned(), "{}".to_owned()),
            ],
        );
        assert_eq!(read(Form::Tagged, &[TAGGED]), expected);
        for size in 1..20 {
            let pieces: Vec<&str> = TAGGED
                .as_bytes()
                .chunks(size)
                .map(|chunk| std::str::from_utf8(chunk).unwrap())
                .collect();
            assert_eq!(read(Form::Tagged, &pieces), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn text_is_not_held_longer_than_it_must() {
        let mut reader = CallReader::new(Form::Tagged);
        assert_eq!(reader.push("a < b"), [Part::Text("a < b".to_owned())]);
        assert_eq!(reader.push(" <tool"), []);
        assert_eq!(reader.push("box>"), [Part::Text(" <toolbox>".to_owned())]);
        assert_eq!(reader.push("<tool_call>\n{\"name\": \"f\", \"argu"), []);
        assert_eq!(
            reader.push("ments\": {\"a\""),
            [
                Part::Call { name: "f".to_owned() },
                Part::Arguments("{\"a\"".to_owned())
            ]
        );
        assert_eq!(reader.push(": 1"), [Part::Arguments(": 1".to_owned())]);
        assert_eq!(reader.push("}}\n</tool_call>"), [Part::Arguments("}".to_owned())]);
        assert_eq!(reader.finish(), []);
    }

    #[test]
    fn what_is_cut_is_told_as_far_as_it_goes() {
        assert_eq!(read(Form::Tagged, &["see <tool_"]).0, "see <tool_");
        assert_eq!(
            read(Form::Tagged, &["<tool_call>\n{\"name\": \"f"]),
            (String::new(), vec![])
        );
        let cut = read(
            Form::Tagged,
            &["<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a"],
        );
        assert_eq!(cut.1, [("f".to_owned(), "{\"a".to_owned())]);
    }

    #[test]
    fn a_bare_call_is_the_whole_answer_and_other_json_is_text() {
        let call = "{\"name\": \"f\", \"parameters\": {\"a\": {\"b\": 1}}}";
        let expected = (
            String::new(),
            vec![("f".to_owned(), "{\"a\": {\"b\": 1}}".to_owned())],
        );
        for size in [1, 3, 100] {
            let pieces: Vec<&str> = call
                .as_bytes()
                .chunks(size)
                .map(|chunk| std::str::from_utf8(chunk).unwrap())
                .collect();
            assert_eq!(read(Form::Bare, &pieces), expected);
        }
        for text in ["{\"nam", "{\"names\": 1}", "hello {\"name\": \"", " "] {
            assert_eq!(read(Form::Bare, &[text]), (text.to_owned(), vec![]));
        }
    }
}
