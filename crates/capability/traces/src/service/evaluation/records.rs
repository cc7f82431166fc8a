//! Records of a dataset. A dataset has one record of the same inputs: what comes with inputs that are there already is
//! merged into that record.

use std::collections::BTreeMap;

use corliss_metastore::Tx;
use corliss_mlflow_wire::{WireError, offset_of, token_of};
use serde_json::{Map, Value};

use super::datasets::{existing, short};
use super::schema::widened;
use super::{Evaluation, USER_TAG};
use crate::evaluation::{DatasetRecord, RecordSource};
use crate::json::{canonical, spaced};
use crate::service::apart;
use crate::store::{self, KeptRecord};
use crate::{TracesError, limits};

/// How a merge went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Records that are new.
    pub inserted: usize,
    /// Records whose inputs were there already, or came twice.
    pub updated: usize,
}

/// Some records, the oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<DatasetRecord>,
    /// Present if more follow.
    pub next_page_token: Option<String>,
}

/// A record as sent: what is absent stays as it is where the record is merged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecordDraft {
    pub(crate) inputs: Map<String, Value>,
    pub(crate) outputs: Option<Value>,
    pub(crate) expectations: Option<Map<String, Value>>,
    pub(crate) tags: Option<Map<String, Value>>,
    pub(crate) source: Option<RecordSource>,
}

impl RecordDraft {
    /// Reads the record that stands at this place of a call.
    pub(crate) fn read(value: &Value, index: usize) -> Result<Self, WireError> {
        let field = |name: &str| format!("records[{index}].{name}");
        let Value::Object(members) = value else {
            return Err(WireError::wrong_type(&format!("records[{index}]"), value));
        };
        let object = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(found)) => Ok(Some(found.clone())),
            Some(other) => Err(WireError::wrong_type(&field(name), other)),
        };
        let inputs = match members.get("inputs") {
            Some(value @ Value::Null) => return Err(WireError::wrong_type(&field("inputs"), value)),
            _ => object("inputs")?.unwrap_or_default(),
        };
        Ok(Self {
            inputs,
            outputs: members.get("outputs").cloned(),
            expectations: object("expectations")?,
            tags: object("tags")?,
            source: object("source")?
                .map(|source| read_source(&source, &field("source")))
                .transpose()?,
        })
    }

    fn user(&self) -> Option<String> {
        let user = self.tags.as_ref()?.get(USER_TAG)?.as_str()?;
        Some(user.to_owned())
    }

    /// A new record of this draft.
    fn begun(self, id: String, now_ms: i64) -> DatasetRecord {
        let user = self.user();
        DatasetRecord {
            id,
            inputs: self.inputs,
            outputs: self.outputs.unwrap_or_else(|| Value::Object(Map::new())),
            expectations: self.expectations,
            tags: self.tags.unwrap_or_default(),
            source: self.source,
            created_ms: now_ms,
            updated_ms: now_ms,
            created_by: user.clone(),
            updated_by: user,
        }
    }

    /// Merges the draft into the record of the same inputs. Where that came from stays as it is.
    fn merge_into(self, record: &mut DatasetRecord, now_ms: i64) {
        let before = record.clone();
        let user = self.user();
        if let Some(expectations) = self.expectations {
            record
                .expectations
                .get_or_insert_with(Map::new)
                .extend(expectations);
        }
        record.tags.extend(self.tags.unwrap_or_default());
        if let Some(outputs) = self.outputs {
            record.outputs = outputs;
        }
        if *record != before {
            record.updated_ms = now_ms;
            record.updated_by = user;
        }
    }
}

fn read_source(source: &Map<String, Value>, field: &str) -> Result<RecordSource, WireError> {
    let sent = source
        .get("source_type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let kind = sent.to_ascii_uppercase();
    if !RecordSource::KINDS.contains(&kind.as_str()) {
        return Err(WireError::new(format!(
            "Invalid dataset record source type: {sent}. Valid source types: ['{}']",
            RecordSource::KINDS.join("', '")
        )));
    }
    let data = match source.get("source_data") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(data)) => data.clone(),
        Some(other) => return Err(WireError::wrong_type(&format!("{field}.source_data"), other)),
    };
    let source = RecordSource { kind, data };
    short(
        &format!("{field}.source_data.trace_id"),
        limits::KEY_LEN,
        source.trace_id().unwrap_or_default(),
    )?;
    Ok(source)
}

/// What a call brings, each with the hash of its inputs.
type Drafts = Vec<(String, RecordDraft)>;

impl Evaluation {
    /// Merges records, which are a JSON text of a list.
    ///
    /// # Errors
    /// There is no such dataset, a record is wrong or too large, or there are too many.
    pub async fn merge_records(&self, dataset_id: String, records: String) -> Result<Merged, TracesError> {
        let drafts = apart(move || read(&records)).await??;
        let now_ms = self.now_ms();
        let ids: Vec<String> = drafts.iter().map(|_| self.new_id("dr-")).collect();
        self.store
            .write(move |tx| merge(tx, &dataset_id, &drafts, &ids, now_ms))
            .await
    }

    /// A page of records, the oldest first. It may hold fewer than were asked for; its token goes on.
    ///
    /// # Errors
    /// There is no such dataset, or the limit or the token is wrong.
    pub async fn records(
        &self,
        dataset_id: String,
        max_results: Option<i64>,
        page_token: Option<String>,
    ) -> Result<RecordPage, TracesError> {
        let limit = match max_results {
            None => limits::RECORDS_PER_PAGE,
            Some(limit) if limit < 1 => {
                return Err(TracesError::invalid(format!(
                    "Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer"
                )));
            }
            Some(limit) => limit.min(limits::RECORDS_PER_PAGE_MOST),
        };
        // The token says up to which number the records were told.
        let from = i64::try_from(offset_of(page_token.as_deref())?).unwrap_or(i64::MAX);
        self.store
            .read(move |tx| {
                existing(tx, &dataset_id)?;
                let sizes = store::record_sizes(tx, &dataset_id, from, limit + 1)?;
                let page = fitting(&sizes, limit);
                let next = sizes.get(page.len()).map(|(number, _)| *number);
                let records = match page.last() {
                    Some((last, _)) => store::records_between(tx, &dataset_id, from, *last)?,
                    None => Vec::new(),
                };
                Ok(RecordPage {
                    records: records.into_iter().map(|kept| kept.record).collect(),
                    next_page_token: next.map(|number| token_of(number.unsigned_abs())),
                })
            })
            .await
    }

    /// Removes records; answers how many there were.
    ///
    /// # Errors
    /// There is no such dataset, or too many are named.
    pub async fn delete_records(&self, dataset_id: String, ids: Vec<String>) -> Result<u64, TracesError> {
        if ids.len() > limits::RECORDS_PER_CALL {
            return Err(too_many_records("dataset_record_ids"));
        }
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                let mut dataset = existing(tx, &dataset_id)?;
                let (removed, fingerprints) = store::delete_records(tx, &dataset_id, &ids)?;
                if removed > 0 {
                    dataset.records -= i64::try_from(removed).unwrap_or(i64::MAX);
                    dataset.fingerprint = dataset.fingerprint.wrapping_sub(fingerprints);
                    dataset.updated_ms = now_ms;
                    store::update_dataset(tx, &dataset)?;
                }
                Ok(removed)
            })
            .await
    }
}

/// As many records as one answer holds, and one at least.
fn fitting(sizes: &[(i64, i64)], limit: i64) -> &[(i64, i64)] {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(sizes.len());
    let mut bytes = 0;
    let over = sizes[..limit].iter().position(|(_, size)| {
        bytes += size;
        bytes > limits::RECORDS_ANSWER_BYTES
    });
    &sizes[..over.map_or(limit, |over| over.max(1))]
}

fn read(records: &str) -> Result<Drafts, TracesError> {
    let values: Vec<Value> = serde_json::from_str(records).map_err(|error| {
        WireError::invalid_value(
            "records",
            &records.chars().take(100).collect::<String>(),
            &format!("it must be a JSON list of objects ({error})"),
        )
    })?;
    if values.len() > limits::RECORDS_PER_CALL {
        return Err(too_many_records("records"));
    }
    let mut drafts = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let draft = RecordDraft::read(value, index)?;
        drafts.push((hash_of(&draft.inputs), draft));
    }
    Ok(drafts)
}

/// Tells inputs apart. Members are in the order of their names, so that theirs does not matter; `1` and `1.0` differ.
fn hash_of(inputs: &Map<String, Value>) -> String {
    blake3::hash(canonical(inputs).as_bytes()).to_hex().to_string()
}

fn merge(
    tx: &mut dyn Tx,
    dataset_id: &str,
    drafts: &[(String, RecordDraft)],
    ids: &[String],
    now_ms: i64,
) -> Result<Merged, TracesError> {
    let mut dataset = existing(tx, dataset_id)?;
    let hashes: Vec<String> = drafts.iter().map(|(hash, _)| hash.clone()).collect();
    let bytes = store::bytes_of_hashes(tx, dataset_id, &hashes)?;
    if bytes > limits::RECORDS_MERGED_BYTES {
        return Err(TracesError::Limit {
            field: "records",
            message: format!(
                "the records that these are merged into have {bytes} bytes, and one call changes {}",
                limits::RECORDS_MERGED_BYTES
            ),
            hint: "send them in several calls",
        });
    }
    let kept = store::records_of_hashes(tx, dataset_id, &hashes)?;
    let mut merged = Merged::default();
    let mut records: BTreeMap<&str, Changing> = kept
        .iter()
        .map(|kept| (kept.input_hash.as_str(), Changing::of(kept)))
        .collect();
    let mut begun: Vec<&str> = Vec::new();
    for ((hash, draft), id) in drafts.iter().zip(ids) {
        if let Some(changing) = records.get_mut(hash.as_str()) {
            draft.clone().merge_into(&mut changing.record, now_ms);
            merged.updated += 1;
        } else {
            let record = draft.clone().begun(id.clone(), now_ms);
            records.insert(hash, Changing { record, before: None });
            begun.push(hash);
            merged.inserted += 1;
        }
    }
    dataset.records += i64::try_from(begun.len()).unwrap_or(i64::MAX);
    if dataset.records > limits::RECORDS_PER_DATASET {
        return Err(TracesError::Limit {
            field: "records",
            message: format!("a dataset holds {} records", limits::RECORDS_PER_DATASET),
            hint: "begin another dataset, or delete records that are not needed",
        });
    }
    let mut inserted = Vec::with_capacity(begun.len());
    for hash in begun {
        let Some(changing) = records.remove(hash) else {
            continue;
        };
        let kept = as_kept(hash, dataset.next_record, changing.record)?;
        dataset.next_record += 1;
        dataset.fingerprint = dataset.fingerprint.wrapping_add(kept.fingerprint);
        inserted.push(kept);
    }
    store::insert_records(tx, dataset_id, &inserted)?;
    let mut changed = !inserted.is_empty();
    for (hash, changing) in records {
        let Some(before) = changing.before.filter(|before| before.record != changing.record) else {
            continue;
        };
        let kept = as_kept(hash, before.number, changing.record)?;
        dataset.fingerprint = dataset
            .fingerprint
            .wrapping_sub(before.fingerprint)
            .wrapping_add(kept.fingerprint);
        store::update_record(tx, dataset_id, &kept)?;
        changed = true;
    }
    if changed {
        let sent = drafts.iter().map(|(_, draft)| draft);
        dataset.schema = Some(widened(dataset.schema.take(), sent));
        dataset.updated_ms = now_ms;
        dataset.updated_by = drafts.last().and_then(|(_, draft)| draft.user());
        store::update_dataset(tx, &dataset)?;
    }
    Ok(merged)
}

/// A record while drafts are merged into it.
struct Changing<'k> {
    record: DatasetRecord,
    before: Option<&'k KeptRecord>,
}

impl<'k> Changing<'k> {
    fn of(kept: &'k KeptRecord) -> Self {
        Self {
            record: kept.record.clone(),
            before: Some(kept),
        }
    }
}

/// A record as it is kept; too large a one is refused.
fn as_kept(hash: &str, number: i64, record: DatasetRecord) -> Result<KeptRecord, TracesError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(hash.as_bytes());
    let mut bytes = spaced(&record.inputs).len();
    for text in [
        canonical(&record.outputs),
        canonical(&record.expectations),
        canonical(&record.tags),
    ] {
        bytes += text.len();
        hasher.update(&(text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    bytes += record
        .source
        .as_ref()
        .map_or(0, |source| spaced(&source.data).len());
    if bytes > limits::RECORD_BYTES {
        return Err(TracesError::Limit {
            field: "records",
            message: format!(
                "a record has {bytes} bytes, and {} are taken",
                limits::RECORD_BYTES
            ),
            hint: "keep what is large in an artifact, and name it in the record",
        });
    }
    let mut fingerprint = [0; 8];
    hasher.finalize_xof().fill(&mut fingerprint);
    Ok(KeptRecord {
        number,
        input_hash: hash.to_owned(),
        fingerprint: i64::from_be_bytes(fingerprint),
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        record,
    })
}

fn too_many_records(field: &'static str) -> TracesError {
    TracesError::too_many(
        field,
        "records",
        limits::RECORDS_PER_CALL,
        "send them in several calls",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_holds_what_fits_and_one_at_least() {
        let half = limits::RECORDS_ANSWER_BYTES / 2;
        let sizes: Vec<(i64, i64)> = (0..5).map(|number| (number, half)).collect();
        assert_eq!(fitting(&sizes, 10).len(), 2);
        assert_eq!(fitting(&sizes, 1).len(), 1);
        assert_eq!(fitting(&[(7, 5 * half), (8, 1)], 10), [(7, 5 * half)]);
        assert!(fitting(&[], 10).is_empty());
    }

    #[test]
    fn inputs_are_the_same_whatever_the_order_of_their_names() {
        let hash = |inputs: Value| hash_of(inputs.as_object().unwrap());
        assert_eq!(
            hash(serde_json::from_str(r#"{"a": 1, "b": {"c": 2, "d": 3}}"#).unwrap()),
            hash(serde_json::from_str(r#"{"b": {"d": 3, "c": 2}, "a": 1}"#).unwrap())
        );
        assert_ne!(hash(json!({"a": 1})), hash(json!({"a": 1.0})));
        assert_ne!(hash(json!({"a": 1})), hash(json!({"a": "1"})));
    }
}
