//! What the file `MLmodel` says of the files beside it: which of them are pickles, what goes in and comes out, and where
//! an example lies. It is somebody's text, so it can make a file more suspicious and never less.

use std::collections::BTreeSet;

use saphyr_parser::{Event, Parser};

/// The file's name; it lies at the top of a model's folder.
pub const FILE_NAME: &str = "MLmodel";
const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 16;
const MAX_VALUES: usize = 10_000;

/// What `MLmodel` declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Files that a flavour unpickles, by path.
    pub pickles: BTreeSet<String>,
    /// Flavours by name, such as `sklearn`.
    pub flavors: BTreeSet<String>,
    /// What goes in: a list of columns or tensors, as JSON.
    pub inputs: Option<String>,
    /// What comes out, as JSON.
    pub outputs: Option<String>,
    /// Parameters of a request, as JSON.
    pub params: Option<String>,
    /// The path of an example of an input.
    pub input_example: Option<String>,
}

/// Reads the file. What cannot be read declares nothing.
#[must_use]
pub fn declared(text: &[u8]) -> Declared {
    let text = (text.len() <= MAX_BYTES)
        .then(|| std::str::from_utf8(text).ok())
        .flatten();
    let values = text.and_then(values).unwrap_or_default();
    let of = |path: &[&str]| {
        let found = values
            .iter()
            .find(|(at, _)| at.iter().map(String::as_str).eq(path.iter().copied()));
        found
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty() && value != "null")
    };
    let flavors: BTreeSet<String> = values
        .iter()
        .filter_map(|(at, _)| match at.as_slice() {
            [top, flavor, ..] if top == "flavors" => Some(flavor.clone()),
            _ => None,
        })
        .collect();
    let mut pickles = BTreeSet::new();
    for flavor in &flavors {
        let form = of(&["flavors", flavor, "serialization_format"]);
        if form.is_none_or(|form| form != "skops") {
            pickles.extend(of(&["flavors", flavor, "pickled_model"]));
        }
    }
    // A model from code names a script here.
    let python_model = of(&["flavors", "python_function", "python_model"]);
    pickles.extend(python_model.filter(|path| !path.ends_with(".py")));
    Declared {
        pickles,
        flavors,
        inputs: of(&["signature", "inputs"]),
        outputs: of(&["signature", "outputs"]),
        params: of(&["signature", "params"]),
        input_example: of(&["saved_input_example_info", "artifact_path"]),
    }
}

/// Every scalar of maps in maps, with the keys that lead to it. Lists are passed over.
fn values(text: &str) -> Option<Vec<(Vec<String>, String)>> {
    enum Open {
        /// The key whose value comes next.
        Map(Option<String>),
        List,
    }
    let (mut open, mut found): (Vec<Open>, Vec<(Vec<String>, String)>) = (Vec::new(), Vec::new());
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let done = match event.ok()?.0 {
            Event::Scalar(text, ..) => match open.last_mut() {
                Some(Open::Map(key @ None)) => {
                    *key = Some(text.into_owned());
                    false
                }
                Some(Open::Map(Some(_))) => {
                    let keys = open.iter().map(|level| match level {
                        Open::Map(key) => key.clone(),
                        Open::List => None,
                    });
                    if let Some(path) = keys.collect::<Option<Vec<String>>>() {
                        found.push((path, text.into_owned()));
                    }
                    true
                }
                _ => false,
            },
            Event::MappingStart(..) => {
                open.push(Open::Map(None));
                false
            }
            Event::SequenceStart(..) => {
                open.push(Open::List);
                false
            }
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
                true
            }
            Event::Alias(_) => return None,
            _ => false,
        };
        if let (true, Some(Open::Map(key))) = (done, open.last_mut()) {
            *key = None;
        }
        if open.len() > MAX_DEPTH || found.len() > MAX_VALUES {
            return None;
        }
    }
    Some(found)
}
