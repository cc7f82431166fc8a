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
    /// How Python serves it, if it says so.
    pub python: Option<Python>,
}

/// The flavour `python_function`: how Python serves a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Python {
    /// The module that loads it, such as `mlflow.sklearn`.
    pub loader: String,
    /// The version of Python that it was logged with, such as `3.11.7`.
    pub version: Option<String>,
    /// Why code of whoever made the model runs when it is loaded; none only where that is ruled out.
    pub runs_code: Option<String>,
}

/// Reads the file. What cannot be read declares nothing.
#[must_use]
pub fn declared(text: &[u8]) -> Declared {
    let text = (text.len() <= MAX_BYTES)
        .then(|| std::str::from_utf8(text).ok())
        .flatten();
    let Read { values, keys } = text.and_then(read).unwrap_or_default();
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
    let loader = of(&["flavors", "python_function", "loader_module"]);
    let python = loader.map(|loader| Python {
        version: of(&["flavors", "python_function", "python_version"]),
        runs_code: runs_code(&loader, &keys, &values, &of),
        loader,
    });
    Declared {
        python,
        pickles,
        flavors,
        inputs: of(&["signature", "inputs"]),
        outputs: of(&["signature", "outputs"]),
        params: of(&["signature", "params"]),
        input_example: of(&["saved_input_example_info", "artifact_path"]),
    }
}

/// Texts in the flavours of a model that is data alone: XGBoost's own formats, loaded by XGBoost's own classes.
const DATA_ALONE: [&[&str]; 10] = [
    &["python_function", "loader_module"],
    &["python_function", "data"],
    &["python_function", "env", "conda"],
    &["python_function", "env", "virtualenv"],
    &["python_function", "python_version"],
    &["xgboost", "code"],
    &["xgboost", "data"],
    &["xgboost", "model_class"],
    &["xgboost", "model_format"],
    &["xgboost", "xgb_version"],
];

/// Why loading runs code. Whatever is not known to be data alone does, so a key that is new here, that is there twice,
/// or that YAML would merge in, is reason enough.
fn runs_code(
    loader: &str,
    keys: &[Vec<String>],
    values: &[(Vec<String>, String)],
    of: &impl Fn(&[&str]) -> Option<String>,
) -> Option<String> {
    if loader != "mlflow.xgboost" {
        return Some(format!("'{loader}' loads it, which runs code of whoever made it"));
    }
    let is_map = |key: &[String]| {
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        matches!(
            key[..],
            [] | ["python_function" | "xgboost"] | ["python_function", "env"]
        )
    };
    let is_known = |key: &[String]| {
        let mut known = DATA_ALONE.iter().map(|known| known.iter().copied());
        known.any(|known| known.eq(key.iter().map(String::as_str)))
    };
    let mut seen = BTreeSet::new();
    for key in keys {
        let shown = || format!("its MLmodel has '{}', which may run code", key.join("."));
        if key.iter().any(|part| part == "<<") || !seen.insert(key) {
            return Some(shown());
        }
        let is_new = match key.split_first() {
            Some((top, below)) if top == "flavors" => {
                let has_text = || values.iter().any(|(at, _)| at == key);
                let is_fine = is_map(below) || (is_known(below) && has_text());
                !is_fine
            }
            Some((top, _)) if top == "is_signature_from_type_hint" => {
                of(&["is_signature_from_type_hint"]).is_some_and(|value| value != "false")
            }
            _ => false,
        };
        if is_new {
            return Some(shown());
        }
    }
    let is_file = |path: String| {
        let is_one = !path.contains('/') && !path.starts_with('.');
        is_one && (path.ends_with(".json") || path.ends_with(".ubj"))
    };
    let is_plain = of(&["flavors", "xgboost", "code"]).is_none()
        && of(&["flavors", "python_function", "data"]).is_none_or(is_file)
        && of(&["flavors", "xgboost", "data"]).is_some_and(is_file)
        && of(&["flavors", "xgboost", "model_class"]).is_none_or(|class| class.starts_with("xgboost."));
    (!is_plain).then(|| "its MLmodel names more than a file of XGBoost, which may run code".to_owned())
}

/// What was read of the file.
#[derive(Default)]
struct Read {
    /// Every scalar of maps in maps, with the keys that lead to it.
    values: Vec<(Vec<String>, String)>,
    /// Every key of maps in maps, with those that lead to it.
    keys: Vec<Vec<String>>,
}

/// Lists are passed over.
fn read(text: &str) -> Option<Read> {
    enum Open {
        /// The key whose value comes next.
        Map(Option<String>),
        List,
    }
    fn path(open: &[Open]) -> Option<Vec<String>> {
        let keys = open.iter().map(|level| match level {
            Open::Map(key) => key.clone(),
            Open::List => None,
        });
        keys.collect()
    }
    let (mut open, mut found): (Vec<Open>, Read) = (Vec::new(), Read::default());
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let done = match event.ok()?.0 {
            Event::Scalar(text, ..) => match open.last_mut() {
                Some(Open::Map(key @ None)) => {
                    *key = Some(text.into_owned());
                    found.keys.extend(path(&open));
                    false
                }
                Some(Open::Map(Some(_))) => {
                    if let Some(path) = path(&open) {
                        found.values.push((path, text.into_owned()));
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
        if open.len() > MAX_DEPTH || found.keys.len() > MAX_VALUES {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const XGBOOST: &str = "flavors:
  python_function:
    data: model.ubj
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.xgboost
    python_version: 3.11.7
  xgboost:
    code: null
    data: model.ubj
    model_class: xgboost.sklearn.XGBClassifier
    model_format: ubj
    xgb_version: 3.2.0
is_signature_from_type_hint: false
signature:
  inputs: '[]'
";

    fn why(text: &str) -> Option<String> {
        declared(text.as_bytes()).python.unwrap().runs_code
    }

    #[test]
    fn a_model_that_is_data_alone_runs_no_code() {
        let python = declared(XGBOOST.as_bytes()).python.unwrap();
        assert_eq!(python.version.as_deref(), Some("3.11.7"));
        assert_eq!(
            (python.loader.as_str(), python.runs_code),
            ("mlflow.xgboost", None)
        );
    }

    #[test]
    fn whatever_else_is_said_may_run_code() {
        assert!(why(&XGBOOST.replace("mlflow.xgboost", "mlflow.sklearn")).is_some());
        for (what, instead) in [
            ("code: null", "code: code"),
            ("code: null", "code: [code]"),
            ("code: null", "code: null\n    code: code"),
            ("code: null", "<<: {code: code}"),
            ("xgb_version: 3.2.0", "config: code"),
            ("python_version: 3.11.7", "code: code"),
            ("xgboost.sklearn.XGBClassifier", "evil.Model"),
            (
                "    data: model.ubj\n    model_class",
                "    data: ../x.ubj\n    model_class",
            ),
            (
                "    data: model.ubj\n    model_class",
                "    data: model.pkl\n    model_class",
            ),
            ("type_hint: false", "type_hint: true"),
            ("  xgboost:", "  evil: {}\n  xgboost:"),
            ("signature:", "flavors: {}\nsignature:"),
        ] {
            let changed = XGBOOST.replace(what, instead);
            assert_ne!(changed, XGBOOST, "{what}");
            assert!(why(&changed).is_some(), "{changed}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_served_by_nobody() {
        assert_eq!(
            declared(b"flavors: {python_function: &a {loader_module: mlflow.xgboost}, x: *a}").python,
            None
        );
        assert_eq!(declared(b"flavors: {onnx: {data: model.onnx}}").python, None);
    }
}
