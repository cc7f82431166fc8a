//! What an import found, sent and compared.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::mover::Way;
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::units;

/// Differences and notices that are kept; beyond that they are counted.
const KEPT: usize = 1000;
/// Those that are shown to people.
const SHOWN: usize = 20;
/// Characters of one.
const LONGEST: usize = 500;
/// Things that are named where many are counted.
const NAMED: usize = 5;

/// How much there is of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub experiments: u64,
    pub runs: u64,
    pub params: u64,
    pub tags: u64,
    pub metric_points: u64,
    pub datasets: u64,
    pub artifacts: u64,
    pub artifact_bytes: u64,
    pub logged_models: u64,
    pub registered_models: u64,
    pub model_versions: u64,
}

/// What was sent by this command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    pub runs: u64,
    pub metric_points: u64,
    pub artifacts: u64,
    pub artifact_bytes: u64,
    pub model_versions: u64,
}

/// The row whose counts are bytes.
const BYTES: &str = "bytes of artifacts";

/// A row of the table, and what it shows.
type Row = (&'static str, fn(&Counts) -> u64);

const ROWS: [Row; 11] = [
    ("experiments", |of| of.experiments),
    ("runs", |of| of.runs),
    ("parameters", |of| of.params),
    ("tags", |of| of.tags),
    ("metric points", |of| of.metric_points),
    ("datasets", |of| of.datasets),
    ("artifacts", |of| of.artifacts),
    (BYTES, |of| of.artifact_bytes),
    ("logged models", |of| of.logged_models),
    ("registered models", |of| of.registered_models),
    ("versions of models", |of| of.model_versions),
];

/// Sentences, the first of them kept.
#[derive(Debug, Default)]
pub struct Told {
    list: Vec<String>,
    more: usize,
}

impl Told {
    pub fn add(&mut self, text: &str) {
        if self.list.len() < KEPT {
            self.list.push(shown(text));
        } else {
            self.more += 1;
        }
    }

    #[cfg(test)]
    pub fn texts(&self) -> &[String] {
        &self.list
    }

    fn count(&self) -> usize {
        self.list.len() + self.more
    }

    fn show(&self) {
        for text in self.list.iter().take(SHOWN) {
            output::say(&format!("  {text}"));
        }
        if self.count() > SHOWN {
            output::say(&format!("  and {} more", self.count() - SHOWN));
        }
    }
}

/// The text on one line of bounded length: what a source holds may be of any, and hold any character.
fn shown(text: &str) -> String {
    let mut line = String::new();
    for char in text.chars().take(LONGEST) {
        match char.is_control() || is_format(char) {
            true => line.extend(char.escape_default()),
            false => line.push(char),
        }
    }
    let count = text.chars().count();
    if count > LONGEST {
        line.push_str(&format!("… ({} characters)", units::grouped(count as u64)));
    }
    line
}

/// Whether a character shows nothing itself and changes how others are shown, such as their direction.
const fn is_format(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Things of one kind: how many, and the first of them.
#[derive(Debug, Default)]
pub struct Group {
    count: u64,
    first: Vec<String>,
}

impl Group {
    pub fn add(&mut self, name: &str) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(name.to_owned());
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// `a, b and 7 more`.
    pub fn names(&self) -> String {
        let names = self.first.join(", ");
        match self.count - self.first.len() as u64 {
            0 => names,
            more => format!("{names} and {more} more"),
        }
    }
}

/// What an import found, sent and compared.
#[derive(Debug, Default)]
pub struct Report {
    pub source: Counts,
    pub here: Counts,
    pub sent: Sent,
    /// Parts of the source that could not be read or taken: the counts of it are without them.
    left_out: u64,
    /// What is in the source and not here.
    pub differences: Told,
    /// What is to be known and is no difference.
    pub notices: Told,
    /// Runs that are here already, by number and name of the experiment that they are in.
    pub elsewhere: BTreeMap<(i64, String), Group>,
    /// Runs that were deleted here.
    pub deleted_here: Group,
    /// Experiments that were deleted here, so that nothing of them was moved in.
    pub deleted_experiments: u64,
}

impl Report {
    /// Something of the source that could not be read.
    pub fn left_out(&mut self, text: &str) {
        self.left_out += 1;
        self.differences.add(&format!("left out: {text}"));
    }

    /// Prints it; an error, already told, if something is missing here.
    pub fn finish(mut self, context: &Context, way: Way) -> CliResult {
        for ((id, name), runs) in std::mem::take(&mut self.elsewhere) {
            self.differences.add(&format!(
                "{} here already, in the experiment '{name}' ({id}), and stayed there: {}",
                match runs.count {
                    1 => "1 run is".to_owned(),
                    many => format!("{many} runs are"),
                },
                runs.names()
            ));
        }
        if self.left_out > 0 {
            self.notices.add(&format!(
                "{} left out, as the differences say, and not counted in the column of the source",
                match self.left_out {
                    1 => "1 part of the source was".to_owned(),
                    many => format!("{many} parts of the source were"),
                }
            ));
        }
        if self.deleted_here.count > 0 {
            self.notices.add(&format!(
                "{} deleted here since, and stayed so: {}",
                match self.deleted_here.count {
                    1 => "1 run was".to_owned(),
                    many => format!("{many} runs were"),
                },
                self.deleted_here.names()
            ));
        }
        // Threads and folders give no order, and who compares two reports wants one.
        self.differences.list.sort();
        if context.json {
            output::say_json(&self.document(way.dry_run));
        } else {
            self.show(way);
        }
        match self.differences.count() {
            0 => Ok(()),
            _ => Err(CliError::failed("not everything is as in the source").told()),
        }
    }

    fn document(&self, dry_run: bool) -> Value {
        json!({
            "dry_run": dry_run, "source": self.source, "here": self.here, "sent": self.sent,
            "differences": self.differences.list, "differences_total": self.differences.count(),
            "notices": self.notices.list, "notices_total": self.notices.count(),
        })
    }

    fn show(&self, way: Way) {
        self.table().print("The source is empty.");
        if self.notices.count() > 0 {
            output::say("to be known:");
            self.notices.show();
        }
        if self.differences.count() > 0 {
            output::say(&format!(
                "{} from the source:",
                units::plural(self.differences.count() as u64, "difference")
            ));
            self.differences.show();
        }
        if way.dry_run {
            output::say("nothing was changed");
            return;
        }
        output::say(&format!(
            "sent {}, {}, {} with {}, {}",
            units::plural(self.sent.runs, "run"),
            units::plural(self.sent.metric_points, "metric point"),
            units::plural(self.sent.artifacts, "artifact"),
            units::bytes(self.sent.artifact_bytes),
            units::plural_of(
                self.sent.model_versions,
                "version of a model",
                "versions of models"
            )
        ));
        if self.differences.count() == 0 {
            let what = match self.deleted_here.count + self.deleted_experiments {
                0 => "everything",
                _ => "everything else",
            };
            let how = match way.verify || self.source.artifacts == 0 {
                true => "",
                false => "; files were compared by their sizes, --verify reads them",
            };
            output::say(&format!("{what} is as in the source{how}"));
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["", "source", "here"]);
        for (name, of) in ROWS {
            let (source, here) = (of(&self.source), of(&self.here));
            let shown = |count: u64| match name {
                BYTES => units::bytes(count),
                _ => count.to_string(),
            };
            if source > 0 || here > 0 {
                table.row([name.to_owned(), shown(source), shown(here)]);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_source_holds_takes_one_line_of_bounded_length() {
        assert_eq!(shown("a\u{1b}[2J\nb\tc ü"), "a\\u{1b}[2J\\nb\\tc ü");
        assert_eq!(
            shown("a\u{202e}b\u{2066}c\u{200b}"),
            "a\\u{202e}b\\u{2066}c\\u{200b}"
        );
        let long = shown(&"x".repeat(2 * 1024 * 1024));
        assert_eq!(long, format!("{}… (2,097,152 characters)", "x".repeat(LONGEST)));
        assert_eq!(shown(&"ü".repeat(LONGEST)), "ü".repeat(LONGEST));
    }

    #[test]
    fn of_many_the_first_are_named() {
        let mut group = Group::default();
        for number in 0..5 {
            group.add(&format!("r{number}"));
        }
        assert_eq!(group.names(), "r0, r1, r2, r3, r4");
        group.add("r5");
        assert_eq!(group.names(), "r0, r1, r2, r3, r4 and 1 more");
    }
}
