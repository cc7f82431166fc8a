//! Two installations and what lies between them: a server on loopback, a folder, memory; and things that go wrong.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use corliss_blobstore::{BlobStore, MemoryBackend};
use corliss_clock::Sources;
use corliss_data::remote::{Counted, Counters, Remote, ServerLimits, StoreRemote};
use corliss_data::{
    DataError, DataService, Limits, MIGRATIONS, RemoteSettings, Remotes, ServerSettings, Transfer,
    TransferReport, routes,
};
use corliss_http::serve::{ServeConfig, bind};
use corliss_http::{AuthFailure, Credential, Denial, Guard};
use corliss_keyring::{MemoryRootKey, RootKey};
use corliss_metastore::Metastore;
use corliss_types::{Permission, Principal, PrincipalId, Role};
use http::StatusCode;

use super::name;

/// Must be seen nowhere.
pub const TOKEN: &str = "hunter2-hunter2";

pub struct Door;

#[async_trait]
impl Guard for Door {
    async fn authenticate(&self, shown: Credential, _: Option<IpAddr>) -> Result<Principal, AuthFailure> {
        match shown {
            Credential::Token(text) if text.as_str() == TOKEN => Ok(Principal {
                id: PrincipalId::new(Sources::system().id_seed()),
                name: "other server".into(),
                role: Role::PlatformAdmin,
            }),
            _ => Err(AuthFailure::Unknown),
        }
    }
    fn allows(&self, _: &Principal, _: Permission) -> Result<(), Denial> {
        Ok(())
    }
}

/// An installation of its own.
pub async fn installation(remotes: Remotes) -> DataService {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let blobs = BlobStore::in_memory().await.unwrap();
    DataService::new(store, blobs, Sources::system(), Limits::default()).with_remotes(remotes)
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Status(u16),
    /// 200, and only the first half of the body.
    Half,
    /// The connection is closed in the middle of the body.
    Cut,
    /// Done, and answered with 503 all the same.
    DoneAndLost,
}

/// Faults of the next requests whose path ends so.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<VecDeque<(String, Fault)>>>);

impl Faults {
    pub fn add(&self, path: &str, times: usize, fault: Fault) {
        let each = std::iter::repeat_n((path.to_owned(), fault), times);
        self.0.lock().unwrap().extend(each);
    }

    pub fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn take(&self, path: &str) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap();
        let at = faults.iter().position(|(end, _)| path.ends_with(end.as_str()))?;
        faults.remove(at).map(|(_, fault)| fault)
    }
}

async fn faulty(faults: Faults, request: Request, next: Next) -> Response {
    let fault = faults.take(request.uri().path());
    if let Some(Fault::Status(status)) = fault {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let answer = next.run(request).await;
    match fault {
        Some(Fault::Half | Fault::Cut) => {
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
                .await
                .unwrap();
            let half = body.slice(..body.len() / 2);
            if fault == Some(Fault::Half) {
                return half.into_response();
            }
            let parts: [Result<Bytes, std::io::Error>; 2] = [Ok(half), Err(std::io::Error::other("cut"))];
            Body::from_stream(futures_util::stream::iter(parts)).into_response()
        }
        Some(Fault::DoneAndLost) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => answer,
    }
}

/// Serves an installation on loopback; answers how another one reaches it.
pub async fn serve(service: &DataService, folder: &Path) -> (ServerSettings, Faults) {
    let app = routes(service.clone()).into_app(Arc::new(Door)).unwrap();
    let faults = Faults::default();
    let of = faults.clone();
    let router = Router::new().fallback_service(app);
    let router = router.layer(from_fn(move |request, next| faulty(of.clone(), request, next)));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = bind(ServeConfig::at(address)).await.unwrap();
    let token_file = folder.join("token");
    std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    std::fs::set_permissions(&token_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let settings = ServerSettings {
        limits: ServerLimits {
            pause: Duration::from_millis(2),
            ..ServerLimits::default()
        },
        ..ServerSettings::of(listener.url(), token_file)
    };
    tokio::spawn(listener.run(router, std::future::pending()));
    (settings, faults)
}

pub fn key() -> Arc<dyn RootKey> {
    Arc::new(MemoryRootKey::new().unwrap())
}

/// A remote in memory.
pub async fn in_memory(folder: &Path) -> Arc<StoreRemote> {
    let backend = Arc::new(MemoryBackend::default());
    let opened = StoreRemote::open("origin", backend, key(), &folder.join("memory")).await;
    Arc::new(opened.unwrap())
}

/// Remotes with one that is open, called `origin`.
pub fn with(remote: Arc<dyn Remote>) -> Remotes {
    let opened = RemoteSettings::Opened(remote);
    Remotes::default().with("origin", opened).unwrap()
}

pub async fn push(service: &DataService, dataset: &str) -> Result<(TransferReport, Counted), DataError> {
    let counters = Counters::default();
    let report = service
        .push("origin", &Transfer::all(name(dataset)), &counters)
        .await?;
    Ok((report, counters.read()))
}

pub async fn pull(service: &DataService, dataset: &str) -> Result<(TransferReport, Counted), DataError> {
    let counters = Counters::default();
    let transfer = Transfer::all(name(dataset));
    let report = service.pull("origin", &transfer, "ada", &counters).await?;
    Ok((report, counters.read()))
}

pub async fn clone(service: &DataService, dataset: &str) -> Result<(TransferReport, Counted), DataError> {
    let counters = Counters::default();
    let transfer = Transfer::all(name(dataset));
    let report = service
        .clone_dataset("origin", &transfer, "ada", &counters)
        .await?;
    Ok((report, counters.read()))
}
