//! A security service on a store, a clock that stands still, and its routes beside a few of other rooms.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::routing::{get, post};
use corliss_clock::{ManualClock, Sources};
use corliss_http::{Dialect, RouteInfo, Routes};
use corliss_metastore::Metastore;
use corliss_reconcile::Wake;
use corliss_security::Security;
use corliss_types::{Access, Permission, Timestamp};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

pub struct House {
    pub security: Arc<Security>,
    pub clock: Arc<ManualClock>,
    pub router: corliss_http::App,
    pub store: Metastore,
    pub credentials: PathBuf,
    pub admin: String,
    pub table: Vec<RouteInfo>,
    folder: tempfile::TempDir,
}

const URL: &str = "http://127.0.0.1:7070";

impl House {
    /// A first start.
    pub async fn new(store: Metastore) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let sources = Sources::replayable(clock.clone(), 42);
        let security =
            Security::open(store.clone(), sources, Wake::new(), &folder.path().join("key")).unwrap();
        let credentials = folder.path().join("credentials");
        let admin = security
            .ensure_credentials(&credentials, URL, None)
            .await
            .unwrap()
            .token;
        let routes = routes(&security);
        let table = routes.table();
        let router = routes.into_app(security.clone()).unwrap();
        Self {
            security,
            clock,
            router,
            store,
            credentials,
            admin,
            table,
            folder,
        }
    }

    /// The same home and database under a new process: other randomness, empty memory.
    pub async fn restart(&mut self) {
        let sources = Sources::replayable(self.clock.clone(), 43);
        let key = self.folder.path().join("key");
        self.security = Security::open(self.store.clone(), sources, Wake::new(), &key).unwrap();
        self.admin = self
            .security
            .ensure_credentials(&self.credentials, URL, None)
            .await
            .unwrap()
            .token;
        self.router = routes(&self.security).into_app(self.security.clone()).unwrap();
    }

    /// Sends a request with a JSON body (none if null) and these headers.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> (Response<()>, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:7070");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json");
        }
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::from(text)).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            Response::from_parts(parts, ()),
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// The status of a request by this token.
    pub async fn status(&self, method: Method, path: &str, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        self.ask(method, path, &[("authorization", &bearer)], Value::Null)
            .await
            .0
            .status()
            .as_u16()
    }
}

fn routes(security: &Arc<Security>) -> Routes {
    let requires = |permission| Access::Requires(permission);
    let ok = || get(async || "ok");
    Routes::new()
        .route(
            Method::GET,
            "/api/v1/runs",
            requires(Permission::RunsRead),
            Dialect::Native,
            ok(),
        )
        .route(
            Method::GET,
            "/api/v1/models",
            requires(Permission::ModelsRead),
            Dialect::Native,
            ok(),
        )
        .route(
            Method::POST,
            "/api/2.0/mlflow/runs/log-metric",
            requires(Permission::TrackingWrite),
            Dialect::Mlflow,
            post(async || "ok"),
        )
        .route(
            Method::POST,
            "/api/v1/endpoints",
            requires(Permission::EndpointsWrite),
            Dialect::Native,
            post(async || "ok"),
        )
        .merge(security.routes(false))
}
