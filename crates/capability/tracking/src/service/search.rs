//! Searching runs and experiments.

use corliss_mlflow_wire::{offset_of, parse_filter, parse_order};

use super::Tracking;
use super::metrics::cut;
use super::runs::runs_of;
use crate::types::{Experiment, Page, Run, ViewType};
use crate::{TrackingError, limits, store};

/// What a search looks for and how it pages.
#[derive(Debug, Clone, Default)]
pub struct SearchScope {
    /// Lifecycle stages.
    pub view: ViewType,
    /// Comparisons joined by AND.
    pub filter: String,
    /// Keys with directions.
    pub order_by: Vec<String>,
    /// Items of a page.
    pub max_results: Option<i64>,
    /// From the page before.
    pub page_token: Option<String>,
}

/// A search over runs.
#[derive(Debug, Clone, Default)]
pub struct RunSearch {
    /// Experiments to look in.
    pub experiment_ids: Vec<i64>,
    /// The rest.
    pub scope: SearchScope,
}

impl Tracking {
    /// A page of runs.
    ///
    /// # Errors
    /// The filter, the order, the limit or the token is wrong.
    pub async fn search_runs(&self, search: RunSearch) -> Result<Page<Run>, TrackingError> {
        let RunSearch {
            experiment_ids,
            scope,
        } = search;
        let limit = limit_of(&scope, limits::SEARCH_DEFAULT)?;
        let offset = offset(&scope)?;
        let filter = parse_filter(&scope.filter)?;
        let order = scope
            .order_by
            .iter()
            .map(|clause| parse_order(clause))
            .collect::<Result<Vec<_>, _>>()?;
        self.store
            .read(move |tx| {
                let page = (limit + 1, offset);
                let mut infos = store::search_runs(tx, &experiment_ids, scope.view, &filter, &order, page)?;
                let next_page_token = cut(&mut infos, Some(limit), offset);
                Ok(Page {
                    items: runs_of(tx, infos)?,
                    next_page_token,
                })
            })
            .await
    }

    /// A page of experiments.
    ///
    /// # Errors
    /// The filter, the order, the limit or the token is wrong.
    pub async fn search_experiments(&self, scope: SearchScope) -> Result<Page<Experiment>, TrackingError> {
        let limit = limit_of(&scope, limits::SEARCH_DEFAULT)?;
        let offset = offset(&scope)?;
        let filter = parse_filter(&scope.filter)?;
        let order = scope
            .order_by
            .iter()
            .map(|clause| parse_order(clause))
            .collect::<Result<Vec<_>, _>>()?;
        self.store
            .read(move |tx| {
                let page = (limit + 1, offset);
                let mut items = store::search_experiments(tx, scope.view, &filter, &order, page)?;
                let next_page_token = cut(&mut items, Some(limit), offset);
                Ok(Page {
                    items,
                    next_page_token,
                })
            })
            .await
    }
}

pub(super) fn offset(scope: &SearchScope) -> Result<i64, TrackingError> {
    Ok(i64::try_from(offset_of(scope.page_token.as_deref())?).unwrap_or(i64::MAX))
}

fn limit_of(scope: &SearchScope, default: i64) -> Result<i64, TrackingError> {
    match scope.max_results {
        None => Ok(default),
        Some(limit) if limit < 1 => Err(TrackingError::invalid(format!(
            "Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer"
        ))),
        Some(limit) if limit > limits::SEARCH_MAX => Err(TrackingError::invalid(format!(
            "Invalid value {limit} for parameter 'max_results' supplied. It must be at most {}, but got value {limit}",
            limits::SEARCH_MAX
        ))),
        Some(limit) => Ok(limit),
    }
}
