//! Datasets: create, read, search, delete, tag, and put into experiments.

use std::collections::BTreeMap;

use corliss_metastore::Tx;
use corliss_mlflow_wire::{Order, WireError, check_length, offset_of, parse_filter, parse_order, token_of};
use serde_json::{Map, Value};

use super::{Evaluation, USER_TAG, experiment_id};
use crate::evaluation::EvaluationDataset;
use crate::json::spaced;
use crate::store::{self, DatasetRow};
use crate::types::Page;
use crate::{TracesError, limits};

/// A dataset to make.
#[derive(Debug, Clone, Default)]
pub struct NewDataset {
    /// What to call it.
    pub name: String,
    /// The experiments that it belongs to.
    pub experiment_ids: Vec<String>,
    /// Tags, as JSON values.
    pub tags: Map<String, Value>,
}

/// Which datasets to list, and how.
#[derive(Debug, Clone, Default)]
pub struct DatasetScope {
    /// Of one of these experiments; none means of any, or of no experiment.
    pub experiment_ids: Vec<String>,
    /// Comparisons joined by AND.
    pub filter: String,
    /// Keys with directions.
    pub order_by: Vec<String>,
    /// Datasets of a page.
    pub max_results: Option<i64>,
    /// From the page before.
    pub page_token: Option<String>,
}

impl Evaluation {
    /// Makes a dataset without records.
    ///
    /// # Errors
    /// The name or a tag is wrong, or there is no such experiment.
    pub async fn create_dataset(&self, new: NewDataset) -> Result<EvaluationDataset, TracesError> {
        if new.name.is_empty() {
            return Err(WireError::missing("name").into());
        }
        short("name", limits::DATASET_NAME_LEN, &new.name)?;
        let tags = texts(&new.tags)?;
        check_experiments(&new.experiment_ids)?;
        let experiments = self.known(&new.experiment_ids).await?;
        let now_ms = self.now_ms();
        let user = tags.get(USER_TAG).cloned();
        let row = DatasetRow {
            id: self.new_id("d-"),
            name: new.name,
            schema: None,
            records: 0,
            next_record: 0,
            fingerprint: 0,
            created_ms: now_ms,
            updated_ms: now_ms,
            created_by: user.clone(),
            updated_by: user,
        };
        self.store
            .write(move |tx| {
                store::insert_dataset(tx, &row)?;
                store::put_dataset_tags(tx, &row.id, &tags)?;
                store::link_dataset(tx, &row.id, &experiments)?;
                whole(tx, &row.id)
            })
            .await
    }

    /// A dataset, without its records.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn dataset(&self, id: String) -> Result<EvaluationDataset, TracesError> {
        self.store.read(move |tx| whole(tx, &id)).await
    }

    /// Removes a dataset with its records. What is not there is removed already.
    ///
    /// # Errors
    /// The store failed.
    pub async fn delete_dataset(&self, id: String) -> Result<(), TracesError> {
        self.store
            .write(move |tx| Ok(store::delete_dataset(tx, &id)?))
            .await
    }

    /// A page of datasets, the newest first unless the order says otherwise.
    ///
    /// # Errors
    /// The filter, the order, the limit or the token is wrong.
    pub async fn search_datasets(&self, scope: DatasetScope) -> Result<Page<EvaluationDataset>, TracesError> {
        check_experiments(&scope.experiment_ids)?;
        let limit = limit_of(scope.max_results)?;
        let offset = i64::try_from(offset_of(scope.page_token.as_deref())?).unwrap_or(i64::MAX);
        let experiments: Vec<i64> = scope
            .experiment_ids
            .iter()
            .map(|id| experiment_id(id))
            .collect::<Result<_, _>>()?;
        let filter = parse_filter(&scope.filter)?;
        let order = read_order(&scope.order_by)?;
        self.store
            .read(move |tx| {
                let page = (limit + 1, offset);
                let mut rows = store::search_datasets(tx, &experiments, &filter, &order, page)?;
                let more = rows.len() as i64 > limit;
                rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                let found = rows.len();
                let items = whole_within(tx, rows)?;
                let more = more || items.len() < found;
                let next = offset.saturating_add(items.len() as i64);
                Ok(Page {
                    items,
                    next_page_token: more.then(|| token_of(next.unsigned_abs())),
                })
            })
            .await
    }

    /// Sets tags of a dataset; others stay, and one that is set to null too.
    ///
    /// # Errors
    /// There is no such dataset, or a tag is wrong.
    pub async fn set_dataset_tags(&self, id: String, tags: Map<String, Value>) -> Result<(), TracesError> {
        let tags = texts(&tags)?;
        self.store
            .write(move |tx| {
                existing(tx, &id)?;
                store::put_dataset_tags(tx, &id, &tags)?;
                if store::count_dataset_tags(tx, &id)? > limits::PAIRS_PER_CALL as u64 {
                    return Err(too_many_tags());
                }
                Ok(())
            })
            .await
    }

    /// Removes a tag of a dataset. One that is not there is removed already.
    ///
    /// # Errors
    /// There is no such dataset.
    pub async fn delete_dataset_tag(&self, id: String, key: String) -> Result<(), TracesError> {
        self.store
            .write(move |tx| {
                existing(tx, &id)?;
                Ok(store::delete_dataset_tag(tx, &id, &key)?)
            })
            .await
    }

    /// Puts a dataset into experiments.
    ///
    /// # Errors
    /// There is no such dataset or experiment.
    pub async fn add_to_experiments(
        &self,
        id: String,
        experiment_ids: Vec<String>,
    ) -> Result<EvaluationDataset, TracesError> {
        check_experiments(&experiment_ids)?;
        let experiments = self.known(&experiment_ids).await?;
        self.store
            .write(move |tx| {
                existing(tx, &id)?;
                store::link_dataset(tx, &id, &experiments)?;
                let dataset = whole(tx, &id)?;
                if dataset.experiment_ids.len() > limits::SEARCH_EXPERIMENTS {
                    return Err(too_many_experiments());
                }
                Ok(dataset)
            })
            .await
    }

    /// Takes a dataset out of experiments; those it is not in are passed over.
    ///
    /// # Errors
    /// There is no such dataset.
    pub async fn remove_from_experiments(
        &self,
        id: String,
        experiment_ids: Vec<String>,
    ) -> Result<EvaluationDataset, TracesError> {
        check_experiments(&experiment_ids)?;
        let experiments: Vec<i64> = experiment_ids
            .iter()
            .map(|id| experiment_id(id))
            .collect::<Result<_, _>>()?;
        self.store
            .write(move |tx| {
                existing(tx, &id)?;
                store::unlink_dataset(tx, &id, &experiments)?;
                whole(tx, &id)
            })
            .await
    }
}

/// The row of a dataset that there must be.
pub(super) fn existing(tx: &mut dyn Tx, id: &str) -> Result<DatasetRow, TracesError> {
    store::dataset(tx, id)?
        .ok_or_else(|| TracesError::NotFound(format!("Evaluation dataset with id '{id}' not found")))
}

fn whole(tx: &mut dyn Tx, id: &str) -> Result<EvaluationDataset, TracesError> {
    let row = existing(tx, id)?;
    let mut found = all_whole(tx, vec![row])?;
    // One row makes one dataset.
    found
        .pop()
        .ok_or_else(|| TracesError::NotFound(format!("Evaluation dataset with id '{id}' not found")))
}

/// The first of these datasets: as many as one answer holds, and one at least.
fn whole_within(tx: &mut dyn Tx, mut rows: Vec<DatasetRow>) -> Result<Vec<EvaluationDataset>, TracesError> {
    // Of 1,000 tags each, a few take what an answer has.
    const SOME: usize = 8;
    let (mut items, mut bytes) = (Vec::with_capacity(rows.len()), 0);
    while !rows.is_empty() && bytes < limits::INFOS_BYTES {
        let rest = rows.split_off(rows.len().min(SOME));
        let found = all_whole(tx, std::mem::replace(&mut rows, rest))?;
        for dataset in found {
            bytes += size_of_texts(&dataset);
            if bytes > limits::INFOS_BYTES && !items.is_empty() {
                return Ok(items);
            }
            items.push(dataset);
        }
    }
    Ok(items)
}

fn size_of_texts(dataset: &EvaluationDataset) -> usize {
    let tags = dataset.tags.iter().map(|(key, value)| key.len() + value.len());
    tags.sum::<usize>() + dataset.schema.as_ref().map_or(0, |schema| spaced(schema).len())
}

fn all_whole(tx: &mut dyn Tx, rows: Vec<DatasetRow>) -> Result<Vec<EvaluationDataset>, TracesError> {
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let mut tags = store::dataset_tags(tx, &ids)?;
    let mut experiments = store::dataset_experiments(tx, &ids)?;
    Ok(rows
        .into_iter()
        .map(|row| EvaluationDataset {
            tags: tags.remove(&row.id).unwrap_or_default(),
            experiment_ids: experiments.remove(&row.id).unwrap_or_default(),
            digest: digest(&row),
            id: row.id,
            name: row.name,
            schema: row.schema,
            records: row.records,
            created_ms: row.created_ms,
            updated_ms: row.updated_ms,
            created_by: row.created_by,
            updated_by: row.updated_by,
        })
        .collect())
}

/// What a dataset holds, in eight hex digits. The fingerprints of its records are added up, so that neither their order
/// nor what they were before matters.
fn digest(row: &DatasetRow) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&row.fingerprint.to_be_bytes());
    hasher.update(&row.records.to_be_bytes());
    hasher.update(row.name.as_bytes());
    hasher.finalize().to_hex().chars().take(8).collect()
}

/// Tags as texts: clients send JSON values. Null is no value.
fn texts(tags: &Map<String, Value>) -> Result<BTreeMap<String, String>, TracesError> {
    if tags.len() > limits::PAIRS_PER_CALL {
        return Err(too_many_tags());
    }
    tags.iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| {
            short("tags.key", limits::KEY_LEN, key)?;
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                other => return Err(WireError::wrong_type("tags.value", other).into()),
            };
            short("tags.value", limits::TAG_VALUE_LEN, &text)?;
            Ok((key.clone(), text))
        })
        .collect()
}

/// A text that is kept as it is.
pub(super) fn short(field: &str, limit: usize, text: &str) -> Result<(), WireError> {
    check_length(field, limit, text)?;
    if text.contains('\0') {
        return Err(WireError::invalid_value(
            field,
            text,
            "must not contain NUL characters",
        ));
    }
    Ok(())
}

fn check_experiments(ids: &[String]) -> Result<(), TracesError> {
    if ids.len() > limits::SEARCH_EXPERIMENTS {
        return Err(too_many_experiments());
    }
    Ok(())
}

fn too_many_experiments() -> TracesError {
    TracesError::too_many(
        "experiment_ids",
        "experiments",
        limits::SEARCH_EXPERIMENTS,
        "a dataset that everybody uses need not belong to an experiment",
    )
}

fn too_many_tags() -> TracesError {
    TracesError::too_many(
        "tags",
        "tags for one dataset",
        limits::PAIRS_PER_CALL,
        "delete those that are not needed",
    )
}

fn read_order(clauses: &[String]) -> Result<Vec<Order>, WireError> {
    if clauses.len() > limits::ORDER_CLAUSES {
        return Err(WireError::new(format!(
            "An order can hold at most {} keys.",
            limits::ORDER_CLAUSES
        )));
    }
    clauses.iter().map(|clause| parse_order(clause)).collect()
}

/// A page may hold fewer than were asked for; its token goes on.
fn limit_of(asked: Option<i64>) -> Result<i64, WireError> {
    let wrong = |limit: i64, rule: &str| {
        WireError::new(format!(
            "Invalid value {limit} for parameter 'max_results' supplied. It must be {rule}"
        ))
    };
    match asked {
        None => Ok(limits::DATASETS_PER_PAGE),
        Some(limit) if limit < 1 => Err(wrong(limit, "a positive integer")),
        Some(limit) if limit > limits::DATASETS_ASKED => {
            Err(wrong(limit, &format!("at most {}", limits::DATASETS_ASKED)))
        }
        Some(limit) => Ok(limit.min(limits::DATASETS_PER_PAGE)),
    }
}
