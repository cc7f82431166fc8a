//! `cargo xtask layers`: the architecture as a check. Reads the workspace once (cargo's own metadata and
//! the files), then asks pure functions for violations, so that each rule can be tested on a graph built
//! in code.

mod closure;
mod edges;
mod files;
mod golden;
mod graph;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The rule's stable name, such as `floor-order`.
    pub rule: &'static str,
    /// What breaks it: an edge `a -> b`, a crate or a file.
    pub subject: String,
    /// What the rule says and how to obey it.
    pub advice: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}: {}", self.rule, self.subject, self.advice)
    }
}

/// Checks the workspace that holds this crate. `Ok(false)` when a rule is broken.
pub fn run(bless: bool) -> Result<bool> {
    let root = root();
    let (printed, violations) = check(&root, bless)?;
    print!("{printed}");
    for violation in &violations {
        eprintln!("layers: {violation}");
    }
    eprintln!("layers: {} violations", violations.len());
    Ok(violations.is_empty())
}

/// The graph of the workspace at `root` as text, and every broken rule, in order. Writes nothing unless
/// `bless` asks for the golden file.
fn check(root: &Path, bless: bool) -> Result<(String, Vec<Violation>)> {
    let rules = rules::Rules::read(&root.join("layers.toml"))?;
    let graph = graph::Graph::of_workspace(root)?;

    let mut violations = rules.check_itself();
    violations.extend(edges::check(&rules, &graph));
    violations.extend(closure::check(&rules, &graph));
    violations.extend(files::check(root)?);
    violations.extend(files::check_policy_bans(root)?);
    violations.extend(files::check_members(root, &graph)?);

    let printed = golden::print(&rules, &graph);
    let path = root.join("xtask/golden/layers.txt");
    if bless {
        std::fs::write(&path, &printed).with_context(|| format!("cannot write {}", path.display()))?;
    } else {
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        violations.extend(golden::compare(&expected, &printed));
    }

    violations.sort();
    violations.dedup();
    Ok((printed, violations))
}

/// The repository's root, wherever the command was typed.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
