//! What a decision says.

use corliss_types::{Permission, Role};

/// Whether the role may use the permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not.
    Deny(Reason),
}

impl Decision {
    /// Whether this allows.
    #[must_use]
    pub const fn allows(self) -> bool {
        matches!(self, Self::Allow)
    }
}

/// Why a role may not: data, from which each caller makes its own sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The role that asked.
    pub role: Role,
    /// What it does not hold.
    pub permission: Permission,
    /// The least privileged role that holds it, for the hint.
    pub ask: Role,
}
