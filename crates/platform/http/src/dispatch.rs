//! What happens to a request between the router and its handler: method, origin, credential, permission,
//! limits, and afterwards the shape of its error.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use corliss_diagnostics::Meaning;
use corliss_types::{Access, Principal};
use futures_util::FutureExt;
use http::uri;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::Limited;
use tower::ServiceExt;

use crate::extract::{PeerAddress, RequestId};
use crate::guard::CONSOLE_HEADER;
use crate::{
    ApiError, Assets, AuthFailure, Authority, Credential, Dialect, Guard, Presented, RequestEvent, RouteInfo,
    assets, tenant,
};

/// One declared route.
pub(crate) struct Route {
    pub(crate) info: RouteInfo,
    pub(crate) handler: MethodRouter,
    pub(crate) body_limit_bytes: u64,
    pub(crate) timeout: Option<Duration>,
}

/// All routes of one path.
pub(crate) struct Dispatch {
    routes: Vec<Route>,
    guard: Arc<dyn Guard>,
}

impl Dispatch {
    pub(crate) fn new(routes: Vec<Route>, guard: Arc<dyn Guard>) -> Arc<Self> {
        Arc::new(Self { routes, guard })
    }

    /// Answers a request for this path.
    pub(crate) async fn answer(&self, mut request: Request) -> Response {
        let Some(route) = self.route_of(request.method()) else {
            return self.wrong_method(request.method());
        };
        let dialect = route.info.dialect;
        let mut event = event_of(&route.info, &request);
        let response = match self.admit(route, &mut request).await {
            Ok(principal) => {
                event.principal = principal;
                // The handler may log with it, and its error should reach the log with the same id.
                run(route, request).await
            }
            Err((error, principal)) => {
                event.principal = principal;
                error.into_response()
            }
        };
        let told = response.status();
        let response = in_dialect(response, dialect, &event);
        // gRPC says 200 whatever happened; the record keeps what that means elsewhere.
        event.status = if dialect == Dialect::Grpc {
            told
        } else {
            response.status()
        };
        if event.denied() || (event.writes() && event.principal.is_some()) {
            self.guard.record(event).await;
        }
        response
    }

    fn route_of(&self, method: &Method) -> Option<&Route> {
        let find = |wanted: &Method| self.routes.iter().find(|route| route.info.method == *wanted);
        find(method).or_else(|| {
            if *method == Method::HEAD {
                find(&Method::GET)
            } else {
                None
            }
        })
    }

    fn wrong_method(&self, method: &Method) -> Response {
        let allowed: Vec<&str> = self
            .routes
            .iter()
            .map(|route| route.info.method.as_str())
            .collect();
        let allowed = allowed.join(", ");
        let dialect = self
            .routes
            .first()
            .map_or(Dialect::Native, |route| route.info.dialect);
        let mut response = ApiError::new(
            Meaning::InvalidInput,
            "method_not_allowed",
            format!("this path does not answer {method}"),
        )
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .with_hint(format!("it answers {allowed}"))
        .render(dialect);
        if let Ok(value) = HeaderValue::from_str(&allowed) {
            response.headers_mut().insert(header::ALLOW, value);
        }
        response
    }

    /// Lets the request through or says why not; a refused caller is named where known.
    async fn admit(
        &self,
        route: &Route,
        request: &mut Request,
    ) -> Result<Option<Principal>, (ApiError, Option<Principal>)> {
        let credential = Credential::of(request.headers());
        same_origin(&credential, request).map_err(|error| (error, None))?;
        request.extensions_mut().insert(Presented(credential.clone()));
        let peer = peer_of(request);
        let principal = match route.info.access {
            Access::Public => None,
            Access::Authenticated => Some(self.identify(credential, peer).await?),
            Access::Requires(permission) => {
                let principal = self.identify(credential, peer).await?;
                if let Err(denial) = self.guard.allows(&principal, permission) {
                    return Err((denial.into_error(), Some(principal)));
                }
                Some(principal)
            }
        };
        if let Some(principal) = &principal {
            request.extensions_mut().insert(principal.clone());
            request.extensions_mut().insert(Authority {
                guard: self.guard.clone(),
                principal: principal.clone(),
            });
        }
        tenant::of_request(&route.info, request.headers()).map_err(|error| (error, principal.clone()))?;
        limit_body(request, route.body_limit_bytes).map_err(|error| (error, principal.clone()))?;
        Ok(principal)
    }

    async fn identify(
        &self,
        credential: Credential,
        peer: Option<IpAddr>,
    ) -> Result<Principal, (ApiError, Option<Principal>)> {
        if credential == Credential::None {
            return Err((AuthFailure::Missing.into_error(), None));
        }
        self.guard
            .authenticate(credential, peer)
            .await
            .map_err(|failure| (failure.into_error(), None))
    }
}

fn peer_of(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<PeerAddress>().map(|peer| peer.0.ip())
}

fn event_of(info: &RouteInfo, request: &Request) -> RequestEvent {
    RequestEvent {
        principal: None,
        peer: peer_of(request),
        method: request.method().clone(),
        route: info.path.clone(),
        access: info.access,
        target: request.uri().path().to_owned(),
        status: StatusCode::OK,
        request_id: request
            .extensions()
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default(),
    }
}

/// A session travels with every request that a browser makes, so what carries one must come from our own
/// page: same origin, and for anything but a read also a header that no foreign form can send. Requests
/// without any credential (signing in) are held to the same origin; a token proves intent by itself.
fn same_origin(credential: &Credential, request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let by_session = matches!(credential, Credential::Session(_));
    if matches!(credential, Credential::Token(_)) || (reads && !by_session) {
        return Ok(());
    }
    let cross_site = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site");
    if cross_site || !origin_matches(headers, request.uri()) {
        return Err(ApiError::new(
            Meaning::PermissionDenied,
            "origin_refused",
            "the request comes from a page of another site",
        )
        .with_hint("open the console at this server's own address"));
    }
    if by_session && !reads && !headers.contains_key(CONSOLE_HEADER) {
        return Err(ApiError::new(
            Meaning::PermissionDenied,
            "console_header_missing",
            format!("a change made with the console's session must carry the header {CONSOLE_HEADER}"),
        )
        .with_hint("send 'x-corliss-console: 1', or use a token"));
    }
    Ok(())
}

fn origin_matches(headers: &HeaderMap, uri: &Uri) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    // HTTP/2 names the host with the path, and may leave the header out.
    let host = match (headers.get(header::HOST), uri.authority()) {
        (Some(host), _) => host.to_str().ok(),
        (None, authority) => authority.map(uri::Authority::as_str),
    };
    let (Ok(origin), Some(host)) = (origin.to_str(), host) else {
        return false;
    };
    let (authority, port) = match origin.split_once("://") {
        Some(("http", authority)) => (authority, ":80"),
        Some(("https", authority)) => (authority, ":443"),
        _ => return false,
    };
    let bare = |text: &str| text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase();
    bare(authority) == bare(host)
}

fn limit_body(request: &mut Request, limit_bytes: u64) -> Result<(), ApiError> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > limit_bytes) {
        return Err(too_large(limit_bytes));
    }
    request.extensions_mut().insert(BodyLimit(limit_bytes));
    let body = std::mem::take(request.body_mut());
    *request.body_mut() = Body::new(Limited::new(
        body,
        usize::try_from(limit_bytes).unwrap_or(usize::MAX),
    ));
    Ok(())
}

/// The limit that the request's body is read under, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) u64);

pub(crate) fn too_large(limit_bytes: u64) -> ApiError {
    ApiError::new(
        Meaning::TooLarge,
        "body_too_large",
        format!("the request body is larger than the limit of {limit_bytes} bytes"),
    )
}

async fn run(route: &Route, request: Request) -> Response {
    let handler = route.handler.clone().oneshot(request);
    // A panic is a bug of ours; it must cost one answer, not the connection and its other requests.
    let handler = AssertUnwindSafe(handler).catch_unwind();
    let outcome = match route.timeout {
        None => handler.await,
        Some(timeout) => match tokio::time::timeout(timeout, handler).await {
            Ok(outcome) => outcome,
            Err(_) => {
                return ApiError::new(
                    Meaning::DeadlineExceeded,
                    "request_timed_out",
                    format!("the request took longer than {} s", timeout.as_secs()),
                )
                .into_response();
            }
        },
    };
    match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(infallible)) => match infallible {},
        Err(_) => ApiError::new(
            Meaning::Internal,
            "handler_panicked",
            "the server hit a defect in its own code",
        )
        .with_hint("look for 'panicked' in the server's log")
        .into_response(),
    }
}

/// Renders an [`ApiError`] again in the route's dialect, and logs what is our fault.
fn in_dialect(mut response: Response, dialect: Dialect, event: &RequestEvent) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return response;
    };
    if error.meaning() == Meaning::Internal {
        tracing::error!(
            request = %event.request_id, method = %event.method, route = %event.route,
            code = %error.report().code, "{}", error.report().message
        );
    }
    if dialect == Dialect::Native {
        return response;
    }
    let mut rendered = error.render(dialect);
    // What the handler set beside the error (such as retry-after) stays.
    for (name, value) in response.headers() {
        if *name != header::CONTENT_LENGTH
            && *name != header::CONTENT_TYPE
            && !rendered.headers().contains_key(name)
        {
            rendered.headers_mut().insert(name.clone(), value.clone());
        }
    }
    rendered
}

/// What answers where no route does.
#[derive(Clone)]
pub(crate) struct Fallback {
    pub(crate) assets: Option<Arc<dyn Assets>>,
}

impl Fallback {
    pub(crate) async fn answer(self, request: Request) -> Response {
        let path = request.uri().path();
        if let Some(assets) = &self.assets
            && matches!(*request.method(), Method::GET | Method::HEAD)
            && !assets::is_api(path)
        {
            return assets::respond(assets.as_ref(), path, request.headers());
        }
        let is_grpc = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let dialect = if is_grpc {
            Dialect::Grpc
        } else {
            Dialect::of_path(path)
        };
        ApiError::new(
            Meaning::NotFound,
            "route_not_found",
            "there is nothing at this path",
        )
        .render(dialect)
    }
}
