//! The registry over a store of the test's choice, with ports that know one version of data, and its routes
//! behind a guard that lets everybody in.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use corliss_clock::Sources;
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_http::Routes;
use corliss_metastore::Metastore;
use corliss_registry::{
    FileRead, ForeignSource, Lineage, ModelSources, ModelVersion, NewForeign, NewVersion, Pinned, PortError,
    Ports, Registry, SealedSecret, Sealer, SourceFile,
};
use corliss_testkit::everyone;
use corliss_types::{Flavor, VersionId};
use corliss_webhook::{Reach, Secret, WebhookClient};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// Knows one version of data, and pins to it what lies in one experiment, or in one run's folder or one logged model.
pub struct OneSource;

/// The run that has artifacts, and the one that has none.
pub const RUN: &str = "0123456789abcdef0123456789abcdef";
pub const OTHER: &str = "fedcba9876543210fedcba9876543210";
/// What the file `MLmodel` of the known version holds.
pub const MLMODEL: &[u8] = b"flavors: {}\n";

pub fn known() -> VersionId {
    VersionId::from_digest([7; 32])
}

/// A version with pickles only, one with a pickle beside an ONNX file, one with a damaged file, one that is whole, and one
/// whose bytes cannot be read now.
pub fn pickled() -> VersionId {
    VersionId::from_digest([8; 32])
}

pub fn pickled_beside() -> VersionId {
    VersionId::from_digest([12; 32])
}

pub fn damaged() -> VersionId {
    VersionId::from_digest([9; 32])
}

pub fn whole() -> VersionId {
    VersionId::from_digest([10; 32])
}

pub fn unreadable() -> VersionId {
    VersionId::from_digest([11; 32])
}

/// What the versions hold, in order of paths.
fn files_of(version: &VersionId) -> Vec<(&'static str, &'static [u8])> {
    const TENSORS: &[u8] =
        b"\x3d\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}        ab";
    let said: &[u8] = b"flavors: {sklearn: {pickled_model: odd.bin}}\nsignature: {inputs: '[1]'}\n\
        saved_input_example_info: {artifact_path: input_example.json}\n";
    let all = [
        (known(), vec![("MLmodel", MLMODEL)]),
        (
            pickled(),
            vec![
                ("MLmodel", said),
                ("input_example.json", b"{}"),
                ("model.pkl", b"cos\nsystem\n."),
                ("odd.bin", b"?"),
            ],
        ),
        (
            pickled_beside(),
            vec![
                ("model.onnx", &[0x08, 2, 0x3a, 2, 0x12, 0]),
                ("model.pkl", b"cos\nsystem\n."),
            ],
        ),
        (
            damaged(),
            vec![
                ("a.txt", b"a"),
                ("model.safetensors", &TENSORS[..TENSORS.len() - 1]),
            ],
        ),
        (whole(), vec![("model.safetensors", TENSORS)]),
        (unreadable(), vec![("model.onnx", b"x")]),
    ];
    let found = all.into_iter().find(|(id, _)| id == version);
    found.map(|(_, files)| files).unwrap_or_default()
}

#[async_trait]
impl ModelSources for OneSource {
    async fn flavor_of(&self, version: &VersionId) -> Result<Option<Flavor>, PortError> {
        Ok((!files_of(version).is_empty()).then_some(Flavor::Onnx))
    }

    async fn pin(&self, source: &ForeignSource) -> Result<Option<Pinned>, PortError> {
        let text = source.source.as_str();
        let run = source.run_id.as_deref().unwrap_or_default();
        let own = [format!("mlflow-artifacts:/0/{run}/"), format!("runs:/{run}/")];
        let is_own = !run.is_empty() && own.iter().any(|root| text.starts_with(root));
        let logged = format!(
            "mlflow-artifacts:/0/models/{}",
            text.trim_start_matches("models:/")
        );
        Ok(
            (run != OTHER && (is_own || text == "models:/m-1")).then(|| Pinned {
                version: known(),
                flavor: Flavor::Other,
                artifact_uri: if is_own { text.to_owned() } else { logged },
                run_id: source.run_id.clone(),
            }),
        )
    }

    async fn files(&self, version: &VersionId, limit: usize) -> Result<Option<Vec<SourceFile>>, PortError> {
        let files = files_of(version).into_iter().map(|(path, bytes)| SourceFile {
            path: path.to_owned(),
            size_bytes: bytes.len() as u64,
        });
        let files: Vec<_> = files.take(limit).collect();
        Ok((!files.is_empty()).then_some(files))
    }

    async fn read(
        &self,
        version: &VersionId,
        path: &str,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, PortError> {
        if *version == unreadable() {
            return Err(PortError::of(&Away));
        }
        let (from, to) = (range.start as usize, range.end as usize);
        let found = files_of(version).into_iter().find(|(name, _)| *name == path);
        Ok(found.map(|(_, bytes)| Bytes::copy_from_slice(&bytes[from..to])))
    }

    async fn open(&self, version: &VersionId, path: &str) -> Result<Option<FileRead>, PortError> {
        let bytes = Bytes::from_static(MLMODEL);
        Ok((*version == known() && path == "MLmodel").then(|| FileRead {
            size_bytes: bytes.len() as u64,
            bytes: Box::pin(futures_util::stream::iter([Ok(bytes)])),
        }))
    }
}

/// The disk with the files is away.
#[derive(Debug, thiserror::Error)]
#[error("the disk is away")]
struct Away;

impl Diagnose for Away {
    fn code(&self) -> &'static str {
        "away"
    }
    fn meaning(&self) -> Meaning {
        Meaning::Unavailable
    }
}

/// Seals by turning each bit of a secret, and opens only in the same context.
pub struct Turned;

#[async_trait]
impl Sealer for Turned {
    async fn seal(&self, context: &str, secret: &Secret) -> Result<SealedSecret, PortError> {
        let mut bytes = context.as_bytes().to_vec();
        bytes.push(0);
        bytes.extend(secret.key().iter().map(|byte| !byte));
        Ok(SealedSecret { key: 7, bytes })
    }

    fn open(&self, context: &str, sealed: &SealedSecret) -> Result<Secret, PortError> {
        let end = sealed.bytes.iter().position(|byte| *byte == 0).unwrap();
        assert_eq!((sealed.key, &sealed.bytes[..end]), (7, context.as_bytes()));
        let key: Vec<u8> = sealed.bytes[end + 1..].iter().map(|byte| !byte).collect();
        Ok(Secret::from_key(&key))
    }
}

#[derive(Default)]
pub struct Recorded(pub Mutex<Vec<(String, i64)>>);

#[async_trait]
impl Lineage for Recorded {
    async fn registered(&self, version: &ModelVersion) -> Result<(), PortError> {
        self.0
            .lock()
            .unwrap()
            .push((version.name.clone(), version.version));
        Ok(())
    }
}

pub fn registry_on(store: Metastore) -> (Registry, Arc<Recorded>) {
    registry_with(store, Sources::system(), Reach::default())
}

pub fn registry_with(store: Metastore, sources: Sources, reach: Reach) -> (Registry, Arc<Recorded>) {
    let recorded = Arc::new(Recorded::default());
    let ports = Ports {
        sources: Arc::new(OneSource),
        lineage: recorded.clone(),
        sealer: Arc::new(Turned),
    };
    let registry = Registry::new(store, sources, ports, WebhookClient::new(reach));
    (registry, recorded)
}

/// What a client sends who registers a source of [`RUN`].
pub fn foreign(model: &str, source: &str) -> NewForeign {
    NewForeign {
        model: model.into(),
        source: ForeignSource {
            source: source.into(),
            run_id: Some(RUN.into()),
            model_id: None,
        },
        run_link: String::new(),
        description: String::new(),
        tags: vec![],
    }
}

/// What a run made; the code of every run is another one.
pub fn version_of(run: char) -> NewVersion {
    NewVersion {
        model: "digits".parse().unwrap(),
        source_version: known(),
        run_id: format!("run_0000000000000000000000000{run}").parse().unwrap(),
        step: "train".into(),
        tracking_run_id: Some("ab".repeat(16).parse().unwrap()),
        data: vec![],
        code: Some(VersionId::from_digest([run as u8; 32])),
        metrics: BTreeMap::from([("accuracy".to_owned(), 0.97), ("bad".to_owned(), f64::NAN)]),
    }
}

pub fn router(routes: Routes) -> corliss_http::App {
    routes.into_app(everyone::is_admin("test")).unwrap()
}

/// The status and JSON of an answer; null where there is no body.
pub async fn call(router: &corliss_http::App, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let answer = answer(router, method, path, body).await;
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub async fn answer(
    router: &corliss_http::App,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> axum::response::Response {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("authorization", "Bearer any")
        .header("content-type", "application/json")
        .body(axum::body::Body::from(
            body.map(|body| body.to_string()).unwrap_or_default(),
        ))
        .unwrap();
    router.clone().oneshot(request).await.unwrap()
}
