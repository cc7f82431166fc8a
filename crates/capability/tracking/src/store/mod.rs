//! SQL of tracking. Modules hold functions on an open transaction; they decide nothing.

mod artifacts;
mod batches;
mod children;
mod dataset_summaries;
mod experiments;
mod history;
mod import;
mod keys;
mod logged_models;
mod metrics;
mod moving;
mod points;
mod purge;
mod runs;
mod schema;
mod search;
mod transfers;

pub(crate) use artifacts::{all_blobs, delete_artifact, file_at, files_under, list_folder, put_artifact};
pub(crate) use batches::Batches;
pub(crate) use children::{
    NumberedText, datasets_of, delete_tag, existing_params, insert_params, models_of, params_of,
    put_datasets, put_model_links, put_tags, tags_of,
};
pub(crate) use dataset_summaries::dataset_summaries;
pub(crate) use experiments::{
    delete_experiment_tag, experiment_at, experiment_by_id, experiment_by_name, insert_experiment,
    next_experiment_id, put_experiment_tag, rename_experiment, set_experiment_stage,
    set_only_experiment_stage,
};
pub(crate) use history::Point;
pub(crate) use import::{
    artifacts_at, finish_imported_run, import_digests, imported_experiment, is_free_experiment,
    put_import_digest, put_imported_experiment, rewrite_run,
};
pub(crate) use keys::Keys;
pub(crate) use logged_models::{
    delete_model_tag, insert_logged_model, insert_model_metrics, logged_model, put_model_params,
    put_model_tags, set_model_stage, set_model_status,
};
pub(crate) use metrics::{Numbered, history, history_bulk, latest_of, log_metrics, steps_of};
pub(crate) use moving::move_old_points;
pub(crate) use points::digests_of;
pub(crate) use purge::{Deleted, Remains, purge_artifacts, purge_experiment, purge_model, purge_run};
pub(crate) use runs::{
    NumberedRun, RunRef, finish_run, insert_run, next_run_no, reopen_run, run_info, run_numbers, run_ref,
    set_run_stage, update_run,
};
pub use schema::MIGRATIONS;
pub(crate) use search::{FEW, ModelQuery, RunQuery, search_experiments, search_logged_models, search_runs};

pub(crate) use transfers::{
    Part, Upload, blobs_of_parts, complete_upload, delete_upload, delete_uploads_before, insert_upload,
    open_uploads, parts_of, put_part, upload,
};

use std::fmt::Write;
use std::ops::RangeInclusive;

use corliss_metastore::Value;

/// Rows of one multi-row INSERT. Powers of two: few different statements, since a connection keeps each compiled, and
/// few of them for any number of rows, since each is a round trip.
const ROWS: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// Divides rows among statements.
fn row_groups<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = ROWS.into_iter().find(|length| *length <= rows.len())?;
        let (group, rest) = rows.split_at(length);
        rows = rest;
        Some(group)
    })
}

/// Ids of one IN list. Lists are padded to one of these lengths with their last id, so that three statements
/// serve every number of ids.
const IN_LENGTHS: [usize; 3] = [1, 32, 512];

/// Splits ids into padded lists.
fn id_lists(ids: &[String]) -> Vec<Vec<Value>> {
    lists(ids, |id| id.into())
}

/// Splits numbers into padded lists.
fn number_lists(numbers: &[i64]) -> Vec<Vec<Value>> {
    lists(numbers, |number| (*number).into())
}

fn lists<T>(ids: &[T], value: impl Fn(&T) -> Value) -> Vec<Vec<Value>> {
    ids.chunks(IN_LENGTHS[2])
        .map(|chunk| {
            let length = IN_LENGTHS
                .into_iter()
                .find(|length| *length >= chunk.len())
                .unwrap_or(chunk.len());
            let padding = chunk.last().into_iter().cycle().take(length - chunk.len());
            chunk.iter().chain(padding).map(&value).collect()
        })
        .collect()
}

/// `($1,$2),($3,$4)`: placeholders for `rows` rows of `columns` columns.
fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * (columns * 5 + 3));
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        push_list(&mut text, row * columns + 1..=(row + 1) * columns);
        text.push(')');
    }
    text
}

/// `$1,$2,…` for one list.
fn list(length: usize) -> String {
    let mut text = String::with_capacity(length * 5);
    push_list(&mut text, 1..=length);
    text
}

fn push_list(text: &mut String, numbers: RangeInclusive<usize>) {
    let first = *numbers.start();
    for number in numbers {
        if number > first {
            text.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "${number}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_lists_have_few_lengths() {
        let ids: Vec<String> = (0..1000).map(|index| index.to_string()).collect();
        let lengths: Vec<usize> = id_lists(&ids).iter().map(Vec::len).collect();
        assert_eq!(lengths, [512, 512]);
        assert_eq!(id_lists(&ids[..5])[0].len(), 32);
        assert_eq!(id_lists(&ids[..1])[0].len(), 1);
        assert!(id_lists(&[]).is_empty());
        assert_eq!(placeholders(2, 2), "($1,$2),($3,$4)");
    }
}
