//! Everything that can go wrong with data.

mod diagnose;

use std::io;
use std::path::Path;

use corliss_blobstore::{BlobError, BlobId};
use corliss_diagnostics::{PortError, counted};
use corliss_metastore::StoreError;
use corliss_tabular::TabularError;
use corliss_types::{CommitId, DatasetName, VersionId};
use corliss_webhook::WebhookError;

use crate::EntryPath;
use crate::history::{RefKind, RefName};
use crate::link::LinkTrouble;
use crate::remote::RemoteTrouble;

/// An error of the data capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// An entry's path is not allowed.
    #[error("the path '{path}' {problem}")]
    InvalidPath {
        /// The path, shortened.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Two entries have the same path.
    #[error("the path '{path}' occurs twice")]
    DuplicatePath {
        /// The path.
        path: String,
    },
    /// A path is both a file and a folder.
    #[error("'{path}' is a file and also the folder of '{inside}'")]
    PathConflict {
        /// The file.
        path: String,
        /// What lies below it.
        inside: String,
    },
    /// Two paths differ only in how their characters are encoded.
    #[error("two paths look like '{path}' and differ only in the Unicode form of their letters")]
    PathTwin {
        /// One of them.
        path: String,
    },
    /// A tree that was sent is not the tree of its files.
    #[error("the tree is not valid: record {record}: {problem}")]
    BadTree {
        /// The record.
        record: BlobId,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A stored record of a tree is not what it was.
    #[error("record {record} of a tree is damaged: {message}")]
    TreeDamaged {
        /// The record.
        record: BlobId,
        /// What was found.
        message: String,
    },
    /// More files than a version may have.
    #[error("there are more than {limit} files")]
    TooManyFiles {
        /// The limit.
        limit: usize,
    },
    /// A version names a blob that was not sent before.
    #[error("the bytes of '{path}' (blob {blob}) are not stored")]
    BlobMissing {
        /// The entry.
        path: String,
        /// Its blob.
        blob: BlobId,
    },
    /// A body of pieces ends in the middle of one.
    #[error("the body ends in the middle of a piece")]
    TransferCutShort,
    /// An entry's size is not that of its blob.
    #[error("'{path}' is said to have {announced} bytes, its blob has {stored}")]
    SizeMismatch {
        /// The entry.
        path: String,
        /// What the entry says.
        announced: u64,
        /// What the blob has.
        stored: u64,
    },
    /// No dataset has this name.
    #[error("there is no dataset '{name}'")]
    DatasetNotFound {
        /// The name asked for.
        name: DatasetName,
    },
    /// A dataset has no branch or tag of this name.
    #[error("dataset '{dataset}' has no {kind} '{name}'")]
    RefNotFound {
        /// The dataset.
        dataset: DatasetName,
        /// What was asked for.
        kind: RefKind,
        /// Its name.
        name: RefName,
    },
    /// A branch or tag of this name is there already.
    #[error("there is a {kind} '{name}' already")]
    RefExists {
        /// What it is.
        kind: RefKind,
        /// Its name.
        name: RefName,
    },
    /// A name cannot be that of a branch or tag.
    #[error("the name '{name}' {problem}")]
    BadRefName {
        /// The name, shortened.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A branch is not where the caller believed it to be.
    #[error("branch '{branch}' has moved: {}", head_text(head.as_ref()))]
    BranchMoved {
        /// The branch.
        branch: RefName,
        /// Where it is.
        head: Option<CommitId>,
    },
    /// A branch is only moved by merges.
    #[error("branch '{branch}' is protected")]
    BranchProtected {
        /// The branch.
        branch: RefName,
    },
    /// A dataset's name alone means this branch.
    #[error("branch '{branch}' is the default branch")]
    DefaultBranch {
        /// The branch.
        branch: RefName,
    },
    /// A version was named where a commit is needed.
    #[error("version {version} is not an entry in the dataset's history")]
    NoCommit {
        /// The version.
        version: VersionId,
    },
    /// Two commits that did not come from one.
    #[error("the two histories have no commit in common")]
    UnrelatedHistories,
    /// A commit that cannot be taken back or over as it has not one commit before it.
    #[error("commit {commit} has {parents} parents")]
    NotOneParent {
        /// The commit.
        commit: CommitId,
        /// How many.
        parents: usize,
    },
    /// Both sides of a merge changed a file.
    #[error("{} changed on both sides: {}", counted(*count, "file was", "files were"), some_paths(paths))]
    Conflicts {
        /// How many.
        count: u64,
        /// The first of them.
        paths: Vec<EntryPath>,
    },
    /// A tree that was not sent is to be committed.
    #[error("the tree of version '{version}' is not stored")]
    TreeMissing {
        /// The version.
        version: VersionId,
    },
    /// A commit is a tree or a list of edits.
    #[error("a commit has either a version or edits")]
    VersionOrEdits,
    /// A page token that no page gave.
    #[error("the page token is not one")]
    BadPageToken,
    /// Others were faster each time.
    #[error("the branch moved each time this was tried")]
    Busy,
    /// There is no such version.
    #[error("there is no version '{version}'")]
    VersionNotFound {
        /// The version asked for.
        version: String,
    },
    /// A version has no such file.
    #[error("version {version} has no file '{path}'")]
    FileNotFound {
        /// The version.
        version: VersionId,
        /// The path asked for.
        path: String,
    },
    /// A reference to a dataset or version is malformed or ambiguous.
    #[error("'{reference}' {problem}")]
    BadReference {
        /// The reference, shortened.
        reference: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The beginning of an id is that of several.
    #[error("more than one id begins with '{reference}'")]
    Ambiguous {
        /// What was asked for.
        reference: String,
    },
    /// A lineage node or relation is malformed.
    #[error("'{node}' is not a lineage node")]
    BadNode {
        /// The text, shortened.
        node: String,
    },
    /// A message is too long.
    #[error("the message has more than {limit} bytes")]
    MessageTooLong {
        /// The limit.
        limit: usize,
    },
    /// A message cannot be stored.
    #[error("the message holds a NUL character")]
    BadMessage,
    /// A name cannot be that of a dataset.
    #[error("the name '{name}' looks like an id")]
    BadDatasetName {
        /// The name.
        name: DatasetName,
    },
    /// Where a branch is expected to be matters only to who moves it.
    #[error("`expected` is only compared when the branch is moved")]
    ExpectedWithoutTo,
    /// What is damaged is only known once everything was read.
    #[error("a check that repairs reads everything: it cannot be quick")]
    QuickRepair,
    /// A remote is collected only if everything in use is there.
    #[error("a remote cannot be collected while something in use is missing there")]
    DespiteMissingRemote,
    /// A remote that is a server is to be collected from elsewhere.
    #[error("'{remote}' is a Corliss server, which collects by itself what nothing there refers to")]
    CollectsItself {
        /// The remote.
        remote: String,
    },
    /// A request names more things than it may.
    #[error("the request names more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// What was to be imported is not a folder.
    #[error("'{path}' is not a folder")]
    NotAFolder {
        /// The path.
        path: String,
    },
    /// A link in a folder leads out of it.
    #[error("the link '{path}' leads out of the folder")]
    LinkOutside {
        /// The link.
        path: String,
    },
    /// A link in a folder leads to a folder.
    #[error("the link '{path}' leads to a folder")]
    LinkToFolder {
        /// The link.
        path: String,
    },
    /// A link in a folder leads nowhere.
    #[error("the link '{path}' leads nowhere")]
    LinkBroken {
        /// The link.
        path: String,
    },
    /// A socket, device or pipe.
    #[error("'{path}' is {kind}, not a file")]
    SpecialFile {
        /// The path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// The ignore file is wrong.
    #[error("line {line} of .corlissignore {problem}")]
    Ignore {
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A file kept changing while it was read.
    #[error("'{path}' changed or went away while it was read{}", if *attempts > 1 { format!(", {attempts} times in a row") } else { String::new() })]
    Changed {
        /// The file.
        path: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// A stored tree or a laid-out folder is not what it was.
    #[error("the data of version {version} is damaged: {message}")]
    Damaged {
        /// The version.
        version: VersionId,
        /// What was found.
        message: String,
    },
    /// The disk on which data is laid out is full.
    #[error("the disk is full")]
    StorageFull,
    /// The file system refused something.
    #[error("cannot {action} '{path}': {message}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The system's reason.
        message: String,
    },
    /// A file is no table that rows can be compared of.
    #[error("'{path}' is not a CSV, JSON lines or Parquet file")]
    NoTable {
        /// The file.
        path: String,
    },
    /// A table cannot be read or compared.
    #[error(transparent)]
    Table(PortError),
    /// Another room could not be asked.
    #[error("another room could not be asked")]
    Port(#[from] PortError),
    /// The files of a version are not kept any more.
    #[error("the files of version {version} are not kept any more: the retention of its dataset is over")]
    Expired {
        /// The version.
        version: VersionId,
    },
    /// No remote of this name is configured.
    #[error("there is no remote '{name}'")]
    RemoteNotFound {
        /// The name asked for, shortened.
        name: String,
    },
    /// A remote did not do what was asked.
    #[error("remote '{remote}': {message}")]
    Remote {
        /// Its name.
        remote: String,
        /// What it means.
        trouble: RemoteTrouble,
        /// Its reason.
        message: String,
    },
    /// A branch of the receiver has commits that the sender's does not have.
    #[error("branch '{branch}' is at {head} there, which is not in the history of what is sent")]
    NotFastForward {
        /// The branch.
        branch: RefName,
        /// Where it is.
        head: CommitId,
    },
    /// A commit that was sent cannot be one.
    #[error("commit {commit} is not valid: {problem}")]
    BadCommit {
        /// The commit.
        commit: CommitId,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A name or a commit is to point at a commit that is not stored.
    #[error("commit {commit} is not stored")]
    CommitMissing {
        /// The commit.
        commit: CommitId,
    },
    /// A dataset of this name is there already.
    #[error("there is a dataset '{name}' already")]
    DatasetExists {
        /// The name.
        name: DatasetName,
    },
    /// The dataset is being pushed or pulled already.
    #[error("operation {operation} does the same with dataset '{dataset}' already")]
    TransferRunning {
        /// The dataset.
        dataset: DatasetName,
        /// What is under way.
        operation: String,
    },
    /// No operation of this id is known.
    #[error("there is no operation '{id}'")]
    OperationNotFound {
        /// The id asked for, shortened.
        id: String,
    },
    /// No folder is lent under the handle that was named.
    #[error("no folder of this machine is lent under that handle")]
    FolderNotLent,
    /// A hook of the dataset that was asked before refused.
    #[error("hook {hook} refused this: {said}")]
    HookRefused {
        /// The hook.
        hook: String,
        /// What its receiver said.
        said: String,
    },
    /// A hook of the dataset that was asked before could not say yes.
    #[error("hook {hook} must agree to this: {said}")]
    HookUnanswered {
        /// The hook.
        hook: String,
        /// Why it could not.
        said: String,
    },
    /// The dataset has no such hook.
    #[error("there is no hook '{id}'")]
    HookNotFound {
        /// The id asked for, shortened.
        id: String,
    },
    /// Something about a hook cannot be.
    #[error("{field} {problem}")]
    BadHook {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The secret of a hook does not open with the key that it was sealed with.
    #[error("the secret of hook {hook} does not open")]
    HookSecret {
        /// The hook.
        hook: String,
    },
    /// The address or secret of a hook cannot be used.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// A collection or check is under way.
    #[error("operation {operation} is collecting or checking already")]
    UpkeepRunning {
        /// What is under way.
        operation: String,
    },
    /// No source of this name is configured.
    #[error("there is no source '{name}'")]
    SourceNotFound {
        /// The name asked for, shortened.
        name: String,
    },
    /// A source could not be listed or read.
    #[error("source '{name}' could not be read")]
    Source {
        /// Its name.
        name: String,
        /// Its reason.
        #[source]
        error: BlobError,
    },
    /// An object of a source is not what it was.
    #[error("'{object}' of source '{name}' was changed or is gone")]
    SourceChanged {
        /// The source.
        name: String,
        /// The object, shortened.
        object: String,
    },
    /// A source has nothing there.
    #[error("source '{name}' has nothing at '{prefix}'")]
    SourceEmpty {
        /// The source.
        name: String,
        /// What was asked for, shortened.
        prefix: String,
    },
    /// Objects of a source cannot be files of a version.
    #[error("{} of source '{name}' cannot be imported: {}", counted(*count, "object", "objects"), objects.join("; "))]
    ImportRefused {
        /// The source.
        name: String,
        /// How many.
        count: u64,
        /// The first of them, each with the reason.
        objects: Vec<String>,
    },
    /// A linked file cannot be read, or cannot be one.
    #[error("'{path}' {trouble}")]
    Link {
        /// The file.
        path: String,
        /// Why, and of which object.
        trouble: LinkTrouble,
    },
    /// The blob store failed.
    #[error("the bytes could not be stored or read")]
    Blob(#[from] BlobError),
    /// The metadata store failed.
    #[error("the metadata could not be stored or read")]
    Store(#[from] StoreError),
}

impl DataError {
    /// A tree that was sent is wrong.
    pub(crate) const fn bad_tree(record: BlobId, problem: &'static str) -> Self {
        Self::BadTree { record, problem }
    }

    /// A file system's error on a path.
    pub(crate) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            _ => Self::Io {
                action,
                path: path.display().to_string(),
                message: error.to_string(),
            },
        }
    }
}

fn head_text(head: Option<&CommitId>) -> String {
    match head {
        Some(head) => format!("its head is {head}"),
        None => "it is gone or was just made".to_owned(),
    }
}

/// The first few, for people; an error holds more for programs.
fn some_paths(paths: &[EntryPath]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<&str> = paths.iter().take(SHOWN).map(EntryPath::as_str).collect();
    if paths.len() > SHOWN {
        text.push("…");
    }
    text.join(", ")
}

impl From<TabularError> for DataError {
    fn from(error: TabularError) -> Self {
        Self::Table(PortError::of(&error))
    }
}

/// At most 120 characters of a text that somebody else chose.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}
