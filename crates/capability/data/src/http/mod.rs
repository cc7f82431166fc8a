//! The native routes of the data capability.

mod datasets;
mod lineage;
mod pieces;
mod versions;

use axum::routing::{get, post};
use corliss_http::{Dialect, Routes};
use corliss_types::{Access, Permission};
use http::Method;

use crate::DataService;
use crate::transfer::BODY_MAX_BYTES;

/// A list of entries with long paths.
const ENTRIES_BODY_BYTES: u64 = 64 << 20;

/// Every route under `/api/v1` that this capability answers.
#[must_use]
pub fn routes(service: DataService) -> Routes {
    let read = Access::Requires(Permission::DataRead);
    let write = Access::Requires(Permission::DataWrite);
    let native = Dialect::Native;
    let blob_bytes = service.limits().blob_bytes;
    Routes::new()
        .route(
            Method::POST,
            "/api/v1/data/blobs/missing",
            write,
            native,
            post(pieces::missing).with_state(service.clone()),
        )
        .route(
            Method::POST,
            "/api/v1/data/pieces",
            write,
            native,
            post(pieces::store).with_state(service.clone()),
        )
        .body_limit(BODY_MAX_BYTES)
        .route(
            Method::POST,
            "/api/v1/data/pieces/read",
            read,
            native,
            post(pieces::read).with_state(service.clone()),
        )
        .route(
            Method::POST,
            "/api/v1/data/blobs",
            write,
            native,
            post(pieces::upload).with_state(service.clone()),
        )
        // A little more than a blob may have, so that the blob store's own limit answers.
        .body_limit(blob_bytes.saturating_add(1 << 20))
        .streaming()
        .route(
            Method::POST,
            "/api/v1/data/datasets/{name}/versions",
            write,
            native,
            post(datasets::commit).with_state(service.clone()),
        )
        .body_limit(ENTRIES_BODY_BYTES)
        .route(
            Method::GET,
            "/api/v1/data/datasets",
            read,
            native,
            get(datasets::list).with_state(service.clone()),
        )
        .route(
            Method::GET,
            "/api/v1/data/datasets/{name}",
            read,
            native,
            get(datasets::detail).with_state(service.clone()),
        )
        .route(
            Method::GET,
            "/api/v1/data/versions/{version}",
            read,
            native,
            get(versions::detail).with_state(service.clone()),
        )
        .route(
            Method::GET,
            "/api/v1/data/versions/{version}/files/{*path}",
            read,
            native,
            get(versions::file).with_state(service.clone()),
        )
        .streaming()
        .route(
            Method::GET,
            "/api/v1/lineage",
            read,
            native,
            get(lineage::graph).with_state(service),
        )
}
