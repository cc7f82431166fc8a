//! Datasets: folders as immutable versions, named by what is in them, and the lineage that they stand in.
//!
//! A version is the id of its canonical tree ([`Tree`]) as a blob; its files are blobs too. Names point at versions and move; versions never change.
//!
//! Invariants:
//! - A version is recorded only after every blob of it, and its tree, would survive a power cut.
//! - The same folder is the same version, whoever imports it and in whatever order it is read.
//! - No path from a client is ever opened on the server; entry paths cannot leave the folder they are laid in.
//! - What a step is given to read shares no storage with what is kept.

mod config;
mod error;
mod http;
mod lineage;
mod path;
mod place;
mod reference;
mod service;
pub mod snapshot;
mod store;
pub mod transfer;
mod tree;
mod types;

pub use config::Limits;
pub use error::DataError;
pub use http::routes;
pub use lineage::{Direction, Edge, LineageGraph, NodeKind, NodeRef, NodeView, Relation};
pub use path::EntryPath;
pub use reference::Reference;
pub use service::DataService;
pub use store::MIGRATIONS;
pub use tree::{Entry, Tree};
pub use types::{Committed, DatasetDetail, DatasetSummary, DatasetVersion, VersionSummary};
