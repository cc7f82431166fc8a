//! Routes of the dialect, each under the prefix that clients use and the one that pages use.

use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use corliss_http::{Dialect, Routes};
use corliss_types::Access;
use http::Method;

const PREFIXES: [&str; 2] = ["/api", "/ajax-api"];

/// Routes of one version of the dialect, such as `2.0`.
pub struct DialectRoutes<S> {
    version: &'static str,
    state: S,
    body_bytes: Option<u64>,
    routes: Routes,
}

impl<S: Clone + Send + Sync + 'static> DialectRoutes<S> {
    /// None yet.
    #[must_use]
    pub fn new(version: &'static str, state: S) -> Self {
        Self {
            version,
            state,
            body_bytes: None,
            routes: Routes::new(),
        }
    }

    /// What the bodies of the routes that come from here on may have.
    #[must_use]
    pub const fn body_limit(mut self, bytes: u64) -> Self {
        self.body_bytes = Some(bytes);
        self
    }

    /// `GET`
    #[must_use]
    pub fn get<T: 'static>(self, access: Access, path: &str, handler: impl Handler<T, S>) -> Self {
        self.add(Method::GET, access, path, &routing::get(handler))
    }

    /// `POST`
    #[must_use]
    pub fn post<T: 'static>(self, access: Access, path: &str, handler: impl Handler<T, S>) -> Self {
        self.add(Method::POST, access, path, &routing::post(handler))
    }

    /// `POST`, of a handler that waits for others.
    #[must_use]
    pub fn waiting_post<T: 'static>(self, access: Access, path: &str, handler: impl Handler<T, S>) -> Self {
        self.under_both(
            Method::POST,
            access,
            path,
            &routing::post(handler),
            Routes::streaming,
        )
    }

    /// `PATCH`
    #[must_use]
    pub fn patch<T: 'static>(self, access: Access, path: &str, handler: impl Handler<T, S>) -> Self {
        self.add(Method::PATCH, access, path, &routing::patch(handler))
    }

    /// `DELETE`
    #[must_use]
    pub fn delete<T: 'static>(self, access: Access, path: &str, handler: impl Handler<T, S>) -> Self {
        self.add(Method::DELETE, access, path, &routing::delete(handler))
    }

    /// All of them.
    #[must_use]
    pub fn finish(self) -> Routes {
        self.routes
    }

    fn add(self, method: Method, access: Access, path: &str, handler: &MethodRouter<S>) -> Self {
        self.under_both(method, access, path, handler, |routes| routes)
    }

    fn under_both(
        mut self,
        method: Method,
        access: Access,
        path: &str,
        handler: &MethodRouter<S>,
        and: fn(Routes) -> Routes,
    ) -> Self {
        for prefix in PREFIXES {
            let whole = format!("{prefix}/{}/mlflow/{path}", self.version);
            let handler = handler.clone().with_state(self.state.clone());
            let routes = self
                .routes
                .route(method.clone(), &whole, access, Dialect::Mlflow, handler);
            self.routes = and(match self.body_bytes {
                Some(bytes) => routes.body_limit(bytes),
                None => routes,
            });
        }
        self
    }
}
