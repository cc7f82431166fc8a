//! How an endpoint's requests are routed: storing it, and what it names that is not there.

use corliss_diagnostics::nearest;
use corliss_policy_serving::{Named, Routing, RoutingProblem, What};

use super::Serving;
use crate::ServingError;
use crate::services::set_service_routing;
use crate::store;
use crate::types::EndpointView;

impl Serving {
    /// Stores how an endpoint's requests are routed. Its replicas go on as they are, and so do requests on their way.
    /// Another endpoint that it names anew must be there; a version may come later, and what was named before may have gone.
    pub async fn set_routing(&self, name: &str, routing: Routing) -> Result<EndpointView, ServingError> {
        let checked = routing.check(name);
        checked.map_err(|RoutingProblem { field, problem }| ServingError::Invalid { field, problem })?;
        self.must_name_endpoints(name, &routing).await?;
        let (owned, now) = (name.to_owned(), self.parts.sources.clock.now());
        let text = serde_json::to_string(&routing).map_err(|error| ServingError::Invalid {
            field: "rules".to_owned(),
            problem: error.to_string(),
        })?;
        let found = self
            .parts
            .store
            .write(move |tx| {
                let is_endpoint = store::set_routing(tx, &owned, &text, now)?;
                Ok::<_, ServingError>(is_endpoint || set_service_routing(tx, &owned, &text, now)?)
            })
            .await?;
        if !found {
            return Err(self.not_found(name).await);
        }
        self.wake.signal();
        self.publish_services().await?;
        self.get(name).await
    }

    async fn must_name_endpoints(&self, endpoint: &str, routing: &Routing) -> Result<(), ServingError> {
        let all = self.list().await?;
        let before = all.iter().find(|one| one.name == endpoint);
        let before: Vec<Named<'_>> = before.map(|one| one.routing.names()).unwrap_or_default();
        let is_known = |what: What<'_>, name: &str| {
            all.iter().any(|one| one.name == name) || before.iter().any(|named| named.what == what)
        };
        let absent = routing.names().into_iter().find_map(|named| match named.what {
            What::Endpoint(name) if !is_known(named.what, name) => Some((named.field, name)),
            _ => None,
        });
        let Some((field, name)) = absent else {
            return Ok(());
        };
        let meant = nearest(name, all.iter().map(|one| one.name.as_str()));
        let meant = meant.map_or_else(
            || "deploy or connect it first".to_owned(),
            |meant| format!("did you mean '{meant}'?"),
        );
        Err(ServingError::Invalid {
            field,
            problem: format!("names the endpoint '{name}', which is not there: {meant}"),
        })
    }
}

/// Notes in each endpoint what its routing names that is not there: what was right when it was said may have gone since.
pub(super) fn note_absent(endpoints: &mut [EndpointView]) {
    let names: Vec<String> = endpoints.iter().map(|one| one.name.clone()).collect();
    for endpoint in endpoints {
        let absent = |named: Named<'_>| absent(&named, endpoint, &names);
        endpoint.routing_notes = endpoint.routing.names().into_iter().filter_map(absent).collect();
    }
}

/// What follows from its not being there, if it is not.
fn absent(Named { field, what }: &Named<'_>, endpoint: &EndpointView, names: &[String]) -> Option<String> {
    let live = || {
        endpoint
            .replicas
            .iter()
            .filter(|replica| !replica.state.has_ended())
    };
    let serves = |version| {
        endpoint.desired_version == version
            || endpoint
                .release
                .as_ref()
                .is_some_and(|release| release.to_version == version)
            || live().any(|replica| replica.version == version)
    };
    let goes_to_none = if endpoint.routing.fallback.is_empty() {
        "requests that it sends there are refused"
    } else {
        "requests that it sends there are left to the endpoints that it falls back to"
    };
    match *what {
        What::Endpoint(name) if !names.iter().any(|one| one == name) => {
            let follows = if field.starts_with("fallback") {
                "it is passed over"
            } else {
                goes_to_none
            };
            Some(format!(
                "{field} names the endpoint '{name}', which is not there: {follows}"
            ))
        }
        What::Version(version) if endpoint.service.is_none() && !serves(version) => {
            let follows = if field.starts_with("weights") {
                "its weight does nothing"
            } else {
                goes_to_none
            };
            Some(format!(
                "{field} names version {version}, which no replica serves: {follows}"
            ))
        }
        What::Replica(id) if endpoint.service.is_none() && !live().any(|replica| replica.id == *id) => {
            Some(format!("{field} names {id}, which is no replica any more"))
        }
        _ => None,
    }
}
