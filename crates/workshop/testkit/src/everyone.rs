//! A guard that lets everybody do everything, for suites of routes that are not about permissions.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use corliss_http::{AuthFailure, Credential, Denial, Guard};
use corliss_types::{IdSeed, Permission, Principal, PrincipalId, Role, Timestamp};

struct Everyone {
    name: &'static str,
}

/// Takes whoever calls for an administrator of this name.
#[must_use]
pub fn is_admin(name: &'static str) -> Arc<dyn Guard> {
    Arc::new(Everyone { name })
}

#[async_trait]
impl Guard for Everyone {
    async fn authenticate(&self, _: Credential, _: Option<IpAddr>) -> Result<Principal, AuthFailure> {
        let id = PrincipalId::new(IdSeed {
            at: Timestamp::from_millis(1),
            random: [1; 10],
        });
        Ok(Principal {
            id,
            name: self.name.to_owned(),
            role: Role::PlatformAdmin,
        })
    }

    fn allows(&self, _: &Principal, _: Permission) -> Result<(), Denial> {
        Ok(())
    }
}
