//! The table itself. Both matches are exhaustive on purpose: a new role or permission does not compile
//! until somebody has decided who holds it.

use corliss_types::{Permission, Role};

use crate::{Decision, Reason};

/// Whether `role` may use `permission`.
#[must_use]
pub const fn decide(role: Role, permission: Permission) -> Decision {
    let least = least_person(permission);
    let allowed = match role {
        Role::Workload => workload(permission),
        person => rank(person) >= rank(least),
    };
    if allowed {
        Decision::Allow
    } else {
        Decision::Deny(Reason {
            role,
            permission,
            ask: least,
        })
    }
}

/// Every role that holds the permission, least privileged first.
#[must_use]
pub fn holders(permission: Permission) -> Vec<Role> {
    Role::ALL
        .iter()
        .copied()
        .filter(|role| decide(*role, permission).allows())
        .collect()
}

/// People's roles are nested: each holds all that the one before holds.
const fn rank(role: Role) -> u8 {
    match role {
        Role::Workload => 0,
        Role::DataScientist => 1,
        Role::MlEngineer => 2,
        Role::PlatformAdmin => 3,
    }
}

/// The least privileged person who holds a permission.
const fn least_person(permission: Permission) -> Role {
    match permission {
        Permission::DataRead
        | Permission::DataWrite
        | Permission::RunsRead
        | Permission::RunsWrite
        | Permission::JobsRead
        | Permission::JobsWrite
        | Permission::TrackingRead
        | Permission::TrackingWrite
        | Permission::ModelsRead
        | Permission::ModelsWrite
        | Permission::EndpointsRead
        | Permission::Infer
        | Permission::SystemRead => Role::DataScientist,
        Permission::ModelsPromote | Permission::ModelsApprove | Permission::EndpointsWrite => {
            Role::MlEngineer
        }
        // Who may set an alias must not be able to end what guards it.
        Permission::QueuesManage
        | Permission::ModelsProtect
        | Permission::ModelsDeployUnsafe
        | Permission::SystemAdmin => Role::PlatformAdmin,
    }
}

/// A task runs code that nobody here has read: it reads data and models, logs, and asks endpoints.
const fn workload(permission: Permission) -> bool {
    match permission {
        Permission::DataRead
        | Permission::TrackingRead
        | Permission::TrackingWrite
        | Permission::ModelsRead
        | Permission::Infer => true,
        Permission::DataWrite
        | Permission::RunsRead
        | Permission::RunsWrite
        | Permission::JobsRead
        | Permission::JobsWrite
        | Permission::QueuesManage
        | Permission::ModelsWrite
        | Permission::ModelsPromote
        | Permission::ModelsApprove
        | Permission::ModelsProtect
        | Permission::ModelsDeployUnsafe
        | Permission::EndpointsRead
        | Permission::EndpointsWrite
        | Permission::SystemRead
        | Permission::SystemAdmin => false,
    }
}
