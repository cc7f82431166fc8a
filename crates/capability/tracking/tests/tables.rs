//! Rows of stored tables, over the route that the console uses.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use ::http::Request;
use axum::body::Body;
use corliss_metastore::Metastore;
use corliss_testkit::everyone;
use corliss_tracking::{MIGRATIONS, NewRun, http};
use http_body_util::BodyExt;
use serde_json::Value;
use support::{Memory, bytes_of, tracking_with};
use tower::ServiceExt;

const PARQUET: &[u8] = include_bytes!("../../../platform/tabular/tests/fixtures/snappy.parquet");

/// The routes with a run that stored these files, and where.
async fn stored(files: &[(&str, &[u8])]) -> (corliss_http::App, String) {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let tracking = tracking_with(store, Memory::default()).await;
    let run = tracking.create_run(NewRun::default()).await.unwrap().info;
    let root = run
        .artifact_uri
        .trim_start_matches("mlflow-artifacts:/")
        .to_owned();
    for (name, bytes) in files {
        tracking
            .put_artifact(format!("{root}/{name}"), bytes_of(bytes.to_vec()))
            .await
            .unwrap();
    }
    let router = http::routes(tracking)
        .into_app(everyone::is_admin("test"))
        .unwrap();
    (router, format!("/api/v1/tracking/tables/{root}"))
}

async fn get(router: &corliss_http::App, address: String) -> (u16, Value) {
    let request = Request::get(address)
        .header("authorization", "Bearer x")
        .body(Body::empty())
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn parquet_is_read_page_by_page() {
    let (router, root) = stored(&[("deep/a.parquet", PARQUET)]).await;
    let (status, first) = get(&router, format!("{root}/deep/a.parquet?limit=2")).await;
    assert_eq!(
        (status, first["format"].as_str()),
        (200, Some("parquet")),
        "{first}"
    );
    assert_eq!(first["size_bytes"], PARQUET.len());
    let columns = first["schema"]["columns"].as_array().unwrap();
    assert_eq!(first["rows"]["columns"].as_array().unwrap().len(), columns.len());
    let total = first["rows"]["rows_total"].as_u64().unwrap();
    assert_eq!(first["rows"]["rows"].as_array().unwrap().len(), 2);
    assert_eq!(first["rows"]["next_offset"], 2);
    let (_, last) = get(&router, format!("{root}/deep/a.parquet?offset={}", total - 1)).await;
    assert_eq!(last["rows"]["rows"].as_array().unwrap().len(), 1);
    assert_eq!(last["rows"]["next_offset"], Value::Null);
    assert_ne!(last["rows"]["rows"][0], first["rows"]["rows"][0]);
}

#[tokio::test]
async fn text_tables_are_read_too_and_the_rest_is_refused_by_name() {
    let cut = &PARQUET[..PARQUET.len() / 2];
    let (router, root) = stored(&[
        ("a.csv", b"id,name\n1,x\n2,y\n"),
        ("a.bin", b"\x00\x01"),
        ("cut.parquet", cut),
        ("empty.csv", b""),
    ])
    .await;
    let (status, table) = get(&router, format!("{root}/a.csv")).await;
    assert_eq!((status, &table["format"]), (200, &"csv".into()));
    assert_eq!(table["rows"]["rows"][1][1]["text"], "y");
    for (name, status, code) in [
        ("a.bin", 400, "artifact_no_table"),
        ("cut.parquet", 400, "table_invalid"),
        ("gone.parquet", 404, "tracking_not_found"),
        ("a.csv?limit=0", 400, "limit_out_of_range"),
        ("a.csv?rows=1", 400, "query_invalid"),
    ] {
        let (answered, body) = get(&router, format!("{root}/{name}")).await;
        assert_eq!(answered, status, "{name}: {body}");
        assert_eq!(body["error"]["code"], code, "{name}");
    }
    assert_eq!(get(&router, format!("{root}/empty.csv")).await.0, 200);
}
