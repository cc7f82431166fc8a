//! Lineage, on every metadata store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_blobstore::BlobStore;
use corliss_data::{Direction, Edge, Limits, MIGRATIONS, NodeKind, NodeRef, Relation};
use corliss_testkit::metastore::for_each_backend;
use support::{commit, service_with};

fn node(text: &str) -> NodeRef {
    text.parse().unwrap()
}

fn edge(from: &str, relation: Relation, to: &str) -> Edge {
    Edge {
        from: node(from),
        to: node(to),
        relation,
    }
}

#[tokio::test]
async fn lineage_is_followed_one_way_at_a_time() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service_with(
            store,
            BlobStore::in_memory().await.unwrap(),
            Limits {
                lineage_nodes: 6,
                ..Limits::default()
            },
        );
        let data = commit(&service, "digits", &[("a", "1")], "").await;
        let data = format!("version:{}", data.version);
        let edges = vec![
            edge(&data, Relation::Input, "run:run_1"),
            edge("version:code", Relation::Code, "run:run_1"),
            edge("run:run_1", Relation::Output, "version:weights"),
            edge("version:weights", Relation::Registered, "model:digits/1"),
            edge("model:digits/1", Relation::Deployed, "endpoint:digits"),
            edge(&data, Relation::Input, "run:run_2"),
        ];
        service.record_lineage(edges.clone()).await.unwrap();
        service.record_lineage(edges).await.unwrap();
        let ids = |graph: &corliss_data::LineageGraph| {
            graph
                .nodes
                .iter()
                .map(|node| node.id.to_string())
                .collect::<Vec<_>>()
        };
        let up = service
            .lineage(&node("model:digits/1"), Direction::Up)
            .await
            .unwrap();
        assert_eq!(
            ids(&up),
            [
                "model:digits/1",
                "version:weights",
                "run:run_1",
                "version:code",
                &data
            ]
        );
        assert_eq!((up.edges.len(), up.truncated), (4, false));
        assert!(up.nodes[4].label.starts_with("digits@"), "{}", up.nodes[4].label);
        let down = service.lineage(&node(&data), Direction::Down).await.unwrap();
        assert_eq!(down.nodes.len(), 6);
        assert!(!down.truncated);
        let both = service
            .lineage(&node("run:run_1"), Direction::Both)
            .await
            .unwrap();
        assert_eq!(
            (both.nodes.len(), both.truncated),
            (6, false),
            "not the run beside it"
        );
        service
            .record_lineage(vec![edge(&data, Relation::Input, "run:run_3")])
            .await
            .unwrap();
        let down = service.lineage(&node(&data), Direction::Down).await.unwrap();
        assert_eq!((down.nodes.len(), down.truncated), (6, true));
        let alone = service
            .lineage(&NodeRef::new(NodeKind::Run, "none").unwrap(), Direction::Both)
            .await
            .unwrap();
        assert_eq!((alone.nodes.len(), alone.edges.len()), (1, 0));
        // A ring, which nothing makes on purpose, must end too.
        service
            .record_lineage(vec![edge("run:a", Relation::Output, "run:b")])
            .await
            .unwrap();
        service
            .record_lineage(vec![edge("run:b", Relation::Output, "run:a")])
            .await
            .unwrap();
        assert_eq!(
            service
                .lineage(&node("run:a"), Direction::Both)
                .await
                .unwrap()
                .nodes
                .len(),
            2
        );
    })
    .await;
}
