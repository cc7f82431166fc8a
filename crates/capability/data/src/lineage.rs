//! What came from what: versions, runs, models and endpoints, and the edges between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::DataError;
use crate::error::shortened;

const ID_MAX_BYTES: usize = 200;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// The word as stored and sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl FromStr for $name {
            type Err = DataError;
            fn from_str(text: &str) -> Result<Self, DataError> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(DataError::BadNode { node: shortened(text) }),
                }
            }
        }
    };
}

words!(
    /// What a node is.
    NodeKind {
        /// A version of a folder: data, code, or a step's output.
        Version = "version",
        /// A pipeline run.
        Run = "run",
        /// A version of a registered model: `name/number`.
        Model = "model",
        /// An endpoint.
        Endpoint = "endpoint",
    }
);

words!(
    /// How the second node of an edge came from the first.
    Relation {
        /// A run read a version.
        Input = "input",
        /// A run ran the code of a version.
        Code = "code",
        /// A run made a version.
        Output = "output",
        /// A model version was registered from a version or a run.
        Registered = "registered",
        /// An endpoint serves a model version.
        Deployed = "deployed",
    }
);

words!(
    /// Which way to follow edges.
    Direction {
        /// To what the node came from.
        Up = "up",
        /// To what came from the node.
        Down = "down",
        /// Both, each on its own way.
        Both = "both",
    }
);

/// A node, `kind:id` as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeRef {
    kind: NodeKind,
    id: String,
}

impl NodeRef {
    /// Names a node.
    ///
    /// # Errors
    /// The id is empty, too long, or holds control characters.
    pub fn new(kind: NodeKind, id: impl Into<String>) -> Result<Self, DataError> {
        let id = id.into();
        if id.is_empty() || id.len() > ID_MAX_BYTES || id.chars().any(char::is_control) {
            return Err(DataError::BadNode { node: shortened(&id) });
        }
        Ok(Self { kind, id })
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> NodeKind {
        self.kind
    }

    /// Its id within its kind.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.id)
    }
}

impl FromStr for NodeRef {
    type Err = DataError;
    fn from_str(text: &str) -> Result<Self, DataError> {
        let (kind, id) = text.split_once(':').ok_or_else(|| DataError::BadNode {
            node: shortened(text),
        })?;
        let kind = kind.parse().map_err(|_| DataError::BadNode {
            node: shortened(text),
        })?;
        Self::new(kind, id)
    }
}

impl Serialize for NodeRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `to` came from `from`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Edge {
    /// What was there first.
    pub from: NodeRef,
    /// What came from it.
    pub to: NodeRef,
    /// How.
    pub relation: Relation,
}

/// A node as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeView {
    /// `kind:id`.
    pub id: NodeRef,
    /// What it is.
    pub kind: NodeKind,
    /// For people.
    pub label: String,
}

/// The part of the graph around a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineageGraph {
    /// The nodes, the one asked for first, the others by distance and id.
    pub nodes: Vec<NodeView>,
    /// The edges among them.
    pub edges: Vec<Edge>,
    /// Whether there is more than the limit let through.
    pub truncated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_read_back() {
        for text in ["version:v_00", "model:digits/3", "run:a:b"] {
            assert_eq!(text.parse::<NodeRef>().unwrap().to_string(), text);
        }
        for bad in ["", "run", "run:", "planet:x", "run:\n"] {
            assert!(bad.parse::<NodeRef>().is_err(), "{bad:?}");
        }
    }
}
