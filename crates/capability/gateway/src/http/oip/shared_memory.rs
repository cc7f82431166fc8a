//! Shared memory is not served, and who asks for it is told so: its clients would take a mere 404 for a wrong address.

use axum::routing::any;
use corliss_diagnostics::Meaning;
use corliss_http::{ApiError, Routes};
use http::{Method, StatusCode};

use super::{INFER, OIP};

pub(super) fn routes() -> Routes {
    let mut routes = Routes::new();
    for kind in ["systemsharedmemory", "cudasharedmemory"] {
        for method in [Method::GET, Method::POST] {
            let path = format!("/v2/{kind}/{{*what}}");
            routes = routes.route(method, &path, INFER, OIP, any(refuse));
        }
    }
    routes
}

async fn refuse() -> ApiError {
    ApiError::new(
        Meaning::InvalidInput,
        "shared_memory_unsupported",
        "shared memory is not supported",
    )
    .with_status(StatusCode::NOT_IMPLEMENTED)
    .with_hint("send tensors with the request; binary ones are not copied through JSON")
}
