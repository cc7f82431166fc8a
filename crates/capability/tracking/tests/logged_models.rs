//! Searches over logged models, on every database: by their metrics, which may be measured on a dataset.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_testkit::metastore::for_each_backend;
use corliss_tracking::{
    DatasetKey, KeyValue, LoggedModelSearch, MIGRATIONS, Metric, ModelOrder, NewLoggedModel, NewRun, Page,
    SearchScope, Tracking, TrackingError,
};
use support::tracking_on;

fn on(name: &str, digest: Option<&str>) -> DatasetKey {
    DatasetKey {
        name: name.to_owned(),
        digest: digest.map(str::to_owned),
    }
}

fn by(field: &str, ascending: bool, dataset: Option<DatasetKey>) -> ModelOrder {
    ModelOrder {
        field: field.to_owned(),
        ascending,
        dataset,
    }
}

async fn made(tracking: &Tracking, name: &str) -> String {
    let new = NewLoggedModel {
        name: Some(name.to_owned()),
        ..NewLoggedModel::default()
    };
    let model = tracking.create_logged_model(new).await.unwrap();
    // Two models that are made one after the other are not made in the same millisecond.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    model.model_id
}

async fn measure(tracking: &Tracking, run: &str, model: &str, value: f64, step: i64, data: Option<&str>) {
    let metric = Metric {
        key: "acc".to_owned(),
        value,
        logged_ms: 1,
        step,
        model_id: Some(model.to_owned()),
        dataset: data.map(|digest| ("digits".to_owned(), digest.to_owned())),
    };
    tracking.log_metric(run.to_owned(), metric).await.unwrap();
}

async fn found(tracking: &Tracking, search: LoggedModelSearch) -> Result<Vec<String>, TrackingError> {
    let search = LoggedModelSearch {
        experiment_ids: vec![0],
        ..search
    };
    let Page { items, .. } = tracking.search_logged_models(search).await?;
    Ok(items.into_iter().map(|model| model.name).collect())
}

fn filtered(filter: &str, datasets: Vec<DatasetKey>) -> LoggedModelSearch {
    LoggedModelSearch {
        scope: SearchScope {
            filter: filter.to_owned(),
            ..SearchScope::default()
        },
        datasets,
        ..LoggedModelSearch::default()
    }
}

fn ordered(order_by: Vec<ModelOrder>) -> LoggedModelSearch {
    LoggedModelSearch {
        order_by,
        ..LoggedModelSearch::default()
    }
}

#[tokio::test]
async fn models_are_ordered_and_found_by_what_was_measured() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let run = tracking.create_run(NewRun::default()).await.unwrap().info.run_id;
        let (best, worst) = (made(&tracking, "best").await, made(&tracking, "worst").await);
        let _none = made(&tracking, "none").await;
        let nan = made(&tracking, "nan").await;
        measure(&tracking, &run, &best, 0.5, 1, Some("d1")).await;
        measure(&tracking, &run, &best, 0.9, 3, None).await;
        measure(&tracking, &run, &worst, 0.4, 1, Some("d2")).await;
        measure(&tracking, &run, &nan, f64::NAN, 1, None).await;

        for (order, expected) in [
            // Those without a number come last, in either direction, the newest of them first.
            (
                vec![by("metrics.acc", true, None)],
                ["worst", "best", "nan", "none"],
            ),
            (
                vec![by("metrics.acc", false, None)],
                ["best", "worst", "nan", "none"],
            ),
            (
                vec![by("metrics.acc", true, Some(on("digits", Some("d1"))))],
                ["best", "nan", "none", "worst"],
            ),
            (
                vec![by("metrics.acc", false, Some(on("digits", None)))],
                ["best", "worst", "nan", "none"],
            ),
            (
                vec![by("metrics.absent", true, None)],
                ["nan", "none", "worst", "best"],
            ),
            (vec![by("name", true, None)], ["best", "nan", "none", "worst"]),
            (
                vec![by("model_type", true, None), by("creation_timestamp", true, None)],
                ["best", "worst", "none", "nan"],
            ),
        ] {
            let asked = format!("{order:?}");
            assert_eq!(
                found(&tracking, ordered(order)).await.unwrap(),
                expected,
                "{asked}"
            );
        }
        for (filter, datasets, expected) in [
            ("metrics.acc > 0", vec![], vec!["worst", "best"]),
            ("metrics.acc = 0.5", vec![on("digits", Some("d1"))], vec!["best"]),
            ("metrics.acc > 0.8", vec![on("digits", Some("d1"))], vec![]),
            (
                "metrics.acc > 0",
                vec![on("digits", Some("d1")), on("digits", Some("d2"))],
                vec!["worst", "best"],
            ),
            ("", vec![on("digits", Some("d2"))], vec!["worst"]),
            ("name = 'best'", vec![on("digits", Some("d2"))], vec![]),
            ("", vec![on("other", None)], vec![]),
        ] {
            let asked = format!("{filter} {datasets:?}");
            let search = filtered(filter, datasets);
            assert_eq!(found(&tracking, search).await.unwrap(), expected, "{asked}");
        }
        for field in ["params.rate", "attributes.name", "nonsense", "", "metrics"] {
            let refused = found(&tracking, ordered(vec![by(field, true, None)])).await;
            assert!(
                refused.unwrap_err().to_string().starts_with("Invalid order by"),
                "{field}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn searches_are_bounded() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let many = LoggedModelSearch {
            experiment_ids: (0..10_001).collect(),
            ..LoggedModelSearch::default()
        };
        let refused = tracking.search_logged_models(many).await.unwrap_err();
        assert!(
            refused.to_string().contains("at most 10000 experiments"),
            "{refused}"
        );
        let same = LoggedModelSearch {
            experiment_ids: vec![0; 100_000],
            ..LoggedModelSearch::default()
        };
        assert!(
            tracking
                .search_logged_models(same)
                .await
                .unwrap()
                .items
                .is_empty()
        );
        let orders = vec![by("name", true, None); 51];
        let refused = found(&tracking, ordered(orders)).await.unwrap_err();
        assert!(refused.to_string().contains("at most 50 clauses"), "{refused}");
        let refused = found(&tracking, filtered("", vec![on("d", None); 51]))
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("at most 50 clauses"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn parameters_of_a_model_are_written_once() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let model = made(&tracking, "m").await;
        let write = |value: &'static str| {
            let (tracking, model) = (tracking.clone(), model.clone());
            async move {
                let pair = vec![KeyValue::new("rate", value)];
                tracking.describe_logged_model(model, pair, vec![]).await
            }
        };
        write("0.1").await.unwrap();
        write("0.1").await.unwrap();
        let refused = write("0.2").await.unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("Changing param values is not allowed."),
            "{refused}"
        );
        let kept = tracking.logged_model(model.clone(), false).await.unwrap();
        assert_eq!(kept.params, [KeyValue::new("rate", "0.1")]);
    })
    .await;
}
