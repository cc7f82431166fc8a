//! The record of changes and refusals.
//!
//! What changes the installation (runs, jobs, models, endpoints, tokens) is written durably before it is
//! answered. Refusals and uploads of data are queued for the keeper, at most a second or so behind, so that a
//! stranger cannot make us wait for the disk. Allowed logging and inference is not recorded: it is counted
//! in metrics, and a line each would bury the rest.

use corliss_diagnostics::ErrorReport;
use corliss_http::RequestEvent;
use corliss_types::{Access, Permission};

use crate::store::audit;
use crate::types::AuditRecord;
use crate::{Security, SecurityError};

/// Lines that may wait for the keeper.
const QUEUE_MAX: usize = 4096;
const TARGET_MAX_LEN: usize = 512;

#[derive(PartialEq, Eq)]
enum Urgency {
    Now,
    Soon,
    Never,
}

impl Security {
    pub(crate) async fn record_event(&self, event: RequestEvent) {
        let urgency = urgency(&event);
        if urgency == Urgency::Never {
            return;
        }
        let record = self.line(event);
        if urgency == Urgency::Soon {
            self.queue(record);
            return;
        }
        let line = vec![record.clone()];
        let written = self
            .store
            .write::<_, SecurityError, _>(move |tx| Ok(audit::append(tx, &line)?))
            .await;
        if let Err(error) = written {
            // The change itself is done and cannot be taken back, so the line is kept for the keeper.
            tracing::error!(route = %record.route, "cannot record a change: {}", ErrorReport::of(&error).message);
            self.queue(record);
        }
    }

    /// Lines before this id, newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn audit(&self, before: String, limit: u32) -> Result<Vec<AuditRecord>, SecurityError> {
        self.store
            .read::<_, SecurityError, _>(move |tx| Ok(audit::list(tx, &before, limit)?))
            .await
    }

    fn queue(&self, record: AuditRecord) {
        {
            let mut pending = self.pending();
            if pending.records.len() < QUEUE_MAX {
                pending.records.push(record);
            } else {
                pending.lost += 1;
            }
        }
        self.wake.signal();
    }

    fn line(&self, event: RequestEvent) -> AuditRecord {
        let seed = self.sources.id_seed();
        let random: String = seed.random.iter().map(|byte| format!("{byte:02x}")).collect();
        AuditRecord {
            id: format!("aud_{:012x}{random}", seed.at.as_millis().max(0)),
            at_ms: seed.at,
            principal_id: event.principal.as_ref().map(|principal| principal.id.clone()),
            principal: event.principal.map(|principal| principal.name),
            peer: event.peer.map(|peer| peer.to_string()),
            method: event.method.to_string(),
            route: event.route,
            // A path cannot hold NUL once it is percent-encoded, but it can be long.
            target: event.target.chars().take(TARGET_MAX_LEN).collect(),
            status: event.status.as_u16(),
            request_id: event.request_id,
        }
    }
}

fn urgency(event: &RequestEvent) -> Urgency {
    if event.denied() {
        return Urgency::Soon;
    }
    match event.access {
        Access::Requires(Permission::TrackingWrite | Permission::Infer) => Urgency::Never,
        Access::Requires(Permission::DataWrite) => Urgency::Soon,
        // A change that was refused for another reason changed nothing.
        _ if event.status.is_success() => Urgency::Now,
        _ => Urgency::Soon,
    }
}
