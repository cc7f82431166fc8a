//! The registry: named models, numbered versions that never change, and aliases that move between them.
//!
//! Invariants:
//! - A version's source is the id of an immutable version of data. A source that a client writes as text is
//!   turned into one when it is registered, or refused; it is never used as a path.
//! - A number is never given to two versions of a model, also after a deletion.
//! - Registering is idempotent per (pipeline run, model), so a caller may repeat it after a crash.
//! - What webhooks are told is written with the change that they are told of, and sent in its order.
//! - What was found in a version's files is told by their headers; nothing of them is loaded, and no pickle opened.
//! - A version of a protected model gets an alias that it protects, or the stage Production, only when it is approved.
//! - Every change adds a line to the log in its own transaction: who, when, what. Nobody changes or removes a line.
//! - An alias points at a version that exists, and moves by compare-and-set where the caller says from where.

mod approval;
mod contents;
mod courier;
mod error;
mod events;
pub mod http;
mod ports;
mod service;
mod store;
mod types;
mod webhook;

pub use approval::{Decision, Protection};
pub use contents::{Contents, Counts, Described, FileCheck};
pub use corliss_model_format::Verdict;
pub use courier::{WebhookCourier, spawn};
pub use error::RegistryError;
pub use events::ModelEvent;
pub use ports::{
    ByteStream, FileRead, ForeignSource, Lineage, ModelSources, Pinned, PortError, Ports, SealedSecret,
    Sealer, SourceFile,
};
pub use service::{
    Deployed, Expected, ImportRegistered, ImportVersion, NewForeign, NewVersion, Registered, RegisteredMoved,
    Registry,
};
pub use store::MIGRATIONS;
pub use types::{DataInput, KeyValue, Model, ModelVersion, Stage};
pub use webhook::{
    DeliveryState, NewWebhook, Webhook, WebhookChange, WebhookDelivery, WebhookEvent, WebhookTest,
};
