//! Plants a violation of each kind and sees it reported by name. Graphs are built in code where the rule
//! looks only at the graph, and as a small workspace on disk where cargo or clippy has a say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::graph::{Crate, Graph};
use super::rules::Rules;
use super::{Violation, closure, edges, files, golden};

/// The real rules, without exceptions that only the real graph uses.
fn rules() -> Rules {
    let mut rules = Rules::read(&super::root().join("layers.toml")).unwrap();
    rules.same_floor.clear();
    rules.third_party.clear();
    rules
}

/// Adds `crates/FLOOR/ROOM` named after its room, importing `imports`.
fn add(graph: &mut Graph, floor: &str, room: &str, imports: &[&str]) -> String {
    let name = if floor == "policy" {
        format!("corliss-policy-{room}")
    } else {
        format!("corliss-{room}")
    };
    let imports: BTreeSet<String> = imports.iter().map(|name| (*name).to_owned()).collect();
    graph.crates.insert(
        name.clone(),
        Crate {
            floor: floor.into(),
            room: room.into(),
            imports,
            ..Crate::default()
        },
    );
    name
}

fn house() -> Graph {
    let mut graph = Graph::default();
    add(&mut graph, "base", "types", &[]);
    add(&mut graph, "policy", "scheduling", &["corliss-types"]);
    add(&mut graph, "policy", "serving", &["corliss-types"]);
    add(&mut graph, "platform", "http", &["corliss-types"]);
    add(
        &mut graph,
        "capability",
        "jobs",
        &["corliss-types", "corliss-http", "corliss-policy-scheduling"],
    );
    add(&mut graph, "capability", "data", &["corliss-http"]);
    add(&mut graph, "app", "server", &["corliss-jobs", "corliss-data"]);
    add(&mut graph, "workshop", "testkit", &["corliss-http"]);
    graph
}

fn plant(from: &str, to: &str) -> Graph {
    let mut graph = house();
    graph.crates.get_mut(from).unwrap().imports.insert(to.into());
    graph
}

/// Exactly one violation, of this rule, that names this edge.
fn assert_one(violations: &[Violation], rule: &str, subject: &str) {
    let shown: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert_eq!(violations.len(), 1, "{shown:#?}");
    assert_eq!(violations[0].rule, rule, "{shown:#?}");
    assert_eq!(violations[0].subject, subject, "{shown:#?}");
    assert!(!violations[0].advice.is_empty());
}

#[test]
fn the_house_itself_obeys() {
    let (printed, violations) = super::check(&super::root(), false).unwrap();
    let shown: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{shown:#?}");
    assert!(printed.contains("corliss-types"));
}

#[test]
fn a_small_sound_house_obeys() {
    assert_eq!(edges::check(&rules(), &house()), Vec::new());
}

#[test]
fn an_import_upwards_is_refused() {
    let found = edges::check(&rules(), &plant("corliss-http", "corliss-data"));
    assert_one(&found, "floor-order", "corliss-http -> corliss-data");
    let found = edges::check(&rules(), &plant("corliss-types", "corliss-policy-serving"));
    assert_one(&found, "floor-order", "corliss-types -> corliss-policy-serving");
}

#[test]
fn policies_never_import_each_other() {
    let found = edges::check(
        &rules(),
        &plant("corliss-policy-scheduling", "corliss-policy-serving"),
    );
    assert_one(
        &found,
        "policy-apart",
        "corliss-policy-scheduling -> corliss-policy-serving",
    );
}

#[test]
fn capabilities_never_import_each_other() {
    let found = edges::check(&rules(), &plant("corliss-jobs", "corliss-data"));
    assert_one(&found, "capability-apart", "corliss-jobs -> corliss-data");
    assert!(
        found[0].advice.contains("crates/capability/jobs/src/ports.rs"),
        "{}",
        found[0]
    );
}

#[test]
fn a_capability_decides_only_with_its_own_policy() {
    let found = edges::check(&rules(), &plant("corliss-data", "corliss-policy-scheduling"));
    assert_one(&found, "own-policy", "corliss-data -> corliss-policy-scheduling");
    let found = edges::check(&rules(), &plant("corliss-jobs", "corliss-policy-serving"));
    assert_one(&found, "own-policy", "corliss-jobs -> corliss-policy-serving");
    let found = edges::check(&rules(), &plant("corliss-http", "corliss-policy-serving"));
    assert_one(&found, "own-policy", "corliss-http -> corliss-policy-serving");
}

#[test]
fn the_workshop_is_for_tests() {
    let found = edges::check(&rules(), &plant("corliss-jobs", "corliss-testkit"));
    assert_one(&found, "workshop-in-product", "corliss-jobs -> corliss-testkit");

    let mut graph = house();
    graph
        .crates
        .get_mut("corliss-jobs")
        .unwrap()
        .test_imports
        .insert("corliss-testkit".into());
    assert_eq!(edges::check(&rules(), &graph), Vec::new(), "a dev-dependency may");
    graph
        .crates
        .get_mut("corliss-jobs")
        .unwrap()
        .test_imports
        .insert("corliss-data".into());
    let found = edges::check(&rules(), &graph);
    assert_one(
        &found,
        "capability-apart",
        "corliss-jobs -> corliss-data (dev-dependency)",
    );
}

#[test]
fn an_edge_on_one_floor_needs_its_line_and_a_line_its_edge() {
    let mut graph = house();
    add(&mut graph, "base", "clock", &["corliss-types"]);
    let found = edges::check(&rules(), &graph);
    assert_one(&found, "same-floor", "corliss-clock -> corliss-types");

    let mut rules = rules();
    rules.same_floor.push(super::rules::SameFloor {
        from: "corliss-clock".into(),
        to: "corliss-types".into(),
        why: "ids are made here".into(),
    });
    assert_eq!(edges::check(&rules, &graph), Vec::new());
    assert_one(
        &edges::check(&rules, &house()),
        "stale-exception",
        "corliss-clock -> corliss-types",
    );
    rules.same_floor[0].why = "  ".into();
    assert_one(
        &rules.check_itself(),
        "reason-missing",
        "layers.toml: corliss-clock -> corliss-types",
    );
}

#[test]
fn a_folder_that_is_no_floor_is_refused() {
    let mut graph = house();
    add(&mut graph, "helpers", "misc", &[]);
    let found = edges::check(&rules(), &graph);
    assert_one(&found, "unknown-floor", "corliss-misc (crates/helpers/misc)");
}

#[test]
fn nobody_imports_a_chore() {
    let mut graph = plant("corliss-jobs", "xtask");
    graph.crates.insert("xtask".into(), Crate::default());
    assert_one(
        &edges::check(&rules(), &graph),
        "outside-floors",
        "corliss-jobs -> xtask",
    );
}

#[test]
fn a_runtime_below_a_policy_is_found_through_its_path() {
    let mut graph = house();
    graph
        .crates
        .get_mut("corliss-policy-serving")
        .unwrap()
        .third_party
        .insert("nice-helper".into());
    graph
        .third_party
        .insert("nice-helper".into(), BTreeSet::from(["tokio".to_owned()]));
    let found = closure::check(&rules(), &graph);
    let subjects: Vec<&str> = found.iter().map(|violation| violation.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "corliss-policy-serving -> nice-helper",
            "corliss-policy-serving -> nice-helper -> tokio"
        ]
    );
    assert!(found.iter().all(|violation| violation.rule == "closed-floor"));
    assert!(found[1].advice.contains("async runtimes"), "{}", found[1]);

    // The same crate is nobody's business on the platform.
    let mut graph = house();
    graph
        .crates
        .get_mut("corliss-http")
        .unwrap()
        .third_party
        .insert("tokio".into());
    assert_eq!(closure::check(&rules(), &graph), Vec::new());
}

#[test]
fn the_allow_list_cannot_hold_a_runtime_nor_an_unused_crate() {
    let mut rules = rules();
    rules.third_party.push(super::rules::ThirdParty {
        name: "tokio".into(),
        why: "just this once".into(),
        brings: Vec::new(),
    });
    assert_one(&rules.check_itself(), "never-allowed", "layers.toml allows tokio");
    assert_one(
        &closure::check(&rules, &house()),
        "stale-exception",
        "third party tokio",
    );
}

#[test]
fn a_changed_graph_is_shown_edge_by_edge() {
    let rules = rules();
    let kept = golden::print(&rules, &house());
    assert_eq!(golden::compare(&kept, &kept), Vec::new());
    let found = golden::compare(
        &kept,
        &golden::print(&rules, &plant("corliss-data", "corliss-types")),
    );
    assert_one(
        &found,
        "golden-graph",
        "+ capability / corliss-data -> corliss-types",
    );
    let found = golden::compare(
        &golden::print(&rules, &plant("corliss-data", "corliss-types")),
        &kept,
    );
    assert_one(
        &found,
        "golden-graph",
        "- capability / corliss-data -> corliss-types",
    );
}

#[test]
fn an_unknown_key_in_the_rules_is_refused() {
    let folder = Scratch::new("rules");
    let text = fs::read_to_string(super::root().join("layers.toml")).unwrap();
    let path = folder.write("layers.toml", &format!("closd = []\n{text}"));
    let error = format!("{:#}", Rules::read(&path).unwrap_err());
    assert!(error.contains("closd"), "{error}");
}

#[test]
fn long_files_and_files_without_a_purpose_are_refused() {
    let folder = Scratch::new("files");
    folder.write("crates/a/src/lib.rs", "//! Says why.\n");
    folder.write("crates/a/target/made.rs", "not ours\n");
    assert_eq!(files::check(folder.path()).unwrap(), Vec::new());
    folder.write("crates/a/src/mute.rs", "fn f() {}\n");
    assert_one(
        &files::check(folder.path()).unwrap(),
        "file-purpose",
        "crates/a/src/mute.rs",
    );
    folder.write("crates/a/src/mute.rs", "//! Speaks now.\n");
    folder.write("ui/src/long.tsx", &"\n".repeat(801));
    assert_one(
        &files::check(folder.path()).unwrap(),
        "file-length",
        "ui/src/long.tsx (801 lines)",
    );
}

#[test]
fn a_policy_without_the_bans_is_refused() {
    let folder = Scratch::new("bans");
    folder.write("crates/policy/a/clippy.toml", "x = 1\n");
    folder.write("crates/policy/b/clippy.toml", "x = 1\n");
    assert_eq!(files::check_policy_bans(folder.path()).unwrap(), Vec::new());
    folder.write("crates/policy/b/clippy.toml", "x = 2\n");
    assert_one(
        &files::check_policy_bans(folder.path()).unwrap(),
        "policy-bans",
        "crates/policy/b/clippy.toml",
    );
    folder.write("crates/policy/b/clippy.toml", "x = 1\n");
    folder.write("crates/policy/c/Cargo.toml", "");
    assert_one(
        &files::check_policy_bans(folder.path()).unwrap(),
        "policy-bans",
        "crates/policy/c/clippy.toml",
    );
}

#[test]
fn a_crate_outside_the_workspace_is_refused() {
    let folder = Scratch::new("members");
    folder.write("crates/base/types/Cargo.toml", "");
    folder.write("crates/base/lost/Cargo.toml", "");
    let mut graph = Graph::default();
    add(&mut graph, "base", "types", &[]);
    let found = files::check_members(folder.path(), &graph).unwrap();
    assert_one(&found, "not-a-member", "crates/base/lost");
}

/// A workspace that cargo really reads: floors, kinds of dependency and the bans of the policies.
fn workspace(folder: &Scratch) {
    let manifest = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n{rest}")
    };
    folder.write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*/*\"]\n",
    );
    folder.write("crates/base/types/Cargo.toml", &manifest("corliss-types", ""));
    folder.write(
        "crates/base/types/src/lib.rs",
        "//! Plain.\npub fn t() -> std::time::Instant { std::time::Instant::now() }\n",
    );
    folder.write(
        "crates/policy/serving/Cargo.toml",
        &manifest(
            "corliss-policy-serving",
            "[dependencies]\ncorliss-types = { path = \"../../base/types\" }\n",
        ),
    );
    folder.write("crates/policy/serving/src/lib.rs", "//! Pure.\n");
    let bans = fs::read_to_string(super::root().join("crates/policy/serving/clippy.toml")).unwrap();
    folder.write("crates/policy/serving/clippy.toml", &bans);
    let status = Command::new("cargo")
        .args(["generate-lockfile", "--offline", "--quiet"])
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn kinds_of_dependency_are_read_from_cargo() {
    let folder = Scratch::new("metadata");
    workspace(&folder);
    let graph = Graph::of_workspace(folder.path()).unwrap();
    let serving = &graph.crates["corliss-policy-serving"];
    assert_eq!(
        (serving.floor.as_str(), serving.room.as_str()),
        ("policy", "serving")
    );
    assert_eq!(serving.imports, BTreeSet::from(["corliss-types".to_owned()]));

    let manifest = folder.path().join("crates/policy/serving/Cargo.toml");
    let text = fs::read_to_string(&manifest)
        .unwrap()
        .replace("[dependencies]", "[dev-dependencies]");
    fs::write(&manifest, text).unwrap();
    let graph = Graph::of_workspace(folder.path()).unwrap();
    let serving = &graph.crates["corliss-policy-serving"];
    assert!(serving.imports.is_empty());
    assert_eq!(serving.test_imports, BTreeSet::from(["corliss-types".to_owned()]));
}

#[test]
fn clippy_holds_each_policy_to_its_bans() {
    let folder = Scratch::new("clippy");
    workspace(&folder);
    folder.write(
        "crates/policy/serving/src/lib.rs",
        "//! Impure in every way.
         pub fn clock() -> bool { std::time::SystemTime::now().elapsed().is_ok() }
         pub fn file() -> bool { std::fs::read(\"x\").is_ok() }
         pub fn environment() -> bool { std::env::var(\"x\").is_ok() }
         pub fn printing() { println!(\"x\"); }
         pub fn order(m: &std::collections::HashMap<u8, u8>) -> usize { m.iter().count() }
         pub fn members(m: &std::collections::HashSet<u8>) -> usize { m.iter().count() }
         pub fn chance() -> std::hash::RandomState { std::hash::RandomState::new() }
        ",
    );
    let output = Command::new("cargo")
        .args([
            "clippy",
            "--workspace",
            "--offline",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ])
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .env_remove("CLIPPY_CONF_DIR")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    for ban in [
        "`std::time::SystemTime::now`",
        "`std::fs::read`",
        "`std::env::var`",
        "`std::println`",
        "`std::collections::HashMap`",
        "`std::collections::HashSet`",
        "`std::hash::RandomState`",
        "`now` is an argument",
    ] {
        assert!(said.contains(ban), "{ban} is not banned: {said}");
    }
    assert!(
        !said.contains("crates/base/types"),
        "the bans leak out of the policies: {said}"
    );
}

/// A folder that goes when the test does.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("corliss-xtask-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, inside: &str, text: &str) -> PathBuf {
        let path = self.0.join(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
