//! Files of traces among the artifacts, on every database: where they may lie, and when they go.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_testkit::metastore::for_each_backend;
use corliss_tracking::{LifecycleStage, MIGRATIONS, Purge, TrackingError};
use support::{body, text, tracking_on};

#[tokio::test]
async fn files_of_traces_lie_under_an_active_experiment_and_go_with_it() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let own = tracking
            .create_experiment("own".into(), None, vec![])
            .await
            .unwrap();
        let location = Some("mlflow-artifacts:/elsewhere/of it/".to_owned());
        let placed = tracking
            .create_experiment("placed".into(), location, vec![])
            .await
            .unwrap();
        let of_own = format!("{own}/traces/tr-1/artifacts/attachments/a");
        let of_placed = "elsewhere/of it/traces/tr-1/artifacts/traces.json".to_owned();
        for path in [&of_own, &of_placed] {
            tracking.put_artifact(path.clone(), body("bytes")).await.unwrap();
            let read = tracking.open_artifact(path.clone()).await.unwrap();
            assert_eq!(text(read.bytes).await, "bytes");
        }
        for path in [
            format!("{own}/traces/tr-1/a"),
            format!("{own}/traces/tr-1/artifacts"),
            format!("{own}/other/tr-1/artifacts/a"),
            format!("{own}/deeper/traces/tr-1/artifacts/a"),
            "traces/tr-1/artifacts/a".to_owned(),
            "987654/traces/tr-1/artifacts/a".to_owned(),
            format!("elsewhere/{own}/traces/tr-1/artifacts/a"),
        ] {
            let refused = tracking.put_artifact(path.clone(), body("x")).await.unwrap_err();
            assert!(matches!(refused, TrackingError::NotFound(_)), "{path}: {refused}");
        }

        // A trace goes with its folder, and no other does.
        let second = format!("{own}/traces/tr-2/artifacts/a");
        tracking.put_artifact(second.clone(), body("two")).await.unwrap();
        let folders = ["tr-1", "tr-3"].map(|trace| format!("mlflow-artifacts:/{own}/traces/{trace}"));
        tracking
            .remove_folders([folders.to_vec(), vec!["s3://bucket/x".to_owned()]].concat())
            .await
            .unwrap();
        assert!(tracking.open_artifact(of_own).await.is_err());
        assert!(tracking.open_artifact(second.clone()).await.is_ok());
        assert_eq!(tracking.blobs_in_use().await.unwrap().len(), 2);

        tracking
            .set_experiment_stage(own, LifecycleStage::Deleted)
            .await
            .unwrap();
        let refused = tracking
            .put_artifact(second.clone(), body("x"))
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("must be in the 'active' state"),
            "{refused}"
        );
        let purged = tracking.purge(Purge::default()).await.unwrap();
        assert_eq!(
            (purged.experiments, purged.artifacts, purged.artifact_bytes),
            (1, 1, 3)
        );
        assert!(tracking.open_artifact(second).await.is_err());
        assert!(tracking.open_artifact(of_placed).await.is_ok());
        tracking
            .set_experiment_stage(placed, LifecycleStage::Deleted)
            .await
            .unwrap();
        tracking.purge(Purge::default()).await.unwrap();
        assert!(tracking.blobs_in_use().await.unwrap().is_empty());
    })
    .await;
}
