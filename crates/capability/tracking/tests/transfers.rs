//! Uploads in parts and addresses for a while: over the routes, as an unmodified client uses them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::sync::Arc;

use ::http::Request;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use corliss_clock::{ManualClock, Sources};
use corliss_metastore::Metastore;
use corliss_testkit::everyone;
use corliss_testkit::metastore::for_each_backend;
use corliss_tracking::{MIGRATIONS, NewRun, Tracking, http};
use corliss_types::{DurationMs, Timestamp};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use support::Memory;
use tower::ServiceExt;

const MPU: &str = "/api/2.0/mlflow-artifacts/mpu";

/// The routes over a store, with a run, and what the test looks behind.
struct House {
    router: corliss_http::App,
    tracking: Tracking,
    clock: Arc<ManualClock>,
    memory: Memory,
    run: String,
    /// Where the run's artifacts are.
    root: String,
}

async fn house(store: Metastore) -> House {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    let memory = Memory::default();
    let sources = Sources::replayable(clock.clone(), 3);
    let tracking = Tracking::open(store, sources, Arc::new(memory.clone()))
        .await
        .unwrap();
    let run = tracking.create_run(NewRun::default()).await.unwrap().info;
    House {
        router: http::routes(tracking.clone())
            .into_app(everyone::is_admin("test"))
            .unwrap(),
        root: run
            .artifact_uri
            .trim_start_matches("mlflow-artifacts:/")
            .to_owned(),
        run: run.run_id,
        tracking,
        clock,
        memory,
    }
}

async fn in_memory() -> House {
    house(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await
}

impl House {
    /// With a token, as clients call the server.
    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost:7070")
            .header("authorization", "Bearer any")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Without one, as clients use the addresses they are given.
    async fn bare(&self, method: &str, url: &str, range: Option<&str>, body: &str) -> Response {
        let path = url.strip_prefix("http://localhost:7070").unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost:7070");
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn begin(&self, name: &str, parts: usize) -> (String, Vec<String>) {
        let path = format!("{MPU}/create/{}", self.root);
        let (status, made) = self
            .call("POST", &path, json!({"path": name, "num_parts": parts}))
            .await;
        assert_eq!(status, 200, "{made}");
        let credentials = made["credentials"].as_array().unwrap();
        let numbers: Vec<u64> = credentials
            .iter()
            .map(|one| one["part_number"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=parts as u64).collect::<Vec<_>>());
        let urls = credentials
            .iter()
            .map(|one| one["url"].as_str().unwrap().to_owned());
        (made["upload_id"].as_str().unwrap().to_owned(), urls.collect())
    }

    /// What the answer calls the part.
    async fn send(&self, url: &str, body: &str) -> String {
        let answer = self.bare("PUT", url, None, body).await;
        assert_eq!(answer.status(), 200);
        answer.headers()["etag"].to_str().unwrap().to_owned()
    }

    async fn finish(&self, name: &str, id: &str, etags: &[(u64, &str)]) -> (u16, Value) {
        let parts: Vec<Value> = etags
            .iter()
            .map(|(number, etag)| json!({"part_number": number, "etag": etag, "url": "x"}))
            .collect();
        let body = json!({"path": name, "upload_id": id, "parts": parts});
        self.call("POST", &format!("{MPU}/complete/{}", self.root), body)
            .await
    }

    async fn file(&self, name: &str) -> Option<String> {
        let opened = self.tracking.open_artifact(format!("{}/{name}", self.root)).await;
        match opened {
            Ok(read) => Some(support::text(read.bytes).await),
            Err(_) => None,
        }
    }
}

#[tokio::test]
async fn a_file_of_parts_is_there_when_it_is_complete_and_not_before() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let house = house(store).await;
        let (id, urls) = house.begin("/home/ada/big.bin", 3).await;
        // In any order; and one again, with other bytes.
        let third = house.send(&urls[2], "-the end").await;
        let first = house.send(&urls[0], "the beginning-").await;
        house.send(&urls[1], "a mistake").await;
        let second = house.send(&urls[1], "the middle").await;
        assert_eq!(house.file("big.bin").await, None);
        let all = [(1, first.as_str()), (3, third.as_str()), (2, second.as_str())];
        assert_eq!(house.finish("big.bin", &id, &all).await, (200, json!({})));
        assert_eq!(
            house.file("big.bin").await.as_deref(),
            Some("the beginning-the middle-the end")
        );
        // The first answer was lost; and what is complete is not aborted.
        assert_eq!(house.finish("big.bin", &id, &all).await.0, 200);
        let abort = json!({"path": "big.bin", "upload_id": id});
        assert_eq!(
            house
                .call("POST", &format!("{MPU}/abort/{}", house.root), abort)
                .await
                .0,
            200
        );
        assert!(house.file("big.bin").await.is_some());
        assert_eq!(
            house.tracking.blobs_in_use().await.unwrap().len(),
            1,
            "parts are nobody's now"
        );
        assert_eq!(house.bare("PUT", &urls[0], None, "late").await.status(), 404);
    })
    .await;
}

#[tokio::test]
async fn parts_that_are_missing_or_others_complete_nothing() {
    let house = in_memory().await;
    let (id, urls) = house.begin("a", 2).await;
    let first = house.send(&urls[0], "one").await;
    for (parts, reason) in [
        (vec![], "Missing value for required parameter 'parts'"),
        (vec![(1, first.as_str()), (2, "\"b9\"")], "Part 2 has not arrived"),
        (vec![(1, "\"other\"")], "Part 1 is not the one"),
        (vec![(1, first.as_str()), (1, first.as_str())], "twice"),
    ] {
        let (status, refused) = house.finish("a", &id, &parts).await;
        assert_eq!(status, 400);
        assert!(refused["message"].as_str().unwrap().contains(reason), "{refused}");
    }
    assert_eq!(
        house.finish("b", &id, &[(1, &first)]).await.0,
        404,
        "another path"
    );
    assert_eq!(house.finish("a", "no-upload", &[(1, &first)]).await.0, 404);
    assert_eq!(house.file("a").await, None);
    // A file where a folder is.
    house
        .tracking
        .put_artifact(format!("{}/a/b", house.root), support::body("x"))
        .await
        .unwrap();
    assert_eq!(house.finish("a", &id, &[(1, &first)]).await.0, 400);
}

#[tokio::test]
async fn what_is_aborted_cut_off_or_forgotten_leaves_nothing() {
    let house = in_memory().await;
    let in_use = async || house.tracking.blobs_in_use().await.unwrap().len();
    let (id, urls) = house.begin("a", 2).await;
    house.send(&urls[0], "one").await;
    assert_eq!(in_use().await, 1, "a part is kept while its upload is under way");
    let path = format!("{MPU}/abort/{}", house.root);
    let abort = json!({"path": "a", "upload_id": id});
    assert_eq!(house.call("POST", &path, abort.clone()).await.0, 200);
    assert_eq!(
        (in_use().await, house.call("POST", &path, abort).await.0),
        (0, 404)
    );
    assert_eq!(house.bare("PUT", &urls[1], None, "two").await.status(), 404);

    // A body that breaks off.
    let (_, urls) = house.begin("b", 1).await;
    let broken = futures_util::stream::iter([
        Ok(Bytes::from_static(b"half")),
        Err(std::io::Error::other("the connection broke")),
    ]);
    let path = urls[0].strip_prefix("http://localhost:7070").unwrap();
    let request = Request::put(path)
        .header("host", "localhost:7070")
        .body(Body::from_stream(broken))
        .unwrap();
    assert!(
        house
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .status()
            .is_server_error()
    );
    assert_eq!(in_use().await, 0);

    let (id, urls) = house.begin("c", 1).await;
    let etag = house.send(&urls[0], "one").await;
    house.clock.advance(DurationMs::from_secs(24 * 60 * 60));
    assert_eq!(
        house.tracking.forget_uploads().await.unwrap(),
        0,
        "not after a day, but later"
    );
    house.clock.advance(DurationMs(1));
    assert_eq!(house.tracking.forget_uploads().await.unwrap(), 2);
    assert_eq!(
        (in_use().await, house.finish("c", &id, &[(1, &etag)]).await.0),
        (0, 404)
    );
    assert_eq!(house.bare("PUT", &urls[0], None, "late").await.status(), 404);
}

#[tokio::test]
async fn uploads_are_only_where_a_run_has_its_artifacts_and_only_so_many() {
    let house = in_memory().await;
    let begin = async |folder: &str, body: Value| {
        house
            .call("POST", &format!("{MPU}/create/{folder}"), body)
            .await
            .0
    };
    let one = json!({"path": "a", "num_parts": 1});
    for folder in ["0/elsewhere/artifacts", "0", "../etc", "%2e%2e/etc"] {
        assert!(matches!(begin(folder, one.clone()).await, 400 | 404), "{folder}");
    }
    for body in [
        json!({"num_parts": 1}),
        json!({"path": "a", "num_parts": 0}),
        json!({"path": "a", "num_parts": 10_001}),
        json!({"path": "..", "num_parts": 1}),
        json!({"path": "a%2F..%2Fb", "num_parts": 1}),
    ] {
        assert_eq!(begin(&house.root, body.clone()).await, 400, "{body}");
    }
    for _ in 0..1_000 {
        house
            .tracking
            .create_upload(format!("{}/a", house.root), 1)
            .await
            .unwrap();
    }
    assert_eq!(begin(&house.root, one).await, 429);
    assert_eq!(house.memory.count(), 0);
}

#[tokio::test]
async fn an_address_opens_one_file_for_a_while_and_in_ranges() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let house = house(store).await;
        let path = format!("{}/a b.txt", house.root);
        house
            .tracking
            .put_artifact(path.clone(), support::body("0123456789"))
            .await
            .unwrap();
        let presigned = format!("/api/2.0/mlflow-artifacts/presigned/{}", path.replace(' ', "%20"));
        let (status, made) = house.call("GET", &presigned, json!({})).await;
        assert_eq!(
            (status, &made["file_size"], &made["headers"]),
            (200, &json!(10), &json!({}))
        );
        let url = made["url"].as_str().unwrap();
        let whole = house.bare("GET", url, None, "").await;
        assert_eq!(whole.status(), 200);
        assert!(
            whole.headers()["content-disposition"]
                .to_str()
                .unwrap()
                .starts_with("attachment")
        );
        for (range, status, bounds, bytes) in [
            ("bytes=0-3", 206, Some("bytes 0-3/10"), "0123"),
            ("bytes=8-99", 206, Some("bytes 8-9/10"), "89"),
            ("bytes=-2", 206, Some("bytes 8-9/10"), "89"),
            ("bytes=10-", 416, None, ""),
            ("lines=1-2", 200, None, "0123456789"),
        ] {
            let part = house.bare("GET", url, Some(range), "").await;
            let found = part
                .headers()
                .get("content-range")
                .map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(
                (part.status().as_u16(), found.as_deref()),
                (status, bounds),
                "{range}"
            );
            let body = part.into_body().collect().await.unwrap().to_bytes();
            assert!(status == 416 || body == bytes, "{range}");
        }
        assert_eq!(
            house.bare("PUT", url, None, "x").await.status(),
            404,
            "it is for reading"
        );
        house
            .tracking
            .put_artifact(path.clone(), support::body("another"))
            .await
            .unwrap();
        assert_eq!(
            house.bare("GET", url, None, "").await.status(),
            404,
            "two files are never mixed"
        );
        let (_, made) = house.call("GET", &presigned, json!({})).await;
        house.clock.advance(DurationMs::from_secs(300));
        assert_eq!(
            house
                .bare("GET", made["url"].as_str().unwrap(), None, "")
                .await
                .status(),
            404
        );
        assert_eq!(
            house.call("GET", &format!("{presigned}x"), json!({})).await.0,
            404
        );
        for wrong in ["x", "x.y", ""] {
            let url = format!("http://localhost:7070/api/2.0/mlflow-artifacts/transfer?ticket={wrong}");
            assert_eq!(house.bare("GET", &url, None, "").await.status(), 404);
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_gives_addresses_for_its_files() {
    let house = in_memory().await;
    let upload = "/api/2.0/mlflow/artifacts/presigned-upload-url";
    let download = "/api/2.0/mlflow/artifacts/presigned-download-url";
    let of_run = json!({"run_id": house.run, "path": "model/w.bin", "expiration": 60});
    let (status, made) = house.call("POST", upload, of_run.clone()).await;
    assert_eq!(status, 200, "{made}");
    let url = made["presigned_url"].as_str().unwrap();
    assert_eq!(
        house.bare("GET", url, None, "").await.status(),
        404,
        "it is for writing"
    );
    house.send(url, "weights").await;
    assert_eq!(house.file("model/w.bin").await.as_deref(), Some("weights"));
    let (_, made) = house.call("POST", download, of_run).await;
    assert_eq!(made["file_size"], 7);
    let read = house
        .bare("GET", made["presigned_url"].as_str().unwrap(), None, "")
        .await;
    assert_eq!(read.into_body().collect().await.unwrap().to_bytes(), "weights");
    house.clock.advance(DurationMs::from_secs(60));
    assert_eq!(house.bare("PUT", url, None, "late").await.status(), 404);
    for bad in [
        json!({"run_id": house.run}),
        json!({"path": "a"}),
        json!({"run_id": house.run, "model_id": "m-1", "path": "a"}),
        json!({"run_id": house.run, "path": "a", "expiration": 0}),
        json!({"run_id": house.run, "path": "a", "expiration": 604_801}),
        json!({"run_id": house.run, "path": "../../x"}),
    ] {
        assert_eq!(house.call("POST", upload, bad.clone()).await.0, 400, "{bad}");
    }
    let absent = json!({"run_id": house.run, "path": "no-file"});
    assert_eq!(house.call("POST", download, absent).await.0, 404);
    let absent = json!({"run_id": "no-run", "path": "a"});
    assert_eq!(house.call("POST", upload, absent).await.0, 404);
}

#[tokio::test]
async fn pages_fetch_and_add_files_of_a_run() {
    let house = in_memory().await;
    let add = format!(
        "/ajax-api/2.0/mlflow/upload-artifact?run_uuid={}&path=notes/a.html",
        house.run
    );
    let request = Request::post(&add)
        .header("host", "localhost:7070")
        .header("authorization", "Bearer any")
        .body(Body::from("<script>"))
        .unwrap();
    assert_eq!(house.router.clone().oneshot(request).await.unwrap().status(), 200);
    for id in ["run_id", "run_uuid"] {
        let path = format!("/get-artifact?{id}={}&path=notes%2Fa.html", house.run);
        let request = Request::get(path)
            .header("host", "localhost:7070")
            .header("authorization", "Bearer any")
            .body(Body::empty())
            .unwrap();
        let answer = house.router.clone().oneshot(request).await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/octet-stream");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(
            header("content-disposition"),
            "attachment; filename*=UTF-8''a.html"
        );
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "<script>");
    }
    for (query, status) in [
        (format!("run_id={}&path=..%2F..%2Fx", house.run), 400),
        (format!("run_id={}&path=no-file", house.run), 404),
        (format!("run_id={}", house.run), 400),
        ("run_id=no-run&path=a".to_owned(), 404),
        ("path=a".to_owned(), 400),
    ] {
        let (found, _) = house
            .call("GET", &format!("/get-artifact?{query}"), json!({}))
            .await;
        assert_eq!(found, status, "{query}");
    }
}

#[tokio::test]
async fn models_are_written_into_the_history_of_their_run() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let house = house(store).await;
        let path = "/api/2.0/mlflow/runs/log-model";
        let model = |name: &str| {
            json!({"artifact_path": name, "flavors": {"f": {"a": 1, "config": {"long": 1}}}, "utc_time_created": "now",
                   "run_id": "r", "signature": null})
            .to_string()
        };
        for name in ["one", "two"] {
            let body = json!({"run_id": house.run, "model_json": model(name)});
            assert_eq!(house.call("POST", path, body).await, (200, json!({})));
        }
        let run = house.tracking.run(house.run.clone()).await.unwrap();
        let tag = run.tags.iter().find(|tag| tag.key == "mlflow.log-model.history").unwrap();
        let entry = |name: &str| {
            json!({"artifact_path": name, "flavors": {"f": {"a": 1}}, "utc_time_created": "now", "run_id": "r"})
        };
        assert_eq!(serde_json::from_str::<Value>(&tag.value).unwrap(), json!([entry("one"), entry("two")]));
        for (body, status) in [
            (json!({"run_id": house.run, "model_json": "["}), 400),
            (json!({"run_id": house.run, "model_json": "{}"}), 400),
            (json!({"run_id": house.run}), 400),
            (json!({"run_id": "no-run", "model_json": model("x")}), 404),
        ] {
            assert_eq!(house.call("POST", path, body.clone()).await.0, status, "{body}");
        }
    })
    .await;
}

#[tokio::test]
async fn datasets_of_experiments_are_each_told_once() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let house = house(store).await;
        let other = house
            .tracking
            .create_run(NewRun::default())
            .await
            .unwrap()
            .info
            .run_id;
        for (run, name, context) in [
            (&house.run, "digits", Some("training")),
            (&other, "digits", Some("training")),
            (&other, "plain", None),
        ] {
            let tags: Vec<Value> = context
                .iter()
                .map(|context| json!({"key": "mlflow.data.context", "value": context}))
                .collect();
            let dataset = json!({"name": name, "digest": "d", "source_type": "local", "source": "{}"});
            let body = json!({"run_id": run, "datasets": [{"dataset": dataset, "tags": tags}]});
            assert_eq!(
                house
                    .call("POST", "/api/2.0/mlflow/runs/log-inputs", body)
                    .await
                    .0,
                200
            );
        }
        let path = "/ajax-api/2.0/mlflow/experiments/search-datasets";
        let (_, found) = house.call("POST", path, json!({"experiment_ids": ["0"]})).await;
        assert_eq!(
            found["dataset_summaries"],
            json!([
                {"experiment_id": "0", "name": "digits", "digest": "d", "context": "training"},
                {"experiment_id": "0", "name": "plain", "digest": "d"},
            ])
        );
        let many: Vec<String> = (0..21).map(|id| id.to_string()).collect();
        for bad in [json!([]), json!(many), json!(["x"])] {
            assert_eq!(
                house.call("POST", path, json!({"experiment_ids": bad})).await.0,
                400
            );
        }
    })
    .await;
}
