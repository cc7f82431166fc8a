//! The routes of datasets and scorers: their shapes, and MLflow's words for what is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::sync::Arc;

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_testkit::everyone;
use corliss_traces::{Evaluation, MIGRATIONS, http};
use serde_json::{Value, json};
use support::{DELETED, Known, call};

async fn router() -> corliss_http::App {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    http::evaluation_routes(Evaluation::new(store, Sources::system(), Arc::new(Known)))
        .into_app(everyone::is_admin("test"))
        .unwrap()
}

#[tokio::test]
async fn the_routes_answer_in_mlflows_shapes() {
    let router = router().await;
    let api = "/api/3.0/mlflow";
    let body = json!({"name": "d", "experiment_ids": ["0"], "tags": "{\"a\": \"b\", \"n\": 1, \"z\": null}"});
    let (status, made) = call(&router, "POST", &format!("{api}/datasets/create"), Some(body)).await;
    let made = &made["dataset"];
    assert_eq!(
        (status, &made["tags"], &made["experiment_ids"]),
        (200, &json!("{\"a\": \"b\", \"n\": \"1\"}"), &json!(["0"]))
    );
    assert_eq!((made.get("schema"), made.get("profile")), (None, None));
    let one = format!("{api}/datasets/{}", made["dataset_id"].as_str().unwrap());

    let records =
        json!([{"inputs": {"q": "a"}, "source": {"source_type": "TRACE", "source_data": {"trace_id": "t"}}}]);
    let body = json!({"records": records.to_string()});
    let answer = call(&router, "POST", &format!("{one}/records"), Some(body)).await;
    assert_eq!(answer, (200, json!({"inserted_count": 1, "updated_count": 0})));
    let (_, answer) = call(&router, "GET", &format!("{one}/records?max_results=1000"), None).await;
    let records: Value = serde_json::from_str(answer["records"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&records[0]["source_id"], &records[0]["outputs"]),
        (&json!("t"), &json!({}))
    );
    assert_eq!(records[0].get("expectations"), None);
    let (_, answer) = call(&router, "GET", &one, None).await;
    assert_eq!(answer["dataset"]["profile"], "{\"num_records\": 1}");
    assert_eq!(
        answer["dataset"]["schema"],
        "{\"expectations\": {}, \"inputs\": {\"q\": \"string\"}, \"outputs\": {}, \"version\": \"1.0\"}"
    );
    let ids = json!({"dataset_record_ids": [records[0]["dataset_record_id"]]});
    let answer = call(&router, "DELETE", &format!("{one}/records"), Some(ids)).await;
    assert_eq!(answer, (200, json!({"deleted_count": 1})));

    let tags = json!({"tags": "{\"a\": \"c\"}"});
    assert_eq!(
        call(&router, "PATCH", &format!("{one}/tags"), Some(tags)).await,
        (200, json!({}))
    );
    assert_eq!(
        call(&router, "DELETE", &format!("{one}/tags/n"), None).await,
        (200, json!({}))
    );
    assert_eq!(
        call(&router, "DELETE", &format!("{one}/tags/n"), None).await,
        (200, json!({}))
    );
    let experiments = json!({"experiment_ids": ["1", "0"]});
    let (_, answer) = call(
        &router,
        "POST",
        &format!("{one}/add-experiments"),
        Some(experiments),
    )
    .await;
    assert_eq!(
        (&answer["dataset"]["experiment_ids"], &answer["dataset"]["tags"]),
        (&json!(["0", "1"]), &json!("{\"a\": \"c\"}"))
    );
    let experiments = json!({"experiment_ids": ["0", "6"]});
    call(
        &router,
        "POST",
        &format!("{one}/remove-experiments"),
        Some(experiments),
    )
    .await;
    let answer = call(&router, "GET", &format!("{one}/experiment-ids"), None).await;
    assert_eq!(answer, (200, json!({"experiment_ids": ["1"]})));
    let (_, answer) = call(
        &router,
        "GET",
        &format!("{api}/datasets/search?max_results=5"),
        None,
    )
    .await;
    assert_eq!(answer["datasets"][0]["name"], "d");
    assert_eq!(call(&router, "DELETE", &one, None).await, (200, json!({})));
    assert_eq!(call(&router, "DELETE", &one, None).await, (200, json!({})));
    assert_eq!(call(&router, "GET", &one, None).await.0, 404);

    let scorer = json!({"experiment_id": "0", "name": "s", "serialized_scorer": "{\"x\":1}"});
    let (_, made) = call(&router, "POST", &format!("{api}/scorers/register"), Some(scorer)).await;
    assert_eq!(
        (
            &made["version"],
            &made["experiment_id"],
            &made["serialized_scorer"]
        ),
        (&json!(1), &json!("0"), &json!("{\"x\":1}"))
    );
    let (_, listed) = call(
        &router,
        "GET",
        &format!("{api}/scorers/list?experiment_id=0"),
        None,
    )
    .await;
    let (_, one) = call(
        &router,
        "GET",
        &format!("{api}/scorers/get?experiment_id=0&name=s"),
        None,
    )
    .await;
    assert_eq!(listed["scorers"], json!([one["scorer"]]));
    assert_eq!(
        (&one["scorer"]["experiment_id"], &one["scorer"]["scorer_version"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(one["scorer"]["scorer_id"], made["scorer_id"]);
    let answer = call(
        &router,
        "GET",
        &format!("{api}/scorers/online-configs?scorer_ids=x"),
        None,
    )
    .await;
    assert_eq!(answer, (200, json!({"configs": []})));
    let gone = json!({"experiment_id": "0", "name": "s"});
    assert_eq!(
        call(&router, "DELETE", &format!("{api}/scorers/delete"), Some(gone)).await,
        (200, json!({}))
    );
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_mlflows_words() {
    let router = router().await;
    let (_, made) = call(
        &router,
        "POST",
        "/api/3.0/mlflow/datasets/create",
        Some(json!({"name": "d"})),
    )
    .await;
    let id = made["dataset"]["dataset_id"].as_str().unwrap();
    let deleted = DELETED.to_string();
    let records = |records: Value| Some(json!({"records": records.to_string()}));
    let one = format!("datasets/{id}/records");
    let none = "datasets/d-nope/records".to_owned();
    for (method, path, body, status, message) in [
        (
            "POST",
            "datasets/create",
            Some(json!({})),
            400,
            "Missing value for required parameter 'name'",
        ),
        (
            "POST",
            "datasets/create",
            Some(json!({"name": 31})),
            400,
            "Invalid value 31 for parameter 'name' supplied",
        ),
        (
            "POST",
            "datasets/create",
            Some(json!({"name": "a\0"})),
            400,
            "must not contain NUL characters",
        ),
        (
            "POST",
            "datasets/create",
            Some(json!({"name": "a".repeat(501)})),
            400,
            "exceeds the maximum length of 500",
        ),
        (
            "POST",
            "datasets/create",
            Some(json!({"name": "d", "experiment_ids": ["99"]})),
            404,
            "No Experiment with id=99 exists",
        ),
        (
            "POST",
            "datasets/create",
            Some(json!({"name": "d", "experiment_ids": ["x"]})),
            400,
            "Invalid experiment ID 'x'",
        ),
        (
            "POST",
            "datasets/create",
            Some(json!({"name": "d", "tags": "[1]"})),
            400,
            "for parameter 'tags' supplied: it must be a JSON object",
        ),
        (
            "POST",
            "datasets/create",
            Some(json!({"name": "d", "tags": "{\"a\": {}}"})),
            400,
            "for parameter 'tags.value' supplied",
        ),
        (
            "GET",
            "datasets/d-nope",
            None,
            404,
            "Evaluation dataset with id 'd-nope' not found",
        ),
        ("GET", "datasets/d-nope/experiment-ids", None, 404, "not found"),
        ("GET", &none, None, 404, "not found"),
        ("POST", &none, records(json!([{"inputs": {}}])), 404, "not found"),
        (
            "DELETE",
            &none,
            Some(json!({"dataset_record_ids": ["x"]})),
            404,
            "not found",
        ),
        (
            "PATCH",
            "datasets/d-nope/tags",
            Some(json!({"tags": "{}"})),
            404,
            "not found",
        ),
        ("DELETE", "datasets/d-nope/tags/k", None, 404, "not found"),
        (
            "POST",
            "datasets/d-nope/add-experiments",
            Some(json!({})),
            404,
            "not found",
        ),
        (
            "POST",
            "datasets/d-nope/remove-experiments",
            Some(json!({})),
            404,
            "not found",
        ),
        (
            "POST",
            &one,
            Some(json!({})),
            400,
            "Missing value for required parameter 'records'",
        ),
        (
            "POST",
            &one,
            Some(json!({"records": "x"})),
            400,
            "it must be a JSON list of objects",
        ),
        (
            "POST",
            &one,
            Some(json!({"records": "[{\"inputs\": {\"a\": NaN}}]"})),
            400,
            "it must be a JSON list of objects",
        ),
        (
            "POST",
            &one,
            records(json!([{"inputs": {}}, 1])),
            400,
            "for parameter 'records[1]' supplied",
        ),
        (
            "POST",
            &one,
            records(json!([{"inputs": "text"}])),
            400,
            "for parameter 'records[0].inputs' supplied",
        ),
        (
            "POST",
            &one,
            records(json!([{"inputs": null}])),
            400,
            "for parameter 'records[0].inputs' supplied",
        ),
        (
            "POST",
            &one,
            records(json!([{"inputs": {}, "tags": []}])),
            400,
            "for parameter 'records[0].tags' supplied",
        ),
        (
            "POST",
            &one,
            records(json!([{"inputs": {}, "source": {"source_type": "BAD"}}])),
            400,
            "Invalid dataset record source type: BAD. Valid source types: ['UNSPECIFIED', 'TRACE', 'HUMAN', 'DOCUMENT', 'CODE']",
        ),
        (
            "GET",
            &format!("{one}?max_results=0"),
            None,
            400,
            "It must be a positive integer",
        ),
        (
            "GET",
            &format!("{one}?page_token=junk"),
            None,
            400,
            "Invalid page token",
        ),
        (
            "POST",
            "datasets/search",
            Some(json!({"max_results": 0})),
            400,
            "It must be a positive integer",
        ),
        (
            "POST",
            "datasets/search",
            Some(json!({"max_results": 50001})),
            400,
            "It must be at most 50000",
        ),
        (
            "POST",
            "datasets/search",
            Some(json!({"filter_string": "digest = 'a'"})),
            400,
            "Invalid attribute key 'digest' specified",
        ),
        (
            "POST",
            "datasets/search",
            Some(json!({"filter_string": "tags.k IS NULL"})),
            400,
            "Invalid comparator for tag: IS NULL",
        ),
        (
            "POST",
            "datasets/search",
            Some(json!({"filter_string": "params.k = 'a'"})),
            400,
            "Invalid identifier token 'params' specified",
        ),
        (
            "POST",
            "datasets/search",
            Some(json!({"filter_string": "created_time > 'a'"})),
            400,
            "Expected numeric value type for numeric attribute: created_time",
        ),
        (
            "POST",
            "datasets/search",
            Some(json!({"order_by": ["digest"]})),
            400,
            "Invalid attribute key 'digest' specified",
        ),
        (
            "POST",
            "datasets/search",
            Some(json!({"order_by": ["tags.k"]})),
            400,
            "Invalid order_by entity: tags",
        ),
        (
            "POST",
            "scorers/register",
            Some(json!({"experiment_id": "0", "name": "s"})),
            400,
            "Missing value for required parameter 'serialized_scorer'",
        ),
        (
            "POST",
            "scorers/register",
            Some(json!({"experiment_id": "0", "name": "s", "serialized_scorer": "x"})),
            400,
            "serialized_scorer must be valid JSON",
        ),
        (
            "POST",
            "scorers/register",
            Some(json!({"experiment_id": "99", "name": "s", "serialized_scorer": "1"})),
            404,
            "No Experiment with id=99 exists",
        ),
        (
            "POST",
            "scorers/register",
            Some(json!({"experiment_id": deleted, "name": "s", "serialized_scorer": "1"})),
            400,
            "must be in the 'active' state",
        ),
        (
            "GET",
            "scorers/list",
            None,
            400,
            "Missing value for required parameter 'experiment_id'",
        ),
        (
            "GET",
            "scorers/list?experiment_id=99",
            None,
            404,
            "No Experiment with id=99 exists",
        ),
        (
            "GET",
            "scorers/versions?experiment_id=0&name=s",
            None,
            404,
            "Scorer with name 's' not found for experiment 0.",
        ),
        (
            "GET",
            "scorers/get?experiment_id=0&name=s&version=9",
            None,
            404,
            "Scorer with name 's' and version 9 not found for experiment 0.",
        ),
        (
            "GET",
            "scorers/get?experiment_id=0&name=s&version=x",
            None,
            400,
            "for parameter 'version' supplied",
        ),
        (
            "DELETE",
            "scorers/delete",
            Some(json!({"experiment_id": "0", "name": "s"})),
            404,
            "Scorer with name 's' not found for experiment 0.",
        ),
        (
            "GET",
            "scorers/online-configs",
            None,
            400,
            "Missing value for required parameter 'scorer_ids'",
        ),
        (
            "PUT",
            "scorers/online-config",
            Some(json!({"experiment_id": "0", "name": "s", "sample_rate": 1})),
            404,
            "there is nothing at this path",
        ),
    ] {
        let (found, answer) = call(&router, method, &format!("/api/3.0/mlflow/{path}"), body).await;
        let said = answer["message"].as_str().unwrap_or_default();
        assert!(
            found == status && said.contains(message),
            "{method} {path}: {found} {said}"
        );
    }
}
