//! The other rooms, in memory. What they remember outlives a killed server; what a server asks of them
//! passes its gate before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use corliss_policy_pipeline::Ending;
use corliss_types::{
    DatasetName, IdSeed, JobId, ModelName, Resources, RunId, Timestamp, TrackingRunId, VersionId,
};
use tokio::runtime::Handle;
use tokio::sync::broadcast;

use super::{Gate, NewRun, environment};
use crate::ports::*;
use crate::project_file::Site;

/// What the code of a step does when its job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Writes its outputs and ends well.
    Works,
    /// Its process is lost.
    GetsLost,
    /// Ends with code 1.
    Fails,
    /// Writes nothing and ends well.
    WritesNothing,
    /// Writes a link out of its output.
    LinksOut,
    /// Runs until it is cancelled.
    Hangs,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) versions: BTreeMap<VersionId, BTreeMap<String, Vec<u8>>>,
    pub(super) datasets: BTreeMap<String, VersionId>,
    /// Which run reads which version.
    pub(super) held: BTreeSet<(RunId, VersionId)>,
    /// Whether the disk has no room for what a second run reads.
    pub(super) holds_one_run: bool,
    pub(super) lineage: BTreeSet<LineageEdge>,
    pub(super) jobs: BTreeMap<JobId, (JobRequest, JobState)>,
    pub(super) by_key: BTreeMap<StepKey, JobId>,
    /// What attempts do, by step and attempt; everything else works.
    pub(super) script: BTreeMap<(String, u32), Does>,
    pub(super) metrics: BTreeMap<TrackingRunId, BTreeMap<String, f64>>,
    /// What a step logs when it works.
    pub(super) logs: BTreeMap<String, BTreeMap<String, f64>>,
    pub(super) tracking: BTreeMap<TrackingRunId, Option<TrackingEnd>>,
    pub(super) models: BTreeMap<(ModelName, RunId), u32>,
    pub(super) registrations: Vec<Registration>,
    pub(super) aliases: BTreeMap<String, u32>,
    pub(super) endpoints: BTreeMap<String, Deployment>,
    /// Models whose versions a person has to approve first.
    pub(super) protected: BTreeSet<ModelName>,
    pub(super) tokens: BTreeSet<(RunId, String)>,
    /// The next calls of a port that fail, by name.
    pub(super) broken: BTreeMap<&'static str, u32>,
}

pub(super) struct World {
    pub(super) home: tempfile::TempDir,
    state: Mutex<State>,
    changes: broadcast::Sender<JobChange>,
    /// Where jobs run: they outlive servers.
    processes: Handle,
    /// The code snapshot that runs are submitted with.
    pub(super) source: VersionId,
}

impl World {
    pub(super) fn new() -> Arc<Self> {
        let mut state = State::default();
        let code = BTreeMap::from([("step.py".to_owned(), b"print('step')".to_vec())]);
        let source = version_of(&code);
        state.versions.insert(source.clone(), code);
        let data = BTreeMap::from([("rows.csv".to_owned(), b"1,2,3".to_vec())]);
        let raw = version_of(&data);
        state.versions.insert(raw.clone(), data);
        state.datasets.insert("raw".to_owned(), raw);
        Arc::new(Self {
            home: tempfile::tempdir().unwrap(),
            state: Mutex::new(state),
            changes: broadcast::Sender::new(64),
            processes: Handle::current(),
            source,
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn script(&self, step: &str, attempt: u32, does: Does) {
        self.state().script.insert((step.to_owned(), attempt), does);
    }

    pub(super) fn logs(&self, step: &str, metric: &str, value: f64) {
        let mut state = self.state();
        state
            .logs
            .entry(step.to_owned())
            .or_default()
            .insert(metric.to_owned(), value);
    }

    pub(super) fn new_run(&self, file: &str) -> NewRun {
        NewRun {
            begin_ms: None,
            project_file: file.to_owned(),
            file_name: "corliss.yaml".to_owned(),
            source: self.source.clone(),
            data: BTreeMap::new(),
            params: BTreeMap::new(),
            environment: environment(),
        }
    }

    pub(super) fn ports(self: &Arc<Self>, gate: &Arc<Gate>) -> Ports {
        let port = Arc::new(Port {
            world: self.clone(),
            gate: gate.clone(),
        });
        Ports {
            datasets: port.clone(),
            jobs: port.clone(),
            tracking: port.clone(),
            models: port.clone(),
            endpoints: port.clone(),
            tokens: port,
        }
    }

    /// Keys of all jobs, with how often each was submitted for real.
    pub(super) fn attempts(&self) -> Vec<(String, u32)> {
        let state = self.state();
        assert_eq!(state.by_key.len(), state.jobs.len(), "a key was submitted twice");
        state
            .by_key
            .keys()
            .map(|key| (key.step.clone(), key.attempt))
            .collect()
    }

    fn end(&self, job: &JobId, end: JobEnd) {
        let mut state = self.state();
        let Some((request, job_state)) = state.jobs.get_mut(job) else {
            return;
        };
        if matches!(job_state, JobState::Ended { .. }) {
            return;
        }
        let now = now();
        *job_state = JobState::Ended {
            started: Some(now),
            ended: now,
            end,
        };
        let change = JobChange {
            run: request.key.run.clone(),
            job: job.clone(),
        };
        drop(state);
        let _ = self.changes.send(change);
    }

    /// The job's process: runs on when the server is gone.
    async fn execute(self: Arc<Self>, job: JobId, request: JobRequest) {
        tokio::task::yield_now().await;
        let does = {
            let mut state = self.state();
            let key = (request.key.step.clone(), request.key.attempt);
            let does = state.script.get(&key).copied().unwrap_or(Does::Works);
            let logged = state.logs.get(&request.key.step).cloned().unwrap_or_default();
            let tracking: TrackingRunId = request.env["MLFLOW_RUN_ID"].parse().unwrap();
            if does == Does::Works {
                state.metrics.insert(tracking, logged);
            }
            does
        };
        if let Some(end) = perform(&request, does) {
            self.end(&job, end);
        }
    }
}

fn now() -> Timestamp {
    corliss_clock::Sources::system().clock.now()
}

fn perform(request: &JobRequest, does: Does) -> Option<JobEnd> {
    let outputs: Vec<&String> = request
        .env
        .iter()
        .filter(|(name, _)| name.starts_with("CORLISS_OUTPUT_"))
        .map(|(_, path)| path)
        .collect();
    let failed = |ending, message: &str| {
        Some(JobEnd::Failed {
            ending,
            message: message.to_owned(),
        })
    };
    for output in &outputs {
        let text = match does {
            Does::Works => {
                let name = Path::new(output).file_name().unwrap().to_string_lossy();
                format!("{name} of {} by {}", request.key.step, request.argv.join(" "))
            }
            Does::LinksOut => {
                std::os::unix::fs::symlink("/etc/hostname", Path::new(output).join("link")).unwrap();
                "x".to_owned()
            }
            _ => continue,
        };
        std::fs::write(Path::new(output).join("file"), text).unwrap();
    }
    match does {
        Does::Works | Does::WritesNothing | Does::LinksOut => Some(JobEnd::Succeeded),
        Does::GetsLost => failed(Ending::Lost, "worker 0 was lost"),
        Does::Fails => failed(Ending::Exited(1), "worker 0 ended with code 1"),
        Does::Hangs => None,
    }
}

fn version_of(files: &BTreeMap<String, Vec<u8>>) -> VersionId {
    let text = format!("{files:?}");
    VersionId::from_digest(*blake3::hash(text.as_bytes()).as_bytes())
}

struct Port {
    world: Arc<World>,
    gate: Arc<Gate>,
}

#[derive(Debug, thiserror::Error)]
#[error("{port} is down")]
struct Down {
    port: &'static str,
}

impl corliss_diagnostics::Diagnose for Down {
    fn code(&self) -> &'static str {
        "down"
    }
    fn meaning(&self) -> corliss_diagnostics::Meaning {
        corliss_diagnostics::Meaning::Unavailable
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the disk is full")]
struct Full;

impl corliss_diagnostics::Diagnose for Full {
    fn code(&self) -> &'static str {
        "storage_full"
    }
    fn meaning(&self) -> corliss_diagnostics::Meaning {
        corliss_diagnostics::Meaning::StorageFull
    }
}

/// A person has to say something first.
#[derive(Debug, thiserror::Error)]
#[error("it has 0 of the 1 approvals that it needs")]
struct Unapproved;

impl corliss_diagnostics::Diagnose for Unapproved {
    fn code(&self) -> &'static str {
        "model_not_approved"
    }
    fn meaning(&self) -> corliss_diagnostics::Meaning {
        corliss_diagnostics::Meaning::Conflict
    }
}

impl Port {
    /// One effect: the server may die before it and after it.
    async fn effect<T>(
        &self,
        port: &'static str,
        effect: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, PortError> {
        self.gate.pass().await;
        let value = {
            let mut state = self.world.state();
            if let Some(count) = state.broken.get_mut(port).filter(|count| **count > 0) {
                *count -= 1;
                return Err(PortError::of(&Down { port }));
            }
            effect(&mut state)
        };
        self.gate.pass().await;
        Ok(value)
    }
}

fn read_tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.insert(
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            );
        }
    }
    files
}

#[async_trait]
impl Datasets for Port {
    async fn latest(&self, name: &DatasetName) -> Result<Option<VersionId>, PortError> {
        Ok(self.world.state().datasets.get(name.as_str()).cloned())
    }
    async fn missing(&self, versions: &[VersionId]) -> Result<Vec<VersionId>, PortError> {
        let state = self.world.state();
        Ok(versions
            .iter()
            .filter(|version| !state.versions.contains_key(version))
            .cloned()
            .collect())
    }
    async fn materialise(&self, version: &VersionId, folder: &Path) -> Result<(), PortError> {
        let files = self
            .effect("materialise", |state| state.versions[version].clone())
            .await?;
        // As the data room: whole by a rename, something of its own beside it, nothing if it is there.
        if !folder.exists() {
            let partial = folder.with_file_name(format!(
                ".{}.{:?}",
                folder.file_name().unwrap().display(),
                std::thread::current().id()
            ));
            std::fs::create_dir_all(&partial).unwrap();
            for (name, bytes) in files {
                std::fs::write(partial.join(name), bytes).unwrap();
            }
            std::fs::write(partial.with_extension("stamps"), "x").unwrap();
            // Another attempt may have been faster.
            let _ = std::fs::rename(&partial, folder);
        }
        self.gate.pass().await;
        Ok(())
    }
    async fn hold(&self, version: &VersionId, run: &RunId) -> Result<PathBuf, PortError> {
        let held = (run.clone(), version.clone());
        let is_full = self
            .effect("hold", |state| {
                let others = state.held.iter().any(|(holder, _)| holder != run);
                state.held.insert(held);
                state.holds_one_run && others
            })
            .await?;
        if is_full {
            return Err(PortError::of(&Full));
        }
        let folder = self.world.home.path().join("inputs").join(version.as_str());
        self.materialise(version, &folder).await?;
        Ok(folder)
    }
    async fn release(&self, run: &RunId) -> Result<(), PortError> {
        self.effect("release", |state| state.held.retain(|(holder, _)| holder != run))
            .await
    }
    async fn publish(&self, folder: &Path) -> Result<VersionId, PortError> {
        let files = read_tree(folder);
        let version = version_of(&files);
        self.effect("publish", move |state| {
            state.versions.insert(version.clone(), files);
            version
        })
        .await
    }
    async fn record_lineage(&self, edges: &[LineageEdge]) -> Result<(), PortError> {
        self.effect("lineage", |state| state.lineage.extend(edges.iter().cloned()))
            .await
    }
}

#[async_trait]
impl JobsPort for Port {
    async fn site(&self) -> Result<Site, PortError> {
        let total = Resources {
            cpu_milli: 4_000,
            memory_bytes: 8 << 30,
            accelerators: 0,
        };
        Ok(Site {
            total,
            accelerators: Vec::new(),
            levels: Vec::new(),
            queues: vec!["default".to_owned(), "research".to_owned()],
        })
    }
    async fn foresee(&self, wishes: Vec<JobWish>) -> Result<Vec<JobOutlook>, PortError> {
        // There is room for everybody here.
        let starts = |_| JobOutlook {
            starts_now: true,
            summary: "It starts at once.".to_owned(),
            position: None,
            starts_ms: None,
            stops: Vec::new(),
        };
        Ok(wishes.into_iter().map(starts).collect())
    }
    async fn submit(&self, request: JobRequest) -> Result<JobId, PortError> {
        let world = self.world.clone();
        self.effect("submit", move |state| {
            if let Some(job) = state.by_key.get(&request.key) {
                return job.clone();
            }
            let mut random = [0_u8; 10];
            random[2..].copy_from_slice(&(state.jobs.len() as u64).to_be_bytes());
            let job = JobId::new(IdSeed { at: now(), random });
            state.by_key.insert(request.key.clone(), job.clone());
            let running = JobState::Running { started: now() };
            state.jobs.insert(job.clone(), (request.clone(), running));
            self.world.processes.spawn(world.execute(job.clone(), request));
            job
        })
        .await
    }
    async fn find(&self, key: &StepKey) -> Result<Option<JobId>, PortError> {
        self.effect("find", |state| state.by_key.get(key).cloned()).await
    }
    async fn states(&self, jobs: &[JobId]) -> Result<Vec<(JobId, JobState)>, PortError> {
        let state = self.world.state();
        let found = jobs
            .iter()
            .filter_map(|job| Some((job.clone(), state.jobs.get(job)?.1.clone())));
        Ok(found.collect())
    }
    async fn cancel(&self, job: &JobId) -> Result<(), PortError> {
        self.effect("cancel", |_| ()).await?;
        self.world.end(job, JobEnd::Cancelled);
        Ok(())
    }
    fn changes(&self) -> broadcast::Receiver<JobChange> {
        self.world.changes.subscribe()
    }
}

#[async_trait]
impl TrackingPort for Port {
    async fn open(&self, tracking: &StepTracking) -> Result<(), PortError> {
        self.effect("open", |state| {
            let _ = state.tracking.insert(tracking.id.clone(), None);
        })
        .await
    }
    async fn close(&self, id: &TrackingRunId, end: TrackingEnd) -> Result<(), PortError> {
        self.effect("close", |state| {
            let _ = state.tracking.insert(id.clone(), Some(end));
        })
        .await
    }
    async fn metrics(&self, ids: &[TrackingRunId]) -> Result<Vec<BTreeMap<String, f64>>, PortError> {
        let state = self.world.state();
        Ok(ids
            .iter()
            .map(|id| state.metrics.get(id).cloned().unwrap_or_default())
            .collect())
    }
}

#[async_trait]
impl ModelsPort for Port {
    async fn register(&self, registration: &Registration) -> Result<u32, PortError> {
        self.effect("register", |state| {
            let next = state
                .models
                .keys()
                .filter(|(name, _)| *name == registration.name)
                .count() as u32
                + 1;
            let key = (registration.name.clone(), registration.run.clone());
            if let Some(version) = state.models.get(&key) {
                return *version;
            }
            state.models.insert(key, next);
            state.registrations.push(registration.clone());
            next
        })
        .await
    }
    async fn set_alias(&self, name: &ModelName, alias: &str, version: u32, _: &str) -> Result<(), PortError> {
        self.effect("alias", |state| {
            if state.protected.contains(name) {
                return Err(PortError::of(&Unapproved));
            }
            let _ = state.aliases.insert(format!("{name}@{alias}"), version);
            Ok(())
        })
        .await?
    }
}

#[async_trait]
impl EndpointsPort for Port {
    async fn deploy(&self, deployment: &Deployment) -> Result<(), PortError> {
        self.effect("deploy", |state| {
            drop(
                state
                    .endpoints
                    .insert(deployment.name.clone(), deployment.clone()),
            )
        })
        .await
    }
}

#[async_trait]
impl WorkloadTokens for Port {
    async fn issue(&self, key: &StepKey) -> Result<String, PortError> {
        self.effect("issue", |state| {
            state.tokens.insert((key.run.clone(), key.step.clone()))
        })
        .await?;
        Ok(format!("token of {} {}", key.step, key.attempt))
    }
    async fn revoke(&self, run: &RunId, step: &str) -> Result<(), PortError> {
        self.effect("revoke", |state| {
            let _ = state.tokens.remove(&(run.clone(), step.to_owned()));
        })
        .await
    }
}
