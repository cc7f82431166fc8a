//! What an import found, sent and compared.

use serde::Serialize;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::units;

/// Differences and notices that are kept; beyond that they are counted.
const KEPT: usize = 1000;
/// Those that are shown to people.
const SHOWN: usize = 20;

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
    pub fn add(&mut self, text: impl Into<String>) {
        if self.list.len() < KEPT {
            self.list.push(text.into());
        } else {
            self.more += 1;
        }
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

/// What an import found, sent and compared.
#[derive(Debug, Default)]
pub struct Report {
    pub source: Counts,
    pub here: Counts,
    pub sent: Sent,
    /// What is in the source and not here.
    pub differences: Told,
    /// What is to be known and is no difference.
    pub notices: Told,
}

impl Report {
    /// Prints it; an error, already told, if something is missing here.
    pub fn finish(&self, context: &Context, dry_run: bool) -> CliResult {
        if context.json {
            output::say_json(&self.document(dry_run));
        } else {
            self.show(dry_run);
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

    fn show(&self, dry_run: bool) {
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
        if dry_run {
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
            output::say("everything is as in the source");
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
