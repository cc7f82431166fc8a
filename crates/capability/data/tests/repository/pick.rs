//! Random calls: an [`Op`] is chosen without knowing the repository, and aimed at what a model of it has, so that a
//! failing history can be made smaller and still means something.

use corliss_data::{ConflictPolicy, RefKind};
use corliss_types::{CommitId, VersionId};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::call::{Call, On, Step};
use super::content::{Files, PATHS};
use super::model::{Model, clashes};
use super::spot::{Place, Spot};

const DATASETS: [&str; 3] = ["d", "e", "f"];
/// One of them could be the beginning of a version's id.
const NAMES: [&str; 6] = ["main", "dev", "fix/1", "facade", "v1", "v_1"];

/// What is to be referred to, and how.
#[derive(Debug, Clone)]
pub struct Aim {
    form: u8,
    /// One that there is, if None.
    name: Option<&'static str>,
    of: Index,
    back: u32,
    digits: usize,
    elsewhere: bool,
}

#[derive(Debug, Clone)]
pub struct Change {
    path: Index,
    content: Option<u16>,
    executable: bool,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Default,
    /// One that there is.
    Some,
    Named(&'static str),
}

#[derive(Debug, Clone)]
pub struct Branch {
    dataset: &'static str,
    name: Wanted,
    /// 0 right, 1 wrong, else none.
    expected: u8,
    of: Index,
}

#[derive(Debug, Clone)]
pub enum Op {
    /// A whole tree: that of some commit, or nothing, with changes.
    Commit {
        on: Branch,
        base: Option<Index>,
        changes: Vec<Change>,
        tidy: bool,
    },
    Edits {
        on: Branch,
        changes: Vec<Change>,
        tidy: bool,
    },
    CreateRef {
        on: Branch,
        kind: RefKind,
        at: Aim,
    },
    MoveBranch {
        on: Branch,
        to: Aim,
    },
    DeleteRef {
        on: Branch,
        kind: RefKind,
    },
    Protect {
        on: Branch,
        protected: bool,
    },
    Merge {
        on: Branch,
        from: Aim,
        policy: ConflictPolicy,
        always_commit: bool,
    },
    Revert {
        on: Branch,
        of: Aim,
        policy: ConflictPolicy,
    },
    CherryPick {
        on: Branch,
        of: Aim,
        policy: ConflictPolicy,
    },
    DeleteDataset {
        on: Branch,
    },
    Collect,
}

/// An op, how long after the one before in milliseconds, and which message it has.
#[derive(Debug, Clone)]
pub struct Timed {
    pub op: Op,
    pub after_ms: i64,
    pub message: u8,
}

fn aim() -> impl Strategy<Value = Aim> {
    let form = prop_oneof![3 => Just(0), 8 => Just(1_u8), 8 => Just(2), 2 => 3_u8..10];
    let name = prop::option::weighted(0.15, select(&NAMES[..]));
    let back = prop_oneof![8 => Just(0), 2 => 1_u32..3, 1 => 3_u32..12];
    let digits = prop_oneof![Just(6_usize), Just(12), Just(64)];
    let elsewhere = prop::bool::weighted(0.05);
    (form, name, any::<Index>(), back, digits, elsewhere).prop_map(
        |(form, name, of, back, digits, elsewhere)| Aim {
            form,
            name,
            of,
            back,
            digits,
            elsewhere,
        },
    )
}

fn change(contents: u16) -> impl Strategy<Value = Change> {
    let content = prop_oneof![3 => (0..contents).prop_map(Some), 1 => Just(None)];
    (any::<Index>(), content, prop::bool::weighted(0.2)).prop_map(|(path, content, executable)| Change {
        path,
        content,
        executable,
    })
}

fn branch() -> impl Strategy<Value = Branch> {
    let dataset = prop_oneof![12 => Just("d"), 3 => Just("e"), 1 => Just("f")];
    let named = select(&NAMES[..4]).prop_map(Wanted::Named);
    let name = prop_oneof![3 => Just(Wanted::Default), 8 => Just(Wanted::Some), 2 => named];
    (dataset, name, 0..10_u8, any::<Index>()).prop_map(|(dataset, name, expected, of)| Branch {
        dataset,
        name,
        expected,
        of,
    })
}

fn op(contents: u16) -> impl Strategy<Value = Op> {
    let changes = || prop::collection::vec(change(contents), 0..5);
    let tidy = || prop::bool::weighted(0.85);
    let kind = || prop_oneof![3 => Just(RefKind::Branch), 1 => Just(RefKind::Tag)];
    let policy = || select(&[ConflictPolicy::Fail, ConflictPolicy::Ours, ConflictPolicy::Theirs][..]);
    let always = prop::bool::weighted(0.3);
    prop_oneof![
        8 => (branch(), prop::option::of(any::<Index>()), changes(), tidy())
            .prop_map(|(on, base, changes, tidy)| Op::Commit { on, base, changes, tidy }),
        8 => (branch(), changes(), tidy()).prop_map(|(on, changes, tidy)| Op::Edits { on, changes, tidy }),
        6 => (branch(), select(&NAMES[..]), kind(), aim()).prop_map(|(on, name, kind, at)| {
            let name = Wanted::Named(name);
            Op::CreateRef { on: Branch { name, ..on }, kind, at }
        }),
        3 => (branch(), aim()).prop_map(|(on, to)| Op::MoveBranch { on, to }),
        2 => (branch(), kind()).prop_map(|(on, kind)| Op::DeleteRef { on, kind }),
        2 => (branch(), prop::bool::weighted(0.25)).prop_map(|(on, protected)| Op::Protect { on, protected }),
        12 => (branch(), aim(), policy(), always)
            .prop_map(|(on, from, policy, always_commit)| Op::Merge { on, from, policy, always_commit }),
        3 => (branch(), aim(), policy()).prop_map(|(on, of, policy)| Op::Revert { on, of, policy }),
        3 => (branch(), aim(), policy()).prop_map(|(on, of, policy)| Op::CherryPick { on, of, policy }),
        1 => (branch(), prop::bool::weighted(0.3)).prop_map(|(on, big)| match big {
            true => Op::DeleteDataset { on },
            false => Op::Collect,
        }),
    ]
}

fn timed(contents: u16) -> impl Strategy<Value = Timed> {
    (op(contents), 0..3_i64, 0..3_u8).prop_map(|(op, after_ms, message)| Timed {
        op,
        after_ms,
        message,
    })
}

/// A history that mostly begins with a dataset of two branches, as there is little to do without. Of contents with
/// smaller numbers than this.
pub fn history_of(contents: u16, len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Timed>> {
    let changes = prop::collection::vec(change(contents), 3..8);
    let begin = (
        prop::bool::weighted(0.9),
        changes,
        select(&NAMES[1..4]),
        any::<Index>(),
    );
    let rest = prop::collection::vec(timed(contents), len);
    (begin, rest).prop_map(|((begins, changes, name, of), rest)| {
        let on = |name| Branch {
            dataset: "d",
            name,
            expected: 9,
            of,
        };
        let first = Op::Commit {
            on: on(Wanted::Default),
            base: None,
            changes,
            tidy: true,
        };
        let fork = Op::CreateRef {
            on: on(Wanted::Named(name)),
            kind: RefKind::Branch,
            at: Aim {
                form: 0,
                name: None,
                of,
                back: 0,
                digits: 6,
                elsewhere: false,
            },
        };
        let timed = |op| Timed {
            op,
            after_ms: 1,
            message: 0,
        };
        let begin = [first, fork].map(timed).into_iter().filter(|_| begins);
        begin.chain(rest).collect()
    })
}

/// Only for reading.
pub fn aims() -> impl Strategy<Value = Vec<Aim>> {
    let mut any_form = aim().boxed();
    any_form = (any_form, 0..10_u8)
        .prop_map(|(aim, form)| Aim { form, ..aim })
        .boxed();
    prop::collection::vec(any_form, 12)
}

fn pick<T: Clone>(of: &Index, among: impl Iterator<Item = T>) -> Option<T> {
    let all: Vec<T> = among.collect();
    (!all.is_empty()).then(|| of.get(&all).clone())
}

impl Aim {
    pub fn at(&self, model: &Model, dataset: &str) -> Spot {
        let dataset = match self.elsewhere {
            true => self.of.get(&DATASETS),
            false => dataset,
        };
        let zeros = "0".repeat(64);
        let commits = || model.commits.keys().cloned();
        let own = || {
            model
                .datasets
                .get(dataset)
                .into_iter()
                .flat_map(|dataset| dataset.commits.iter().cloned())
        };
        let commit = || pick(&self.of, commits()).unwrap_or_else(|| format!("c_{zeros}").parse().unwrap());
        let own_commit = || pick(&self.of, own()).unwrap_or_else(commit);
        let version = || -> VersionId {
            let of_commit = pick(&self.of, model.versions.keys().cloned());
            of_commit.unwrap_or_else(|| format!("v_{zeros}").parse().unwrap())
        };
        let own_version = || match pick(&self.of, own()) {
            Some(commit) => model.commits[&commit].what.version.clone(),
            None => version(),
        };
        let cut = |id: &str| id[..self.digits + 2].to_owned();
        let named = |at, back| {
            let dataset = dataset.to_owned();
            Spot::Named { dataset, at, back }
        };
        let some_name = || {
            let names = model
                .datasets
                .get(dataset)
                .into_iter()
                .flat_map(|dataset| dataset.names.keys());
            pick(&self.of, names).map_or_else(|| "main".to_owned(), |(_, name)| name.clone())
        };
        let absent: CommitId = format!("c_{zeros}").parse().unwrap();
        match (self.form, self.digits) {
            (0, _) if self.back > 0 => named(Place::Alone, self.back),
            (0, _) => named(Place::Latest, 0),
            (1, _) => named(
                Place::Name(self.name.map_or_else(some_name, str::to_owned)),
                self.back,
            ),
            (2, _) => Spot::Commit(own_commit()),
            (3, _) | (8, 64) => Spot::Version(version()),
            (4, 64) => Spot::Commit(commit()),
            (4, _) => Spot::Prefix(cut(commit().as_str())),
            (5, 64) | (9, _) => Spot::Commit(absent),
            (5, _) => Spot::Prefix(cut(version().as_str())),
            (6, _) => named(Place::Prefix(cut(own_commit().as_str())), self.back),
            (7, _) => named(Place::Prefix(cut(own_version().as_str())), self.back),
            _ => named(
                Place::Name(cut(own_version().as_str())[2..].to_owned()),
                self.back,
            ),
        }
    }
}

impl Branch {
    fn on(&self, model: &Model) -> On {
        let dataset = model.datasets.get(self.dataset);
        let branch = match self.name {
            Wanted::Default => None,
            Wanted::Named(name) => Some(name.to_owned()),
            Wanted::Some => {
                let names = dataset.into_iter().flat_map(|dataset| dataset.names.keys());
                let branches = names.filter(|(kind, _)| *kind == RefKind::Branch);
                pick(&self.of, branches).map(|(_, name)| name.clone())
            }
        };
        let expected = match self.expected {
            0 => dataset.and_then(|dataset| {
                let name = branch.as_ref().unwrap_or(&dataset.default).clone();
                let found = dataset.names.get(&(RefKind::Branch, name));
                found.map(|name| name.commit.clone())
            }),
            1 => pick(&self.of, model.commits.keys().cloned()),
            _ => None,
        };
        On {
            dataset: self.dataset.to_owned(),
            branch,
            expected,
        }
    }

    fn named(&self, model: &Model) -> (On, String) {
        let on = self.on(model);
        let name = on.branch.clone().unwrap_or_else(|| "main".to_owned());
        (
            On {
                branch: Some(name.clone()),
                ..on
            },
            name,
        )
    }
}

impl Change {
    fn path(&self) -> String {
        self.path.get(&PATHS).clone()
    }
}

impl Timed {
    /// The call that the op is now.
    pub fn aimed(&self, model: &Model, now_ms: &mut i64) -> Step {
        *now_ms += self.after_ms;
        Step {
            now_ms: *now_ms,
            message: format!("message {}", self.message),
            call: self.op.aimed(model),
        }
    }
}

impl Op {
    fn aimed(&self, model: &Model) -> Call {
        match self {
            Self::Commit {
                on,
                base,
                changes,
                tidy,
            } => {
                let base = base.and_then(|base| pick(&base, model.versions.values()));
                let mut files = base.map(|version| version.files.clone()).unwrap_or_default();
                for change in changes {
                    let was = files.clone();
                    match change.content {
                        Some(content) => files.insert(change.path(), (content, change.executable)),
                        None => files.remove(&change.path()),
                    };
                    if *tidy && !clashes(&files).is_empty() {
                        files = was;
                    }
                }
                Call::Commit {
                    on: on.on(model),
                    files,
                }
            }
            Self::Edits { on, changes, tidy } => edits(on.on(model), changes, *tidy, model),
            Self::CreateRef { on, kind, at } => {
                let (on, name) = on.named(model);
                Call::CreateRef {
                    at: at.at(model, &on.dataset),
                    dataset: on.dataset,
                    kind: *kind,
                    name,
                }
            }
            Self::MoveBranch { on, to } => {
                let on = on.named(model).0;
                Call::MoveBranch {
                    to: to.at(model, &on.dataset),
                    on,
                }
            }
            Self::DeleteRef { on, kind } => Call::DeleteRef {
                on: on.named(model).0,
                kind: *kind,
            },
            Self::Protect { on, protected } => {
                let (on, branch) = on.named(model);
                Call::Protect {
                    dataset: on.dataset,
                    branch,
                    protected: *protected,
                }
            }
            Self::Merge {
                on,
                from,
                policy,
                always_commit,
            } => Call::Merge {
                on: on.on(model),
                from: from.at(model, on.dataset),
                policy: *policy,
                always_commit: *always_commit,
            },
            Self::Revert { on, of, policy } => Call::Revert {
                on: on.on(model),
                of: of.at(model, on.dataset),
                policy: *policy,
            },
            Self::CherryPick { on, of, policy } => Call::CherryPick {
                on: on.on(model),
                of: of.at(model, on.dataset),
                policy: *policy,
            },
            Self::DeleteDataset { on } => Call::DeleteDataset {
                dataset: on.dataset.to_owned(),
            },
            Self::Collect => Call::Collect,
        }
    }
}

/// Removes mostly what is there, and mostly nothing twice.
fn edits(on: On, changes: &[Change], tidy: bool, model: &Model) -> Call {
    let files = model.datasets.get(&on.dataset).and_then(|dataset| {
        let name = on.branch.as_ref().unwrap_or(&dataset.default).clone();
        let head = dataset.names.get(&(RefKind::Branch, name))?;
        Some(model.files(&head.commit).clone())
    });
    let mut files: Files = files.unwrap_or_default();
    let mut edits: Vec<(String, Option<u16>, bool)> = Vec::new();
    for change in changes {
        let path = match change.content {
            None if tidy => pick(&change.path, files.keys().cloned()),
            _ => Some(change.path()),
        };
        let Some(path) = path else { continue };
        let was = files.clone();
        match change.content {
            Some(content) => files.insert(path.clone(), (content, change.executable)),
            None => files.remove(&path),
        };
        let is_twice = edits.iter().any(|(other, _, _)| *other == path);
        if tidy && (is_twice || !clashes(&files).is_empty()) {
            files = was;
            continue;
        }
        edits.push((path, change.content, change.executable));
    }
    Call::Edits { on, edits }
}
