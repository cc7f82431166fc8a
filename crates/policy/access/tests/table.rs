//! The whole table against its golden file: a change of anybody's rights shows up in a diff.

use corliss_policy_access::{decide, holders, violations};
use corliss_types::{Permission, Role};

#[test]
fn the_table_is_the_golden_one() {
    let mut lines = String::new();
    for permission in Permission::ALL {
        let cells: Vec<String> = Role::ALL
            .iter()
            .map(|role| {
                let word = if decide(*role, *permission).allows() {
                    "allow"
                } else {
                    "deny"
                };
                format!("{role}={word}")
            })
            .collect();
        lines.push_str(&format!("{:<16} {}\n", permission.as_str(), cells.join(" ")));
    }
    assert_eq!(
        lines,
        include_str!("table.golden"),
        "if the change is meant, write this to table.golden:\n{lines}"
    );
}

#[test]
fn the_table_is_sound() {
    assert_eq!(violations(), Vec::<String>::new());
}

#[test]
fn a_denial_names_a_role_that_is_allowed() {
    for role in Role::ALL {
        for permission in Permission::ALL {
            if let corliss_policy_access::Decision::Deny(reason) = decide(*role, *permission) {
                assert!(decide(reason.ask, *permission).allows());
                assert_eq!((reason.role, reason.permission), (*role, *permission));
            }
            assert_eq!(
                holders(*permission).contains(role),
                decide(*role, *permission).allows()
            );
        }
    }
}
