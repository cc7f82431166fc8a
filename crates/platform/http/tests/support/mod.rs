//! A guard with three fixed callers, and helpers to ask a router without a socket.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::response::Response;
use corliss_http::{App, AuthFailure, Credential, Denial, Guard, RequestEvent};
use corliss_types::{IdSeed, Permission, Principal, PrincipalId, Role, Timestamp};
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// Knows the tokens `admin` and `scientist` and the session `admin`; keeps what it was told.
#[derive(Default)]
pub struct TestGuard {
    pub events: Mutex<Vec<RequestEvent>>,
}

impl TestGuard {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
}

fn principal(name: &str, role: Role) -> Principal {
    let seed = IdSeed {
        at: Timestamp::from_millis(1),
        random: [7; 10],
    };
    Principal {
        id: PrincipalId::new(seed),
        name: name.to_owned(),
        role,
    }
}

#[async_trait]
impl Guard for TestGuard {
    async fn authenticate(&self, presented: Credential, _: Option<IpAddr>) -> Result<Principal, AuthFailure> {
        match presented {
            Credential::None => Err(AuthFailure::Missing),
            Credential::Token(text) | Credential::Session(text) => match text.as_str() {
                "admin" => Ok(principal("admin", Role::PlatformAdmin)),
                "scientist" => Ok(principal("scientist", Role::DataScientist)),
                "throttled" => Err(AuthFailure::Throttled { retry_after_s: 7 }),
                _ => Err(AuthFailure::Unknown),
            },
        }
    }

    fn allows(&self, principal: &Principal, permission: Permission) -> Result<(), Denial> {
        if principal.role == Role::PlatformAdmin || permission != Permission::SystemAdmin {
            return Ok(());
        }
        Err(Denial {
            role: principal.role,
            permission,
            held_by: vec![Role::PlatformAdmin],
        })
    }

    async fn record(&self, event: RequestEvent) {
        self.events.lock().unwrap().push(event);
    }
}

/// Sends a request with these headers and returns the answer with its body as JSON (null if it is none).
pub async fn ask(
    router: &App,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (Response<()>, Value) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router
        .clone()
        .oneshot(request.body(Body::from(body.to_owned())).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(parts, ()),
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}
