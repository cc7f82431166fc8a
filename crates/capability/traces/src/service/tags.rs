//! Tags of traces, one at a time.

use std::collections::BTreeMap;

use super::start::put_pairs;
use super::{NAME_TAG, Traces, check};
use crate::TracesError;
use crate::store::{self, Pair};

impl Traces {
    /// Sets a tag; the tag `mlflow.traceName` is the trace's name. A value that is too long is cut.
    ///
    /// # Errors
    /// There is no such trace, the key is wrong, or only the server sets this tag.
    pub async fn set_tag(&self, trace_id: String, key: String, value: String) -> Result<(), TracesError> {
        check::tag_may_change(&key, true)?;
        let (key, value) = check::tag(&key, &value)?;
        let name = (key == NAME_TAG).then(|| check::name(&value)).transpose()?;
        self.store
            .write(move |tx| {
                let mut head =
                    store::head(tx, &trace_id)?.ok_or_else(|| TracesError::trace_not_found(&trace_id))?;
                if name.is_some() {
                    head.name.clone_from(&name);
                    return Ok(store::update_head(tx, &head)?);
                }
                let tag = BTreeMap::from([(key.clone(), value.clone())]);
                put_pairs(tx, Pair::Tag, head.number, &tag)
            })
            .await
    }

    /// Removes a tag.
    ///
    /// # Errors
    /// There is no such trace, it has no such tag, or only the server removes this tag.
    pub async fn delete_tag(&self, trace_id: String, key: String) -> Result<(), TracesError> {
        check::tag_may_change(&key, false)?;
        self.store
            .write(move |tx| {
                let absent = || {
                    TracesError::NotFound(format!(
                        "No trace tag with key '{key}' for trace with ID '{trace_id}'"
                    ))
                };
                let mut head = store::head(tx, &trace_id)?.ok_or_else(absent)?;
                if key == NAME_TAG {
                    head.name.take().ok_or_else(absent)?;
                    return Ok(store::update_head(tx, &head)?);
                }
                if store::delete_tag(tx, head.number, &key)? {
                    return Ok(());
                }
                Err(absent())
            })
            .await
    }
}
