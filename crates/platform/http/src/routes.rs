//! The table of routes: the only way to put a handler behind a listener.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::routing::MethodRouter;
use corliss_types::Access;
use http::Method;

use crate::dispatch::{Dispatch, Fallback, Route};
use crate::{App, Assets, Dialect, Guard, HttpError, Perimeter};

/// Bytes of a request body unless the route says otherwise.
const BODY_LIMIT_BYTES: u64 = 1024 * 1024;
/// How long a handler may take to answer unless the route says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What one route declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// HTTP method; GET answers HEAD too.
    pub method: Method,
    /// Path template, with `{name}` for one segment and `{*name}` for the rest.
    pub path: String,
    /// What its caller must hold.
    pub access: Access,
    /// How it answers errors.
    pub dialect: Dialect,
}

/// Routes being collected. `body_limit`, `timeout` and `streaming` apply to the route added last.
#[derive(Default)]
pub struct Routes {
    routes: Vec<Route>,
    assets: Option<Arc<dyn Assets>>,
    perimeter: Perimeter,
}

impl Routes {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route. Only `method` of `handler` is ever reached, whatever else it could answer.
    #[must_use]
    pub fn route(
        mut self,
        method: Method,
        path: &str,
        access: Access,
        dialect: Dialect,
        handler: MethodRouter,
    ) -> Self {
        self.routes.push(Route {
            info: RouteInfo {
                method,
                path: path.to_owned(),
                access,
                dialect,
            },
            handler,
            body_limit_bytes: BODY_LIMIT_BYTES,
            timeout: Some(TIMEOUT),
        });
        self
    }

    /// Sets how many bytes the body of the last route may have (default 1 MiB).
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        if let Some(route) = self.routes.last_mut() {
            route.body_limit_bytes = bytes;
        }
        self
    }

    /// Sets how long the last route's handler may take to answer (default 60 s).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Some(route) = self.routes.last_mut() {
            route.timeout = Some(timeout);
        }
        self
    }

    /// Lifts the time limit of the last route: it reads or writes a stream, or limits itself.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        if let Some(route) = self.routes.last_mut() {
            route.timeout = None;
        }
        self
    }

    /// Adds all routes of another collection.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.routes.extend(other.routes);
        self.assets = self.assets.or(other.assets);
        self
    }

    /// Serves the console's files, publicly, on every GET that no route and no API prefix claims.
    #[must_use]
    pub fn console(mut self, assets: Arc<dyn Assets>) -> Self {
        self.assets = Some(assets);
        self
    }

    /// Says which host names this installation answers to (default: loopback names only).
    #[must_use]
    pub fn perimeter(mut self, perimeter: Perimeter) -> Self {
        self.perimeter = perimeter;
        self
    }

    /// Everything declared, by path and method.
    #[must_use]
    pub fn table(&self) -> Vec<RouteInfo> {
        let mut table: Vec<RouteInfo> = self.routes.iter().map(|route| route.info.clone()).collect();
        if self.assets.is_some() {
            table.push(RouteInfo {
                method: Method::GET,
                path: "/{*console}".to_owned(),
                access: Access::Public,
                dialect: Dialect::Native,
            });
        }
        table.sort_by(|left, right| {
            (&left.path, left.method.as_str()).cmp(&(&right.path, right.method.as_str()))
        });
        table
    }

    /// Builds what answers, with the guard before every route that is not public.
    ///
    /// # Errors
    /// If two routes claim the same method and path.
    pub fn into_app(self, guard: Arc<dyn Guard>) -> Result<App, HttpError> {
        let mut paths: BTreeMap<String, Vec<Route>> = BTreeMap::new();
        for route in self.routes {
            let routes = paths.entry(route.info.path.clone()).or_default();
            if routes.iter().any(|other| other.info.method == route.info.method) {
                return Err(HttpError::DuplicateRoute {
                    method: route.info.method.to_string(),
                    path: route.info.path,
                });
            }
            routes.push(route);
        }
        let (mut fixed, mut templates) = (HashMap::new(), axum::Router::new());
        for (path, routes) in paths {
            let dispatch = Dispatch::new(routes, guard.clone());
            if path.contains('{') {
                let answer = move |request: Request| {
                    let dispatch = dispatch.clone();
                    async move { dispatch.answer(request).await }
                };
                templates = templates.route(&path, axum::routing::any(answer));
            } else {
                fixed.insert(path, dispatch);
            }
        }
        let fallback = Fallback { assets: self.assets };
        let templates = templates.fallback(move |request: Request| fallback.clone().answer(request));
        Ok(App::new(self.perimeter.around(), fixed, templates))
    }
}
