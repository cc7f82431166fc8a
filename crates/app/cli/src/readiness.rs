//! Whether an endpoint is what it should be: what `endpoints deploy` and a followed run wait for.

use std::time::Duration;

use crate::api::segment;
use crate::error::CliError;
use crate::program;
use crate::views::EndpointView;

/// How long a model may take to load.
pub const DEADLINE: Duration = Duration::from_secs(600);

/// How far a deployment is.
#[derive(Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The wanted version serves.
    Ready,
    /// It cannot become ready by itself.
    Failed(String),
    /// It is on its way.
    Deploying,
}

/// Judges an endpoint.
#[must_use]
pub fn of(endpoint: &EndpointView) -> Readiness {
    let reason = |otherwise: &str| endpoint.reason.clone().unwrap_or_else(|| otherwise.to_owned());
    match endpoint.state.as_str() {
        "ready" if endpoint.serving_version == endpoint.desired_version => Readiness::Ready,
        "failed" => Readiness::Failed(reason("its engine does not start")),
        "stopping" => Readiness::Failed(reason("it is being removed")),
        _ => Readiness::Deploying,
    }
}

/// Where an endpoint is asked about.
#[must_use]
pub fn path(name: &str) -> String {
    format!("/api/v1/endpoints/{}", segment(name))
}

/// The error of a deployment that failed.
#[must_use]
pub fn failed(name: &str, reason: &str) -> CliError {
    CliError::failed(format!("endpoint '{name}' failed: {reason}")).hint(look_at(name))
}

/// The error of a deployment that takes too long.
#[must_use]
pub fn late(name: &str) -> CliError {
    CliError::failed(format!(
        "endpoint '{name}' was not ready after {} s",
        DEADLINE.as_secs()
    ))
    .hint(look_at(name))
}

/// What an interrupted wait says.
#[must_use]
pub fn goes_on(name: &str) -> String {
    format!("the endpoint goes on loading: {}", look_at(name))
}

fn look_at(name: &str) -> String {
    program::command(&format!("endpoints show {name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(state: &str, serving: u32) -> EndpointView {
        let endpoint = json!({
            "name": "e", "model": "m@champion", "state": state, "serving_version": serving,
            "desired_version": 2, "replicas_desired": 1, "replicas_ready": 1,
        });
        serde_json::from_value(endpoint).unwrap()
    }

    #[test]
    fn only_the_wanted_version_is_ready() {
        assert_eq!(of(&endpoint("ready", 2)), Readiness::Ready);
        assert_eq!(of(&endpoint("ready", 1)), Readiness::Deploying);
        assert_eq!(of(&endpoint("deploying", 2)), Readiness::Deploying);
        assert!(matches!(of(&endpoint("failed", 1)), Readiness::Failed(_)));
        assert!(matches!(of(&endpoint("stopping", 2)), Readiness::Failed(_)));
    }
}
