//! The repository as maps, and what every call makes of them: written anew from what the service promises, with the
//! dearest and plainest way of finding each answer.

use std::collections::{BTreeMap, BTreeSet};

use corliss_data::{
    Commit, CommitInfo, Committed, ConflictPolicy, DataError, Merged, RefInfo, RefKind, Resolved,
};
use corliss_types::{CommitId, Timestamp, VersionId};
use unicode_normalization::UnicodeNormalization;

use super::AUTHOR;
use super::call::{Answer, Call, On, Outcome, Refusal, Step};
use super::content::{Files, tree};
use super::spot::{Place, Spot};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub commit: CommitId,
    pub updated_ms: i64,
    pub protected: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    pub default: String,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub names: BTreeMap<(RefKind, String), Name>,
    pub commits: BTreeSet<CommitId>,
}

/// What a version holds, and when it was first recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub files: Files,
    pub created_ms: i64,
    /// Not once a collection found no commit of a dataset that has it.
    pub is_whole: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    pub datasets: BTreeMap<String, Dataset>,
    /// Also those that no dataset has any more.
    pub commits: BTreeMap<CommitId, CommitInfo>,
    pub versions: BTreeMap<VersionId, Version>,
}

type Refused<T> = Result<T, Vec<Refusal>>;

/// The branch that a call is about.
struct Head {
    branch: String,
    at: Option<CommitId>,
    /// What is wrong with moving it at all.
    refusals: Vec<Refusal>,
    is_protected: bool,
}

impl Head {
    fn not_to_commit(&self) -> Vec<Refusal> {
        let mut refusals = self.refusals.clone();
        if self.is_protected {
            refusals.push(Refusal::Exactly(protected(&self.branch)));
        }
        refusals
    }
}

impl Model {
    pub fn apply(&mut self, step: &Step) -> Answer {
        match &step.call {
            Call::Commit { on, files } => {
                let head = self.head(on)?;
                let mut refusals = clashes(files);
                refusals.extend(head.not_to_commit());
                unless(refusals)?;
                Ok(self.record(step, on, &head, files.clone(), None))
            }
            Call::Edits { on, edits } => self.edits(step, on, edits),
            Call::CreateRef {
                dataset,
                kind,
                name,
                at,
            } => self.create_ref(step, dataset, *kind, name, at),
            Call::MoveBranch { on, to } => self.move_branch(step, on, to),
            Call::DeleteRef { on, kind } => self.delete_ref(step, on, *kind),
            Call::Protect {
                dataset,
                branch,
                protected,
            } => {
                self.named(dataset, RefKind::Branch, branch)?;
                let key = (RefKind::Branch, branch.clone());
                let name = self
                    .datasets
                    .get_mut(dataset)
                    .unwrap()
                    .names
                    .get_mut(&key)
                    .unwrap();
                name.protected = *protected;
                Ok(Outcome::Ref(info(&key, name)))
            }
            Call::Merge {
                on,
                from,
                policy,
                always_commit,
            } => self.merge(step, on, from, *policy, *always_commit),
            Call::Revert { on, of, policy } => {
                let (of, before) = self.with_parent(&on.dataset, of)?;
                self.apply_between(step, on, [&of, &before], *policy)
            }
            Call::CherryPick { on, of, policy } => {
                let (of, before) = self.with_parent(&on.dataset, of)?;
                self.apply_between(step, on, [&before, &of], *policy)
            }
            Call::DeleteDataset { dataset } => {
                let names = &self.dataset(dataset)?.names;
                if let Some(((_, branch), _)) = names.iter().find(|(_, name)| name.protected) {
                    return refuse(DataError::BranchProtected {
                        branch: branch.parse().unwrap(),
                    });
                }
                self.datasets.remove(dataset);
                Ok(Outcome::Done)
            }
            Call::Collect => {
                let commits = self.datasets.values().flat_map(|dataset| &dataset.commits);
                let kept: BTreeSet<_> = commits.map(|id| self.commits[id].what.version.clone()).collect();
                for (id, version) in &mut self.versions {
                    version.is_whole &= kept.contains(id);
                }
                Ok(Outcome::Done)
            }
        }
    }

    fn edits(&mut self, step: &Step, on: &On, edits: &[(String, Option<u16>, bool)]) -> Answer {
        let paths: BTreeSet<&String> = edits.iter().map(|(path, _, _)| path).collect();
        if paths.len() < edits.len() {
            return Err(vec![Refusal::Kind("data_path_duplicate")]);
        }
        let head = self.head(on)?;
        let mut refusals = head.not_to_commit();
        let mut files = head
            .at
            .as_ref()
            .map(|at| self.files(at).clone())
            .unwrap_or_default();
        for (path, number, executable) in edits {
            let before = match number {
                Some(number) => files.insert(path.clone(), (*number, *executable)),
                None => files.remove(path),
            };
            if before.is_none() && number.is_none() {
                refusals.push(Refusal::Kind("file_not_found"));
            }
        }
        refusals.extend(clashes(&files));
        unless(refusals)?;
        Ok(self.record(step, on, &head, files, None))
    }

    fn create_ref(&mut self, step: &Step, dataset: &str, kind: RefKind, name: &str, at: &Spot) -> Answer {
        let commit = self.commit_of(dataset, at)?;
        let names = &mut self.datasets.get_mut(dataset).unwrap().names;
        for kind in [RefKind::Branch, RefKind::Tag] {
            if names.contains_key(&(kind, name.to_owned())) {
                let name = name.parse().unwrap();
                return refuse(DataError::RefExists { kind, name });
            }
        }
        Ok(Outcome::Ref(self.put_name(step, dataset, kind, name, commit)))
    }

    fn move_branch(&mut self, step: &Step, on: &On, to: &Spot) -> Answer {
        let commit = self.commit_of(&on.dataset, to)?;
        let branch = on.branch.clone().unwrap();
        let found = self.named(&on.dataset, RefKind::Branch, &branch)?;
        unless(not_to_move(on, &branch, &found))?;
        if found.commit == commit {
            return Ok(Outcome::Ref(info(&(RefKind::Branch, branch), &found)));
        }
        let moved = self.put_name(step, &on.dataset, RefKind::Branch, &branch, commit);
        Ok(Outcome::Ref(moved))
    }

    fn delete_ref(&mut self, step: &Step, on: &On, kind: RefKind) -> Answer {
        let name = on.branch.clone().unwrap();
        let found = self.named(&on.dataset, kind, &name)?;
        let mut refusals = not_to_move(on, &name, &found);
        let dataset = self.datasets.get_mut(&on.dataset).unwrap();
        if kind == RefKind::Branch && dataset.default == name {
            let branch = name.parse().unwrap();
            refusals.push(Refusal::Exactly(DataError::DefaultBranch { branch }));
        }
        unless(refusals)?;
        dataset.updated_ms = step.now_ms;
        let key = (kind, name);
        dataset.names.remove(&key);
        Ok(Outcome::Ref(info(&key, &found)))
    }

    fn merge(
        &mut self,
        step: &Step,
        on: &On,
        from: &Spot,
        policy: ConflictPolicy,
        always_commit: bool,
    ) -> Answer {
        let theirs = self.commit_of(&on.dataset, from)?;
        let head = self.head(on)?;
        unless(head.refusals.clone())?;
        let ours = head.at.clone().unwrap();
        let Some(base) = self.merge_base(&ours, &theirs) else {
            return refuse(DataError::UnrelatedHistories);
        };
        if base == theirs {
            return Ok(Outcome::Merged(Merged {
                committed: self.committed(on, &head.branch, ours, false),
                fast_forward: true,
                settled: 0,
            }));
        }
        if base == ours && !always_commit {
            self.put_name(step, &on.dataset, RefKind::Branch, &head.branch, theirs.clone());
            return Ok(Outcome::Merged(Merged {
                committed: self.committed(on, &head.branch, theirs, true),
                fast_forward: true,
                settled: 0,
            }));
        }
        let [base, into, other] = [&base, &ours, &theirs].map(|id| self.files(id));
        let (files, settled) = join(base, into, other, policy)?;
        match self.record(step, on, &head, files, Some(theirs)) {
            Outcome::Committed(committed) => Ok(Outcome::Merged(Merged {
                committed,
                fast_forward: false,
                settled,
            })),
            other => panic!("{other:?}"),
        }
    }

    fn apply_between(
        &mut self,
        step: &Step,
        on: &On,
        [from, to]: [&CommitId; 2],
        policy: ConflictPolicy,
    ) -> Answer {
        let head = self.head(on)?;
        let mut refusals = head.not_to_commit();
        let ours = head.at.clone().unwrap();
        let joined = join(self.files(from), self.files(&ours), self.files(to), policy);
        let files = joined
            .map(|(files, _)| files)
            .map_err(|more| refusals.extend(more));
        unless(refusals)?;
        Ok(self.record(step, on, &head, files.unwrap(), None))
    }

    fn with_parent(&self, dataset: &str, of: &Spot) -> Refused<(CommitId, CommitId)> {
        let commit = self.commit_of(dataset, of)?;
        match self.commits[&commit].what.parents.as_slice() {
            [parent] => Ok((commit.clone(), parent.clone())),
            parents => {
                let parents = parents.len();
                refuse(DataError::NotOneParent { commit, parents })
            }
        }
    }

    fn head(&self, on: &On) -> Refused<Head> {
        let (branch, found) = match self.datasets.get(&on.dataset) {
            None => (on.branch.clone().unwrap_or_else(|| "main".to_owned()), None),
            Some(dataset) => {
                let branch = on.branch.clone().unwrap_or_else(|| dataset.default.clone());
                let found = self.named(&on.dataset, RefKind::Branch, &branch)?;
                (branch, Some(found))
            }
        };
        let at = found.as_ref().map(|found| found.commit.clone());
        let is_protected = found.is_some_and(|found| found.protected);
        let is_elsewhere = on.expected.is_some() && on.expected != at;
        let moved = DataError::BranchMoved {
            branch: branch.parse().unwrap(),
            head: at.clone(),
        };
        Ok(Head {
            branch,
            at,
            refusals: is_elsewhere
                .then_some(Refusal::Exactly(moved))
                .into_iter()
                .collect(),
            is_protected,
        })
    }

    fn record(
        &mut self,
        step: &Step,
        on: &On,
        head: &Head,
        files: Files,
        merged: Option<CommitId>,
    ) -> Outcome {
        let version = tree(&files).0.version();
        let created_ms = step.now_ms;
        let recorded = self.versions.entry(version.clone()).or_insert(Version {
            files,
            created_ms,
            is_whole: true,
        });
        recorded.is_whole = true;
        if let Some(at) = &head.at
            && merged.is_none()
            && self.commits[at].what.version == version
        {
            return Outcome::Committed(self.committed(on, &head.branch, at.clone(), false));
        }
        let commit = Commit {
            version,
            parents: head.at.iter().chain(&merged).cloned().collect(),
            author: AUTHOR.to_owned(),
            created_ms: Timestamp::from_millis(step.now_ms),
            message: step.message.clone(),
        };
        let id = self.add(commit);
        self.datasets
            .entry(on.dataset.clone())
            .or_insert_with(|| Dataset {
                default: head.branch.clone(),
                created_ms,
                updated_ms: created_ms,
                names: BTreeMap::new(),
                commits: BTreeSet::new(),
            });
        self.put_name(step, &on.dataset, RefKind::Branch, &head.branch, id.clone());
        Outcome::Committed(self.committed(on, &head.branch, id, true))
    }

    fn add(&mut self, what: Commit) -> CommitId {
        let id = what.id();
        let generations = what.parents.iter().map(|parent| self.commits[parent].generation);
        let version = &self.versions[&what.version];
        let root = tree(&version.files).0;
        let info = CommitInfo {
            commit: id.clone(),
            generation: 1 + generations.max().unwrap_or(0),
            size_bytes: root.size_bytes,
            files: root.files,
            what,
        };
        self.commits.insert(id.clone(), info);
        id
    }

    fn put_name(
        &mut self,
        step: &Step,
        dataset: &str,
        kind: RefKind,
        name: &str,
        commit: CommitId,
    ) -> RefInfo {
        let dataset = self.datasets.get_mut(dataset).unwrap();
        dataset.updated_ms = step.now_ms;
        dataset.commits.insert(commit.clone());
        let key = (kind, name.to_owned());
        let protected = dataset.names.get(&key).is_some_and(|name| name.protected);
        let name = Name {
            commit,
            updated_ms: step.now_ms,
            protected,
        };
        dataset.names.insert(key.clone(), name.clone());
        info(&key, &name)
    }

    fn committed(&self, on: &On, branch: &str, commit: CommitId, created: bool) -> Committed {
        let info = &self.commits[&commit];
        Committed {
            version: info.what.version.clone(),
            dataset: Some(on.dataset.parse().unwrap()),
            branch: Some(branch.parse().unwrap()),
            created,
            files: info.files,
            size_bytes: info.size_bytes,
            commit: Some(commit),
        }
    }

    fn dataset(&self, name: &str) -> Refused<&Dataset> {
        self.datasets.get(name).ok_or_else(|| {
            let name = name.parse().unwrap();
            vec![Refusal::Exactly(DataError::DatasetNotFound { name })]
        })
    }

    fn named(&self, dataset: &str, kind: RefKind, name: &str) -> Refused<Name> {
        let found = self.dataset(dataset)?.names.get(&(kind, name.to_owned()));
        found.cloned().ok_or_else(|| vec![no_ref(dataset, kind, name)])
    }

    pub fn files(&self, commit: &CommitId) -> &Files {
        &self.versions[&self.commits[commit].what.version].files
    }

    /// The commit and all that it came after.
    pub fn ancestors(&self, commit: &CommitId) -> BTreeSet<CommitId> {
        let mut open = vec![commit.clone()];
        let mut found = BTreeSet::new();
        while let Some(id) = open.pop() {
            open.extend(self.commits[&id].what.parents.iter().cloned());
            found.insert(id);
        }
        found
    }

    pub fn order(&self, id: &CommitId) -> (u64, Timestamp, CommitId) {
        let info = &self.commits[id];
        (info.generation, info.what.created_ms, id.clone())
    }

    fn merge_base(&self, left: &CommitId, right: &CommitId) -> Option<CommitId> {
        let (left, right) = (self.ancestors(left), self.ancestors(right));
        left.intersection(&right).max_by_key(|id| self.order(id)).cloned()
    }

    /// The commit of a dataset that is meant.
    pub fn commit_of(&self, dataset: &str, spot: &Spot) -> Refused<CommitId> {
        let commits = &self.dataset(dataset)?.commits;
        if matches!(spot, Spot::Named { dataset: other, .. } if other != dataset) {
            return Err(vec![Refusal::Kind("data_reference_invalid")]);
        }
        let resolved = self.resolve(spot)?;
        match resolved.commit {
            None => refuse(DataError::NoCommit {
                version: resolved.version,
            }),
            Some(commit) if commits.contains(&commit) => Ok(commit),
            Some(commit) => refuse(no_version(commit.as_str())),
        }
    }

    pub fn resolve(&self, spot: &Spot) -> Refused<Resolved> {
        match spot {
            Spot::Version(id) if self.versions.contains_key(id) => Ok(alone(id.clone())),
            Spot::Version(id) => refuse(no_version(id.as_str())),
            Spot::Commit(id) if self.commits.contains_key(id) => Ok(self.at(id.clone(), None)),
            Spot::Commit(id) => refuse(no_version(id.as_str())),
            Spot::Prefix(text) if text.starts_with("c_") => {
                let ids = self.commits.keys().map(CommitId::as_str);
                let id = only(ids, text, text)?.parse().unwrap();
                Ok(self.at(id, None))
            }
            Spot::Prefix(text) => {
                let ids = self.versions.keys().map(VersionId::as_str);
                Ok(alone(only(ids, text, text)?.parse().unwrap()))
            }
            Spot::Named { dataset, at, back } => self.resolve_named(spot, dataset, at, *back),
        }
    }

    fn resolve_named(&self, spot: &Spot, dataset: &str, at: &Place, back: u32) -> Refused<Resolved> {
        let found = self.dataset(dataset)?;
        let version = |text: &str| {
            let ids: BTreeSet<&str> = found
                .commits
                .iter()
                .map(|id| self.commits[id].what.version.as_str())
                .collect();
            let version: VersionId = only(ids.into_iter(), text, &format!("{dataset}@{text}"))?
                .parse()
                .unwrap();
            match back {
                0 => Ok(alone(version)),
                _ => refuse(DataError::NoCommit { version }),
            }
        };
        let at_name = |kind, name: &str| {
            found
                .names
                .get(&(kind, name.to_owned()))
                .map(|name| name.commit.clone())
        };
        let (mut commit, branch) = match at {
            Place::Alone | Place::Latest => {
                let default = &found.default;
                (at_name(RefKind::Branch, default).unwrap(), Some(default))
            }
            Place::Name(name) => match (at_name(RefKind::Branch, name), at_name(RefKind::Tag, name)) {
                (Some(commit), _) => (commit, Some(name)),
                (None, Some(commit)) => (commit, None),
                (None, None) => {
                    let is_hex =
                        name.len() >= 6 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                    let text = format!("v_{name}");
                    let is_known = found
                        .commits
                        .iter()
                        .any(|id| self.commits[id].what.version.as_str().starts_with(&text));
                    if is_hex && is_known {
                        return version(&text);
                    }
                    return Err(vec![no_ref(dataset, RefKind::Branch, name)]);
                }
            },
            Place::Prefix(text) if text.starts_with("c_") => {
                let ids = found.commits.iter().map(CommitId::as_str);
                (
                    only(ids, text, &format!("{dataset}@{text}"))?.parse().unwrap(),
                    None,
                )
            }
            Place::Prefix(text) => return version(text),
        };
        for _ in 0..back {
            let parents = &self.commits[&commit].what.parents;
            commit = parents.first().cloned().ok_or_else(|| {
                let (reference, problem) = (spot.to_string(), "goes back beyond the first commit");
                // `~` and `~1` are the same.
                let reference = reference
                    .strip_suffix('~')
                    .map(|text| format!("{text}~1"))
                    .unwrap_or(reference);
                vec![Refusal::Exactly(DataError::BadReference { reference, problem })]
            })?;
        }
        let branch = branch.filter(|_| back == 0).map(|name| name.parse().unwrap());
        Ok(self.at(commit, branch))
    }

    fn at(&self, commit: CommitId, branch: Option<corliss_data::RefName>) -> Resolved {
        Resolved {
            version: self.commits[&commit].what.version.clone(),
            commit: Some(commit),
            branch,
        }
    }
}

/// Ours, with what theirs has otherwise than the base, and how many files both changed.
fn join(base: &Files, ours: &Files, theirs: &Files, policy: ConflictPolicy) -> Refused<(Files, u64)> {
    let mut files = ours.clone();
    let mut both = Vec::new();
    let paths: BTreeSet<&String> = base.keys().chain(theirs.keys()).collect();
    for path in paths {
        let (was, is, other) = (base.get(path), ours.get(path), theirs.get(path));
        if other == was || other == is {
            continue;
        }
        let is_conflict = is != was;
        if is_conflict {
            both.push(path.parse().unwrap());
        }
        if is_conflict && policy != ConflictPolicy::Theirs {
            continue;
        }
        match other {
            Some(file) => files.insert(path.clone(), *file),
            None => files.remove(path),
        };
    }
    let count = both.len() as u64;
    if count > 0 && policy == ConflictPolicy::Fail {
        return refuse(DataError::Conflicts { count, paths: both });
    }
    unless(clashes(&files))?;
    Ok((files, count))
}

/// A file that is a folder too, and two names that look the same.
pub fn clashes(files: &Files) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for path in files.keys() {
        let mut folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        if folders.any(|folder| files.contains_key(folder)) {
            refusals.push(Refusal::Kind("data_path_conflict"));
        }
    }
    let looks: BTreeSet<String> = files.keys().map(|path| path.nfc().collect()).collect();
    if looks.len() < files.len() {
        refusals.push(Refusal::Kind("data_path_twin"));
    }
    refusals
}

fn not_to_move(on: &On, name: &str, found: &Name) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if on.expected.as_ref().is_some_and(|at| *at != found.commit) {
        refusals.push(Refusal::Exactly(DataError::BranchMoved {
            branch: name.parse().unwrap(),
            head: Some(found.commit.clone()),
        }));
    }
    if found.protected {
        refusals.push(Refusal::Exactly(protected(name)));
    }
    refusals
}

fn protected(branch: &str) -> DataError {
    let branch = branch.parse().unwrap();
    DataError::BranchProtected { branch }
}

fn no_ref(dataset: &str, kind: RefKind, name: &str) -> Refusal {
    Refusal::Exactly(DataError::RefNotFound {
        dataset: dataset.parse().unwrap(),
        kind,
        name: name.parse().unwrap(),
    })
}

fn no_version(text: &str) -> DataError {
    DataError::VersionNotFound {
        version: text.to_owned(),
    }
}

fn only<'a>(ids: impl Iterator<Item = &'a str>, begin: &str, text: &str) -> Refused<&'a str> {
    let found: Vec<&str> = ids.filter(|id| id.starts_with(begin)).collect();
    match found[..] {
        [id] => Ok(id),
        [] => refuse(no_version(text)),
        _ => refuse(DataError::Ambiguous {
            reference: text.to_owned(),
        }),
    }
}

fn alone(version: VersionId) -> Resolved {
    Resolved {
        version,
        commit: None,
        branch: None,
    }
}

pub fn info((kind, name): &(RefKind, String), at: &Name) -> RefInfo {
    RefInfo {
        kind: *kind,
        name: name.parse().unwrap(),
        commit: at.commit.clone(),
        updated_ms: Timestamp::from_millis(at.updated_ms),
        protected: at.protected,
    }
}

fn unless(refusals: Vec<Refusal>) -> Refused<()> {
    if refusals.is_empty() {
        Ok(())
    } else {
        Err(refusals)
    }
}

fn refuse<T>(error: DataError) -> Refused<T> {
    Err(vec![Refusal::Exactly(error)])
}
