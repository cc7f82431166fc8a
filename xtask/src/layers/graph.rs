//! The workspace as a small graph: which house crate imports which, and which third-party crates each
//! pulls in. Read from `cargo metadata`, so it is what cargo builds and not what a manifest looks like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// One crate of the house.
#[derive(Debug, Clone, Default)]
pub struct Crate {
    /// Folder under `crates/`; empty for a crate outside the floors, such as xtask.
    pub floor: String,
    /// Folder under the floor.
    pub room: String,
    /// House crates it imports when built.
    pub imports: BTreeSet<String>,
    /// House crates that only its tests import.
    pub test_imports: BTreeSet<String>,
    /// Third-party crates it imports when built.
    pub third_party: BTreeSet<String>,
}

/// The house and what it stands on, by crate name.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// House crates.
    pub crates: BTreeMap<String, Crate>,
    /// Third-party crate -> third-party crates it imports when built.
    pub third_party: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_root: String,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `null` for a normal dependency, else `dev` or `build`.
    kind: Option<String>,
}

impl Graph {
    /// Asks cargo. `--locked`: the check must not move a version.
    pub fn of_workspace(root: &Path) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root)
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Self::from_metadata(&output.stdout)
    }

    /// Reads the JSON that `cargo metadata --format-version 1` prints.
    pub fn from_metadata(json: &[u8]) -> Result<Self> {
        let metadata: Metadata = serde_json::from_slice(json).context("cargo metadata is not understood")?;
        let names: BTreeMap<&str, &Package> = metadata
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package))
            .collect();
        let members: BTreeSet<&str> = metadata.workspace_members.iter().map(String::as_str).collect();
        let mut graph = Self::default();
        for node in &metadata.resolve.nodes {
            let package = names
                .get(node.id.as_str())
                .context("cargo metadata names an unknown package")?;
            if members.contains(node.id.as_str()) {
                let (floor, room) = place(&metadata.workspace_root, &package.manifest_path);
                let mut made = Crate {
                    floor,
                    room,
                    ..Crate::default()
                };
                for dependency in &node.deps {
                    let to = names
                        .get(dependency.pkg.as_str())
                        .context("an edge leads nowhere")?
                        .name
                        .clone();
                    let house = members.contains(dependency.pkg.as_str());
                    match (house, dependency.is_built()) {
                        (true, true) => made.imports.insert(to),
                        (true, false) => made.test_imports.insert(to),
                        (false, true) => made.third_party.insert(to),
                        (false, false) => false,
                    };
                }
                graph.crates.insert(package.name.clone(), made);
            } else {
                let imported = node.deps.iter().filter(|dependency| dependency.is_built());
                let imported = imported.filter_map(|dependency| names.get(dependency.pkg.as_str()));
                let imported = imported.map(|package| package.name.clone());
                // Two versions of one crate share an entry: the union is the careful answer.
                graph
                    .third_party
                    .entry(package.name.clone())
                    .or_default()
                    .extend(imported);
            }
        }
        Ok(graph)
    }
}

impl Dependency {
    /// Whether it is compiled into, or for, the crate itself and not only its tests.
    fn is_built(&self) -> bool {
        self.dep_kinds
            .iter()
            .any(|kind| kind.kind.as_deref() != Some("dev"))
    }
}

/// Floor and room of a manifest at `ROOT/crates/FLOOR/ROOM/Cargo.toml`; empty for one elsewhere.
fn place(root: &str, manifest: &str) -> (String, String) {
    let inside = Path::new(manifest).strip_prefix(root).unwrap_or(Path::new(""));
    let parts: Vec<String> = inside
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    match parts.as_slice() {
        [crates, floor, room, _] if crates == "crates" => (floor.clone(), room.clone()),
        _ => (String::new(), String::new()),
    }
}
