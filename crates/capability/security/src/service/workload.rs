//! Tokens for the tasks of a run: narrow, short-lived, the same however often they are asked for.

use corliss_types::{AttemptNumber, DurationMs, Principal, PrincipalId, Role, RunId, TokenId};

use crate::secret::Secret;
use crate::store::tokens::{self, NewToken};
use crate::types::TokenKind;
use crate::{Security, SecurityError};

impl Security {
    /// The token of one attempt of a step, valid for `ttl` from now. Asked again, the answer is the same
    /// token with a new end; so it may be called again after a crash at any point.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn issue_workload(
        &self,
        run: &RunId,
        step: &str,
        attempt: AttemptNumber,
        ttl: DurationMs,
    ) -> Result<String, SecurityError> {
        let now = self.sources.clock.now();
        let secret = Secret::of_workload(&self.key, run.as_str(), step, attempt);
        let new = NewToken {
            id: TokenId::new(self.sources.id_seed()),
            digest: secret.digest().hex(),
            kind: TokenKind::Workload,
            principal: Principal {
                id: PrincipalId::new(self.sources.id_seed()),
                name: format!("{run}/{step}"),
                role: Role::Workload,
            },
            run: Some(run.clone()),
            step: Some(step.to_owned()),
            created: now,
            expires: Some(now + ttl),
        };
        self.store
            .write::<_, SecurityError, _>(move |tx| Ok(tokens::put(tx, &new)?))
            .await?;
        self.cache().clear();
        Ok(secret.into_text())
    }

    /// Ends the tokens of a step, or of the whole run. Nothing happens if there are none.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn revoke_workload(&self, run: &RunId, step: Option<&str>) -> Result<(), SecurityError> {
        let now = self.sources.clock.now();
        let (run, step) = (run.clone(), step.map(str::to_owned));
        self.store
            .write::<_, SecurityError, _>(move |tx| {
                tokens::revoke_workload(tx, &run, step.as_deref(), now)?;
                Ok(())
            })
            .await?;
        self.cache().clear();
        Ok(())
    }
}
