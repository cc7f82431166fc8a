//! The shapes in which clients expect errors: ours, MLflow's, OpenAI's, the Open Inference Protocol's and gRPC's.

use corliss_diagnostics::Meaning;
use http::StatusCode;
use serde_json::{Value, json};

use crate::ApiError;

/// Which shape a route answers errors in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `{"error": {"code", "message", "field"?, "hint"?, "retryable"}}`.
    Native,
    /// `{"error_code", "message"}` with MLflow's codes.
    Mlflow,
    /// `{"error": {"message", "type", "param", "code"}}`.
    OpenAi,
    /// `{"error": "…"}`.
    OpenInference,
    /// Status 200 with `grpc-status` and `grpc-message`.
    Grpc,
}

impl Dialect {
    /// The dialect of a path that no route matched, by its prefix.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let under = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mlflow = [
            "/api/2.0",
            "/api/3.0",
            "/ajax-api",
            "/get-artifact",
            "/model-versions",
        ];
        if mlflow.iter().any(|prefix| under(prefix)) {
            Self::Mlflow
        } else if under("/v1") {
            Self::OpenAi
        } else if under("/v2") {
            Self::OpenInference
        } else if under("/inference.GRPCInferenceService") {
            Self::Grpc
        } else {
            Self::Native
        }
    }

    /// The status and body of an error in this dialect.
    pub(crate) fn render(self, error: &ApiError) -> (StatusCode, Value) {
        match self {
            Self::Native => (error.status(), native(error)),
            Self::Mlflow => mlflow(error),
            Self::OpenAi => (error.status(), openai(error)),
            Self::OpenInference | Self::Grpc => (error.status(), json!({ "error": sentence(error) })),
        }
    }
}

fn native(error: &ApiError) -> Value {
    let mut body = serde_json::Map::new();
    body.insert("error".to_owned(), json!(error.report()));
    for (name, value) in error.extra() {
        body.insert((*name).to_owned(), value.clone());
    }
    Value::Object(body)
}

/// Foreign shapes have no place for a hint, and a person reads the message, so the two are joined.
pub(crate) fn sentence(error: &ApiError) -> String {
    let report = error.report();
    match &report.hint {
        Some(hint) => format!("{}; {hint}", report.message),
        None => report.message.clone(),
    }
}

fn mlflow(error: &ApiError) -> (StatusCode, Value) {
    let (code, status) = match error.meaning() {
        Meaning::InvalidInput | Meaning::TooLarge => ("INVALID_PARAMETER_VALUE", error.status()),
        Meaning::Unauthenticated => ("UNAUTHENTICATED", error.status()),
        Meaning::PermissionDenied => ("PERMISSION_DENIED", error.status()),
        Meaning::NotFound => ("RESOURCE_DOES_NOT_EXIST", error.status()),
        // MLflow answers this one with 400; its clients look at the code.
        Meaning::Conflict if error.report().code.ends_with("exists") => {
            ("RESOURCE_ALREADY_EXISTS", StatusCode::BAD_REQUEST)
        }
        Meaning::Conflict => ("RESOURCE_CONFLICT", error.status()),
        Meaning::ResourceExhausted => ("REQUEST_LIMIT_EXCEEDED", error.status()),
        Meaning::Cancelled => ("CANCELLED", error.status()),
        Meaning::Internal => ("INTERNAL_ERROR", error.status()),
        Meaning::Unavailable => ("TEMPORARILY_UNAVAILABLE", error.status()),
        Meaning::DeadlineExceeded => ("DEADLINE_EXCEEDED", error.status()),
        Meaning::StorageFull => ("RESOURCE_LIMIT_EXCEEDED", error.status()),
    };
    let code = match error.report().code.as_str() {
        "route_not_found" | "method_not_allowed" => "ENDPOINT_NOT_FOUND",
        _ => error.foreign_code().unwrap_or(code),
    };
    (status, json!({ "error_code": code, "message": sentence(error) }))
}

fn openai(error: &ApiError) -> Value {
    let (kind, code) = match error.meaning() {
        Meaning::Unauthenticated => ("authentication_error", Some("invalid_api_key")),
        Meaning::PermissionDenied => ("permission_error", None),
        Meaning::ResourceExhausted => ("rate_limit_error", Some("rate_limit_exceeded")),
        Meaning::InvalidInput | Meaning::NotFound | Meaning::Conflict | Meaning::TooLarge => {
            ("invalid_request_error", None)
        }
        _ => ("server_error", None),
    };
    let report = error.report();
    let code = error.foreign_code().or(code).unwrap_or(&report.code);
    json!({ "error": { "message": sentence(error), "type": kind, "param": report.field, "code": code } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmatched_paths_answer_in_the_dialect_of_their_prefix() {
        assert_eq!(Dialect::of_path("/api/2.0/mlflow/nope"), Dialect::Mlflow);
        assert_eq!(Dialect::of_path("/ajax-api/2.0/mlflow/x"), Dialect::Mlflow);
        assert_eq!(Dialect::of_path("/v1/nope"), Dialect::OpenAi);
        assert_eq!(Dialect::of_path("/v1x"), Dialect::Native);
        assert_eq!(Dialect::of_path("/v2"), Dialect::OpenInference);
        assert_eq!(Dialect::of_path("/api/v1/nope"), Dialect::Native);
        assert_eq!(
            Dialect::of_path("/inference.GRPCInferenceService/Nope"),
            Dialect::Grpc
        );
    }

    #[test]
    fn each_dialect_has_its_shape() {
        let error = ApiError::new(Meaning::Conflict, "run_exists", "run 'a' exists already")
            .with_field("name")
            .with_hint("choose another name");
        assert_eq!(
            Dialect::Native.render(&error).1,
            json!({"error": {"code": "run_exists", "message": "run 'a' exists already", "field": "name",
                "hint": "choose another name", "retryable": false}})
        );
        assert_eq!(
            Dialect::Mlflow.render(&error),
            (
                StatusCode::BAD_REQUEST,
                json!({"error_code": "RESOURCE_ALREADY_EXISTS",
                    "message": "run 'a' exists already; choose another name"})
            )
        );
        assert_eq!(
            Dialect::OpenAi.render(&error).1,
            json!({"error": {"message": "run 'a' exists already; choose another name",
                "type": "invalid_request_error", "param": "name", "code": "run_exists"}})
        );
        assert_eq!(
            Dialect::OpenInference.render(&error).1,
            json!({"error": "run 'a' exists already; choose another name"})
        );
    }

    #[test]
    fn no_user_error_becomes_a_status_that_mlflow_retries() {
        for meaning in [
            Meaning::InvalidInput,
            Meaning::Unauthenticated,
            Meaning::PermissionDenied,
            Meaning::NotFound,
            Meaning::Conflict,
            Meaning::TooLarge,
        ] {
            let (status, _) = Dialect::Mlflow.render(&ApiError::new(meaning, "x", "x"));
            assert!(
                ![408, 429].contains(&status.as_u16()) && status.as_u16() < 500,
                "{meaning:?}"
            );
        }
    }
}
