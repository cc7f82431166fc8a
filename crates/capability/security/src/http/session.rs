//! Signing in to the console and out of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use corliss_http::{ApiError, Caller, Credential, Dialect, Json, Peer, Presented, Routes, SESSION_COOKIE};
use corliss_types::{Access, Role};
use http::{Method, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::Security;

const PATH: &str = "/api/v1/session";
const BODY_LIMIT_BYTES: u64 = 4096;

#[derive(Clone)]
struct SignIn {
    security: Arc<Security>,
    secure: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    token: String,
}

#[derive(Serialize)]
struct View {
    name: String,
    role: Role,
}

pub(super) fn routes(security: &Arc<Security>, secure: bool) -> Routes {
    let state = SignIn {
        security: security.clone(),
        secure,
    };
    Routes::new()
        .route(
            Method::POST,
            PATH,
            Access::Public,
            Dialect::Native,
            post(open).with_state(state.clone()),
        )
        .body_limit(BODY_LIMIT_BYTES)
        .route(
            Method::GET,
            PATH,
            Access::Authenticated,
            Dialect::Native,
            get(show),
        )
        .route(
            Method::DELETE,
            PATH,
            Access::Authenticated,
            Dialect::Native,
            delete(close).with_state(state),
        )
}

async fn open(
    State(state): State<SignIn>,
    Peer(peer): Peer,
    Json(request): Json<Request>,
) -> Result<Response, ApiError> {
    let session = match state
        .security
        .sign_in(request.token, peer.map(|peer| peer.ip()))
        .await?
    {
        Ok(session) => session,
        Err(failure) => return Err(ApiError::from_failure(failure)),
    };
    let cookie = cookie(&session.secret, session.lifetime.0 / 1000, state.secure);
    let view = View {
        name: session.principal.name,
        role: session.principal.role,
    };
    Ok(([(header::SET_COOKIE, cookie)], Json(view)).into_response())
}

async fn show(Caller(principal): Caller) -> Json<View> {
    Json(View {
        name: principal.name,
        role: principal.role,
    })
}

async fn close(State(state): State<SignIn>, Presented(credential): Presented) -> Result<Response, ApiError> {
    if let Credential::Session(session) = &credential {
        state.security.sign_out(session).await?;
    }
    Ok((
        StatusCode::NO_CONTENT,
        [(header::SET_COOKIE, cookie("", 0, state.secure))],
    )
        .into_response())
}

fn cookie(value: &str, lifetime_s: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lifetime_s}{secure}")
}
