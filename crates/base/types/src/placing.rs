//! What of nodes and accelerators will do for a gang, beside their amounts.

use serde::{Deserialize, Serialize};

/// What of nodes and accelerators will do, beside their amounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Placing {
    /// Models of accelerators that will do, such as H100: whole words of their names. Empty for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accelerator_models: Vec<String>,
    /// The least memory of each accelerator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerator_memory_bytes: Option<u64>,
    /// Thousandths of one accelerator, which others use too; in place of whole ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerator_share: Option<i16>,
    /// Where its workers are to each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near: Option<Nearness>,
}

/// Where the workers of a gang are to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nearness {
    /// In one domain of this level, such as one rack, or not at all.
    Within(String),
    /// In one domain of this level if that can be.
    Near(String),
    /// On as many different nodes as can be.
    Spread,
}

impl Placing {
    /// Whether everything will do.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an accelerator of this model and memory will do.
    #[must_use]
    pub fn accepts(&self, model: &str, memory_bytes: u64) -> bool {
        let named = &self.accelerator_models;
        (named.is_empty() || named.iter().any(|name| is_called(model, name)))
            && memory_bytes >= self.accelerator_memory_bytes.unwrap_or(0)
    }
}

/// Whether a product is called that: whole words of its name, whatever their case, so that an A10 is no A100.
#[must_use]
pub fn is_called(product: &str, name: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|letter: char| !letter.is_alphanumeric() && letter != '.')
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let (product, name) = (words(product), words(name));
    !name.is_empty() && product.windows(name.len()).any(|part| part == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_called_by_whole_words_of_their_names() {
        assert!(
            is_called("NVIDIA H100 80GB HBM3", "h100") && is_called("NVIDIA A100-SXM4-40GB", "A100-SXM4")
        );
        assert!(is_called("NVIDIA H100 MIG 1g.10gb", "MIG 1g.10gb"));
        assert!(
            !is_called("NVIDIA A100-SXM4-40GB", "A10")
                && !is_called("NVIDIA H100", "")
                && !is_called("", "x")
        );
    }

    #[test]
    fn of_several_models_any_will_do_that_has_enough_memory() {
        let placing = Placing {
            accelerator_models: vec!["A100".to_owned(), "H100".to_owned()],
            accelerator_memory_bytes: Some(80 << 30),
            ..Placing::default()
        };
        let accepted = ["NVIDIA H100", "NVIDIA L4"].map(|model| placing.accepts(model, 80 << 30));
        assert_eq!(accepted, [true, false]);
        assert!(!placing.accepts("NVIDIA A100", 40 << 30) && Placing::default().accepts("", 0));
    }
}
