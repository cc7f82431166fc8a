//! The first administrator's token, and the credentials file that carries it.
//!
//! Order: the file is written before the token is stored. Killed in between, the next start finds a file
//! whose token nobody knows and an installation without any token, and adopts it: whoever can write this
//! file could as well have started a new installation. Once a token exists, a file is never adopted.

use std::path::Path;

use corliss_metastore::StoreError;
use corliss_types::{Principal, PrincipalId, Role, TokenId};

use crate::credentials::{self, Credentials};
use crate::secret::{Digest, Secret};
use crate::store::tokens::{self, NewToken};
use crate::types::TokenKind;
use crate::{Security, SecurityError};

const NAME: &str = "local-admin";

impl Security {
    /// Makes sure that the credentials file exists and names this address; called once the server listens.
    /// `ca` is the private authority, if any, that signed the server's certificate.
    ///
    /// A missing file is made anew, and the token of the one before stops working. To shut this door for
    /// good, revoke its token and leave the file: a file that is there is never given another token.
    ///
    /// # Errors
    /// If the file or the store cannot be read or written.
    pub async fn ensure_credentials(
        &self,
        path: &Path,
        url: &str,
        ca: Option<&Path>,
    ) -> Result<Credentials, SecurityError> {
        let fresh = !self
            .store
            .read(|tx| tokens::any(tx))
            .await
            .map_err(|error: StoreError| error)?;
        let existing = credentials::read(path)?;
        let (token, store_it) = match &existing {
            Some(credentials) => (credentials.token.clone(), fresh),
            None => (Secret::random(self.sources.entropy.as_ref()).into_text(), true),
        };
        let wanted = Credentials {
            url: url.to_owned(),
            token,
            ca: ca.map(Path::to_owned),
        };
        if existing.as_ref() != Some(&wanted) {
            credentials::write(path, &wanted)?;
        }
        if store_it {
            self.store_local(&wanted.token).await?;
        }
        Ok(wanted)
    }

    async fn store_local(&self, token: &str) -> Result<(), SecurityError> {
        let now = self.sources.clock.now();
        let new = NewToken {
            id: TokenId::new(self.sources.id_seed()),
            digest: Digest::of(token).hex(),
            kind: TokenKind::Local,
            principal: Principal {
                id: PrincipalId::new(self.sources.id_seed()),
                name: NAME.to_owned(),
                role: Role::PlatformAdmin,
            },
            run: None,
            step: None,
            created: now,
            expires: None,
        };
        self.store
            .write::<_, StoreError, _>(move |tx| {
                let before = tokens::principal_named(tx, NAME, now)?;
                tokens::revoke_local(tx, now)?;
                let mut new = new.clone();
                if let Some(principal) = before.filter(|principal| principal.role == Role::PlatformAdmin) {
                    new.principal = principal;
                }
                tokens::put(tx, &new)
            })
            .await?;
        self.cache().clear();
        Ok(())
    }
}
