//! The log of a model.

use super::{Registry, existing};
use crate::RegistryError;
use crate::events::ModelEvent;
use crate::store::events;

impl Registry {
    /// A page of a model's log, newest first, and the number to go on before. A model that was deleted still has its
    /// log, under the name that it had.
    ///
    /// # Errors
    /// There never was such a model, or the token is wrong.
    pub async fn events(
        &self,
        name: String,
        limit: u32,
        page_token: Option<String>,
    ) -> Result<(Vec<ModelEvent>, Option<String>), RegistryError> {
        let wrong = || RegistryError::invalid("page_token is not one that this list gave".to_owned());
        let before = page_token
            .map(|token| {
                token
                    .parse::<i64>()
                    .ok()
                    .filter(|number| *number > 0)
                    .ok_or_else(wrong)
            })
            .transpose()?
            .unwrap_or(i64::MAX);
        let wanted = i64::from(limit);
        let mut found = self
            .store
            .read(move |tx| {
                let found = events::page(tx, &name, before, wanted + 1)?;
                if found.is_empty() {
                    existing(tx, &name)?;
                }
                Ok::<_, RegistryError>(found)
            })
            .await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found
            .last()
            .filter(|_| more)
            .map(|event| event.sequence.to_string());
        Ok((found, next))
    }
}
