//! The guard before every route: the service says who, the policy says whether.

use std::net::IpAddr;

use async_trait::async_trait;
use corliss_http::{AuthFailure, Credential, Denial, Guard, RequestEvent};
use corliss_policy_access::{Decision, decide, holders};
use corliss_types::{Permission, Principal};

use crate::Security;

#[async_trait]
impl Guard for Security {
    async fn authenticate(
        &self,
        presented: Credential,
        peer: Option<IpAddr>,
    ) -> Result<Principal, AuthFailure> {
        self.identify(&presented, peer).await.map(|found| found.principal)
    }

    fn allows(&self, principal: &Principal, permission: Permission) -> Result<(), Denial> {
        match decide(principal.role, permission) {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) => Err(Denial {
                role: reason.role,
                permission,
                held_by: holders(permission),
            }),
        }
    }

    async fn record(&self, event: RequestEvent) {
        self.record_event(event).await;
    }
}
