//! Datasets: folders as immutable versions, named by what is in them, their histories, and the lineage that they
//! stand in.
//!
//! A version is the id of the record at the root of its tree (module `tree`); its files are blobs. A commit is a
//! version with its parents, author, time and message; branches and tags point at commits and move; versions and
//! commits never change.
//!
//! Invariants:
//! - A version is recorded only after every blob of it, and its tree, would survive a power cut.
//! - The same folder is the same version, whoever imports it and in whatever order it is read.
//! - No path from a client is ever opened on the server; entry paths cannot leave the folder they are laid in.
//! - What a step is given to read shares no storage with what is kept.

mod config;
mod counters;
mod courier;
mod error;
mod history;
mod hook;
mod http;
mod input_cache;
mod leb128;
mod lineage;
mod link;
mod path;
mod place;
mod ports;
pub mod remote;
mod service;
pub mod snapshot;
pub mod source;
mod store;
pub mod transfer;
pub mod tree;
mod types;
mod upkeep;

pub use config::Limits;
pub use corliss_webhook::DeliveryState;
pub use courier::HookCourier;
pub use error::DataError;
pub use history::{At, Commit, CommitInfo, RefKind, RefName, Reference};
pub use hook::{
    BranchPattern, Hook, HookChange, HookDelivery, HookEvent, HookTest, HookWithSecret, NewHook, When,
};
pub use http::{hook_routes, routes, upkeep_routes};
pub use input_cache::{InputCache, InputCacheUsage};
pub use lineage::{Direction, Edge, LineageGraph, NodeKind, NodeRef, NodeView, Relation};
pub use link::{Link, LinkTrouble};
pub use path::EntryPath;
pub use ports::{InUse, PortError};
pub use remote::{RemoteSettings, Remotes, ServerSettings};
pub use service::{
    BrokenLink, CollectWish, Collected, DamagedPath, DamagedVersion, DataCheck, DataRepair, DataService,
    ImportWish, LinkCheck, LinkedUsage, Preview, StorageUsage, UnaskedSource,
};
pub use source::{ImportSources, SourceSettings};
pub use store::MIGRATIONS;
pub use tree::Entry;
pub use types::{
    ChangeKind, Committed, ConflictPolicy, DatasetDetail, DatasetSummary, DiffSummary, Edit, FileChange,
    FolderItem, Imported, Merged, RefInfo, RefOutcome, RefReport, Resolved, Signature, Target, Transfer,
    TransferReport, VersionSummary,
};
pub use upkeep::spawn as spawn_upkeep;
