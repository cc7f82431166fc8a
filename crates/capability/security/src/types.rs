//! What the service answers with, and what it hands to the store.

use corliss_types::{DurationMs, Principal, PrincipalId, Role, Timestamp, TokenId};
use serde::{Deserialize, Serialize};

/// How a token came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Made at first start and written to the credentials file.
    Local,
    /// Made by an administrator for a person or a program.
    Issued,
    /// Made for one attempt of one step of a run.
    Workload,
}

impl TokenKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Issued => "issued",
            Self::Workload => "workload",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Local, Self::Issued, Self::Workload]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// A token as listed: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Id.
    pub id: TokenId,
    /// Name of its principal.
    pub name: String,
    /// Role of its principal.
    pub role: Role,
    /// How it came to be.
    pub kind: TokenKind,
    /// When it was made.
    pub created_ms: Timestamp,
    /// When it stops working, if ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<Timestamp>,
    /// When it was last used, to within five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_ms: Option<Timestamp>,
}

/// A token just made; the only time its secret is seen.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// Id.
    pub id: TokenId,
    /// Name of its principal.
    pub name: String,
    /// Role of its principal.
    pub role: Role,
    /// The secret.
    pub token: String,
    /// When it stops working, if ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<Timestamp>,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A console session just made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The cookie's value.
    pub secret: String,
    /// Who signed in.
    pub principal: Principal,
    /// How long the cookie lives.
    pub lifetime: DurationMs,
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Id; sorts by time.
    pub id: String,
    /// When.
    pub at_ms: Timestamp,
    /// Who, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<PrincipalId>,
    /// Their name at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The address that they called from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// HTTP method.
    pub method: String,
    /// Path template of the route.
    pub route: String,
    /// The path as requested.
    pub target: String,
    /// Status of the answer.
    pub status: u16,
    /// Id of the request.
    pub request_id: String,
}

/// A credential as found in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) principal: Principal,
    pub(crate) token: TokenId,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) last_used: Option<Timestamp>,
}
