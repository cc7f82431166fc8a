//! Datasets and scorers on every database, and their routes in MLflow's words.
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
use corliss_testkit::metastore::for_each_backend;
use corliss_traces::{DatasetScope, Evaluation, MIGRATIONS, Merged, NewDataset, TracesError, http};
use serde_json::{Value, json};
use support::{DELETED, Known, call};

fn evaluation_on(store: Metastore) -> Evaluation {
    Evaluation::new(store, Sources::system(), Arc::new(Known))
}

fn new(name: &str, experiments: &[&str], tags: Value) -> NewDataset {
    NewDataset {
        name: name.into(),
        experiment_ids: experiments.iter().map(|id| (*id).to_owned()).collect(),
        tags: tags.as_object().cloned().unwrap_or_default(),
    }
}

fn scope(filter: &str) -> DatasetScope {
    DatasetScope {
        filter: filter.into(),
        ..DatasetScope::default()
    }
}

async fn merge(evaluation: &Evaluation, id: &str, records: Value) -> Merged {
    evaluation
        .merge_records(id.to_owned(), records.to_string())
        .await
        .unwrap()
}

const fn merged(inserted: usize, updated: usize) -> Merged {
    Merged { inserted, updated }
}

#[tokio::test]
async fn a_dataset_has_one_record_of_the_same_inputs() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let evaluation = evaluation_on(store);
        let id = evaluation
            .create_dataset(new("questions", &["0"], json!({"mlflow.user": "ada"})))
            .await
            .unwrap()
            .id;
        let first = json!([{"inputs": {"q": "a", "n": 1}, "expectations": {"e": 1}, "tags": {"t": "1"},
            "source": {"source_type": "trace", "source_data": {"trace_id": "tr-1"}}}]);
        assert_eq!(merge(&evaluation, &id, first.clone()).await, merged(1, 0));
        let before = evaluation.dataset(id.clone()).await.unwrap();
        assert_eq!(merge(&evaluation, &id, first).await, merged(0, 1));
        assert_eq!(
            evaluation.dataset(id.clone()).await.unwrap(),
            before,
            "the same again changes nothing"
        );

        let more = json!([
            {"inputs": {"n": 1, "q": "a"}, "expectations": {"f": [2]}, "tags": {"t": "2", "mlflow.user": "bob"},
             "outputs": "x", "source": {"source_type": "HUMAN"}},
            {"inputs": {"n": 1.0, "q": "a"}},
            {"inputs": {"n": 1.0, "q": "a"}, "outputs": null},
        ]);
        assert_eq!(merge(&evaluation, &id, more).await, merged(1, 2));
        let page = evaluation.records(id.clone(), None, None).await.unwrap();
        let [one, two] = page.records.as_slice() else {
            panic!("{page:?}")
        };
        assert_eq!(
            (json!(one.expectations), json!(one.tags), &one.outputs),
            (
                json!({"e": 1, "f": [2]}),
                json!({"t": "2", "mlflow.user": "bob"}),
                &json!("x")
            )
        );
        let source = one.source.as_ref().unwrap();
        assert_eq!((source.kind.as_str(), source.trace_id()), ("TRACE", Some("tr-1")));
        assert_eq!((&one.created_by, one.updated_by.as_deref()), (&None, Some("bob")));
        assert_eq!((&two.outputs, &two.expectations), (&Value::Null, &None));

        let after = evaluation.dataset(id.clone()).await.unwrap();
        assert_eq!((after.records, after.created_by.as_deref()), (2, Some("ada")));
        assert_eq!(
            after.schema.unwrap()["inputs"],
            json!({"q": "string", "n": "integer"})
        );
        assert_ne!(after.digest, before.digest);
    })
    .await;
}

#[tokio::test]
async fn a_digest_is_of_what_the_records_hold() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let evaluation = evaluation_on(store);
        let (a, b) = (
            json!({"inputs": {"q": 1}}),
            json!({"inputs": {"q": 2}, "expectations": {"e": 1}}),
        );
        let mut digests = Vec::new();
        for batches in [
            vec![json!([a, b])],
            vec![json!([b]), json!([a])],
            vec![json!([a, {"inputs": {"q": 2}}, {"inputs": {"q": 3}}]), json!([b])],
        ] {
            let id = evaluation
                .create_dataset(new("same", &[], json!({})))
                .await
                .unwrap()
                .id;
            let empty = evaluation.dataset(id.clone()).await.unwrap().digest;
            for batch in batches {
                merge(&evaluation, &id, batch).await;
            }
            let page = evaluation.records(id.clone(), None, None).await.unwrap();
            let extra = page.records.iter().filter(|record| record.inputs["q"] == 3);
            let ids = extra
                .map(|record| record.id.clone())
                .chain(["dr-nope".to_owned()])
                .collect();
            let expected = page.records.len() as u64 - 2;
            assert_eq!(
                evaluation.delete_records(id.clone(), ids).await.unwrap(),
                expected
            );
            let digest = evaluation.dataset(id).await.unwrap().digest;
            assert_ne!(digest, empty);
            digests.push(digest);
        }
        assert_eq!((&digests[0], &digests[0]), (&digests[1], &digests[2]));
    })
    .await;
}

#[tokio::test]
async fn records_are_told_in_pages() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let evaluation = evaluation_on(store);
        let id = evaluation
            .create_dataset(new("many", &[], json!({})))
            .await
            .unwrap()
            .id;
        let records: Vec<Value> = (0..25).map(|n| json!({"inputs": {"n": n}})).collect();
        assert_eq!(merge(&evaluation, &id, json!(records)).await, merged(25, 0));
        let (mut seen, mut token) = (Vec::new(), None);
        for expected in [10, 10, 5] {
            let page = evaluation.records(id.clone(), Some(10), token).await.unwrap();
            assert_eq!(page.records.len(), expected);
            // What is deleted or added meanwhile shifts nothing.
            if seen.is_empty() {
                let gone = vec![page.records[3].id.clone()];
                assert_eq!(evaluation.delete_records(id.clone(), gone).await.unwrap(), 1);
            }
            seen.extend(
                page.records
                    .iter()
                    .map(|record| record.inputs["n"].as_i64().unwrap()),
            );
            token = page.next_page_token;
        }
        assert_eq!((seen, token), ((0..25).collect(), None));
    })
    .await;
}

#[tokio::test]
async fn datasets_are_found_by_what_is_known_of_them() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let evaluation = evaluation_on(store);
        for (name, experiments, tags) in [
            ("one", &["0"][..], json!({"k": "v", "mlflow.user": "ada"})),
            ("two", &["0", "1"][..], json!({"k": "w"})),
            ("Three", &[][..], json!({"n": 7})),
        ] {
            evaluation
                .create_dataset(new(name, experiments, tags))
                .await
                .unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let find = async |scope: DatasetScope| {
            let page = evaluation.search_datasets(scope).await.unwrap();
            page.items.into_iter().map(|found| found.name).collect::<Vec<_>>()
        };
        for (filter, expected) in [
            ("", &["Three", "two", "one"][..]),
            ("name = 'one'", &["one"]),
            ("name != 'one'", &["Three", "two"]),
            ("name LIKE 't%'", &["two"]),
            ("name ILIKE 't%'", &["Three", "two"]),
            ("name IN ('one', 'two')", &["two", "one"]),
            ("tags.k = 'v'", &["one"]),
            ("tags.k != 'v'", &["two"]),
            ("tags.n = '7' AND created_time > 5", &["Three"]),
            ("created_by = 'ada'", &["one"]),
            ("last_update_time < 5", &[]),
        ] {
            assert_eq!(find(scope(filter)).await, expected, "{filter}");
        }
        let of = |ids: &[&str]| DatasetScope {
            experiment_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            order_by: vec!["name ASC".into()],
            ..DatasetScope::default()
        };
        assert_eq!(find(of(&["0", "6"])).await, ["one", "two"]);
        assert_eq!(find(of(&["1"])).await, ["two"]);
        assert_eq!(find(of(&["6"])).await, Vec::<String>::new());

        let mut page = DatasetScope {
            max_results: Some(2),
            ..DatasetScope::default()
        };
        let first = evaluation.search_datasets(page.clone()).await.unwrap();
        page.page_token = first.next_page_token;
        let second = evaluation.search_datasets(page).await.unwrap();
        assert_eq!(
            (first.items.len(), second.items.len(), second.next_page_token),
            (2, 1, None)
        );
    })
    .await;
}

#[tokio::test]
async fn a_scorer_has_versions_whose_numbers_do_not_come_again() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let evaluation = evaluation_on(store);
        let register = async |text: &str| {
            evaluation
                .register_scorer("0", "polite".into(), text.into())
                .await
                .unwrap()
        };
        let first = register(r#"{"x": 1}"#).await;
        let second = register(r#"{"x": 2}"#).await;
        assert_eq!((first.version, second.version, &first.id), (1, 2, &second.id));
        evaluation
            .register_scorer("1", "polite".into(), "[]".into())
            .await
            .unwrap();
        evaluation
            .register_scorer("0", "curt".into(), "{}".into())
            .await
            .unwrap();

        let names = |found: Vec<corliss_traces::Scorer>| {
            found
                .into_iter()
                .map(|scorer| (scorer.name, scorer.version))
                .collect::<Vec<_>>()
        };
        let expected = [("curt".to_owned(), 1), ("polite".to_owned(), 2)];
        assert_eq!(names(evaluation.scorers("0").await.unwrap()), expected);
        let both = ["0".to_owned(), "1".to_owned(), "99".to_owned()];
        assert_eq!(evaluation.scorers_of(&both).await.unwrap().len(), 3);
        assert_eq!(
            evaluation.scorer("0", "polite".into(), None).await.unwrap(),
            second
        );
        assert_eq!(
            evaluation.scorer("0", "polite".into(), Some(1)).await.unwrap(),
            first
        );
        assert_eq!(
            evaluation.scorer_versions("0", "polite".into()).await.unwrap(),
            [first, second.clone()]
        );

        evaluation
            .delete_scorer("0", "polite".into(), Some(2))
            .await
            .unwrap();
        assert_eq!(
            register("{}").await.version,
            3,
            "not 2 again: assessments name it"
        );
        evaluation
            .delete_scorer("0", "polite".into(), None)
            .await
            .unwrap();
        let again = register("{}").await;
        assert_eq!(again.version, 1);
        assert_ne!(again.id, second.id, "another scorer of the same name");
        evaluation
            .delete_scorer("0", "polite".into(), Some(1))
            .await
            .unwrap();
        assert_eq!(names(evaluation.scorers("0").await.unwrap()), expected[..1]);
        // The other experiment's scorer of that name is another.
        assert_eq!(evaluation.scorers("1").await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_too_much_is_refused_and_nothing_of_it_is_kept() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let evaluation = evaluation_on(store);
        let id = evaluation
            .create_dataset(new("d", &[], json!({})))
            .await
            .unwrap()
            .id;
        let large = json!([{"inputs": {"a": 1}}, {"inputs": {"t": "x".repeat(5 << 20)}}]).to_string();
        let refused = evaluation.merge_records(id.clone(), large).await.unwrap_err();
        assert!(
            matches!(refused, TracesError::Limit { field: "records", .. }),
            "{refused}"
        );
        let many = json!(vec![json!({"inputs": {}}); 20_001]).to_string();
        let refused = evaluation.merge_records(id.clone(), many).await.unwrap_err();
        assert!(
            matches!(refused, TracesError::Limit { field: "records", .. }),
            "{refused}"
        );
        assert_eq!(evaluation.dataset(id.clone()).await.unwrap().records, 0);

        let text = format!("\"{}\"", "x".repeat(512 * 1024));
        let refused = evaluation
            .register_scorer("0", "s".into(), text)
            .await
            .unwrap_err();
        assert!(
            matches!(
                refused,
                TracesError::Limit {
                    field: "serialized_scorer",
                    ..
                }
            ),
            "{refused}"
        );
        let text = format!("\"{}\"", "x".repeat(511 * 1024));
        let mut taken = 0;
        while evaluation
            .register_scorer("0", "s".into(), text.clone())
            .await
            .is_ok()
        {
            taken += 1;
            assert!(taken < 100);
        }
        assert_eq!(
            evaluation.scorer_versions("0", "s".into()).await.unwrap().len(),
            taken
        );

        let tags: serde_json::Map<String, Value> = (0..1000).map(|n| (format!("k{n}"), json!("v"))).collect();
        evaluation.set_dataset_tags(id.clone(), tags).await.unwrap();
        let one = json!({"another": "v"}).as_object().cloned().unwrap();
        assert!(evaluation.set_dataset_tags(id.clone(), one).await.is_err());
        assert_eq!(evaluation.dataset(id).await.unwrap().tags.len(), 1000);
    })
    .await;
}

async fn router() -> axum::Router {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    http::evaluation_routes(evaluation_on(store))
        .into_router(everyone::is_admin("test"))
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
