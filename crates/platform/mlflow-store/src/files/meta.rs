//! `meta.yaml`: a map of texts, numbers and at most one map within it. Anything deeper is skipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::folder::read_text;
use crate::error::SourceError;
use crate::model::{Pair, STATUSES};

/// What a `meta.yaml` says.
pub(super) struct Meta {
    path: PathBuf,
    /// Absent and null are the same.
    texts: BTreeMap<String, String>,
    maps: BTreeMap<String, Vec<Pair>>,
}

impl Meta {
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let mut meta = Self {
            path: path.to_owned(),
            texts: BTreeMap::new(),
            maps: BTreeMap::new(),
        };
        meta.parse(&read_text(path)?)?;
        Ok(meta)
    }

    fn wrong(&self, problem: impl Into<String>) -> SourceError {
        SourceError::damaged(&self.path, problem)
    }

    fn parse(&mut self, text: &str) -> Result<(), SourceError> {
        let mut parser = Parser::new_from_str(text);
        // How many maps and lists are open, the key that waits for its value in the outer map, and in the inner one.
        let (mut depth, mut key, mut inner) = (0_usize, None::<String>, None::<String>);
        let mut in_map = false;
        while let Some(next) = parser.next_event() {
            let (event, _) = next.map_err(|error| {
                let (line, problem) = (error.marker().line(), error.info());
                SourceError::damaged(&self.path, format!("line {line} is not valid YAML: {problem}"))
            })?;
            match event {
                Event::MappingStart(..) => {
                    depth += 1;
                    in_map = depth == 2 && key.is_some();
                }
                Event::SequenceStart(..) if depth == 0 => return Err(self.wrong("it is no map")),
                Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => {
                    depth = depth.saturating_sub(1);
                    if depth == 1 {
                        (key, inner, in_map) = (None, None, false);
                    }
                }
                Event::Alias(_) => return Err(self.wrong("it refers to a part of itself")),
                Event::Scalar(_, _, _, _) if depth == 0 => return Err(self.wrong("it is no map")),
                Event::Scalar(text, style, _, _) => {
                    let is_null = style == ScalarStyle::Plain && matches!(&*text, "" | "null" | "~");
                    let text = (!is_null).then(|| text.into_owned());
                    match (depth, key.take()) {
                        (1, None) => key = Some(text.unwrap_or_default()),
                        (1, Some(name)) => {
                            if let Some(text) = text {
                                self.texts.insert(name, text);
                            }
                        }
                        (2, Some(name)) if in_map => {
                            match inner.take() {
                                None => inner = Some(text.unwrap_or_default()),
                                Some(of) => {
                                    let pair = Pair::new(of, text.unwrap_or_default());
                                    self.maps.entry(name.clone()).or_default().push(pair);
                                }
                            }
                            key = Some(name);
                        }
                        (_, waiting) => key = waiting,
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn opt_text(&self, name: &str) -> Option<String> {
        self.texts.get(name).cloned()
    }

    pub fn text(&self, name: &str) -> Result<String, SourceError> {
        self.opt_text(name)
            .ok_or_else(|| self.wrong(format!("it does not say '{name}'")))
    }

    pub fn opt_integer(&self, name: &str) -> Result<Option<i64>, SourceError> {
        let Some(text) = self.texts.get(name) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| self.wrong(format!("its '{name}' is '{text}', which is no whole number")))
    }

    /// A map within, in its order.
    pub fn pairs(&self, name: &str) -> Vec<Pair> {
        self.maps.get(name).cloned().unwrap_or_default()
    }

    pub fn is_deleted(&self) -> bool {
        self.texts
            .get("lifecycle_stage")
            .is_some_and(|stage| stage == "deleted")
    }

    /// The status of a run, by MLflow's name for it; older stores have the name itself.
    pub fn status(&self) -> Result<String, SourceError> {
        let text = self.text("status")?;
        let by_number = text.parse::<usize>().ok().and_then(|number| {
            let at = number.checked_sub(1)?;
            STATUSES.get(at).copied()
        });
        let status = by_number.or_else(|| STATUSES.into_iter().find(|status| *status == text));
        status
            .map(str::to_owned)
            .ok_or_else(|| self.wrong(format!("its 'status' is '{text}', which is none of a run")))
    }
}
