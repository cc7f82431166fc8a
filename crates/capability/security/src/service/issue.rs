//! Issuing, listing and revoking tokens.

use corliss_types::{DurationMs, Principal, PrincipalId, Role, TokenId};
use serde::Deserialize;

use crate::secret::Secret;
use crate::store::tokens::{self, NewToken};
use crate::types::{IssuedToken, TokenKind, TokenView};
use crate::{Security, SecurityError};

const NAME_MAX_LEN: usize = 63;
const LIFETIME_MIN_S: u64 = 60;
const LIFETIME_MAX_S: u64 = 10 * 365 * 24 * 3600;

/// What an administrator asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    pub(crate) name: String,
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) expires_in_s: Option<u64>,
}

impl Security {
    /// Issues a token. Tokens of one name belong to one principal, so that a token can be replaced by a new one.
    ///
    /// # Errors
    /// If the name is not one, belongs to another role, or the lifetime is out of range.
    pub(crate) async fn issue(&self, request: TokenRequest) -> Result<IssuedToken, SecurityError> {
        check(&request)?;
        let now = self.sources.clock.now();
        let secret = Secret::random(self.sources.entropy.as_ref());
        let expires = request
            .expires_in_s
            .map(|seconds| now + DurationMs::from_secs(seconds));
        let new = NewToken {
            id: TokenId::new(self.sources.id_seed()),
            digest: secret.digest().hex(),
            kind: TokenKind::Issued,
            principal: Principal {
                id: PrincipalId::new(self.sources.id_seed()),
                name: request.name,
                role: request.role,
            },
            run: None,
            step: None,
            created: now,
            expires,
        };
        let issued = IssuedToken {
            id: new.id.clone(),
            name: new.principal.name.clone(),
            role: new.principal.role,
            token: secret.into_text(),
            expires_ms: expires,
        };
        self.store
            .write::<_, SecurityError, _>(move |tx| {
                let mut new = new.clone();
                match tokens::principal_named(tx, &new.principal.name, now)? {
                    Some(principal) if principal.role != new.principal.role => {
                        return Err(SecurityError::NameTaken {
                            name: principal.name,
                            role: principal.role,
                        });
                    }
                    Some(principal) => new.principal = principal,
                    None => {}
                }
                Ok(tokens::put(tx, &new)?)
            })
            .await?;
        Ok(issued)
    }

    /// Working tokens after this id, except those of workloads.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn list(&self, after: String, limit: u32) -> Result<Vec<TokenView>, SecurityError> {
        let now = self.sources.clock.now();
        self.store
            .read::<_, SecurityError, _>(move |tx| Ok(tokens::list(tx, &after, limit, now)?))
            .await
    }

    /// Revokes a token and ends the sessions opened with it.
    ///
    /// # Errors
    /// If there is none, or it is the last lasting one of a platform admin.
    pub(crate) async fn revoke(&self, id: String) -> Result<(), SecurityError> {
        let Ok(token) = id.parse::<TokenId>() else {
            return Err(SecurityError::TokenNotFound { id });
        };
        let now = self.sources.clock.now();
        self.store
            .write::<_, SecurityError, _>(move |tx| {
                let Some(role) = tokens::role_of(tx, &token)? else {
                    return Err(SecurityError::TokenNotFound { id: id.clone() });
                };
                if role == Role::PlatformAdmin && tokens::lasting_admins_besides(tx, &token)? == 0 {
                    return Err(SecurityError::LastAdmin { id: id.clone() });
                }
                tokens::revoke(tx, &token, now)?;
                Ok(())
            })
            .await?;
        self.cache().clear();
        Ok(())
    }
}

fn check(request: &TokenRequest) -> Result<(), SecurityError> {
    let invalid = |field, reason: String| Err(SecurityError::Invalid { field, reason });
    let name = &request.name;
    let named = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= NAME_MAX_LEN
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'));
    if !named {
        return invalid(
            "name",
            format!(
                "must start with a letter or digit and hold only those, '-', '_', '.' and '@', at most {NAME_MAX_LEN}"
            ),
        );
    }
    if request.role == Role::Workload {
        return invalid(
            "role",
            "cannot be workload: such tokens are made for the steps of a run".to_owned(),
        );
    }
    match request.expires_in_s {
        Some(seconds) if !(LIFETIME_MIN_S..=LIFETIME_MAX_S).contains(&seconds) => invalid(
            "expires_in_s",
            format!("must lie between {LIFETIME_MIN_S} and {LIFETIME_MAX_S}"),
        ),
        _ => Ok(()),
    }
}
