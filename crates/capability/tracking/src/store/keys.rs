//! Names of metrics, parameters and tags as numbers: a name stands once in the database, not in every row.
//!
//! A name that has a number keeps it for ever, so what was committed once can be remembered without asking again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use corliss_metastore::{Metastore, StoreError, Tx, params};

/// What is remembered is forgotten beyond this many names, so that made-up names do not fill the memory.
const REMEMBERED: usize = 200_000;
/// The number of a name that nothing has.
pub(crate) const NO_KEY: i64 = -1;

/// The names that are known.
#[derive(Debug)]
pub(crate) struct Keys {
    next: AtomicI64,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<String, i64>,
    by_number: HashMap<i64, String>,
}

impl Known {
    fn learn(&mut self, name: String, number: i64) {
        if self.by_name.len() >= REMEMBERED {
            *self = Self::default();
        }
        self.by_number.insert(number, name.clone());
        self.by_name.insert(name, number);
    }
}

impl Keys {
    /// Those of a store that nobody else writes.
    pub async fn open(store: &Metastore) -> Result<Self, StoreError> {
        let next = store
            .read(|tx| {
                tx.query_one(
                    "SELECT COALESCE(MAX(key_no), 0) + 1 AS next FROM tracking_keys",
                    &[],
                )?
                .integer("next")
            })
            .await?;
        Ok(Self {
            next: AtomicI64::new(next),
            known: RwLock::default(),
        })
    }

    /// With nothing to remember.
    #[cfg(test)]
    pub fn of_nothing() -> Self {
        Self {
            next: AtomicI64::new(1),
            known: RwLock::default(),
        }
    }

    /// The numbers of these names, in their order; new names get one, which is durable when this returns.
    pub async fn numbers(&self, store: &Metastore, names: &[&str]) -> Result<Vec<i64>, StoreError> {
        let (mut numbers, new) = self.recall(names);
        if new.is_empty() {
            return Ok(numbers);
        }
        let mut wanted: Vec<(String, i64)> = new.into_iter().map(|name| (name, 0)).collect();
        for (_, number) in &mut wanted {
            *number = self.next.fetch_add(1, Ordering::Relaxed);
        }
        let learnt = store
            .write(move |tx| {
                for (name, number) in &wanted {
                    tx.execute(
                        "INSERT INTO tracking_keys (key_no, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                        params![*number, name],
                    )?;
                }
                let names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
                by_name(tx, &names)
            })
            .await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (name, number) in &mut numbers.iter_mut().zip(names).map(|(number, name)| (name, number)) {
            if let Some(found) = learnt.get(*name) {
                *number = *found;
            }
        }
        for (name, number) in learnt {
            known.learn(name, number);
        }
        Ok(numbers)
    }

    /// The numbers that are remembered, and the names that are not, each once.
    fn recall(&self, names: &[&str]) -> (Vec<i64>, Vec<String>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let recall = |name: &&str| known.by_name.get(*name).copied();
        let numbers: Vec<Option<i64>> = names.iter().map(recall).collect();
        let unknown = names.iter().zip(&numbers).filter(|(_, number)| number.is_none());
        let mut unknown: Vec<String> = unknown.map(|(name, _)| (*name).to_owned()).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let numbers = numbers
            .into_iter()
            .map(|number| number.unwrap_or(NO_KEY))
            .collect();
        (numbers, unknown)
    }

    /// The number of a name, in a transaction that reads; [`NO_KEY`] if it has none.
    pub fn number(&self, tx: &mut dyn Tx, name: &str) -> Result<i64, StoreError> {
        let known = self.recall(&[name]).0;
        if let Some(number) = known.first().filter(|number| **number != NO_KEY) {
            return Ok(*number);
        }
        // Not remembered: in a transaction that writes it might not be committed.
        let found = by_name(tx, &[name.to_owned()])?;
        Ok(found.get(name).copied().unwrap_or(NO_KEY))
    }

    /// The names of these numbers, which rows have.
    pub fn names(
        &self,
        tx: &mut dyn Tx,
        numbers: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, String>, StoreError> {
        let mut names = HashMap::new();
        let mut unknown: Vec<i64> = Vec::new();
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            for number in numbers {
                if names.contains_key(&number) {
                    continue;
                }
                match known.by_number.get(&number) {
                    Some(name) => {
                        names.insert(number, name.clone());
                    }
                    None => unknown.push(number),
                }
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(names);
        }
        let mut found = Vec::new();
        for list in super::number_lists(&unknown) {
            let sql = format!(
                "SELECT key_no, name FROM tracking_keys WHERE key_no IN ({})",
                super::list(list.len())
            );
            for row in tx.query(&sql, &list)? {
                found.push((row.integer("key_no")?, row.text("name")?));
            }
        }
        // Rows refer only to names that were committed before them.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (number, name) in found {
            known.learn(name.clone(), number);
            names.insert(number, name);
        }
        Ok(names)
    }
}

fn by_name(tx: &mut dyn Tx, names: &[String]) -> Result<HashMap<String, i64>, StoreError> {
    let mut found = HashMap::new();
    for list in super::text_lists(names) {
        let sql = format!(
            "SELECT key_no, name FROM tracking_keys WHERE name IN ({})",
            super::list(list.len())
        );
        for row in tx.query(&sql, &list)? {
            found.insert(row.text("name")?, row.integer("key_no")?);
        }
    }
    Ok(found)
}

/// A name that rows refer to and that is not there: the database was changed by hand.
pub(crate) fn name_of(names: &HashMap<i64, String>, number: i64) -> Result<String, StoreError> {
    names.get(&number).cloned().ok_or_else(|| StoreError::Malformed {
        column: "key_no".to_owned(),
        message: format!("no name has the number {number}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_has_one_number_for_ever() {
        let store = Metastore::in_memory(&[super::super::MIGRATIONS]).await.unwrap();
        let keys = Keys::open(&store).await.unwrap();
        let first = keys.numbers(&store, &["loss", "acc", "loss"]).await.unwrap();
        assert_eq!(first[0], first[2]);
        assert_ne!(first[0], first[1]);
        assert_eq!(keys.numbers(&store, &["new", "acc"]).await.unwrap()[1], first[1]);
        // As after a restart.
        let keys = std::sync::Arc::new(Keys::open(&store).await.unwrap());
        let (found, names) = {
            let (keys, numbers) = (keys.clone(), first.clone());
            store
                .read(move |tx| {
                    let found = (keys.number(tx, "loss")?, keys.number(tx, "nothing")?);
                    Ok::<_, StoreError>((found, keys.names(tx, numbers.iter().copied())?))
                })
                .await
                .unwrap()
        };
        assert_eq!(found, (first[0], NO_KEY));
        assert_eq!(name_of(&names, first[1]).unwrap(), "acc");
        assert!(name_of(&names, 999).is_err());
        let again = keys.numbers(&store, &["other", "loss"]).await.unwrap();
        assert_eq!(again[1], first[0]);
        assert!(!first.contains(&again[0]));
    }
}
