//! The registry over a store of the test's choice, with ports that know one version of data, and its routes
//! behind a guard that lets everybody in.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use corliss_clock::Sources;
use corliss_http::Routes;
use corliss_metastore::Metastore;
use corliss_registry::{
    ForeignSource, Lineage, ModelSources, ModelVersion, NewVersion, Pinned, PortError, Registry,
};
use corliss_testkit::everyone;
use corliss_types::{Flavor, VersionId};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// Knows one version of data, and pins one source to it.
pub struct OneSource;

pub fn known() -> VersionId {
    VersionId::from_digest([7; 32])
}

#[async_trait]
impl ModelSources for OneSource {
    async fn flavor_of(&self, version: &VersionId) -> Result<Option<Flavor>, PortError> {
        Ok((*version == known()).then_some(Flavor::Onnx))
    }

    async fn pin(&self, source: &ForeignSource) -> Result<Option<Pinned>, PortError> {
        Ok(source.source.starts_with("mlflow-artifacts:/0/").then(|| Pinned {
            version: known(),
            flavor: Flavor::Other,
            artifact_uri: source.source.clone(),
            run_id: source.run_id.clone(),
        }))
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
    let recorded = Arc::new(Recorded::default());
    (
        Registry::new(store, Sources::system(), Arc::new(OneSource), recorded.clone()),
        recorded,
    )
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

pub fn router(routes: Routes) -> axum::Router {
    routes.into_router(everyone::is_admin("test")).unwrap()
}

/// The status and JSON of an answer; null where there is no body.
pub async fn call(router: &axum::Router, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
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
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}
