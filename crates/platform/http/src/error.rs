//! What a handler returns when it cannot answer, and what can go wrong in this crate itself.

use std::io;
use std::path::PathBuf;

use axum::response::{IntoResponse, Response};
use corliss_diagnostics::{Diagnose, ErrorReport, Meaning};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::dialect::sentence;
use crate::{AuthFailure, Dialect};

/// An error on its way to a client. Any [`Diagnose`] becomes one through `?`; the route's dialect gives it
/// its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError(Box<Inner>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    status: StatusCode,
    meaning: Meaning,
    report: ErrorReport,
    extra: Vec<(&'static str, Value)>,
    foreign_code: Option<&'static str>,
    retry_after_s: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An error of this meaning, with a stable code and one lowercase sentence.
    #[must_use]
    pub fn new(meaning: Meaning, code: &str, message: impl Into<String>) -> Self {
        let report = ErrorReport {
            code: code.to_owned(),
            message: message.into(),
            field: None,
            hint: None,
            retryable: meaning.retryable(),
        };
        Self::of_report(meaning, report)
    }

    /// An error from a report that another process sent.
    #[must_use]
    pub fn of_report(meaning: Meaning, report: ErrorReport) -> Self {
        let status = StatusCode::from_u16(meaning.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self(Box::new(Inner {
            status,
            meaning,
            report,
            extra: Vec::new(),
            foreign_code: None,
            retry_after_s: None,
            headers: Vec::new(),
        }))
    }

    /// The error of a [`Diagnose`], which may be unsized.
    #[must_use]
    pub fn of(error: &dyn Diagnose) -> Self {
        Self::of_report(error.meaning(), ErrorReport::of(error))
    }

    /// The error of a caller who is not known, for routes that check a credential themselves.
    #[must_use]
    pub fn from_failure(failure: AuthFailure) -> Self {
        failure.into_error()
    }

    /// Names the request field at fault.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.0.report.field = Some(field.into());
        self
    }

    /// Names the fix in one sentence.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.report.hint = Some(hint.into());
        self
    }

    /// Answers with another status than the meaning's own, such as 405 or 415.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// Adds a member beside `error` in the native shape, such as the list of a file's problems.
    #[must_use]
    pub fn with_extra(mut self, name: &'static str, value: Value) -> Self {
        self.0.extra.push((name, value));
        self
    }

    /// Says which code a foreign dialect uses for this, where it is not the one of the meaning.
    #[must_use]
    pub fn with_foreign_code(mut self, code: &'static str) -> Self {
        self.0.foreign_code = Some(code);
        self
    }

    /// Tells the client, in seconds, when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Adds headers to the answer, in every dialect but that of gRPC.
    #[must_use]
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        self.0.headers.extend(headers);
        self
    }

    /// The status code of gRPC.
    #[must_use]
    pub fn grpc_code(&self) -> i32 {
        crate::grpc::code_of(self)
    }

    /// What happened and what to do about it, for dialects that have one text for both.
    #[must_use]
    pub fn sentence(&self) -> String {
        sentence(self)
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What it means to the caller.
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        self.0.meaning
    }

    /// Code, message, field and hint.
    #[must_use]
    pub fn report(&self) -> &ErrorReport {
        &self.0.report
    }

    pub(crate) fn extra(&self) -> &[(&'static str, Value)] {
        &self.0.extra
    }

    pub(crate) fn foreign_code(&self) -> Option<&'static str> {
        self.0.foreign_code
    }

    /// The answer in this dialect.
    #[must_use]
    pub fn render(&self, dialect: Dialect) -> Response {
        if dialect == Dialect::Grpc {
            return crate::grpc::refusal(self, &sentence(self));
        }
        let (status, body) = dialect.render(self);
        let mut response = (status, axum::Json(body)).into_response();
        if let Some(seconds) = self.0.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.headers_mut().extend(self.0.headers.iter().cloned());
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"corliss\""),
            );
        }
        response
    }
}

impl<E: Diagnose> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

impl IntoResponse for ApiError {
    /// The native shape; the route's dispatcher finds the error again in the extensions and renders it in
    /// the dialect that was declared.
    fn into_response(self) -> Response {
        let mut response = self.render(Dialect::Native);
        response.extensions_mut().insert(self);
        response
    }
}

/// What goes wrong before or around requests: declaring routes, listening, TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Two routes claim the same method and path.
    #[error("route {method} {path} is declared twice")]
    DuplicateRoute {
        /// HTTP method.
        method: String,
        /// Path template.
        path: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// Address as configured.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The address is reachable from other machines but nothing protects the traffic.
    #[error("refusing to listen on {address}, which other machines can reach, without TLS")]
    PublicWithoutTls {
        /// Address as configured.
        address: String,
    },
    /// Only one of certificate and key is configured.
    #[error("TLS needs both a certificate and a key, and only one is set")]
    HalfTls {
        /// The setting that is missing.
        missing: &'static str,
    },
    /// A certificate or key file cannot be used.
    #[error("cannot use {path} for TLS: {reason}")]
    TlsFile {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// One sentence.
        reason: String,
    },
}

impl Diagnose for HttpError {
    fn code(&self) -> &'static str {
        match self {
            Self::DuplicateRoute { .. } => "route_declared_twice",
            Self::Bind { .. } => "listen_failed",
            Self::PublicWithoutTls { .. } => "public_without_tls",
            Self::HalfTls { .. } => "tls_incomplete",
            Self::TlsFile { .. } => "tls_file_unusable",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::DuplicateRoute { .. } => Meaning::Internal,
            Self::Bind { .. } => Meaning::Unavailable,
            Self::PublicWithoutTls { .. } | Self::HalfTls { .. } | Self::TlsFile { .. } => {
                Meaning::InvalidInput
            }
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::DuplicateRoute { .. } => None,
            Self::Bind { .. } | Self::PublicWithoutTls { .. } => Some("server.listen".to_owned()),
            Self::HalfTls { missing } => Some((*missing).to_owned()),
            Self::TlsFile { setting, .. } => Some((*setting).to_owned()),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("another process listens there: stop it, or choose another address with --listen".to_owned())
            }
            Self::PublicWithoutTls { .. } => Some(
                "set server.tls_cert and server.tls_key (or CORLISS_SERVER_TLS_CERT and CORLISS_SERVER_TLS_KEY) to \
                 PEM files, or listen on 127.0.0.1"
                    .to_owned(),
            ),
            Self::HalfTls { missing } => Some(format!("set {missing} to a PEM file too")),
            _ => None,
        }
    }
}
