//! Versioned schema changes, one sequence per component, recorded in `metastore_migrations`.

use std::collections::BTreeMap;

use crate::StoreError;

/// The schema history of one component. A released step is never edited; a change is a new step.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// The component's name, also the prefix of its tables.
    pub component: &'static str,
    /// Step n (from 1) brings the schema from version n-1 to n. A step may hold several statements. A table may end in
    /// `WITHOUT ROWID`, which only SQLite is told.
    pub steps: &'static [&'static str],
}

pub(crate) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS metastore_migrations (
    component TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
)";

pub(crate) const SELECT: &str = "SELECT component, version FROM metastore_migrations";

/// SQLite alone knows tables whose rows lie in the order of their key; PostgreSQL has the same tables without it.
pub(crate) fn for_postgres(step: &str) -> String {
    step.replace(" WITHOUT ROWID", "")
}

/// Steps still to run, in order: component, version reached, statements.
pub(crate) type Pending = Vec<(&'static str, i64, &'static str)>;

/// Compares what the database has (component to version) with what this program knows.
pub(crate) fn pending(applied: &BTreeMap<String, i64>, known: &[Migrations]) -> Result<Pending, StoreError> {
    refuse_newer(applied, known)?;
    let mut pending = Pending::new();
    for migrations in known {
        let have = applied.get(migrations.component).copied().unwrap_or(0);
        for (version, step) in (1_i64..).zip(migrations.steps) {
            if version > have {
                pending.push((migrations.component, version, *step));
            }
        }
    }
    Ok(pending)
}

fn refuse_newer(applied: &BTreeMap<String, i64>, known: &[Migrations]) -> Result<(), StoreError> {
    for (component, found) in applied {
        let ours = known.iter().find(|migrations| migrations.component == component);
        let supported = ours.map_or(0, |migrations| migrations.steps.len() as i64);
        if *found > supported {
            return Err(StoreError::Newer {
                component: component.clone(),
                found: *found,
                supported,
            });
        }
    }
    Ok(())
}

/// Records that a component has reached a version; both are literals of ours, never input.
pub(crate) fn record_sql(component: &str, version: i64) -> String {
    format!(
        "INSERT INTO metastore_migrations (component, version) VALUES ('{component}', {version})
         ON CONFLICT (component) DO UPDATE SET version = excluded.version"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Migrations] = &[Migrations {
        component: "jobs",
        steps: &["one", "two"],
    }];

    fn applied(component: &str, version: i64) -> BTreeMap<String, i64> {
        BTreeMap::from([(component.to_owned(), version)])
    }

    #[test]
    fn only_missing_steps_are_pending() {
        assert_eq!(
            pending(&BTreeMap::new(), KNOWN).unwrap(),
            vec![("jobs", 1, "one"), ("jobs", 2, "two")]
        );
        assert_eq!(
            pending(&applied("jobs", 1), KNOWN).unwrap(),
            vec![("jobs", 2, "two")]
        );
        assert!(pending(&applied("jobs", 2), KNOWN).unwrap().is_empty());
    }

    #[test]
    fn a_newer_database_is_refused_by_name() {
        let error = pending(&applied("jobs", 3), KNOWN).unwrap_err();
        assert_eq!(
            error,
            StoreError::Newer {
                component: "jobs".into(),
                found: 3,
                supported: 2
            }
        );
        let error = pending(&applied("planets", 1), KNOWN).unwrap_err();
        assert_eq!(
            error,
            StoreError::Newer {
                component: "planets".into(),
                found: 1,
                supported: 0
            }
        );
    }
}
