//! Rules on files: a source file says why it exists and stays readable, every policy crate carries the
//! same bans, and no crate lies in the house without being a member of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Violation;
use super::graph::Graph;

/// Lines beyond which a file is two files.
const MAX_LINES: usize = 800;

/// Folders with other people's or made files.
const SKIPPED: [&str; 7] = [
    "target",
    "node_modules",
    "dist",
    ".git",
    ".venv",
    "test-results",
    "__pycache__",
];

/// Length and opening line of every source file below `root`.
pub fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for path in sources(root)? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let subject = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let lines = text.lines().count();
        if lines > MAX_LINES {
            violations.push(Violation {
                rule: "file-length",
                subject: format!("{subject} ({lines} lines)"),
                advice: format!("no file is longer than {MAX_LINES} lines: split it by operation"),
            });
        }
        let rust = path.extension().is_some_and(|extension| extension == "rs");
        if rust && !text.starts_with("//!") {
            violations.push(Violation {
                rule: "file-purpose",
                subject,
                advice: "open the file with `//!` and say why it exists".into(),
            });
        }
    }
    Ok(violations)
}

/// Every crate of the policy floor carries one and the same `clippy.toml`.
pub fn check_policy_bans(root: &Path) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    let mut first: Option<(PathBuf, String)> = None;
    for room in folders(&root.join("crates/policy"))? {
        let path = room.join("clippy.toml");
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        match (fs::read_to_string(&path), &first) {
            (Err(_), _) => violations.push(Violation {
                rule: "policy-bans",
                subject: shown,
                advice: "a policy crate needs the bans of its siblings: copy their clippy.toml".into(),
            }),
            (Ok(text), None) => first = Some((path, text)),
            (Ok(text), Some((sibling, expected))) if &text != expected => violations.push(Violation {
                rule: "policy-bans",
                subject: shown,
                advice: format!(
                    "differs from {}: all policies share their bans",
                    sibling.display()
                ),
            }),
            (Ok(_), Some(_)) => {}
        }
    }
    Ok(violations)
}

/// A crate in the house that is no member of the workspace is built and checked by nobody.
pub fn check_members(root: &Path, graph: &Graph) -> Result<Vec<Violation>> {
    let members: BTreeSet<(&str, &str)> = graph
        .crates
        .values()
        .map(|made| (made.floor.as_str(), made.room.as_str()))
        .collect();
    let mut violations = Vec::new();
    for floor in folders(&root.join("crates"))? {
        for room in folders(&floor)? {
            let names = (name(&floor), name(&room));
            let has_manifest = room.join("Cargo.toml").is_file();
            if has_manifest && !members.contains(&(names.0.as_str(), names.1.as_str())) {
                violations.push(Violation {
                    rule: "not-a-member",
                    subject: format!("crates/{}/{}", names.0, names.1),
                    advice: "add it to `members` in Cargo.toml".into(),
                });
            }
        }
    }
    Ok(violations)
}

/// Every `.rs`, `.ts` and `.tsx` file below `root`, in order.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                if !SKIPPED.contains(&name(&path).as_str()) {
                    open.push(path);
                }
            } else if kind.is_file() && is_source(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_source(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "ts" | "tsx"))
}

fn folders(parent: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent).with_context(|| format!("cannot list {}", parent.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
