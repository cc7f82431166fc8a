//! How an endpoint's requests are routed: storing it, and what of it can do nothing: what it names is not there or of
//! another kind, or its router does not look at it.

use corliss_diagnostics::nearest;
use corliss_policy_serving::router::Strategy;
use corliss_policy_serving::{Named, Routing, RoutingProblem, What};
use corliss_types::{Flavor, ServiceDialect};

use super::Serving;
use crate::ServingError;
use crate::services::set_service_routing;
use crate::store;
use crate::types::EndpointView;

impl Serving {
    /// Stores how an endpoint's requests are routed. Its replicas go on as they are, and so do requests on their way.
    /// Another endpoint that it names anew must be there and answer what this one does; a version may come later, and what
    /// was named before may have gone.
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
        let this = all.iter().find(|one| one.name == endpoint);
        let before: Vec<Named<'_>> = this.map(|one| one.routing.names()).unwrap_or_default();
        for named in routing.names() {
            let What::Endpoint(name) = named.what else {
                continue;
            };
            if before.iter().any(|before| before.what == named.what) {
                continue;
            }
            let problem = match (all.iter().find(|one| one.name == name), this) {
                (None, _) => not_there(name, &all),
                (Some(other), Some(this)) if Kind::of(other) != Kind::of(this) => {
                    of_another_kind(other, this)
                }
                _ => continue,
            };
            return Err(ServingError::Invalid {
                field: named.field,
                problem,
            });
        }
        Ok(())
    }
}

fn not_there(name: &str, all: &[EndpointView]) -> String {
    let meant = nearest(name, all.iter().map(|one| one.name.as_str()));
    let meant = meant.map_or_else(
        || "deploy or connect it first".to_owned(),
        |meant| format!("did you mean '{meant}'?"),
    );
    format!("names the endpoint '{name}', which is not there: {meant}")
}

fn of_another_kind(other: &EndpointView, this: &EndpointView) -> String {
    format!(
        "names the endpoint '{}', which answers {}, and '{}' answers {}: name one that answers the same",
        other.name,
        Kind::of(other).in_words(),
        this.name,
        Kind::of(this).in_words()
    )
}

/// What an endpoint answers. A request for one kind is never answered by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Texts,
    Tensors,
}

impl Kind {
    fn of(endpoint: &EndpointView) -> Self {
        let speaks = match &endpoint.service {
            Some(service) => service.dialect == ServiceDialect::OpenAi,
            None => endpoint.flavor == Flavor::Gguf,
        };
        if speaks { Self::Texts } else { Self::Tensors }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Texts => "texts, as a language model",
            Self::Tensors => "tensors",
        }
    }
}

/// Notes in each endpoint what of its routing does nothing: what was right when it was said may have gone since.
pub(super) fn note_idle(endpoints: &mut [EndpointView]) {
    let all: Vec<(String, Kind)> = endpoints
        .iter()
        .map(|one| (one.name.clone(), Kind::of(one)))
        .collect();
    for endpoint in endpoints {
        let names = endpoint.routing.names();
        let idle = names.iter().filter_map(|named| absent(named, endpoint, &all));
        let idle = idle.chain(idle_weights(endpoint).map(str::to_owned));
        endpoint.routing_notes = idle.collect();
    }
}

/// What is to be said of weights that nothing looks at.
fn idle_weights(endpoint: &EndpointView) -> Option<&'static str> {
    if endpoint.routing.weights.is_empty() {
        None
    } else if endpoint.service.is_some() {
        Some(
            "weights are shares of versions, of which a service has none: give its addresses weights where it is connected",
        )
    } else if endpoint.routing.router != Strategy::Weighted {
        Some("weights do nothing unless the router is weighted")
    } else {
        None
    }
}

/// What follows from its not being there, or not being of use, if it is not.
fn absent(
    Named { field, what }: &Named<'_>,
    endpoint: &EndpointView,
    all: &[(String, Kind)],
) -> Option<String> {
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
        What::Endpoint(name) => {
            let follows = if field.starts_with("fallback") {
                "it is passed over"
            } else {
                goes_to_none
            };
            let found = all.iter().find(|(one, _)| one == name).map(|(_, kind)| *kind);
            let why = match found {
                None => "is not there".to_owned(),
                Some(kind) if kind != Kind::of(endpoint) => format!("answers {}", kind.in_words()),
                Some(_) => return None,
            };
            Some(format!(
                "{field} names the endpoint '{name}', which {why}: {follows}"
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
