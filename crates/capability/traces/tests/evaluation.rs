//! Datasets and scorers on every database.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::sync::Arc;

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_testkit::metastore::for_each_backend;
use corliss_traces::{DatasetScope, Evaluation, MIGRATIONS, Merged, NewDataset, TracesError};
use serde_json::{Value, json};
use support::{Known, traces_without};

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
async fn scorers_go_with_their_experiment_and_datasets_stay() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let evaluation = evaluation_on(store.clone());
        for experiment in ["0", "3"] {
            let scorer = evaluation.register_scorer(experiment, "s".into(), "{}".into());
            scorer.await.unwrap();
        }
        let dataset = evaluation
            .create_dataset(new("d", &["0", "3"], json!({})))
            .await
            .unwrap();
        traces_without(store, 3).delete_orphans().await.unwrap();
        assert_eq!(evaluation.scorers("0").await.unwrap().len(), 1);
        assert!(evaluation.scorers("3").await.unwrap().is_empty());
        let kept = evaluation.dataset(dataset.id).await.unwrap();
        assert_eq!(kept.experiment_ids, [0]);
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

#[tokio::test]
async fn a_call_merges_into_as_many_bytes_and_no_more() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let evaluation = evaluation_on(store.clone());
        let id = evaluation
            .create_dataset(new("large", &[], json!({})))
            .await
            .unwrap()
            .id;
        let tagged = |count: usize, seen: &str| -> Value {
            (0..count)
                .map(|number| json!({"inputs": {"n": number}, "tags": {"seen": seen}}))
                .collect()
        };
        assert_eq!(merge(&evaluation, &id, tagged(70, "0")).await, merged(70, 0));
        // As if each had outputs of 4 MB: what is kept of its size is what counts.
        store
            .write(|tx| tx.execute("UPDATE evaluation_records SET bytes = 4000000", &[]))
            .await
            .unwrap();
        let refused = evaluation
            .merge_records(id.clone(), tagged(70, "1").to_string())
            .await;
        assert!(
            matches!(refused, Err(TracesError::Limit { field: "records", .. })),
            "{refused:?}"
        );
        assert_eq!(merge(&evaluation, &id, tagged(30, "1")).await, merged(0, 30));
    })
    .await;
}

#[tokio::test]
async fn a_page_of_datasets_ends_where_they_have_too_much() {
    let evaluation = evaluation_on(Metastore::in_memory(&[MIGRATIONS]).await.unwrap());
    let long = "\u{1F642}".repeat(8000);
    let tags: serde_json::Map<String, Value> = (0..1000)
        .map(|number| (format!("k{number}"), json!(long)))
        .collect();
    for name in ["a", "b", "c"] {
        evaluation
            .create_dataset(new(name, &[], Value::Object(tags.clone())))
            .await
            .unwrap();
    }
    let mut ordered = DatasetScope {
        order_by: vec!["name".into()],
        ..DatasetScope::default()
    };
    let first = evaluation.search_datasets(ordered.clone()).await.unwrap();
    ordered.page_token.clone_from(&first.next_page_token);
    let second = evaluation.search_datasets(ordered).await.unwrap();
    let names = |page: &corliss_traces::Page<corliss_traces::EvaluationDataset>| -> Vec<String> {
        page.items.iter().map(|dataset| dataset.name.clone()).collect()
    };
    assert_eq!(
        (names(&first), names(&second)),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );
    assert_eq!(second.next_page_token, None);
}
