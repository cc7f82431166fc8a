//! The shape of every native list, and the two query parameters that page through it.

use serde::{Deserialize, Serialize};

use crate::ApiError;
use corliss_diagnostics::Meaning;

/// `{"items": […], "next_page_token": "…"?}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<T> {
    /// This page.
    pub items: Vec<T>,
    /// Present if more follow; sent back as `page_token`.
    #[serde(skip_serializing_if = "Option::is_none", default = "none")]
    pub next_page_token: Option<String>,
}

fn none() -> Option<String> {
    None
}

impl<T> List<T> {
    /// A list that is complete.
    #[must_use]
    pub fn all(items: Vec<T>) -> Self {
        Self {
            items,
            next_page_token: None,
        }
    }
}

/// `limit` and `page_token`, as every paged list takes them.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PageQuery {
    /// At most this many items.
    pub limit: Option<u32>,
    /// From the page before.
    pub page_token: Option<String>,
}

impl PageQuery {
    /// The number of items to return, `default` if none was asked for.
    ///
    /// # Errors
    /// If zero or more than `max` were asked for.
    pub fn limit(&self, default: u32, max: u32) -> Result<u32, ApiError> {
        match self.limit {
            None => Ok(default),
            Some(limit) if (1..=max).contains(&limit) => Ok(limit),
            Some(limit) => Err(ApiError::new(
                Meaning::InvalidInput,
                "limit_out_of_range",
                format!("limit is {limit} but must lie between 1 and {max}"),
            )
            .with_field("limit")),
        }
    }
}
