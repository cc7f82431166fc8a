//! Names of metrics, parameters and tags as numbers: a name stands once in the database, not in every row.
//!
//! A name that has a number keeps it for ever, so what was committed once can be remembered without asking again.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use corliss_metastore::{Metastore, StoreError, Tx, Value};

/// What is remembered is forgotten beyond this many names, so that made-up names do not fill the memory.
const REMEMBERED: usize = 200_000;
/// The number of a name that nothing has.
pub(crate) const NO_KEY: i64 = -1;

/// The names that are known.
#[derive(Debug)]
pub(crate) struct Keys {
    next: AtomicI64,
    known: RwLock<Known>,
    /// Whoever has it gives numbers. One at a time: twenty users who log the same new names at once would wait for each
    /// other's rows, and run again after the conflict.
    turn: tokio::sync::Mutex<()>,
    /// What those who wait for their turn want, so that whoever has it learns the names of all.
    wanted: Mutex<BTreeSet<String>>,
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
        Ok(Self::from_number(next))
    }

    fn from_number(next: i64) -> Self {
        Self {
            next: AtomicI64::new(next),
            known: RwLock::default(),
            turn: tokio::sync::Mutex::default(),
            wanted: Mutex::default(),
        }
    }

    /// With nothing to remember.
    #[cfg(test)]
    pub fn of_nothing() -> Self {
        Self::from_number(1)
    }

    /// The numbers of these names, in their order; new names get one, which is durable when this returns.
    pub async fn numbers(&self, store: &Metastore, names: &[&str]) -> Result<Vec<i64>, StoreError> {
        let (numbers, new) = self.recall(names);
        if new.is_empty() {
            return Ok(numbers);
        }
        self.wanted().extend(new);
        let _turn = self.turn.lock().await;
        let (mut numbers, own) = self.recall(names);
        if own.is_empty() {
            return Ok(numbers);
        }
        let mut all = std::mem::take(&mut *self.wanted());
        all.extend(own.iter().cloned());
        let learnt = match self.learn(store, all.into_iter().collect()).await {
            Ok(learnt) => learnt,
            // Perhaps the name of another is one that the database refuses.
            Err(_) => self.learn(store, own).await?,
        };
        for (number, name) in numbers.iter_mut().zip(names) {
            if let Some(found) = learnt.get(*name) {
                *number = *found;
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (name, number) in learnt {
            known.learn(name, number);
        }
        Ok(numbers)
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers of names that are not remembered: those they have, or new ones.
    async fn learn(&self, store: &Metastore, names: Vec<String>) -> Result<HashMap<String, i64>, StoreError> {
        let count = i64::try_from(names.len()).unwrap_or(i64::MAX);
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        store
            .write(move |tx| {
                let mut found = by_name(tx, &names)?;
                let unnamed = names.iter().filter(|name| !found.contains_key(*name));
                let new: Vec<(i64, &String)> = (first..).zip(unnamed).collect();
                for some in super::row_groups(&new) {
                    let cells = some
                        .iter()
                        .flat_map(|(number, name)| [Value::from(*number), (*name).into()]);
                    let rows = super::placeholders(some.len(), 2);
                    // Of a caller who went away while his names were learnt.
                    let sql = format!(
                        "INSERT INTO tracking_keys (key_no, name) VALUES {rows} ON CONFLICT (name) DO NOTHING"
                    );
                    tx.execute(&sql, &cells.collect::<Vec<_>>())?;
                }
                found.extend(new.into_iter().map(|(number, name)| (name.clone(), number)));
                Ok(found)
            })
            .await
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
