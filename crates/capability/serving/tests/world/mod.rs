//! The stand-ins and the loop that drives them.
#![allow(dead_code)] // Each file of tests uses its part.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use corliss_clock::Sources;
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_metastore::Metastore;
use corliss_reconcile::{Shutdown, WorkerBoard};
use corliss_serving::{
    DeployedModel, Done, EndpointView, Lineage, ModelResolver, OpenKey, Order, PortError, ReplicaJob,
    ReplicaJobState, ReplicaJobs, Runtimes, SealedKey, Sealer, Serving, ServingParts, Traffic,
};
use corliss_types::{JobId, ModelName, ReplicaId, Resources, VersionId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// What replicas may have.
const MACHINE: Resources = Resources {
    cpu_milli: 8_000,
    memory_bytes: 1 << 30,
    accelerators: 0,
};
const DEADLINE: Duration = Duration::from_secs(60);

pub struct World {
    pub serving: Arc<Serving>,
    pub jobs: Arc<Jobs>,
    pub models: Arc<Models>,
    pub orders: Arc<Orders>,
    pub traffic: Arc<Requests>,
    store: Metastore,
    home: Arc<tempfile::TempDir>,
    shutdown: Shutdown,
}

impl World {
    pub fn start(store: Metastore) -> Self {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let models = Arc::new(Models {
            folder: home.path().to_path_buf(),
            champion: AtomicU32::new(1),
        });
        Self::over(store, home, Arc::new(Jobs::new()), models)
    }

    fn over(store: Metastore, home: Arc<tempfile::TempDir>, jobs: Arc<Jobs>, models: Arc<Models>) -> Self {
        let orders = Arc::new(Orders::default());
        let traffic = Arc::new(Requests::default());
        let parts = ServingParts {
            store: store.clone(),
            sources: Sources::system(),
            models: models.clone(),
            jobs: jobs.clone(),
            lineage: orders.clone(),
            sealer: Arc::new(Upside),
            traffic: traffic.clone(),
            run_folder: home.path().to_path_buf(),
            runtimes: Runtimes::default(),
            machine: MACHINE,
        };
        let serving = Serving::open(parts).unwrap();
        let shutdown = Shutdown::new();
        serving.start(shutdown.clone(), &WorkerBoard::new(&Sources::system()));
        Self {
            serving,
            jobs,
            models,
            orders,
            traffic,
            store,
            home,
            shutdown,
        }
    }

    /// A new server over what the old one left.
    pub async fn restart(self) -> Self {
        self.shutdown.trigger();
        tokio::time::sleep(Duration::from_millis(100)).await;
        Self::over(self.store, self.home, self.jobs, self.models)
    }

    pub async fn stop(self) {
        self.shutdown.trigger();
        self.jobs.stop_all();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    pub async fn until(&self, name: &str, wanted: impl Fn(&EndpointView) -> bool) -> EndpointView {
        let started = std::time::Instant::now();
        loop {
            let endpoint = self.serving.get(name).await.unwrap();
            if wanted(&endpoint) {
                return endpoint;
            }
            assert!(started.elapsed() < DEADLINE, "{endpoint:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn until_gone(&self, name: &str) {
        let started = std::time::Instant::now();
        while let Ok(endpoint) = self.serving.get(name).await {
            assert!(started.elapsed() < DEADLINE, "{endpoint:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unknown(String);

impl Diagnose for Unknown {
    fn code(&self) -> &'static str {
        "model_not_found"
    }
    fn meaning(&self) -> Meaning {
        Meaning::NotFound
    }
}

pub struct Models {
    folder: PathBuf,
    pub champion: AtomicU32,
}

#[async_trait]
impl ModelResolver for Models {
    async fn resolve(&self, reference: &str) -> Result<DeployedModel, PortError> {
        let (name, version) = match reference.split_once('/') {
            Some((name, version)) => (name, version.parse().unwrap()),
            None => (
                reference.split('@').next().unwrap(),
                self.champion.load(Ordering::SeqCst),
            ),
        };
        if name == "nothing" {
            return Err(PortError::of(&Unknown(format!("there is no model '{name}'"))));
        }
        let fill = match name {
            "pickled" => 0xff,
            "words" => 0xfe,
            _ => u8::try_from(version).unwrap(),
        };
        let model: ModelName = name.parse().unwrap();
        Ok(DeployedModel {
            model,
            version,
            files: VersionId::from_digest([fill; 32]),
        })
    }

    async fn clear(&self, model: &DeployedModel, allow_pickle: bool) -> Result<(), PortError> {
        let problem = match (model.model.as_str(), model.version) {
            ("unsafe", _) if !allow_pickle => "it holds a pickle",
            ("approved", 2..) => "it lacks approval",
            _ => return Ok(()),
        };
        Err(PortError::of(&Unknown(problem.to_owned())))
    }

    async fn materialise(&self, files: &VersionId) -> Result<PathBuf, PortError> {
        let folder = self.folder.join(files.short());
        std::fs::create_dir_all(&folder).unwrap();
        if files.as_str().ends_with("ff") {
            std::fs::write(
                folder.join("model.pkl"),
                b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.",
            )
            .unwrap();
        } else if files.as_str().ends_with("fe") {
            std::fs::write(folder.join("model.gguf"), tiny_gguf()).unwrap();
        } else {
            std::fs::write(folder.join("model.onnx"), tiny_onnx()).unwrap();
        }
        Ok(folder)
    }
}

/// The smallest well-formed ModelProto: ir_version 8, an opset, and an empty graph with a name.
fn tiny_onnx() -> Vec<u8> {
    let mut bytes = vec![0x08, 0x08];
    bytes.extend([0x42, 0x02, 0x10, 0x0d]);
    bytes.extend([0x3a, 0x03, 0x12, 0x01, b'g']);
    bytes
}

/// The smallest GGUF file that is whole: one tensor of one number.
fn tiny_gguf() -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    // One tensor and no keys; its name, its one axis of one, 32 bits, at the beginning of the data.
    bytes.extend([1_u64, 0, 1].map(u64::to_le_bytes).concat());
    bytes.extend(b"t");
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(32) + 32, 0);
    bytes
}

/// What models' logs were told.
#[derive(Default)]
pub struct Orders(pub Mutex<Vec<Order>>);

#[async_trait]
impl Lineage for Orders {
    async fn ordered(&self, order: Order) -> Result<(), PortError> {
        self.0.lock().unwrap().push(order);
        Ok(())
    }

    async fn deployed(&self, _: &str, _: &ModelName, _: u32) -> Result<(), PortError> {
        Ok(())
    }
}

/// What versions are said to have done; a new server knows of nothing.
#[derive(Default)]
pub struct Requests(Mutex<BTreeMap<u32, Done>>, pub Mutex<Vec<(ReplicaId, String)>>);

impl Requests {
    /// So many more requests of a version, of which so many failed.
    pub fn add(&self, version: u32, requests: u64, errors: u64) {
        let mut done = self.0.lock().unwrap();
        let counts = &mut done.entry(version).or_default().counts;
        counts.requests += requests;
        counts.errors += errors;
        (0..requests).for_each(|_| counts.latency.observe(1_000));
    }
}

impl Traffic for Requests {
    fn done(&self, _: &str, version: u32) -> Done {
        self.0.lock().unwrap().get(&version).cloned().unwrap_or_default()
    }

    fn requests(&self, _: &str) -> u64 {
        let done = self.0.lock().unwrap();
        done.values().map(|done| done.counts.requests).sum()
    }

    fn troubles(&self, _: &str) -> Vec<(ReplicaId, String)> {
        self.1.lock().unwrap().clone()
    }
}

struct Running {
    replica: ReplicaId,
    engine: Option<JoinHandle<()>>,
    ended: Option<ReplicaJobState>,
}

/// Jobs that are tasks of this process.
pub struct Jobs {
    jobs: Mutex<BTreeMap<JobId, Running>>,
    /// The fewest processes there were since two ran.
    pub fewest_ready: AtomicUsize,
    broken: AtomicU32,
    /// Why jobs are not started, if they are not.
    held: Mutex<Option<String>>,
}

impl Jobs {
    fn new() -> Self {
        Self {
            broken: AtomicU32::new(0),
            held: Mutex::new(None),
            jobs: Mutex::new(BTreeMap::new()),
            fewest_ready: AtomicUsize::new(usize::MAX),
        }
    }

    pub fn started(&self) -> usize {
        self.jobs.lock().unwrap().len()
    }

    pub fn running(&self) -> usize {
        self.jobs
            .lock()
            .unwrap()
            .values()
            .filter(|job| job.ended.is_none())
            .count()
    }

    /// Jobs stay in the queue for this reason, or none does any longer.
    pub fn hold(&self, reason: Option<&str>) {
        *self.held.lock().unwrap() = reason.map(ToOwned::to_owned);
    }

    /// Replicas of this version end as soon as they start.
    pub fn cannot_start(&self, version: u32) {
        self.broken.store(version, Ordering::SeqCst);
    }

    pub fn kill_one(&self) -> ReplicaId {
        let mut jobs = self.jobs.lock().unwrap();
        let job = jobs.values_mut().find(|job| job.ended.is_none()).unwrap();
        job.end("killed by signal 9");
        job.replica.clone()
    }

    /// As a server that goes down and takes its tasks along.
    pub fn interrupt_one(&self) -> ReplicaId {
        let mut jobs = self.jobs.lock().unwrap();
        let job = jobs.values_mut().find(|job| job.ended.is_none()).unwrap();
        job.end_as(ReplicaJobState::Interrupted("the server went down".to_owned()));
        job.replica.clone()
    }

    pub fn stop_all(&self) {
        self.jobs
            .lock()
            .unwrap()
            .values_mut()
            .for_each(|job| job.end("stopped"));
    }
}

impl Running {
    fn end(&mut self, reason: &str) {
        self.end_as(ReplicaJobState::Ended(reason.to_owned()));
    }

    fn end_as(&mut self, state: ReplicaJobState) {
        if let Some(engine) = self.engine.take() {
            engine.abort();
        }
        self.ended.get_or_insert(state);
    }
}

#[async_trait]
impl ReplicaJobs for Jobs {
    async fn submit(&self, job: ReplicaJob) -> Result<JobId, PortError> {
        let mut jobs = self.jobs.lock().unwrap();
        if let Some((id, _)) = jobs.iter().find(|(_, running)| running.replica == job.replica) {
            return Ok(id.clone());
        }
        let listen = job
            .arguments
            .iter()
            .position(|argument| argument == "--listen")
            .unwrap();
        let socket = job.arguments[listen + 1]
            .strip_prefix("unix:")
            .unwrap()
            .to_owned();
        let id = JobId::new(Sources::system().id_seed());
        let is_broken = job
            .name
            .ends_with(&format!("-v{}", self.broken.load(Ordering::SeqCst)));
        let mut running = Running {
            replica: job.replica,
            engine: Some(tokio::spawn(engine(socket))),
            ended: None,
        };
        if is_broken {
            running.end("the model needs an operator that is not there");
        }
        jobs.insert(id.clone(), running);
        Ok(id)
    }

    async fn observe(&self, job: &JobId) -> Result<ReplicaJobState, PortError> {
        let jobs = self.jobs.lock().unwrap();
        let running = jobs.get(job).unwrap();
        if let (None, Some(reason)) = (&running.ended, &*self.held.lock().unwrap()) {
            return Ok(ReplicaJobState::Queued(reason.clone()));
        }
        Ok(running.ended.clone().unwrap_or(ReplicaJobState::Running))
    }

    async fn stop(&self, job: &JobId, failure: Option<&str>) -> Result<(), PortError> {
        let mut jobs = self.jobs.lock().unwrap();
        jobs.get_mut(job).unwrap().end(failure.unwrap_or("stopped"));
        let running = jobs.values().filter(|job| job.ended.is_none()).count();
        if running > 0 {
            self.fewest_ready.fetch_min(running, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// An engine that is ready at once and has nothing to do. Connections are kept, so each is answered on its own.
async fn engine(socket: String) {
    let listener = UnixListener::bind(socket).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(answer(stream));
    }
}

async fn answer(mut stream: UnixStream) {
    let mut request = vec![0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut request).await {
        let stats = request[..read].starts_with(b"GET /stats");
        let body = if stats {
            r#"{"running":0}"#
        } else {
            r#"{"state":"ready","flavor":"onnx"}"#
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(head.as_bytes()).await.is_err() {
            break;
        }
    }
}

/// Seals by turning every bit, and opens for no other context.
pub struct Upside;

#[async_trait]
impl Sealer for Upside {
    async fn seal(&self, context: &str, key: &[u8]) -> Result<SealedKey, PortError> {
        let bytes = context.bytes().chain([0]).chain(key.iter().copied());
        Ok(SealedKey {
            key: 7,
            bytes: bytes.map(|byte| !byte).collect(),
        })
    }

    fn open(&self, context: &str, sealed: &SealedKey) -> Result<OpenKey, PortError> {
        let opened: Vec<u8> = sealed.bytes.iter().map(|byte| !byte).collect();
        let start = [context.as_bytes(), &[0]].concat();
        let key = opened.strip_prefix(start.as_slice());
        let key = key.ok_or_else(|| PortError::of(&Unknown("sealed for something else".to_owned())))?;
        Ok(OpenKey(key.to_vec().into()))
    }
}
