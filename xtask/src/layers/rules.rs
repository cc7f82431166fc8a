//! The rules as `layers.toml` states them. Unknown keys are refused: a misspelt rule that silently
//! checks nothing is worse than none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Violation;

/// The content of `layers.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Folder names under `crates/`, from the ground up.
    pub floors: Vec<String>,
    /// The floor that only tests import.
    pub workshop: String,
    /// Floors whose third-party closure is limited.
    pub closed: Vec<String>,
    /// Third-party crates that may never be allowed on a closed floor.
    pub never: BTreeSet<String>,
    /// Room of a capability -> rooms of the policies it decides with.
    pub policies: BTreeMap<String, Vec<String>>,
    /// Edges on one floor that a reviewer agreed to.
    #[serde(default)]
    pub same_floor: Vec<SameFloor>,
    /// What the closed floors may use.
    #[serde(default)]
    pub third_party: Vec<ThirdParty>,
}

/// An agreed edge between two crates of one floor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SameFloor {
    /// The importing crate.
    pub from: String,
    /// The imported crate.
    pub to: String,
    /// Why the floor below is not the place for it.
    pub why: String,
}

/// A third-party crate that the closed floors may use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThirdParty {
    /// Its name on the registry.
    pub name: String,
    /// Why it is harmless there.
    pub why: String,
    /// What it brings along, named so that a new one is noticed.
    #[serde(default)]
    pub brings: Vec<String>,
}

impl Rules {
    /// Reads the rules; an unknown key or a missing reason is an error.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not what it should be", path.display()))
    }

    /// Height of a floor; higher imports lower. `None` for a folder that is no floor.
    pub fn height(&self, floor: &str) -> Option<usize> {
        if floor == self.workshop {
            return Some(self.floors.len());
        }
        self.floors.iter().position(|known| known == floor)
    }

    /// Every name that the closed floors may use.
    pub fn allowed(&self) -> BTreeSet<&str> {
        let brought = self.third_party.iter().flat_map(|entry| entry.brings.iter());
        self.third_party
            .iter()
            .map(|entry| &entry.name)
            .chain(brought)
            .map(String::as_str)
            .collect()
    }

    /// Rules that contradict the house: a policy beside a policy, a capability beside a capability,
    /// a runtime on the allow-list, a line without its reason.
    pub fn check_itself(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for name in self.allowed() {
            if self.never.contains(name) {
                violations.push(Violation {
                    rule: "never-allowed",
                    subject: format!("layers.toml allows {name}"),
                    advice: "async runtimes, sockets and databases stay out of the closed floors".into(),
                });
            }
        }
        let reasons = self
            .same_floor
            .iter()
            .map(|edge| (format!("{} -> {}", edge.from, edge.to), &edge.why));
        let reasons = reasons.chain(
            self.third_party
                .iter()
                .map(|entry| (entry.name.clone(), &entry.why)),
        );
        for (subject, why) in reasons {
            if why.trim().is_empty() {
                violations.push(Violation {
                    rule: "reason-missing",
                    subject: format!("layers.toml: {subject}"),
                    advice: "say in `why` what makes the exception right".into(),
                });
            }
        }
        violations
    }
}
