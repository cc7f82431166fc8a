//! Transfers that are broken off, remotes that fail, and remotes that lie: what is there in the end is whole, and
//! nothing is to be seen before.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;
#[path = "support/remotes.rs"]
mod two;

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use corliss_blobstore::{BlobId, Kind, Piece, Record};
use corliss_data::remote::{Pieces, RefState, RefsUpdate, Remote, RemoteRefs, RemoteTrouble};
use corliss_data::{
    Commit, DataError, DataService, RefKind, RemoteSettings, Remotes, ServerSettings, routes, transfer, tree,
};
use corliss_diagnostics::ErrorReport;
use corliss_types::{CommitId, DatasetName, Timestamp, VersionId};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use support::{branch, by, commit, entry, name, on, send_tree};
use tower::ServiceExt;
use two::{Door, Fault, TOKEN, clone, installation, pull, push};

/// A dataset of two commits and some hundred files.
async fn filled(remotes: Remotes) -> DataService {
    let service = installation(remotes).await;
    commit(&service, "d", &[("a", "1")], "first").await;
    let mut body = Vec::new();
    let mut entries = Vec::new();
    for number in 0..700 {
        let text = format!("file {number}");
        transfer::append(Kind::Chunk, text.as_bytes(), &mut body);
        entries.push(entry(&format!("{number:05}"), &text));
    }
    service.put_pieces(body.into()).await.unwrap();
    let version = send_tree(&service, &entries).await.unwrap();
    service.commit(&on("d"), &version, by("second")).await.unwrap();
    service
}

async fn head(service: &DataService) -> CommitId {
    service.dataset(&name("d")).await.unwrap().summary.head
}

/// Checks a version file by file.
async fn assert_whole(service: &DataService) {
    let version = service.dataset(&name("d")).await.unwrap().summary.latest;
    let files = service.files(&version, "", 1000).await.unwrap();
    assert_eq!(files.len(), 700);
    for file in files.iter().step_by(50) {
        let (_, mut reader) = service.open_file(&version, file.path.as_str()).await.unwrap();
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut reader.bytes, &mut bytes)
            .await
            .unwrap();
        assert_eq!(BlobId::of(&bytes), file.blob);
    }
}

/// Drops a future after so many polls; None if it was dropped.
async fn polled<T>(work: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut work = Box::pin(work);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_a_push_is_dropped_the_next_one_makes_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    for polls in 0.. {
        let at = folder.path().join(polls.to_string());
        let remote = two::in_memory(&at).await;
        let left = filled(two::with(remote.clone())).await;
        let done = polled(push(&left, "d"), polls).await;
        // Names are there with everything below them, or not at all.
        let seen = remote.refs(&name("d")).await.unwrap();
        if let Some(refs) = seen {
            assert_eq!(refs.refs[0].commit, head(&left).await);
            assert_whole(&cloned(remote.clone()).await).await;
        }
        push(&left, "d").await.unwrap();
        if polls % 8 == 0 || done.is_some() {
            assert_whole(&cloned(remote).await).await;
        }
        if let Some(done) = done {
            done.unwrap();
            assert!(polls > 10, "{polls}");
            break;
        }
    }
}

async fn cloned(remote: Arc<dyn Remote>) -> DataService {
    let right = installation(two::with(remote)).await;
    clone(&right, "d").await.unwrap();
    right
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_a_clone_is_dropped_nothing_is_seen_and_the_next_one_makes_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    let remote = two::in_memory(folder.path()).await;
    let left = filled(two::with(remote.clone())).await;
    push(&left, "d").await.unwrap();
    for polls in 0.. {
        let right = installation(two::with(remote.clone())).await;
        let done = polled(clone(&right, "d"), polls).await;
        if done.is_none() && right.datasets("", 10).await.unwrap().is_empty() {
            let none = right.all_refs(&name("d")).await;
            assert!(matches!(none, Err(DataError::DatasetNotFound { .. })), "{none:?}");
            let again = clone(&right, "d").await;
            // The write of the names may still have been on its way.
            assert!(
                matches!(again, Ok(_) | Err(DataError::DatasetExists { .. })),
                "{again:?}"
            );
        }
        assert_whole(&right).await;
        assert_eq!(head(&right).await, head(&left).await);
        if done.is_some() {
            assert!(polls > 10, "{polls}");
            break;
        }
    }
}

async fn server() -> (tempfile::TempDir, DataService, ServerSettings, two::Faults) {
    let folder = tempfile::tempdir().unwrap();
    let between = installation(Remotes::default()).await;
    let (settings, faults) = two::serve(&between, folder.path()).await;
    (folder, between, settings, faults)
}

fn at(settings: &ServerSettings) -> Remotes {
    let server = RemoteSettings::Server(settings.clone());
    Remotes::default().with("origin", server).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_busy_or_breaks_off_is_asked_again() {
    let (_folder, between, settings, faults) = server().await;
    let left = filled(at(&settings)).await;
    for path in [
        "/refs",
        "/history/missing",
        "/blobs/missing",
        "/data/pieces",
        "/history",
    ] {
        faults.add(path, 2, Fault::Status(503));
        faults.add(path, 1, Fault::Status(429));
        faults.add(path, 1, Fault::DoneAndLost);
    }
    faults.add("/blobs/missing", 1, Fault::Half);
    faults.add("/history/missing", 1, Fault::Cut);
    push(&left, "d").await.unwrap();
    assert_whole(&between).await;
    assert_eq!(faults.left(), 0);
    let moves = between.dataset(&name("d")).await.unwrap();
    assert_eq!(moves.summary.head, head(&left).await);

    let right = installation(at(&settings)).await;
    for path in ["/refs", "/history/read", "/pieces/read"] {
        faults.add(path, 1, Fault::Half);
        faults.add(path, 1, Fault::Cut);
        faults.add(path, 1, Fault::Status(500));
    }
    clone(&right, "d").await.unwrap();
    assert_whole(&right).await;
    assert_eq!(faults.left(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lasts_is_told_and_not_asked_again() {
    let (_folder, between, settings, faults) = server().await;
    let left = filled(at(&settings)).await;
    let trouble = async |faults: &two::Faults| {
        let before = faults.left();
        let error = push(&left, "d").await.unwrap_err();
        let report = ErrorReport::of(&error);
        assert!(!format!("{error:?} {report:?}").contains(TOKEN), "{report:?}");
        assert!(between.datasets("", 10).await.unwrap().is_empty());
        match error {
            DataError::Remote { trouble, .. } => (trouble, report.retryable, before - faults.left()),
            other => panic!("{other:?}"),
        }
    };
    faults.add("/pieces", 1, Fault::Status(403));
    assert_eq!(trouble(&faults).await, (RemoteTrouble::Denied, false, 1));
    faults.add("/pieces", 1, Fault::Status(307));
    assert_eq!(trouble(&faults).await, (RemoteTrouble::Refused, false, 1));
    faults.add("/pieces", 6, Fault::Status(503));
    assert_eq!(trouble(&faults).await, (RemoteTrouble::Unavailable, true, 6));
    std::fs::write(&settings.token_file, "another").unwrap();
    assert_eq!(trouble(&faults).await, (RemoteTrouble::Denied, false, 0));
    let nobody = ServerSettings {
        url: "http://127.0.0.1:1".to_owned(),
        ..settings.clone()
    };
    let right = installation(at(&nobody)).await;
    let error = clone(&right, "d").await.unwrap_err();
    assert!(ErrorReport::of(&error).retryable, "{error:?}");
    // The next token is read without a restart.
    std::fs::write(&settings.token_file, TOKEN).unwrap();
    push(&left, "d").await.unwrap();
    assert_whole(&between).await;
}

/// What a remote may say that is not so.
#[derive(Clone, Debug, PartialEq)]
enum Lie {
    /// That it has everything, once.
    HasAll,
    /// Other pieces than were asked for.
    OtherPieces,
    NoPieces,
    /// A commit with other words.
    OtherWords,
    NoHistory,
    /// A branch at a commit that it does not have.
    Nowhere,
    /// Its own commits, without end or with words without end.
    Own(Arc<HashMap<CommitId, Commit>>, CommitId),
}

struct Liar {
    inner: Arc<dyn Remote>,
    lie: Lie,
    has_lied: AtomicBool,
}

impl Liar {
    fn new(inner: &Arc<dyn Remote>, lie: Lie) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            lie,
            has_lied: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl Pieces for Liar {
    async fn missing(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, DataError> {
        if self.lie == Lie::HasAll && !self.has_lied.swap(true, Ordering::SeqCst) {
            return Ok(Vec::new());
        }
        self.inner.missing(ids).await
    }
    async fn put(&self, pieces: Vec<Piece>) -> Result<(), DataError> {
        self.inner.put(pieces).await
    }
    async fn read(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, DataError> {
        match self.lie {
            Lie::OtherPieces => Ok(vec![Piece::chunk(Bytes::from_static(b"not asked for"))]),
            Lie::NoPieces => Ok(Vec::new()),
            _ => self.inner.read(ids).await,
        }
    }
}

#[async_trait]
impl Remote for Liar {
    fn name(&self) -> &str {
        "origin"
    }
    async fn datasets(&self, after: &str, limit: usize) -> Result<Vec<DatasetName>, DataError> {
        self.inner.datasets(after, limit).await
    }
    async fn refs(&self, dataset: &DatasetName) -> Result<Option<RemoteRefs>, DataError> {
        let at = match &self.lie {
            Lie::Nowhere => CommitId::from_digest([7; 32]),
            Lie::Own(_, head) => head.clone(),
            _ => return self.inner.refs(dataset).await,
        };
        let main = RefState {
            kind: RefKind::Branch,
            name: branch("main"),
            commit: at,
            protected: false,
        };
        Ok(Some(RemoteRefs {
            default_branch: branch("main"),
            refs: vec![main],
        }))
    }
    async fn missing_commits(
        &self,
        dataset: &DatasetName,
        commits: &[(CommitId, u64)],
    ) -> Result<Vec<CommitId>, DataError> {
        self.inner.missing_commits(dataset, commits).await
    }
    async fn put_commits(&self, dataset: &DatasetName, commits: Vec<Commit>) -> Result<(), DataError> {
        self.inner.put_commits(dataset, commits).await
    }
    async fn history(
        &self,
        dataset: &DatasetName,
        from: &[CommitId],
        limit: usize,
    ) -> Result<Vec<Commit>, DataError> {
        match &self.lie {
            Lie::NoHistory | Lie::Nowhere => Ok(Vec::new()),
            Lie::Own(commits, _) => {
                let mut found = Vec::new();
                let mut next = from.first();
                while let Some(commit) = next
                    .and_then(|id| commits.get(id))
                    .filter(|_| found.len() < limit)
                {
                    next = commit.parents.first();
                    found.push(commit.clone());
                }
                Ok(found)
            }
            lie => {
                let mut found = self.inner.history(dataset, from, limit).await?;
                if *lie == Lie::OtherWords {
                    found[0].message.push_str(" and more");
                }
                Ok(found)
            }
        }
    }
    async fn update_refs(&self, dataset: &DatasetName, update: &RefsUpdate) -> Result<(), DataError> {
        self.inner.update_refs(dataset, update).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_that_no_longer_has_what_it_said_is_sent_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let remote: Arc<dyn Remote> = two::in_memory(folder.path()).await;
    let left = filled(two::with(Liar::new(&remote, Lie::HasAll))).await;
    push(&left, "d").await.unwrap();
    assert_whole(&cloned(remote).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_remote_says_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let remote: Arc<dyn Remote> = two::in_memory(folder.path()).await;
    let left = filled(two::with(Arc::clone(&remote))).await;
    push(&left, "d").await.unwrap();
    for lie in [
        Lie::OtherPieces,
        Lie::NoPieces,
        Lie::OtherWords,
        Lie::NoHistory,
        Lie::Nowhere,
    ] {
        let right = installation(two::with(Liar::new(&remote, lie.clone()))).await;
        let error = clone(&right, "d").await.unwrap_err();
        let is_told = matches!(
            error,
            DataError::BadTree { .. }
                | DataError::Remote {
                    trouble: RemoteTrouble::Answer,
                    ..
                }
        );
        assert!(is_told, "{lie:?} {error:?}");
        assert!(right.datasets("", 10).await.unwrap().is_empty());
    }
}

fn chain(len: usize, message: &str) -> Lie {
    let mut commits = HashMap::new();
    let mut parents = Vec::new();
    for number in 0..len {
        let commit = Commit {
            version: VersionId::from_digest([1; 32]),
            parents: std::mem::take(&mut parents),
            author: number.to_string(),
            created_ms: Timestamp::from_millis(1),
            message: message.to_owned(),
        };
        parents.push(commit.id());
        commits.insert(commit.id(), commit);
    }
    Lie::Own(Arc::new(commits), parents.remove(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_without_end_comes_to_one() {
    let folder = tempfile::tempdir().unwrap();
    let remote: Arc<dyn Remote> = two::in_memory(folder.path()).await;
    // Too many commits, and too many words.
    for lie in [chain(200_100, ""), chain(80, &"x".repeat(1 << 20))] {
        let right = installation(two::with(Liar::new(&remote, lie))).await;
        let error = clone(&right, "d").await.unwrap_err();
        assert!(matches!(error, DataError::TooMany { .. }), "{error:?}");
    }
}

/// Commits that are what their ids say, of trees that are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_that_is_none_is_refused_and_nothing_is_seen_of_it() {
    let (_folder, between, settings, _) = server().await;
    let remote = corliss_data::remote::ServerRemote::open("origin", &settings).unwrap();
    let d = name("d");
    let chunk = Piece::chunk(Bytes::from_static(b"four"));
    let no_tree = Record {
        links: vec![chunk.id],
        body: Bytes::from_static(b"something else"),
    };
    let mut wrong_size = tree::Builder::default();
    wrong_size
        .push(&corliss_data::Entry {
            size_bytes: 5,
            ..entry("a", "four")
        })
        .unwrap();
    wrong_size.finish().unwrap();
    let wrong_size = wrong_size.take_pieces().remove(0);
    for root in [no_tree.to_piece(), wrong_size] {
        let version = tree::version_of(root.id);
        remote.put(vec![chunk.clone(), root]).await.unwrap();
        let mut commit = Commit {
            version,
            parents: Vec::new(),
            author: "ada".to_owned(),
            created_ms: Timestamp::from_millis(1),
            message: String::new(),
        };
        let refused = remote.put_commits(&d, vec![commit.clone()]).await;
        assert!(refused.is_err());
        commit.author.push_str("\nparent");
        assert!(remote.put_commits(&d, vec![commit.clone()]).await.is_err());
        assert!(between.missing_commits(vec![commit.id()]).await.unwrap().len() == 1);
        // The same commits, and their trees, from a remote that takes everything.
        let folder = tempfile::tempdir().unwrap();
        let inner: Arc<dyn Remote> = two::in_memory(folder.path()).await;
        commit.author = "ada".to_owned();
        inner
            .put(remote.read(vec![chunk.id]).await.unwrap())
            .await
            .unwrap();
        let id = tree::root_of(&commit.version).unwrap();
        inner.put(remote.read(vec![id]).await.unwrap()).await.unwrap();
        let own = HashMap::from([(commit.id(), commit.clone())]);
        let lie = Lie::Own(Arc::new(own), commit.id());
        let right = installation(two::with(Liar::new(&inner, lie))).await;
        let error = clone(&right, "d").await.unwrap_err();
        let is_told = matches!(error, DataError::BadTree { .. } | DataError::SizeMismatch { .. });
        assert!(is_told, "{error:?}");
        assert!(right.datasets("", 10).await.unwrap().is_empty());
    }
}

async fn call(service: &DataService, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let router = routes(service.clone()).into_app(Arc::new(Door)).unwrap();
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/data/{path}"))
        .header("host", "127.0.0.1")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// Waits until an operation has ended.
async fn ended(service: &DataService, started: &Value) -> Value {
    let path = format!("operations/{}", started["id"].as_str().unwrap());
    loop {
        let (status, now) = call(service, Method::GET, &path, Value::Null).await;
        assert_eq!(status, StatusCode::OK);
        if now["state"] != "running" {
            return now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_run_in_the_background_and_are_told_about() {
    let (_folder, between, settings, faults) = server().await;
    let left = filled(at(&settings)).await;
    let (_, remotes) = call(&left, Method::GET, "remotes", Value::Null).await;
    let expected = json!([{"name": "origin", "kind": "server", "place": settings.url}]);
    assert_eq!(remotes["items"], expected);
    let body = json!({"remote": "origin"});
    let (status, started) = call(&left, Method::POST, "datasets/d/push", body.clone()).await;
    assert_eq!(
        (status, &started["state"]),
        (StatusCode::ACCEPTED, &json!("running")),
        "{started}"
    );
    let done = ended(&left, &started).await;
    assert_eq!(
        (&done["state"], &done["result"]["commits"]),
        (&json!("done"), &json!(2)),
        "{done}"
    );
    assert_eq!(done["progress"]["files"], json!(701));
    assert_eq!(done["result"]["refs"][0]["outcome"], "created");
    assert_whole(&between).await;

    let right = installation(at(&settings)).await;
    let (_, found) = call(&right, Method::GET, "remotes/origin/datasets", Value::Null).await;
    assert_eq!(found["items"], json!([{"name": "d"}]));
    let body = json!({"remote": "origin", "dataset": "d", "name": "e"});
    let (status, started) = call(&right, Method::POST, "clones", body.clone()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    assert_eq!(ended(&right, &started).await["state"], "done");
    let body = json!({"remote": "origin", "remote_dataset": "d", "branches": ["main"]});
    let (_, started) = call(&right, Method::POST, "datasets/e/pull", body).await;
    let done = ended(&right, &started).await;
    assert_eq!(done["result"]["refs"][0]["outcome"], "up_to_date", "{done}");
    let (_, started) = call(
        &right,
        Method::POST,
        "datasets/none/pull",
        json!({"remote": "origin"}),
    )
    .await;
    let failed = ended(&right, &started).await;
    assert_eq!(
        (&failed["state"], &failed["error"]["code"]),
        (&json!("failed"), &json!("dataset_not_found"))
    );
    let (_, listed) = call(&right, Method::GET, "operations", Value::Null).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
    assert_eq!(listed["items"][0]["id"], started["id"], "newest first");

    // One that hangs is the only one of its kind until it is cancelled.
    commit(&left, "d", &[("a", "2")], "").await;
    faults.add("/refs", usize::from(u16::MAX), Fault::Status(503));
    let body = json!({"remote": "origin"});
    let (_, hangs) = call(&left, Method::POST, "datasets/d/push", body.clone()).await;
    let (status, refused) = call(&left, Method::POST, "datasets/d/push", body.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(refused["error"]["code"], "data_transfer_running");
    let path = format!("operations/{}", hangs["id"].as_str().unwrap());
    let (_, cancelled) = call(&left, Method::DELETE, &path, Value::Null).await;
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
    let (status, _) = call(&left, Method::POST, "datasets/d/push", body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    for (path, code) in [
        ("operations/op_0", "data_operation_not_found"),
        ("remotes/none/datasets", "data_remote_not_found"),
    ] {
        let (status, answer) = call(&left, Method::GET, path, Value::Null).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::NOT_FOUND, &json!(code))
        );
    }
    let elsewhere = json!({"remote": "http://127.0.0.1:1"});
    let (status, _) = call(&left, Method::POST, "datasets/d/pull", elsewhere).await;
    assert_eq!(
        status,
        StatusCode::NOT_FOUND,
        "a remote is a name and never an address"
    );
}

#[tokio::test]
async fn pulling_what_is_there_already_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let remote: Arc<dyn Remote> = two::in_memory(folder.path()).await;
    let left = filled(two::with(Arc::clone(&remote))).await;
    push(&left, "d").await.unwrap();
    let right = installation(two::with(Liar::new(&remote, Lie::NoHistory))).await;
    let refused = clone(&right, "d").await;
    assert!(refused.is_err());
    // Neither a history nor a piece is needed where the head is known.
    let left = left.with_remotes(two::with(Liar::new(&remote, Lie::NoHistory)));
    let (report, counted) = pull(&left, "d").await.unwrap();
    assert_eq!((report.commits, counted.pieces), (0, 0));
}
