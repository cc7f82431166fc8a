//! The native routes of the data capability.

mod datasets;
mod exchange;
mod history;
mod hooks;
mod imports;
mod lent;
mod lineage;
mod pieces;
mod transfers;
mod upkeep;
mod versions;

pub use hooks::hook_routes;
pub use upkeep::upkeep_routes;

use axum::routing::{MethodRouter, delete, get, patch, post};
use corliss_diagnostics::Meaning;
use corliss_http::{ApiError, Dialect, List, PageQuery, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde::Deserialize;

use crate::transfer::BODY_MAX_BYTES;
use crate::{DataError, DataService, Reference};

/// A list of edits with long paths.
const EDITS_BODY_BYTES: u64 = 64 << 20;

/// Every route under `/api/v1` that this capability answers.
#[must_use]
pub fn routes(service: DataService) -> Routes {
    let blob_bytes = service.limits().blob_bytes;
    let at = |method: Method, path: &str, permission: Permission, handler: MethodRouter<DataService>| {
        let (access, handler) = (Access::Requires(permission), handler.with_state(service.clone()));
        Routes::new().route(method, path, access, Dialect::Native, handler)
    };
    let read = |path: &str, handler| at(Method::GET, path, Permission::DataRead, handler);
    // Questions that do not fit into an address.
    let ask = |path: &str, handler| at(Method::POST, path, Permission::DataRead, handler);
    let write = |method, path: &str, handler| at(method, path, Permission::DataWrite, handler);
    let pieces = Routes::new()
        .merge(write(
            Method::POST,
            "/api/v1/data/blobs/missing",
            post(pieces::missing),
        ))
        .merge(write(Method::POST, "/api/v1/data/pieces", post(pieces::store)).body_limit(BODY_MAX_BYTES))
        .merge(ask("/api/v1/data/pieces/read", post(pieces::read)))
        // A little more than a blob may have, so that the blob store's own limit answers.
        .merge(
            write(Method::POST, "/api/v1/data/blobs", post(pieces::upload))
                .body_limit(blob_bytes.saturating_add(1 << 20))
                .streaming(),
        );
    // A request runs as long as its files take; lines of progress keep it alive.
    let long = |routes: Routes| routes.body_limit(EDITS_BODY_BYTES).streaming();
    let local = Routes::new()
        .merge(long(write(
            Method::POST,
            "/api/v1/data/local/store",
            post(lent::store),
        )))
        .merge(long(ask("/api/v1/data/local/lay-out", post(lent::lay_out))));
    let datasets = Routes::new()
        .merge(read("/api/v1/data/datasets", get(datasets::list)))
        .merge(read("/api/v1/data/datasets/{name}", get(datasets::detail)))
        .merge(write(
            Method::PATCH,
            "/api/v1/data/datasets/{name}",
            patch(datasets::change),
        ))
        .merge(write(
            Method::DELETE,
            "/api/v1/data/datasets/{name}",
            delete(datasets::delete),
        ))
        .merge(
            write(
                Method::POST,
                "/api/v1/data/datasets/{name}/commits",
                post(datasets::commit),
            )
            .body_limit(EDITS_BODY_BYTES)
            .streaming(),
        );
    let refs = Routes::new()
        .merge(read(
            "/api/v1/data/datasets/{name}/branches",
            get(history::branches),
        ))
        .merge(write(
            Method::POST,
            "/api/v1/data/datasets/{name}/branches",
            post(history::create_branch),
        ))
        .merge(write(
            Method::PATCH,
            "/api/v1/data/datasets/{name}/branches/{branch}",
            patch(history::change_branch),
        ))
        .merge(write(
            Method::DELETE,
            "/api/v1/data/datasets/{name}/branches/{branch}",
            delete(history::delete_branch),
        ))
        .merge(read("/api/v1/data/datasets/{name}/tags", get(history::tags)))
        .merge(write(
            Method::POST,
            "/api/v1/data/datasets/{name}/tags",
            post(history::create_tag),
        ))
        .merge(write(
            Method::DELETE,
            "/api/v1/data/datasets/{name}/tags/{tag}",
            delete(history::delete_tag),
        ));
    let joins = [
        ("merge", post(history::merge)),
        ("revert", post(history::revert)),
        ("cherry-pick", post(history::cherry_pick)),
    ];
    let joins = joins.into_iter().fold(Routes::new(), |routes, (verb, handler)| {
        let path = format!("/api/v1/data/datasets/{{name}}/{verb}");
        // Costs what differs, which may be much.
        routes.merge(write(Method::POST, &path, handler).streaming())
    });
    let base = "/api/v1/data/datasets/{name}";
    let exchange = Routes::new()
        .merge(read(&format!("{base}/refs"), get(exchange::refs)))
        .merge(
            write(Method::POST, &format!("{base}/refs"), post(exchange::update_refs))
                .body_limit(BODY_MAX_BYTES)
                .streaming(),
        )
        .merge(
            write(Method::POST, &format!("{base}/history"), post(exchange::store))
                .body_limit(BODY_MAX_BYTES)
                .streaming(),
        )
        .merge(write(
            Method::POST,
            &format!("{base}/history/missing"),
            post(exchange::missing),
        ))
        .merge(ask(&format!("{base}/history/read"), post(exchange::read)));
    let transfers = Routes::new()
        .merge(write(
            Method::POST,
            &format!("{base}/push"),
            post(transfers::push),
        ))
        .merge(write(
            Method::POST,
            &format!("{base}/pull"),
            post(transfers::pull),
        ))
        .merge(write(
            Method::POST,
            &format!("{base}/import"),
            post(imports::import),
        ))
        .merge(read("/api/v1/data/sources", get(imports::sources)))
        .merge(write(Method::POST, "/api/v1/data/clones", post(transfers::clone)))
        .merge(read("/api/v1/data/operations", get(transfers::operations)))
        .merge(read("/api/v1/data/operations/{id}", get(transfers::operation)))
        .merge(write(
            Method::DELETE,
            "/api/v1/data/operations/{id}",
            delete(transfers::cancel),
        ))
        .merge(read("/api/v1/data/remotes", get(transfers::remotes)))
        .merge(
            read(
                "/api/v1/data/remotes/{remote}/datasets",
                get(transfers::remote_datasets),
            )
            .streaming(),
        );
    Routes::new()
        .merge(exchange)
        .merge(transfers)
        .merge(pieces)
        .merge(local)
        .merge(datasets)
        .merge(refs)
        .merge(joins)
        .merge(read("/api/v1/data/resolve", get(history::resolve)))
        .merge(read("/api/v1/data/log", get(history::log)))
        .merge(read("/api/v1/data/diff", get(versions::diff)).streaming())
        .merge(read("/api/v1/data/diff/table", get(versions::diff_table)).streaming())
        .merge(
            read(
                "/api/v1/data/versions/{version}/preview/{*path}",
                get(versions::preview),
            )
            .streaming(),
        )
        .merge(read("/api/v1/data/versions/{version}", get(versions::detail)))
        .merge(read(
            "/api/v1/data/versions/{version}/folder",
            get(versions::folder),
        ))
        .merge(
            read(
                "/api/v1/data/versions/{version}/files/{*path}",
                get(versions::file),
            )
            .streaming(),
        )
        .merge(read("/api/v1/lineage", get(lineage::graph)))
}

/// A page of what was asked for with one item more than the page holds.
fn page<T>(mut items: Vec<T>, limit: usize, token: impl FnOnce(&T) -> String) -> List<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next_page_token = items.last().filter(|_| more).map(token);
    List {
        items,
        next_page_token,
    }
}

/// `limit` and `page_token` and nothing else, so that a mistyped parameter is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
    page_token: Option<String>,
}

impl Page {
    fn limit(&self, default: u32, max: u32) -> Result<u32, ApiError> {
        let query = PageQuery {
            limit: self.limit,
            page_token: None,
        };
        query.limit(default, max)
    }

    /// What the page follows; nothing if it is the first.
    fn after(self) -> Result<String, DataError> {
        let after = self.page_token.unwrap_or_default();
        // No name or path has one, and no database takes it.
        if after.contains('\0') {
            return Err(DataError::BadPageToken);
        }
        Ok(after)
    }
}

/// Says which field an error is about, where it is about what was sent and does not say so itself.
fn about(field: &'static str) -> impl Fn(DataError) -> ApiError {
    move |error| {
        let error = ApiError::from(error);
        let is_of_request = matches!(error.meaning(), Meaning::InvalidInput | Meaning::TooLarge);
        match error.report().field {
            None if is_of_request => error.with_field(field),
            _ => error,
        }
    }
}

/// A reference that a field holds.
fn reference(field: &'static str, text: &str) -> Result<Reference, ApiError> {
    text.parse().map_err(about(field))
}
