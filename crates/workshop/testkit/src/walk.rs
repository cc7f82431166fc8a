//! A walk over every route of a listener, as every kind of caller: what a route declares must be what it does.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use corliss_http::{App, Dialect, RouteInfo};
use corliss_types::{Access, Permission, Role};
use http::{HeaderValue, Method, StatusCode};
use tower::ServiceExt;

/// Someone who walks.
#[derive(Debug, Clone)]
pub struct Walker {
    /// For the report.
    pub name: String,
    /// Bearer token to send, if any.
    pub token: Option<String>,
    /// The role that the token has; `None` if it is not valid (or there is none).
    pub role: Option<Role>,
}

impl Walker {
    /// Sends no credential.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: "anonymous".to_owned(),
            token: None,
            role: None,
        }
    }

    /// Sends a token that this installation never issued.
    #[must_use]
    pub fn with_wrong_token() -> Self {
        let token = format!("corliss_{}", "0".repeat(64));
        Self {
            name: "wrong token".to_owned(),
            token: Some(token),
            role: None,
        }
    }

    /// Sends a valid token of this role.
    #[must_use]
    pub fn of_role(role: Role, token: &str) -> Self {
        Self {
            name: role.to_string(),
            token: Some(token.to_owned()),
            role: Some(role),
        }
    }
}

/// What a route must answer to a walker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Unauthenticated,
    Denied,
    Admitted,
}

/// Asks every route as every walker and returns each answer that is not what the table promises, in words.
///
/// `allows` is the policy; `except` names routes that must not really be run by a caller who is allowed (they
/// would stop the server, say): those are walked by everyone else only.
///
/// # Panics
/// A route's path is not a template that can be filled in.
pub async fn walk(
    app: &App,
    table: &[RouteInfo],
    walkers: &[Walker],
    allows: impl Fn(Role, Permission) -> bool,
    except: &[(Method, &str)],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for route in table {
        for walker in walkers {
            let expected = expected(route.access, walker.role, &allows);
            let spared = except
                .iter()
                .any(|(method, path)| *method == route.method && *path == route.path);
            if spared && expected == Expected::Admitted {
                continue;
            }
            let status = ask(app, route, walker).await;
            let kept = match expected {
                Expected::Unauthenticated => status == StatusCode::UNAUTHORIZED,
                Expected::Denied => status == StatusCode::FORBIDDEN,
                Expected::Admitted => {
                    status != StatusCode::UNAUTHORIZED
                        && status != StatusCode::FORBIDDEN
                        && status != StatusCode::INTERNAL_SERVER_ERROR
                }
            };
            if !kept {
                wrong.push(format!(
                    "{} {} as {}: {status}, but {:?} means {expected:?}",
                    route.method, route.path, walker.name, route.access
                ));
            }
        }
    }
    wrong
}

fn expected(access: Access, role: Option<Role>, allows: impl Fn(Role, Permission) -> bool) -> Expected {
    match (access, role) {
        (Access::Public, _) | (Access::Authenticated, Some(_)) => Expected::Admitted,
        (_, None) => Expected::Unauthenticated,
        (Access::Requires(permission), Some(role)) if allows(role, permission) => Expected::Admitted,
        (Access::Requires(_), Some(_)) => Expected::Denied,
    }
}

async fn ask(app: &App, route: &RouteInfo, walker: &Walker) -> StatusCode {
    let mut request = Request::builder()
        .method(route.method.clone())
        .uri(filled_in(&route.path))
        .header("host", "127.0.0.1")
        .header("content-type", "application/json");
    if let Some(token) = &walker.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::from("{}")).expect("a request");
    // Only the head is read: a stream of events would never end.
    let answer = app.clone().oneshot(request).await.expect("routers do not fail");
    if route.dialect == Dialect::Grpc {
        grpc_status(&answer)
    } else {
        answer.status()
    }
}

/// What gRPC says in a header, in words of HTTP.
fn grpc_status(answer: &Response) -> StatusCode {
    match answer.headers().get("grpc-status").map(HeaderValue::as_bytes) {
        Some(b"16") => StatusCode::UNAUTHORIZED,
        Some(b"7") => StatusCode::FORBIDDEN,
        Some(b"2" | b"13") => StatusCode::INTERNAL_SERVER_ERROR,
        _ => answer.status(),
    }
}

/// `/runs/{id}/files/{*path}` becomes `/runs/walk/files/walk`.
fn filled_in(template: &str) -> String {
    let segments = template
        .split('/')
        .map(|segment| if segment.starts_with('{') { "walk" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
