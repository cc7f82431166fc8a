//! What must hold of any table, whoever edits it.

use corliss_types::{Permission, Role};

use crate::decide;

/// Every broken rule, in words; empty if the table is sound.
#[must_use]
pub fn violations() -> Vec<String> {
    let mut found = Vec::new();
    for permission in Permission::ALL.iter().copied() {
        let holds = |role| decide(role, permission).allows();
        if !holds(Role::PlatformAdmin) {
            found.push(format!(
                "nobody can grant {permission}: platform-admin does not hold it"
            ));
        }
        if holds(Role::DataScientist) && !holds(Role::MlEngineer) {
            found.push(format!(
                "data-scientist holds {permission} but ml-engineer does not"
            ));
        }
        if holds(Role::Workload) && !holds(Role::DataScientist) {
            found.push(format!(
                "a workload holds {permission} but the one who started it may not"
            ));
        }
    }
    found
}
