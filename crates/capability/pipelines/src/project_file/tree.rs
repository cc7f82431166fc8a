//! YAML text to a tree whose every node knows its place. Bounded in size, depth and nodes; aliases, tags,
//! further documents and repeated keys are refused, so the tree is never larger than the text.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::problem::{Mark, Problems};

/// A project file is at most this long; a pipeline of ten thousand steps fits.
pub const MAX_BYTES: usize = 1024 * 1024;
const MAX_DEPTH: usize = 16;
const MAX_NODES: usize = 200_000;

/// One value of the file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `plain` means unquoted, so that `1` is a number and `"1"` is a text.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Mark,
    pub(super) value: Node,
}

/// A list or map that is still open.
struct Open {
    at: Mark,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<(String, Mark)>,
    },
}

/// The tree of the only document in `text`; `None` if there is none that can be read.
pub(super) fn build(text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > MAX_BYTES {
        problems.add(
            Mark::START,
            "",
            format!("the file is larger than {} KiB", MAX_BYTES / 1024),
        );
        return None;
    }
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::default();
    while let Some(next) = parser.next_event() {
        let (event, span) = match next {
            Ok(event) => event,
            Err(error) => {
                let message = format!("this is not valid YAML: {}", error.info());
                problems.add(mark_of(*error.marker()), "", message);
                return None;
            }
        };
        if let Err((at, message)) = builder.take(event, mark_of(span.start), problems) {
            problems.add(at, "", message);
            return None;
        }
    }
    builder.root
}

fn mark_of(marker: Marker) -> Mark {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Mark {
        line: number(marker.line()).max(1),
        column: number(marker.col()).saturating_add(1),
    }
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

/// Why reading stops: where, and what is wrong.
type Stop = (Mark, String);

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Mark, problems: &mut Problems) -> Result<(), Stop> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err((at, "a project file holds one YAML document".to_owned()))
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Alias(_) => Err((
                at,
                "YAML aliases are not accepted: write the value out".to_owned(),
            )),
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_node(at, anchor, tag.is_some())?;
                let plain = style == ScalarStyle::Plain;
                self.place(Node {
                    at,
                    value: Value::Scalar {
                        text: text.into_owned(),
                        plain,
                    },
                })
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_node(at, anchor, tag.is_some())?;
                self.push(at, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_node(at, anchor, tag.is_some())?;
                self.push(
                    at,
                    Content::Map {
                        entries: Vec::new(),
                        key: None,
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open {
                    at,
                    content: Content::List(items),
                }) => self.place(Node {
                    at,
                    value: Value::List(items),
                }),
                Some(Open {
                    at,
                    content: Content::Map { mut entries, .. },
                }) => {
                    report_repeats(&mut entries, &self.path(), problems);
                    self.place(Node {
                        at,
                        value: Value::Map(entries),
                    })
                }
                None => Ok(()),
            },
        }
    }

    fn plain_node(&mut self, at: Mark, anchor: usize, tagged: bool) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err((at, format!("the file holds more than {MAX_NODES} values")));
        }
        if anchor != 0 {
            return Err((
                at,
                "YAML anchors are not accepted: write the value out".to_owned(),
            ));
        }
        if tagged {
            return Err((at, "YAML tags are not accepted".to_owned()));
        }
        Ok(())
    }

    fn push(&mut self, at: Mark, content: Content) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            return Err((at, format!("values are nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(Open { at, content });
        Ok(())
    }

    fn place(&mut self, node: Node) -> Result<(), Stop> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key }) => match (key.take(), node.value) {
                (None, Value::Scalar { text, .. }) => *key = Some((text, node.at)),
                (None, _) => return Err((node.at, "a key must be a plain word".to_owned())),
                (Some((name, key_at)), value) => {
                    entries.push(Entry {
                        key: name,
                        key_at,
                        value: Node { at: node.at, value },
                    });
                }
            },
        }
        Ok(())
    }

    /// Where the value that is being read stands: the keys and positions that lead to it.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.content {
                Content::List(items) => path.push_str(&format!("[{}]", items.len())),
                Content::Map {
                    key: Some((key, _)), ..
                } => join(&mut path, key),
                Content::Map { key: None, .. } => {}
            }
        }
        path
    }
}

/// Appends a key to a path such as `steps.train`.
pub(super) fn join(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// Reports each repetition and keeps the first, so that the rest of the file is still checked.
fn report_repeats(entries: &mut Vec<Entry>, path: &str, problems: &mut Problems) {
    let mut seen = std::collections::BTreeMap::new();
    entries.retain(|entry| match seen.get(&entry.key) {
        None => {
            seen.insert(entry.key.clone(), entry.key_at.line);
            true
        }
        Some(first) => {
            let mut field = path.to_owned();
            join(&mut field, &entry.key);
            let message = format!("'{}' is given twice; the first is on line {first}", entry.key);
            problems.add(entry.key_at, &field, message);
            false
        }
    });
}
