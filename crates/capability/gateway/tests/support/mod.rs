//! Peers that speak the engine protocol over Unix sockets and do as each test tells them, and a gateway in
//! front of them on a real listener.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use corliss_clock::Sources;
use corliss_diagnostics::Meaning;
use corliss_engine::protocol::{EmbedRequest, GenerateEvent, GenerateRequest};
use corliss_gateway::{
    Gateway, GatewayConfig, Repository, RouteEndpoint, RouteReplica, RouteTable, RouteWay, Serves,
};
use corliss_http::serve::{ServeConfig, bind};
use corliss_http::{ApiError, AuthFailure, Credential, Denial, Guard};
use corliss_metastore::Metastore;
use corliss_policy_serving::Routing;
use corliss_types::{Flavor, IdSeed, Permission, Principal, PrincipalId, ReplicaId, Role, Timestamp};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a peer does with a generation.
#[derive(Debug, Clone)]
pub enum Script {
    /// Sends these texts and ends.
    Say(Vec<&'static str>),
    /// Sends these texts and then nothing, until its client goes away.
    SayAndHang(Vec<&'static str>),
    /// Sends these texts and breaks the connection.
    SayAndDie(Vec<&'static str>),
    /// Sends these texts and an error event.
    SayAndFail(Vec<&'static str>),
    /// Says something and calls `f` twice.
    Call,
    /// Refuses with this status and code.
    Refuse(u16, &'static str),
    /// Has no room for so many seconds.
    Overloaded(u64),
    /// Refuses this field.
    RefuseField(&'static str),
    /// Sends the prompt back and `!`, but refuses `bad`, breaks after `break`, is silent after `hang`, and
    /// waits a second before `slow`.
    ByPrompt,
}

pub struct PeerState {
    pub script: Mutex<Script>,
    pub requests: AtomicUsize,
    pub cancelled: AtomicUsize,
    pub last: Mutex<Option<GenerateRequest>>,
    pub seeds: Mutex<Vec<Option<u64>>>,
    pub running: AtomicUsize,
}

/// One engine process, played.
pub struct Peer {
    pub id: ReplicaId,
    pub socket: PathBuf,
    pub state: Arc<PeerState>,
    server: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Peer {
    pub fn new(n: u8, script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let state = Arc::new(PeerState {
            script: Mutex::new(script),
            requests: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            last: Mutex::new(None),
            seeds: Mutex::new(Vec::new()),
            running: AtomicUsize::new(0),
        });
        let app = axum::Router::new()
            .route("/metadata", get(metadata))
            .route("/stats", get(stats))
            .route("/infer", post(infer))
            .route("/generate", post(generate))
            .route("/embed", post(embed))
            .route("/count", post(count))
            .with_state(state.clone());
        let listener = UnixListener::bind(&socket).unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let id = ReplicaId::new(IdSeed {
            at: Timestamp::from_millis(i64::from(n)),
            random: [n; 10],
        });
        Self {
            id,
            socket,
            state,
            server: Some(server),
            _folder: folder,
        }
    }

    /// Dies: the socket file stays, nobody listens.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }

    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    pub fn says(&self, script: Script) {
        *self.state.script.lock().unwrap() = script;
    }
}

async fn metadata() -> axum::Json<Value> {
    axum::Json(json!({
        "name": "engine", "versions": ["9"], "platform": "onnx_tract", "flavor": "onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
        "batching": {"rows_max": 8, "delay_us": 500, "instances": 2},
    }))
}

/// One request of three rows in one run; of a language model, numbers that tell each other apart.
async fn stats() -> axum::Json<Value> {
    let took = json!({"count": 1, "ns": 100});
    let run = json!({"input": took, "infer": took, "output": took});
    let mut gaps = vec![0; corliss_engine::protocol::TOKEN_GAP_BOUNDS_US.len() + 1];
    (gaps[0], gaps[2]) = (2, 1);
    axum::Json(json!({
        "running": 1, "waiting": 4, "kv_tokens_reserved": 25, "kv_tokens_total": 100,
        "admitted_prompt_tokens_total": 50, "cached_prompt_tokens_total": 30, "preemptions_total": 2,
        "sequences_max": 8, "batch_sizes": {"1": 3, "4": 2}, "token_gaps": {"counts": gaps, "us_sum": 12_000},
        "inference": {"inferences": 3, "executions": 1, "last_ms": 17, "success": took, "queue": took, "compute": run,
            "batches": {"3": run}},
    }))
}

/// JSON is sent back in an object; bytes behind it are sent back as they are, behind the same JSON.
async fn infer(State(state): State<Arc<PeerState>>, headers: HeaderMap, body: Bytes) -> Response {
    const JSON_LENGTH: &str = "inference-header-content-length";
    state.requests.fetch_add(1, Ordering::SeqCst);
    let script = state.script.lock().unwrap().clone();
    if let (Some(length), Script::Say(_)) = (headers.get(JSON_LENGTH), &script) {
        return ([(JSON_LENGTH, length.clone())], body).into_response();
    }
    let body = String::from_utf8(body.to_vec()).unwrap();
    match script {
        Script::Refuse(status, code) => refusal(status, code),
        _ => (
            [("content-type", "application/json")],
            format!("{{\"echo\":{body}}}"),
        )
            .into_response(),
    }
}

/// One vector for each input, of its place and one half.
async fn embed(
    State(state): State<Arc<PeerState>>,
    axum::Json(request): axum::Json<EmbedRequest>,
) -> Response {
    state.requests.fetch_add(1, Ordering::SeqCst);
    if let Script::Refuse(status, code) = *state.script.lock().unwrap() {
        return refusal_of(status, code, "inputs[0][3]");
    }
    let vectors: Vec<[f32; 2]> = (0_u8..)
        .zip(&request.inputs)
        .map(|(at, _)| [f32::from(at), 0.5])
        .collect();
    axum::Json(json!({"vectors": vectors, "prompt_tokens": 11})).into_response()
}

/// As many tokens as a generation here says that its prompt has, and a request for embeddings its inputs.
async fn count(axum::Json(request): axum::Json<Value>) -> axum::Json<Value> {
    let many = |member: &str| request[member].as_array().map_or(0, Vec::len);
    axum::Json(json!({"tokens": 5 * many("prompts") + 11 * many("inputs").min(1)}))
}

fn refusal(status: u16, code: &str) -> Response {
    refusal_of(status, code, "prompt_tokens[7]")
}

fn refusal_of(status: u16, code: &str, field: &str) -> Response {
    let error = json!({"error": {"code": code, "message": format!("refused: {code}"), "retryable": false,
        "field": field}});
    (StatusCode::from_u16(status).unwrap(), axum::Json(error)).into_response()
}

/// Counts a generation whose body was dropped before its end.
struct Running {
    state: Arc<PeerState>,
    done: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.running.fetch_sub(1, Ordering::SeqCst);
        if !self.done {
            self.state.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn generate(
    State(state): State<Arc<PeerState>>,
    axum::Json(request): axum::Json<GenerateRequest>,
) -> Response {
    state.requests.fetch_add(1, Ordering::SeqCst);
    let prompt = match (&request.prompt, &request.prompt_tokens) {
        (Some(text), _) => text.clone(),
        (_, tokens) => format!("{:?}", tokens.clone().unwrap_or_default()),
    };
    state.seeds.lock().unwrap().push(request.seed);
    *state.last.lock().unwrap() = Some(request);
    let script = state.script.lock().unwrap().clone();
    let owned = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<String>>()
    };
    let (texts, ending) = match &script {
        Script::Refuse(status, code) => return refusal(*status, code),
        Script::Overloaded(seconds) => {
            let mut response = refusal(429, "engine_queue_full");
            response.headers_mut().insert("retry-after", (*seconds).into());
            return response;
        }
        Script::RefuseField(field) => return refusal_of(400, "invalid_request", field),
        Script::Call => (vec!["Well.".to_owned()], script.clone()),
        Script::Say(texts)
        | Script::SayAndHang(texts)
        | Script::SayAndDie(texts)
        | Script::SayAndFail(texts) => (owned(texts), script.clone()),
        Script::ByPrompt => match prompt.as_str() {
            "bad" => return refusal(400, "invalid_request"),
            "break" => (vec![prompt], Script::SayAndFail(vec![])),
            "hang" => (vec![prompt], Script::SayAndHang(vec![])),
            _ => (vec![prompt, "!".to_owned()], Script::Say(vec![])),
        },
    };
    let slow = texts.first().is_some_and(|text| text == "slow");
    let mut lines = vec![line(&GenerateEvent::Start {
        prompt_tokens: 5,
        cached_tokens: 3,
    })];
    lines.extend(texts.iter().map(|text| {
        line(&GenerateEvent::Token {
            text: text.clone(),
            logprobs: vec![],
        })
    }));
    state.running.fetch_add(1, Ordering::SeqCst);
    let running = Running { state, done: false };
    let count = u32::try_from(texts.len()).unwrap();
    let stream = futures_util::stream::unfold(
        (lines.into_iter(), running, Some(ending)),
        move |(mut lines, mut running, ending)| async move {
            if let Some(line) = lines.next() {
                if slow && line.contains("slow") {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                return Some((Ok(line), (lines, running, ending)));
            }
            match ending? {
                Script::SayAndHang(_) => std::future::pending().await,
                Script::SayAndDie(_) => {
                    // What was said is flushed only once there is nothing more to say at the moment.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    running.done = true;
                    Some((Err(std::io::Error::other("died")), (lines, running, None)))
                }
                Script::SayAndFail(_) => {
                    running.done = true;
                    let report = json!({"type": "error", "error": {"code": "engine_compute_failed", "message": "it broke"}});
                    Some((Ok(format!("{report}\n")), (lines, running, None)))
                }
                Script::Call => {
                    running.done = true;
                    let call = |index, name: Option<&str>, arguments: &str| {
                        line(&GenerateEvent::ToolCall {
                            index,
                            name: name.map(str::to_owned),
                            arguments: arguments.to_owned(),
                        })
                    };
                    let end = json!({"type": "end", "finish_reason": "tool_calls", "completion_tokens": 9});
                    let said = [
                        call(0, Some("f"), ""),
                        call(0, None, "{\"a\""),
                        call(0, None, ": 1}"),
                        call(1, Some("f"), "{}"),
                        format!("{end}\n"),
                    ];
                    Some((Ok(said.concat()), (lines, running, None)))
                }
                _ => {
                    running.done = true;
                    let end = json!({"type": "end", "finish_reason": "stop", "completion_tokens": count});
                    Some((Ok(format!("{end}\n")), (lines, running, None)))
                }
            }
        },
    );
    Body::from_stream(stream).into_response()
}

fn line(event: &GenerateEvent) -> String {
    format!("{}\n", serde_json::to_string(event).unwrap())
}

struct Open;

#[async_trait]
impl Guard for Open {
    async fn authenticate(&self, presented: Credential, _: Option<IpAddr>) -> Result<Principal, AuthFailure> {
        if presented == Credential::None {
            return Err(AuthFailure::Missing);
        }
        let id = PrincipalId::new(IdSeed {
            at: Timestamp::from_millis(1),
            random: [1; 10],
        });
        Ok(Principal {
            id,
            name: "tester".to_owned(),
            role: Role::DataScientist,
        })
    }

    fn allows(&self, _: &Principal, _: Permission) -> Result<(), Denial> {
        Ok(())
    }
}

/// Remembers what it was asked to do, and refuses what is called `broken`.
#[derive(Default)]
pub struct Shelf(pub Mutex<Vec<String>>);

#[async_trait]
impl Repository for Shelf {
    async fn load(&self, name: &str, by: &str) -> Result<(), ApiError> {
        self.0.lock().unwrap().push(format!("load {name} by {by}"));
        if name == "broken" {
            return Err(ApiError::new(
                Meaning::InvalidInput,
                "model_invalid",
                "the model is broken",
            ));
        }
        Ok(())
    }

    async fn unload(&self, name: &str) -> Result<(), ApiError> {
        self.0.lock().unwrap().push(format!("unload {name}"));
        Ok(())
    }
}

/// A gateway on a listener, and the channel through which it learns of its replicas.
pub struct House {
    pub url: String,
    pub gateway: Arc<Gateway>,
    pub tables: watch::Sender<Arc<RouteTable>>,
    pub http: reqwest::Client,
    pub shelf: Arc<Shelf>,
    server: JoinHandle<()>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl House {
    pub async fn new(config: GatewayConfig) -> Self {
        let (tables, watched) = watch::channel(Arc::new(RouteTable::default()));
        let store = Metastore::in_memory(&[corliss_gateway::MIGRATIONS])
            .await
            .unwrap();
        Self::over(config, store, tables, watched).await
    }

    /// A house over a store that may outlive it.
    pub async fn over(
        config: GatewayConfig,
        store: Metastore,
        tables: watch::Sender<Arc<RouteTable>>,
        watched: watch::Receiver<Arc<RouteTable>>,
    ) -> Self {
        let gateway = Gateway::open(config, store, Sources::system(), watched)
            .await
            .unwrap();
        let shelf = Arc::new(Shelf::default());
        let router = gateway.routes(shelf.clone()).into_app(Arc::new(Open)).unwrap();
        let listener = bind(ServeConfig::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
            .await
            .unwrap();
        let url = listener.url();
        let server = tokio::spawn(listener.run(router, std::future::pending()));
        Self {
            url,
            gateway,
            tables,
            http: reqwest::Client::new(),
            shelf,
            server,
        }
    }

    /// A house with one endpoint `m` served by these peers.
    pub async fn with(flavor: Flavor, peers: &[Peer]) -> Self {
        let house = Self::new(GatewayConfig::default()).await;
        house.route(flavor, peers);
        house
    }

    /// Says that the endpoint `m` is served by these peers.
    pub fn route(&self, flavor: Flavor, peers: &[Peer]) {
        self.route_each(vec![endpoint("m", flavor, peers, Routing::default())]);
    }

    /// Says that these are the endpoints.
    pub fn route_each(&self, endpoints: Vec<RouteEndpoint>) {
        let generation = self.tables.borrow().generation + 1;
        self.tables.send_replace(Arc::new(RouteTable {
            generation,
            endpoints,
        }));
    }

    /// The newest request of an endpoint that has ended.
    pub async fn newest(&self, endpoint: &str) -> Value {
        let (status, newest) = self
            .get(&format!("/api/v1/endpoints/{endpoint}/requests?limit=1"))
            .await;
        assert_eq!(status, 200, "{newest}");
        newest["items"][0].clone()
    }

    pub fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}{path}", self.url))
            .bearer_auth("t")
            .json(body)
    }

    pub async fn ask(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.post(path, body).send().await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null),
        )
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth("t")
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null),
        )
    }

    /// The events of a stream, as text.
    pub async fn events(&self, path: &str, body: &Value) -> Vec<String> {
        let response = self.post(path, body).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let text = response.text().await.unwrap();
        assert!(text.ends_with("\n\n"));
        text.split("\n\n")
            .filter(|event| !event.is_empty())
            .map(|event| event.strip_prefix("data: ").unwrap().to_owned())
            .collect()
    }
}

/// An endpoint of version 3, served by these peers, of which those after the first two serve version 4.
pub fn endpoint(name: &str, flavor: Flavor, peers: &[Peer], routing: Routing) -> RouteEndpoint {
    let replicas = peers.iter().enumerate().map(|(index, peer)| RouteReplica {
        id: peer.id.clone(),
        version: if index < 2 { 3 } else { 4 },
        weight: 1,
        way: RouteWay::Socket(peer.socket.clone()),
    });
    RouteEndpoint {
        name: name.to_owned(),
        model: "digits".to_owned(),
        version: 3,
        serves: Serves::Engine(flavor),
        reason: peers.is_empty().then(|| "its replica is starting".to_owned()),
        routing: Arc::new(routing),
        replicas: replicas.collect(),
        release: None,
    }
}

/// A chat with this one message, and further members.
pub fn chat(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Waits until it holds, with patience for a loaded machine.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(holds(), "{what}");
}
