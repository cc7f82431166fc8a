//! What replicas do, as their jobs and engines tell, written into their rows.

use std::time::Duration;

use corliss_engine::args::EngineArgs;
use corliss_engine::protocol::{EngineState, Ready};
use corliss_policy_serving::{Crashes, lifecycle};
use corliss_types::{DurationMs, Flavor};
use futures_util::future::join_all;
use tokio::time::timeout;

use super::endpoint::{EndpointReconciler, Live};
use crate::ports::{ReplicaJob, ReplicaJobState};
use crate::store::{self, ReplicaRow};
use crate::types::ReplicaPhase;
use crate::{PortError, ServingError};

/// A replica that is to go is asked for so long what it still does.
const DRAINING_PATIENCE: Duration = Duration::from_secs(1);
/// An engine that tells nothing for longer hangs, and is replaced. It answers beside what it computes, so load alone does not
/// make it silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// And not before it was asked so often meanwhile: a server that stood still itself has heard nobody.
const MISSED_MAX: u32 = 8;

/// What was seen of one replica.
enum Seen {
    Job(ReplicaJobState),
    Engine(Ready),
    /// Its engine runs and has told nothing for so long.
    Silent(Duration),
    /// Nothing that changes anything.
    Nothing,
}

impl EndpointReconciler {
    /// Submits what has no job yet, asks jobs and engines, and moves rows along.
    pub(super) async fn observe(&self, live: &mut Live) -> Result<(), ServingError> {
        for index in 0..live.replicas.len() {
            if live.replicas[index].job.is_none() {
                self.submit(live, index).await?;
            }
        }
        let seen = join_all(live.replicas.iter().map(|replica| self.look(replica))).await;
        for (index, seen) in seen.into_iter().enumerate() {
            self.record(live, index, seen?).await?;
        }
        live.replicas.retain(|replica| !replica.phase.has_ended());
        Ok(())
    }

    async fn submit(&self, live: &mut Live, index: usize) -> Result<(), ServingError> {
        let replica = live.replicas[index].clone();
        if replica.phase != ReplicaPhase::Queued {
            // It was to stop before it was ever submitted.
            return self.ended(live, index, ReplicaPhase::Stopped, None).await;
        }
        let parts = &self.serving.parts;
        let folder = parts.models.materialise(&replica.files).await?;
        let mut engine = EngineArgs::new(
            live.row.desired.flavor,
            folder,
            self.serving.sockets.path(&replica.id),
        );
        engine.name.clone_from(&live.row.name);
        engine.version = replica.version.to_string();
        // An engine that was promised part of the machine computes with that part.
        engine.threads = live.row.desired.resources.cpu_milli.div_ceil(1000) as usize;
        live.row.desired.batching.tell(&mut engine);
        if live.row.desired.flavor == Flavor::Pyfunc {
            engine.python.clone_from(&parts.runtimes.python);
            engine.environments = Some(parts.runtimes.environments.clone());
            engine.allow_code = live.row.desired.allow_pickle;
        }
        if live.row.desired.flavor == Flavor::Onnx {
            engine.onnx_runtime.clone_from(&parts.runtimes.onnx);
        }
        let job = ReplicaJob {
            replica: replica.id.clone(),
            name: format!("{}-v{}", live.row.name, replica.version),
            endpoint: live.row.name.clone(),
            arguments: engine.to_command(),
            resources: live.row.desired.resources,
        };
        let job = parts.jobs.submit(job).await?;
        let (id, stored) = (replica.id.clone(), job.clone());
        parts
            .store
            .write(move |tx| Ok::<_, ServingError>(store::set_job(tx, &id, &stored)?))
            .await?;
        live.replicas[index].job = Some(job);
        Ok(())
    }

    async fn look(&self, replica: &ReplicaRow) -> Result<Seen, PortError> {
        let Some(job) = &replica.job else {
            return Ok(Seen::Nothing);
        };
        let state = self.serving.parts.jobs.observe(job).await?;
        if !matches!(state, ReplicaJobState::Running) || replica.phase == ReplicaPhase::Queued {
            return Ok(Seen::Job(state));
        }
        let client = self.serving.client(&replica.id);
        match replica.phase {
            ReplicaPhase::Starting => Ok(client.ready().await.map_or(Seen::Nothing, Seen::Engine)),
            ReplicaPhase::Ready => {
                self.serving.probe(&replica.id);
                Ok(self.heard(replica))
            }
            // What it still works on decides whether it may go, so that must be true now.
            ReplicaPhase::Draining => {
                match timeout(DRAINING_PATIENCE, client.stats()).await {
                    Ok(Ok(stats)) => self.serving.set_stats(&replica.id, stats),
                    _ => self.serving.missed(&replica.id),
                }
                Ok(self.heard(replica))
            }
            _ => Ok(Seen::Nothing),
        }
    }

    /// Nothing, unless it was silent for too long.
    fn heard(&self, replica: &ReplicaRow) -> Seen {
        let (silence, missed) = self.serving.silence(&replica.id);
        if silence > SILENCE_MAX && missed >= MISSED_MAX {
            Seen::Silent(silence)
        } else {
            Seen::Nothing
        }
    }

    async fn record(&self, live: &mut Live, index: usize, seen: Seen) -> Result<(), ServingError> {
        let phase = live.replicas[index].phase;
        match seen {
            Seen::Job(ReplicaJobState::Ended(_) | ReplicaJobState::Interrupted(_))
                if phase == ReplicaPhase::Stopping =>
            {
                let reason = live.replicas[index].reason.clone();
                self.ended(live, index, ReplicaPhase::Stopped, reason).await
            }
            Seen::Job(ReplicaJobState::Interrupted(reason)) => {
                self.ended(live, index, ReplicaPhase::Stopped, Some(reason)).await
            }
            Seen::Job(ReplicaJobState::Ended(reason)) => {
                self.crashed(live, index, ReplicaPhase::Failed, reason).await
            }
            Seen::Job(ReplicaJobState::Queued(reason)) if phase == ReplicaPhase::Queued => {
                self.move_to(live, index, ReplicaPhase::Queued, Some(reason))
                    .await
            }
            Seen::Job(ReplicaJobState::Running) if phase == ReplicaPhase::Queued => {
                self.move_to(live, index, ReplicaPhase::Starting, None).await
            }
            Seen::Engine(Ready {
                state: EngineState::Ready,
                ..
            }) => self.became_ready(live, index).await,
            Seen::Engine(Ready {
                state: EngineState::Loading,
                doing: Some(doing),
                ..
            }) if phase == ReplicaPhase::Starting => {
                self.move_to(live, index, ReplicaPhase::Starting, Some(doing))
                    .await
            }
            Seen::Silent(silence) => {
                let reason = format!(
                    "its engine hangs: it has not answered for {} s",
                    silence.as_secs()
                );
                self.crashed(live, index, ReplicaPhase::Stopping, reason).await
            }
            Seen::Engine(Ready {
                state: EngineState::Failed,
                error,
                ..
            }) => {
                let reason = error.map_or_else(
                    || "the engine cannot serve the model".to_owned(),
                    |error| error.message,
                );
                self.crashed(live, index, ReplicaPhase::Stopping, reason).await
            }
            _ => Ok(()),
        }
    }

    async fn became_ready(&self, live: &mut Live, index: usize) -> Result<(), ServingError> {
        self.move_to(live, index, ReplicaPhase::Ready, None).await?;
        let (row, replica) = (&live.row, &live.replicas[index]);
        let lineage = &self.serving.parts.lineage;
        Ok(lineage
            .deployed(&row.name, live.model_of(replica.version), replica.version)
            .await?)
    }

    /// A replica ended, or must end, without being told to: it counts against its version.
    pub(super) async fn crashed(
        &self,
        live: &mut Live,
        index: usize,
        to: ReplicaPhase,
        reason: String,
    ) -> Result<(), ServingError> {
        let replica = live.replicas[index].clone();
        let now = self.now();
        let ready_for = replica.ready.map_or(DurationMs(0), |since| now.since(since));
        let before = live.crashes_of(replica.version).in_a_row;
        if replica.version == live.row.desired.version && !live.row.deleting {
            live.row.crashes = lifecycle::crashes_in_a_row(live.row.crashes, ready_for);
            live.row.last_crash = now;
        }
        let (row, stored, text) = (live.row.clone(), replica.clone(), reason.clone());
        self.serving
            .parts
            .store
            .write(move |tx| {
                store::record_crash(tx, &row, row.crashes, row.last_crash)?;
                store::set_replica_phase(tx, &stored, to, Some(&text), now)?;
                Ok::<_, ServingError>(())
            })
            .await?;
        tracing::warn!(endpoint = %live.row.name, replica = %replica.id, "replica failed: {reason}");
        let crashes = Crashes {
            in_a_row: lifecycle::crashes_in_a_row(before, ready_for),
            last: now,
        };
        self.release_crashed(live, replica.version, crashes).await?;
        self.settle(live, index, to, Some(reason));
        Ok(())
    }

    async fn ended(
        &self,
        live: &mut Live,
        index: usize,
        to: ReplicaPhase,
        reason: Option<String>,
    ) -> Result<(), ServingError> {
        self.move_to(live, index, to, reason).await
    }

    /// Moves a replica to a phase, in the store and in hand.
    pub(super) async fn move_to(
        &self,
        live: &mut Live,
        index: usize,
        to: ReplicaPhase,
        reason: Option<String>,
    ) -> Result<(), ServingError> {
        let replica = live.replicas[index].clone();
        if replica.phase == to && replica.reason == reason {
            return Ok(());
        }
        let (now, text) = (self.now(), reason.clone());
        let store = &self.serving.parts.store;
        store
            .write(move |tx| {
                Ok::<_, ServingError>(store::set_replica_phase(tx, &replica, to, text.as_deref(), now)?)
            })
            .await?;
        self.settle(live, index, to, reason);
        Ok(())
    }

    /// The row in hand after its stored form was changed.
    fn settle(&self, live: &mut Live, index: usize, to: ReplicaPhase, reason: Option<String>) {
        let now = self.now();
        let replica = &mut live.replicas[index];
        if replica.phase != to {
            replica.phase_since = now;
        }
        if to == ReplicaPhase::Ready {
            replica.ready = Some(now);
        }
        replica.phase = to;
        replica.reason = reason;
        if to.has_ended() {
            self.serving.forget(&live.replicas[index].id);
        }
    }
}
