//! The console's files: cached for good where their name holds a hash, checked by digest elsewhere, and
//! the start page for every path that the console routes by itself.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use corliss_diagnostics::Meaning;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{ApiError, Dialect};

const START_PAGE: &str = "index.html";
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
                      img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; \
                      object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// One file.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Contents.
    pub bytes: Cow<'static, [u8]>,
    /// Media type, such as `text/javascript`.
    pub content_type: String,
    /// Anything that changes with the contents, such as their digest in hex.
    pub digest: String,
}

/// Where the files come from: embedded in the binary, or a folder while developing.
pub trait Assets: Send + Sync {
    /// The file at this path, relative and without a leading slash.
    fn get(&self, path: &str) -> Option<Asset>;
}

/// Paths that programs call: an unknown one is a 404, never the console.
pub(crate) fn is_api(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    matches!(
        first,
        "api" | "ajax-api" | "v1" | "v2" | "healthz" | "readyz" | "metrics" | "prometheus" | "get-artifact"
    )
}

pub(crate) fn respond(assets: &dyn Assets, path: &str, request: &HeaderMap) -> Response {
    let name = path.trim_start_matches('/');
    let wanted = if name.is_empty() { START_PAGE } else { name };
    if let Some(asset) = assets.get(wanted) {
        return file(asset, wanted, request);
    }
    // A path that looks like a file is one that is missing; anything else is a view inside the console.
    // Files lie at the top or below `assets/`; deeper, a dot is part of a name, as in `/models/qwen2.5`.
    let looks_like_a_file = wanted.starts_with("assets/") || (!wanted.contains('/') && wanted.contains('.'));
    match assets.get(START_PAGE) {
        Some(asset) if !looks_like_a_file => file(asset, START_PAGE, request),
        _ => ApiError::new(
            Meaning::NotFound,
            "route_not_found",
            "there is nothing at this path",
        )
        .render(Dialect::Native),
    }
}

fn file(asset: Asset, name: &str, request: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", asset.digest);
    // The bundler puts a hash of the contents into every name below this folder.
    let hashed = name.starts_with("assets/");
    let cache = if hashed {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().trim_start_matches("W/") == tag);
    let headers = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let mut response = (headers, asset.bytes.into_owned()).into_response();
    if let Ok(value) = HeaderValue::from_str(&asset.content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response.headers_mut().insert(
        HeaderName::from_static("accept-ranges"),
        HeaderValue::from_static("none"),
    );
    response
}
