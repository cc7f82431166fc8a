//! Everything behind one listener: the perimeter, then the route that a path leads to.
//!
//! A path that is fixed is found by its name. Only templates are matched, by axum's router, which clones and boxes its
//! routes and their layers for each request.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use tower::{Service, ServiceExt};

use crate::dispatch::Dispatch;
use crate::perimeter::Around;

/// All routes of a listener. Cheap to clone.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
}

struct Shared {
    around: Around,
    fixed: HashMap<String, Arc<Dispatch>>,
    /// Paths with parameters, and what answers where no route does.
    templates: axum::Router,
}

impl App {
    pub(crate) fn new(
        around: Around,
        fixed: HashMap<String, Arc<Dispatch>>,
        templates: axum::Router,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                around,
                fixed,
                templates,
            }),
        }
    }

    /// Answers a request, whatever it is.
    pub async fn answer(&self, mut request: Request) -> Response {
        let entered = match self.shared.around.enter(&mut request) {
            Ok(entered) => entered,
            Err(refused) => return *refused,
        };
        let response = match self.shared.fixed.get(request.uri().path()) {
            Some(dispatch) => dispatch.answer(request).await,
            None => {
                let Ok(response) = self.shared.templates.clone().oneshot(request).await;
                response
            }
        };
        self.shared.around.leave(entered, response)
    }
}

/// As listeners, layers and tests ask it.
impl Service<Request> for App {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let app = self.clone();
        Box::pin(async move { Ok(app.answer(request).await) })
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}
