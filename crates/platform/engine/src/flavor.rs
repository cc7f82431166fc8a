//! Which engine a model folder is for.

use serde::{Deserialize, Serialize};

/// The kind of a model, decided by the files in its folder.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Flavor {
    /// An ONNX graph, run by tract.
    Onnx,
    /// A GGUF language model, run by llama.cpp.
    Gguf,
    /// Something that is stored and registered but not served.
    Other,
}

impl Flavor {
    /// The name as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Gguf => "gguf",
            Self::Other => "other",
        }
    }

    /// The flavor of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Onnx, Self::Gguf, Self::Other]
            .into_iter()
            .find(|flavor| flavor.as_str() == name)
    }
}

impl std::fmt::Display for Flavor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
