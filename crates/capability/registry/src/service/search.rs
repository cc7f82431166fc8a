//! Searching models and versions.

use corliss_mlflow_wire::{Comparison, Order, WireError, offset_of, parse_filter, parse_order, token_of};

use super::Registry;
use crate::types::{Model, ModelVersion};
use crate::{RegistryError, store};

const MODELS_MAX: i64 = 1000;
const MODELS_DEFAULT: i64 = 100;
const VERSIONS_MAX: i64 = 200_000;
const VERSIONS_DEFAULT: i64 = 10_000;

/// What a search looks for and how it pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Search {
    pub(crate) filter: String,
    pub(crate) order_by: Vec<String>,
    pub(crate) max_results: Option<i64>,
    pub(crate) page_token: Option<String>,
}

/// A search that was read.
struct Parsed {
    filter: Vec<Comparison>,
    order: Vec<Order>,
    limit: i64,
    offset: i64,
}

impl Search {
    fn parsed(&self, default: i64, most: i64) -> Result<Parsed, RegistryError> {
        let limit = self.max_results.unwrap_or(default);
        if limit < 1 {
            return Err(RegistryError::invalid(format!(
                "Invalid value for max_results. It must be a positive integer, but got {limit}"
            )));
        }
        if limit > most {
            // It came in a query, where every value is a text.
            let given = serde_json::Value::from(limit.to_string());
            return Err(WireError::wrong_type("max_results", &given).into());
        }
        let order = self.order_by.iter().map(|clause| parse_order(clause));
        let order = order.collect::<Result<Vec<Order>, _>>()?;
        let mut keys: Vec<&str> = order.iter().map(|clause| clause.key.as_str()).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            let given = self.order_by.join("', '");
            return Err(RegistryError::invalid(format!(
                "`order_by` contains duplicate fields: ['{given}']"
            )));
        }
        Ok(Parsed {
            filter: parse_filter(&self.filter)?,
            order,
            limit,
            offset: i64::try_from(offset_of(self.page_token.as_deref())?).unwrap_or(i64::MAX),
        })
    }
}

/// A page, and the token of the next if there is one.
pub(crate) type Found<T> = (Vec<T>, Option<String>);

fn cut<T>(mut items: Vec<T>, limit: i64, offset: i64) -> Found<T> {
    let keep = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > keep;
    items.truncate(keep);
    (
        items,
        more.then(|| token_of(u64::try_from(offset.saturating_add(limit)).unwrap_or(0))),
    )
}

impl Registry {
    pub(crate) async fn search_models(&self, search: Search) -> Result<Found<Model>, RegistryError> {
        let Parsed {
            filter,
            order,
            limit,
            offset,
        } = search.parsed(MODELS_DEFAULT, MODELS_MAX)?;
        let found = self
            .store
            .read(move |tx| store::search_models(tx, &filter, &order, (limit + 1, offset)))
            .await?;
        Ok(cut(found, limit, offset))
    }

    pub(crate) async fn search_versions(&self, search: Search) -> Result<Found<ModelVersion>, RegistryError> {
        let Parsed {
            filter,
            order,
            limit,
            offset,
        } = search.parsed(VERSIONS_DEFAULT, VERSIONS_MAX)?;
        let found = self
            .store
            .read(move |tx| store::search_versions(tx, &filter, &order, (limit + 1, offset)))
            .await?;
        Ok(cut(found, limit, offset))
    }
}
