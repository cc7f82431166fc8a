//! Searching runs and experiments.

use std::collections::BTreeSet;

use corliss_mlflow_wire::{Comparison, Order, WireError, offset_of, parse_filter, parse_order};

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
        let query = scope.read(limits::SEARCH_DEFAULT)?;
        let experiment_ids = distinct(experiment_ids)?;
        let keys = self.keys.clone();
        self.store
            .read(move |tx| {
                let asked = store::RunQuery {
                    experiment_ids: &experiment_ids,
                    view: query.view,
                    filter: &query.filter,
                    order: &query.order,
                    rows: query.rows(),
                    few: store::FEW,
                };
                let Page {
                    items,
                    next_page_token,
                } = query.page(store::search_runs(tx, &keys, asked)?);
                Ok(Page {
                    items: runs_of(tx, &keys, items)?,
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
        let query = scope.read(limits::SEARCH_DEFAULT)?;
        self.store
            .read(move |tx| {
                let Query {
                    view, filter, order, ..
                } = &query;
                let found = store::search_experiments(tx, *view, filter, order, query.rows())?;
                Ok(query.page(found))
            })
            .await
    }
}

/// A search as the store takes it.
pub(super) struct Query {
    view: ViewType,
    pub(super) filter: Vec<Comparison>,
    pub(super) order: Vec<Order>,
    limit: i64,
    offset: i64,
}

impl SearchScope {
    /// Reads what a client wrote; a page has `default` items if it does not say.
    pub(super) fn read(&self, default: i64) -> Result<Query, TrackingError> {
        check_clauses("order_by", self.order_by.len())?;
        let order = self.order_by.iter().map(|clause| parse_order(clause));
        Ok(Query {
            view: self.view,
            limit: limit_of(self.max_results, default)?,
            offset: i64::try_from(offset_of(self.page_token.as_deref())?).unwrap_or(i64::MAX),
            filter: parse_filter(&self.filter)?,
            order: order.collect::<Result<_, _>>()?,
        })
    }
}

impl Query {
    /// How many rows to ask for, one more than a page holds, and from which.
    pub(super) fn rows(&self) -> (i64, i64) {
        (self.limit + 1, self.offset)
    }

    /// The page of what was found.
    pub(super) fn page<T>(&self, mut items: Vec<T>) -> Page<T> {
        let next_page_token = cut(&mut items, Some(self.limit), self.offset);
        Page {
            items,
            next_page_token,
        }
    }
}

/// The experiments of a search, each once.
pub(super) fn distinct(experiment_ids: Vec<i64>) -> Result<Vec<i64>, TrackingError> {
    let ids: BTreeSet<i64> = experiment_ids.into_iter().collect();
    let most = limits::SEARCH_EXPERIMENTS;
    if ids.len() > most {
        return Err(TrackingError::invalid(format!(
            "'experiment_ids' can name at most {most} experiments, got {}",
            ids.len()
        )));
    }
    Ok(ids.into_iter().collect())
}

/// Refuses a list that is longer than anybody writes.
pub(super) fn check_clauses(list: &str, count: usize) -> Result<(), TrackingError> {
    let most = limits::SEARCH_CLAUSES;
    if count > most {
        return Err(TrackingError::invalid(format!(
            "'{list}' can hold at most {most} clauses, got {count}"
        )));
    }
    Ok(())
}

fn limit_of(asked: Option<i64>, default: i64) -> Result<i64, TrackingError> {
    match asked {
        None => Ok(default),
        Some(limit) if limit < 1 => Err(TrackingError::invalid(format!(
            "Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer"
        ))),
        Some(limit) if limit > limits::SEARCH_MAX => {
            Err(WireError::wrong_type("max_results", &limit.into()).into())
        }
        Some(limit) => Ok(limit),
    }
}
