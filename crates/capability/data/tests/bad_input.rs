//! What nobody should send: every route refuses it with a status of the 400s, a stable code, words, and the field
//! where it can be told; and what only looks odd is taken and comes back as it was.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use axum::body::Body;
use corliss_blobstore::{BlobId, BlobStore, Kind, Record};
use corliss_clock::Sources;
use corliss_data::{DataService, Limits, MIGRATIONS, routes, transfer, tree};
use corliss_http::App;
use corliss_metastore::Metastore;
use corliss_testkit::everyone;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// A server with the dataset `d`: two commits, the branch `side`, and a stored blob that is no tree.
struct Server {
    router: App,
    /// The blob `hello`.
    blob: String,
    version: String,
    commit: String,
}

const COMMITS: &str = "/api/v1/data/datasets/d/commits";

impl Server {
    async fn start() -> Self {
        let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
        let blobs = BlobStore::in_memory().await.unwrap();
        let service = DataService::new(store, blobs, Sources::system(), Limits::default());
        let mut server = Self {
            router: routes(service).into_app(everyone::is_admin("test")).unwrap(),
            blob: BlobId::of(b"hello").to_string(),
            version: String::new(),
            commit: String::new(),
        };
        server.send_pieces(&[(Kind::Chunk, b"hello")]).await;
        for path in ["a", "b/c"] {
            let body = json!({"edits": [{"path": path, "blob": server.blob}]});
            let committed = server.taken(Method::POST, COMMITS, body).await;
            server.version = committed["version"].as_str().unwrap().to_owned();
            server.commit = committed["commit"].as_str().unwrap().to_owned();
        }
        let branches = "/api/v1/data/datasets/d/branches";
        server
            .taken(Method::POST, branches, json!({"name": "side"}))
            .await;
        server
    }

    async fn send_pieces(&self, pieces: &[(Kind, &[u8])]) {
        let mut body = Vec::new();
        for (kind, bytes) in pieces {
            transfer::append(*kind, bytes, &mut body);
        }
        let (status, answer) = self.call(Method::POST, "/api/v1/data/pieces", body).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn call(&self, method: Method, path: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("authorization", "Bearer x");
        let request = request.body(body.into()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn taken(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body.to_string()).await;
        assert!((200..300).contains(&status), "{path} {body} {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, Body::empty()).await
    }

    /// Refused as the caller's mistake, with this code, and about this field (`""`: none).
    async fn refuses(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Body>,
        code: &str,
        field: &str,
    ) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        let shown: String = path.chars().take(150).collect();
        assert!((400..500).contains(&status), "{shown} {status} {answer}");
        let error = &answer["error"];
        assert_eq!(error["code"], code, "{shown} {answer}");
        assert_eq!(error["field"].as_str().unwrap_or(""), field, "{shown} {answer}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.is_empty() && message.len() < 700, "{shown} {answer}");
        answer["error"].clone()
    }

    async fn refuses_get(&self, path: &str, code: &str, field: &str) -> Value {
        self.refuses(Method::GET, path, Body::empty(), code, field).await
    }

    async fn refuses_post(&self, path: &str, body: Value, code: &str, field: &str) -> Value {
        self.refuses(Method::POST, path, body.to_string(), code, field)
            .await
    }

    fn edit(&self, path: &str) -> Value {
        json!({"path": path, "blob": self.blob})
    }
}

/// Every byte that is not plain as `%xx`.
fn escaped(text: &str) -> String {
    let each = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    });
    each.collect()
}

#[tokio::test]
async fn paths_that_lead_elsewhere_or_contradict_each_other_are_refused() {
    let server = Server::start().await;
    let long_part = "x".repeat(256);
    for bad in [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../a",
        "a/..",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "a\0b",
        "a\nb",
        "\u{7f}",
        "\u{85}",
        &long_part,
        &format!("a/{}", "é".repeat(128)),
        &"a/".repeat(2048),
        &"x".repeat(4096),
    ] {
        let body = json!({"edits": [server.edit("fine"), server.edit(bad)]});
        server
            .refuses_post(COMMITS, body, "body_invalid", "edits[1].path")
            .await;
        let file = format!("/api/v1/data/versions/{}/files/{}", server.version, escaped(bad));
        let (status, answer) = server.get(&file).await;
        assert_eq!(status, 404, "{bad:?} {answer}");
    }
    for (paths, code) in [
        (["x", "x"], "data_path_duplicate"),
        (["x", "x/y"], "data_path_conflict"),
        (["x/y/z", "x/y"], "data_path_conflict"),
        (["a/inside", "n"], "data_path_conflict"),
        (["b", "n"], "data_path_conflict"),
        (["\u{e9}", "e\u{301}"], "data_path_twin"),
        (["q/\u{e9}/1", "q/e\u{301}/1"], "data_path_twin"),
    ] {
        let edits: Vec<Value> = paths.iter().map(|path| server.edit(path)).collect();
        let error = server
            .refuses_post(COMMITS, json!({"edits": edits}), code, "edits")
            .await;
        assert!(error["hint"].is_string(), "{error}");
    }
}

#[tokio::test]
async fn odd_paths_are_taken_and_come_back_as_they_were() {
    let server = Server::start().await;
    let longest_part = "x".repeat(255);
    let longest = format!(
        "{}/y",
        ["d".repeat(254), "e".repeat(255), "f".repeat(255), "g".repeat(255)].join("/")
    );
    let odd = [
        "..a/b..",
        "a b ",
        "ends with a dot.",
        " ",
        "back\\slash",
        "C:\\x",
        "'; DROP TABLE data_version; --",
        "%2e%2e%2f",
        "a%00b",
        "日本語/ファイル",
        "👩‍👩‍👧",
        "\u{202e}gpj.exe",
        "\u{feff}",
        "con",
        "~",
        "v_012345",
        "*?<>|\"",
        &longest_part,
        &longest[..1024],
    ];
    let edits: Vec<Value> = odd.iter().map(|path| server.edit(path)).collect();
    let branch = json!({"edits": edits, "branch": "side"});
    let committed = server.taken(Method::POST, COMMITS, branch).await;
    let version = committed["version"].as_str().unwrap();
    let (_, page) = server
        .get(&format!("/api/v1/data/versions/{version}?limit=10000"))
        .await;
    let listed: Vec<&str> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["path"].as_str().unwrap())
        .collect();
    for path in odd {
        assert!(listed.contains(&path), "{path:?}");
        let (status, _) = server
            .get(&format!(
                "/api/v1/data/versions/{version}/files/{}",
                escaped(path)
            ))
            .await;
        assert_eq!(status, 200, "{path:?}");
        if let Some((folder, _)) = path.rsplit_once('/') {
            let query = format!("/api/v1/data/versions/{version}/folder?path={}", escaped(folder));
            let (status, answer) = server.get(&query).await;
            assert_eq!(
                (status, &answer["items"][0]["files"]),
                (200, &json!(1)),
                "{path:?}"
            );
        }
        // A page may begin after any of them.
        let query = format!("/api/v1/data/versions/{version}?page_token={}", escaped(path));
        let (status, _) = server.get(&query).await;
        assert_eq!(status, 200, "{path:?}");
    }
}

#[tokio::test]
async fn names_that_are_none_are_refused_wherever_they_stand() {
    let server = Server::start().await;
    let long = "x".repeat(4096);
    for bad in [
        "..", "a b", "-a", "a@b", "é", "a%00", "a'--", "a;b", "a/b", "a\\b", &long, "\u{0}", "a\n",
    ] {
        let dataset = format!("/api/v1/data/datasets/{}", escaped(bad));
        let body = json!({"edits": []}).to_string();
        server.refuses_get(&dataset, "path_invalid", "").await;
        server
            .refuses(
                Method::POST,
                &format!("{dataset}/commits"),
                body,
                "path_invalid",
                "",
            )
            .await;
        server
            .refuses(Method::DELETE, &dataset, Body::empty(), "path_invalid", "")
            .await;
    }
    for id_like in ["v_012345", "c_abcdef0123"] {
        let path = format!("/api/v1/data/datasets/{id_like}/commits");
        let error = server
            .refuses_post(&path, json!({"edits": []}), "dataset_name_invalid", "name")
            .await;
        assert!(error["hint"].is_string(), "{error}");
    }
    for bad in [
        "",
        "latest",
        "v_012345",
        "c_0123456789",
        "..",
        "a/../b",
        "/a",
        "a/",
        "a//b",
        "a b",
        "a~1",
        "a@b",
        "-a",
        "é",
        "a\0",
        &long,
    ] {
        for list in ["branches", "tags"] {
            let path = format!("/api/v1/data/datasets/d/{list}");
            server
                .refuses_post(&path, json!({"name": bad}), "body_invalid", "name")
                .await;
        }
        let body = json!({"edits": [server.edit("n")], "branch": bad});
        server.refuses_post(COMMITS, body, "body_invalid", "branch").await;
        if !bad.is_empty() {
            let one = format!("/api/v1/data/datasets/d/branches/{}", escaped(bad));
            let body = json!({"protected": true}).to_string();
            server
                .refuses(Method::PATCH, &one, body, "data_ref_name_invalid", "name")
                .await;
            server
                .refuses(
                    Method::DELETE,
                    &one,
                    Body::empty(),
                    "data_ref_name_invalid",
                    "name",
                )
                .await;
        }
    }
}

#[tokio::test]
async fn references_that_mean_nothing_are_refused_and_told_apart() {
    let server = Server::start().await;
    let (long, invalid) = ("x".repeat(4096), "data_reference_invalid");
    let zeros = "0".repeat(64);
    let back = format!("{}~1", server.version);
    let short = format!("d@{}~1", &server.version[..10]);
    for (text, code) in [
        ("@main", invalid),
        ("d@", invalid),
        ("d@@", invalid),
        ("d@a@b", invalid),
        ("d@a b", invalid),
        ("d~x", invalid),
        ("d~-1", invalid),
        ("d~1~", invalid),
        ("d~99999999999999999999", invalid),
        ("d~100001", invalid),
        ("d~2", invalid),
        ("~", invalid),
        ("d@~1", invalid),
        ("d'--", invalid),
        ("é", invalid),
        ("a\0b", invalid),
        (&long, invalid),
        (&back, invalid),
        (&short, "data_no_commit"),
        ("none", "dataset_not_found"),
        ("d@none", "data_ref_not_found"),
        ("d@facade", "data_ref_not_found"),
        ("d@v_000000", "version_not_found"),
        ("d@c_000000", "version_not_found"),
        ("v_000000", "version_not_found"),
        (&format!("c_{zeros}"), "version_not_found"),
    ] {
        let is_invalid = code == invalid || code == "data_no_commit";
        let about = |field| if is_invalid { field } else { "" };
        let query = escaped(text);
        for route in ["resolve", "log"] {
            let path = format!("/api/v1/data/{route}?reference={query}");
            let error = server.refuses_get(&path, code, about("reference")).await;
            assert!(error["hint"].is_string(), "{error}");
        }
        let path = format!("/api/v1/data/diff?from={query}&to=d");
        match code {
            "data_no_commit" => server.refuses_get(&path, code, "from").await,
            _ => server.refuses_get(&path, code, about("from")).await,
        };
        server
            .refuses_get(&format!("/api/v1/data/diff?to={query}&from=d"), code, about("to"))
            .await;
        // What names no dataset is looked for in the one of the path.
        if text.contains('@') && !text.starts_with("none") {
            for verb in ["merge", "revert", "cherry-pick"] {
                let path = format!("/api/v1/data/datasets/d/{verb}");
                server
                    .refuses_post(&path, json!({"from": text}), code, about("from"))
                    .await;
            }
            let path = "/api/v1/data/datasets/d/tags";
            server
                .refuses_post(path, json!({"name": "t", "at": text}), code, about("at"))
                .await;
            let path = "/api/v1/data/datasets/d/branches/side";
            let body = json!({"to": text}).to_string();
            server.refuses(Method::PATCH, path, body, code, about("to")).await;
        }
    }
    let path = format!("/api/v1/data/log?reference={}", server.version);
    server.refuses_get(&path, "data_no_commit", "reference").await;
    server
        .refuses_get("/api/v1/data/resolve", "query_invalid", "reference")
        .await;
    for bad in ["x", "planet:earth", "run:", ":", "run:a%00b"] {
        let path = format!("/api/v1/lineage?node={bad}");
        server.refuses_get(&path, "lineage_node_invalid", "node").await;
    }
}

#[tokio::test]
async fn pages_of_no_size_and_tokens_from_elsewhere_are_refused() {
    let server = Server::start().await;
    let version = format!("/api/v1/data/versions/{}", server.version);
    for (list, max) in [
        ("/api/v1/data/datasets?".to_owned(), 1000),
        ("/api/v1/data/datasets/d/branches?".to_owned(), 1000),
        ("/api/v1/data/datasets/d/tags?".to_owned(), 1000),
        ("/api/v1/data/log?reference=d&".to_owned(), 1000),
        ("/api/v1/data/diff?from=d~1&to=d&".to_owned(), 10_000),
        (format!("{version}?"), 10_000),
        (format!("{version}/folder?"), 10_000),
    ] {
        for bad in [0, max + 1, u32::MAX] {
            let error = server
                .refuses_get(&format!("{list}limit={bad}"), "limit_out_of_range", "limit")
                .await;
            assert!(
                error["message"].as_str().unwrap().contains(&max.to_string()),
                "{error}"
            );
        }
        for bad in ["-1", "1.5", "x", "99999999999", "1e3"] {
            server
                .refuses_get(&format!("{list}limit={bad}"), "query_invalid", "limit")
                .await;
        }
        let error = server
            .refuses_get(
                &format!("{list}page_token=%00"),
                "data_page_token_invalid",
                "page_token",
            )
            .await;
        assert!(error["hint"].is_string(), "{error}");
        server
            .refuses_get(&format!("{list}limt=5"), "query_invalid", "limt")
            .await;
        let (status, answer) = server.get(&format!("{list}limit={max}")).await;
        assert_eq!(status, 200, "{list} {answer}");
        if !list.contains("log") {
            let (status, answer) = server
                .get(&format!("{list}page_token=%27%20OR%201=1%20--%2F.."))
                .await;
            assert_eq!(status, 200, "a token is a place in an order: {answer}");
        }
    }
    let log = "/api/v1/data/log?reference=d&page_token=";
    for bad in ["-1", "x", "a/b", "99999999999999999999999", "0x1"] {
        server
            .refuses_get(&format!("{log}{bad}"), "data_page_token_invalid", "page_token")
            .await;
    }
    for far in ["200001", "18446744073709551615"] {
        server
            .refuses_get(&format!("{log}{far}"), "data_too_many", "page_token")
            .await;
    }
}

#[tokio::test]
async fn bodies_of_another_shape_are_refused_with_the_place_in_them() {
    let server = Server::start().await;
    let long = "x".repeat(2001);
    let id = &server.blob;
    for (body, code, field) in [
        (json!({"edits": "x"}), "body_invalid", "edits"),
        (json!({"edits": {}}), "body_invalid", "edits"),
        (json!({"edits": [1]}), "body_invalid", "edits[0]"),
        (json!({"edits": [{}]}), "body_invalid", "edits[0]"),
        (json!({"edits": [{"path": 1}]}), "body_invalid", "edits[0].path"),
        (
            json!({"edits": [{"path": "x", "blob": "y"}]}),
            "body_invalid",
            "edits[0].blob",
        ),
        (
            json!({"edits": [{"path": "x", "blob": id.to_uppercase()}]}),
            "body_invalid",
            "edits[0].blob",
        ),
        (
            json!({"edits": [{"path": "x", "executable": "yes"}]}),
            "body_invalid",
            "edits[0].executable",
        ),
        (
            json!({"edits": [{"path": "x", "blob": id, "size": 1}]}),
            "body_invalid",
            "edits[0].size",
        ),
        (json!({"edits": [], "mesage": "x"}), "body_invalid", "mesage"),
        (json!({"edits": [], "message": 1}), "body_invalid", "message"),
        (
            json!({"edits": [], "message": long}),
            "data_message_too_long",
            "message",
        ),
        (
            json!({"edits": [], "message": "a\0b"}),
            "data_message_invalid",
            "message",
        ),
        (json!({"edits": [], "expected": "x"}), "body_invalid", "expected"),
        (
            json!({"edits": [], "expected": server.version}),
            "body_invalid",
            "expected",
        ),
        (json!({"version": "x"}), "body_invalid", "version"),
        (json!({"version": server.commit}), "body_invalid", "version"),
        (json!({}), "data_version_or_edits", "version"),
        (
            json!({"edits": [], "version": server.version}),
            "data_version_or_edits",
            "version",
        ),
        (json!({"edits": [{"path": "gone"}]}), "file_not_found", ""),
        (json!([]), "body_invalid", ""),
        (json!(null), "body_invalid", ""),
    ] {
        let message = body.to_string();
        let (status, answer) = server.call(Method::POST, COMMITS, message.clone()).await;
        let error = &answer["error"];
        let shown: String = message.chars().take(100).collect();
        assert!((400..500).contains(&status), "{shown} {answer}");
        assert_eq!(
            (error["code"].as_str(), error["field"].as_str().unwrap_or("")),
            (Some(code), field),
            "{shown} {answer}"
        );
    }
    let deep = format!("{{\"edits\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    server
        .refuses(Method::POST, COMMITS, deep, "body_invalid", "edits[0][0]")
        .await;
    for (text, code) in [
        ("", "body_missing"),
        ("{", "body_invalid"),
        ("{\"edits\":[],\"edits\":[]}", "body_invalid"),
        ("{\"message\":\"\\ud800\",\"edits\":[]}", "body_invalid"),
    ] {
        let (status, answer) = server.call(Method::POST, COMMITS, text).await;
        assert!(
            (400..500).contains(&status) && answer["error"]["code"] == code,
            "{text} {answer}"
        );
    }
    let (status, answer) = server
        .call(Method::POST, COMMITS, vec![b'{', b'"', 0xff, 0xfe])
        .await;
    assert!(
        (400..500).contains(&status) && answer["error"]["code"] == "body_invalid",
        "{answer}"
    );

    let side = "/api/v1/data/datasets/d/branches/side";
    let body = json!({"expected": server.commit}).to_string();
    server
        .refuses(Method::PATCH, side, body, "data_expected_without_to", "expected")
        .await;
    let body = json!({"protected": "yes"}).to_string();
    server
        .refuses(Method::PATCH, side, body, "body_invalid", "protected")
        .await;
    server
        .refuses(
            Method::DELETE,
            &format!("{side}?expected=x"),
            Body::empty(),
            "query_invalid",
            "expected",
        )
        .await;
    let merge = "/api/v1/data/datasets/d/merge";
    server
        .refuses_post(
            merge,
            json!({"from": "side", "on_conflict": "mine"}),
            "body_invalid",
            "on_conflict",
        )
        .await;
    server
        .refuses_post(
            merge,
            json!({"from": "side", "message": long}),
            "data_message_too_long",
            "message",
        )
        .await;
    server
        .refuses_post(merge, json!({}), "body_invalid", "from")
        .await;
    let revert = "/api/v1/data/datasets/d/revert";
    let error = server
        .refuses_post(revert, json!({"from": "main~1"}), "data_not_one_parent", "from")
        .await;
    assert!(error["hint"].is_string(), "{error}");
    let folder = format!("/api/v1/data/versions/{}/folder?path=", server.version);
    for gone in ["a", "none", "..", "b/../b", "b%2F%2Fc"] {
        server
            .refuses_get(&format!("{folder}{gone}"), "file_not_found", "")
            .await;
    }
}

#[tokio::test]
async fn too_much_at_once_is_refused() {
    let server = Server::start().await;
    let edits: Vec<Value> = (0..100_001)
        .map(|n| json!({"path": n.to_string(), "blob": server.blob}))
        .collect();
    server
        .refuses_post(COMMITS, json!({"edits": edits}), "data_too_many", "edits")
        .await;
    let ids: Vec<&str> = vec![&server.blob; 10_001];
    for path in ["/api/v1/data/blobs/missing", "/api/v1/data/pieces/read"] {
        server
            .refuses_post(path, json!({"ids": ids}), "data_too_many", "ids")
            .await;
        server
            .refuses_post(path, json!({"ids": ["x"]}), "body_invalid", "ids[0]")
            .await;
        server.taken(Method::POST, path, json!({"ids": []})).await;
    }
    let (status, _) = server
        .call(Method::POST, "/api/v1/data/pieces", vec![0; 13 << 20])
        .await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn what_is_stored_and_no_tree_cannot_be_committed() {
    let server = Server::start().await;
    let hello = BlobId::of(b"hello");
    let record = |links: Vec<BlobId>, body: &[u8]| {
        let body = bytes::Bytes::copy_from_slice(body);
        Record { links, body }.to_piece()
    };
    let hostile = [
        record(vec![], b"something else"),
        record(vec![], b"corliss-tree 2\n\x4d"),
        record(vec![], b"corliss-tree 2\n\x01"),
        record(vec![hello], b"corliss-tree 2\n\0\x00\x02..\0\x05"),
        record(vec![hello], b"corliss-tree 2\n\0\x00\x01x\0\x06"),
        record(
            vec![hello, hello],
            b"corliss-tree 2\n\x01\x00\x01x\x01\x05\x00\x01y\x01\x05",
        ),
        record(
            vec![hello],
            b"corliss-tree 2\n\0\x00\x01x\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ),
    ];
    let mut roots = vec![hello];
    for piece in &hostile {
        server.send_pieces(&[(piece.kind, &piece.bytes)]).await;
        roots.push(piece.id);
    }
    for root in roots {
        let version = tree::version_of(root);
        let (status, answer) = server
            .call(Method::POST, COMMITS, json!({"version": version}).to_string())
            .await;
        let error = &answer["error"];
        assert!(status == 400 && error["field"] == "version", "{answer}");
        let (status, _) = server.get(&format!("/api/v1/data/versions/{version}")).await;
        assert_eq!(status, 404, "stored bytes are no version until they are recorded");
        let (status, _) = server
            .get(&format!("/api/v1/data/diff?from=d&to={version}"))
            .await;
        assert_eq!(status, 404);
    }
    let absent = tree::version_of(BlobId::of(b"absent"));
    let error = server
        .refuses_post(COMMITS, json!({"version": absent}), "data_tree_missing", "")
        .await;
    assert!(error["hint"].is_string(), "{error}");
    let body = json!({"edits": [{"path": "x", "blob": BlobId::of(b"absent")}]});
    let error = server.refuses_post(COMMITS, body, "data_blob_missing", "").await;
    assert!(error["hint"].is_string(), "{error}");
}
