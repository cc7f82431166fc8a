//! Carries a plan out, one recorded step at a time.

use corliss_policy_serving::{Action, Phase, Plan};
use corliss_types::ReplicaId;

use super::endpoint::{EndpointReconciler, Live};
use crate::ServingError;
use crate::store::{self, EndpointRow, Failure, ReplicaRow};
use crate::types::ReplicaPhase;

/// Ended replicas that an endpoint still shows.
const ENDED_SHOWN: u32 = 8;

impl EndpointReconciler {
    pub(super) async fn apply(&self, live: &mut Live, plan: &Plan) -> Result<(), ServingError> {
        for action in &plan.actions {
            match action {
                Action::Start { version } => self.start(live, *version).await?,
                Action::Drain { replica } => self.turn(live, replica, ReplicaPhase::Draining).await?,
                Action::Stop { replica } => self.turn(live, replica, ReplicaPhase::Stopping).await?,
                Action::Fail { replica } => {
                    if let Some(index) = position(live, replica) {
                        let reason = "it did not become ready in time".to_owned();
                        self.crashed(live, index, ReplicaPhase::Stopping, reason).await?;
                    }
                }
            }
        }
        self.stop_jobs(live).await?;
        let row = live.row.clone();
        let gone = plan.phase == Phase::Stopped;
        if gone
            || plan
                .actions
                .iter()
                .any(|action| matches!(action, Action::Start { .. }))
        {
            self.clean(row, gone).await?;
        }
        Ok(())
    }

    async fn clean(&self, row: EndpointRow, gone: bool) -> Result<(), ServingError> {
        self.serving
            .parts
            .store
            .write(move |tx| {
                if gone {
                    store::delete_endpoint(tx, &row)?;
                } else {
                    store::prune_ended(tx, &row.name, ENDED_SHOWN)?;
                }
                Ok(())
            })
            .await
    }

    /// Stores the replica; its job is submitted by the next look at it, however often that is tried.
    async fn start(&self, live: &mut Live, version: u32) -> Result<(), ServingError> {
        let now = self.now();
        let row = ReplicaRow {
            id: ReplicaId::new(self.serving.parts.sources.id_seed()),
            endpoint: live.row.name.clone(),
            version,
            files: live.files_of(version).clone(),
            phase: ReplicaPhase::Queued,
            phase_since: now,
            ready: None,
            ended: None,
            reason: None,
            job: None,
            restarts: live.crashes_of(version).in_a_row,
            created: now,
        };
        let stored = row.clone();
        let store = &self.serving.parts.store;
        store
            .write(move |tx| Ok::<_, ServingError>(store::insert_replica(tx, &stored)?))
            .await?;
        live.replicas.push(row);
        self.serving.wake().signal();
        Ok(())
    }

    async fn turn(&self, live: &mut Live, replica: &ReplicaId, to: ReplicaPhase) -> Result<(), ServingError> {
        match position(live, replica) {
            Some(index) => self.move_to(live, index, to, None).await,
            None => Ok(()),
        }
    }

    /// Whatever is to stop is told so at every pass, until it has ended.
    async fn stop_jobs(&self, live: &Live) -> Result<(), ServingError> {
        let stopping = live
            .replicas
            .iter()
            .filter(|replica| replica.phase == ReplicaPhase::Stopping);
        for replica in stopping {
            if let Some(job) = &replica.job {
                self.serving
                    .parts
                    .jobs
                    .stop(job, replica.reason.as_deref())
                    .await?;
            }
        }
        Ok(())
    }

    /// How the newest replica that failed did.
    pub(super) async fn last_failure(&self, row: &EndpointRow) -> Result<Option<Failure>, ServingError> {
        if row.crashes == 0 {
            return Ok(None);
        }
        let name = row.name.clone();
        let store = &self.serving.parts.store;
        store.read(move |tx| Ok(store::last_failure(tx, &name)?)).await
    }
}

fn position(live: &Live, replica: &ReplicaId) -> Option<usize> {
    live.replicas.iter().position(|other| other.id == *replica)
}
