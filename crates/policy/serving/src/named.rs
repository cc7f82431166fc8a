//! What routing settings name: endpoints, versions and replicas, each with the place where it is written.

use corliss_types::ReplicaId;

use crate::Routing;
use crate::router::rules::Destination;

/// Something that settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<'a> {
    /// As `rules[2].to.pool`.
    pub field: String,
    /// What it is.
    pub what: What<'a>,
}

/// What may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// Another endpoint.
    Endpoint(&'a str),
    /// A version of the endpoint's model.
    Version(u32),
    /// One of the endpoint's replicas.
    Replica(&'a ReplicaId),
}

impl Routing {
    /// All that it names, in the order in which it is written.
    #[must_use]
    pub fn names(&self) -> Vec<Named<'_>> {
        let mut all = Vec::new();
        let mut name = |field: String, what| all.push(Named { field, what });
        for version in self.weights.keys() {
            name(format!("weights.{version}"), What::Version(*version));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let field = |kind: &str| format!("rules[{index}].to.{kind}");
            match &rule.to {
                Destination::All => {}
                Destination::Version(version) => name(field("version"), What::Version(*version)),
                Destination::Replicas(ids) => {
                    for (place, id) in ids.iter().enumerate() {
                        name(field(&format!("replicas[{place}]")), What::Replica(id));
                    }
                }
                Destination::Pool(pool) => name(field("pool"), What::Endpoint(pool)),
            }
        }
        for (index, endpoint) in self.fallback.iter().enumerate() {
            name(format!("fallback[{index}]"), What::Endpoint(endpoint));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_named_is_found_with_its_place() {
        let routing: Routing = serde_json::from_str(
            r#"{"weights": {"2": 9}, "fallback": ["a", "b"],
                "rules": [{"to": "all"}, {"to": {"version": 7}}, {"to": {"pool": "c"}}]}"#,
        )
        .unwrap();
        let names = routing.names();
        let found: Vec<(&str, What<'_>)> = names.iter().map(|one| (one.field.as_str(), one.what)).collect();
        assert_eq!(
            found,
            [
                ("weights.2", What::Version(2)),
                ("rules[1].to.version", What::Version(7)),
                ("rules[2].to.pool", What::Endpoint("c")),
                ("fallback[0]", What::Endpoint("a")),
                ("fallback[1]", What::Endpoint("b")),
            ]
        );
        assert!(Routing::default().names().is_empty());
    }
}
