//! What nodes can be, and what they are to the policy.

use super::*;
use corliss_diagnostics::Diagnose;
use corliss_executor::inventory::InventorySource;
use corliss_types::{Nearness, Placing};
use serde_json::json;

use crate::Place;

/// Four CPUs, 8 GiB, three accelerators of two models.
fn machine() -> Inventory {
    let card = |index: u32, model: &str| Accelerator {
        index,
        uuid: format!("T-{index}"),
        model: model.to_owned(),
        memory_bytes: u64::from(index + 1) << 30,
    };
    Inventory {
        total: Resources {
            cpu_milli: 4_000,
            memory_bytes: 8 << 30,
            accelerators: 3,
        },
        accelerators: vec![card(0, "T A10"), card(1, "T A10"), card(2, "T A100 80GB")],
        source: InventorySource::Declared,
        notes: Vec::new(),
    }
}

fn settings(value: serde_json::Value) -> NodeSettings {
    serde_json::from_value(value).unwrap()
}

#[test]
fn what_cannot_be_is_told_by_its_field() {
    let node = json!({"cpu_milli": 1000, "memory_bytes": 1});
    let with = |more: serde_json::Value| {
        let mut node = node.as_object().unwrap().clone();
        node.extend(more.as_object().unwrap().clone());
        json!({ "nodes": { "a": node, "b": {"cpu_milli": 0, "memory_bytes": 0, "accelerators": [1]} } })
    };
    let wrong = [
        (json!({"nodes": {"a b": node}}), "nodes.a b", "no name"),
        (with(json!({"cpu_milli": 4001})), "nodes", "together they have"),
        (
            with(json!({"memory_bytes": u64::MAX})),
            "nodes",
            "of memory and the machine has 8 GiB",
        ),
        (
            with(json!({"accelerators": [7]})),
            "nodes.a.accelerators",
            "the machine's are 0, 1 and 2",
        ),
        (
            with(json!({"accelerators": [0, 0]})),
            "nodes.a.accelerators",
            "twice",
        ),
        (
            with(json!({"accelerators": [1]})),
            "nodes.b.accelerators",
            "node 'a' already",
        ),
        (
            with(json!({"accelerators": [0, 2]})),
            "nodes.a.accelerators",
            "two models",
        ),
        (
            with(json!({"in": {"rack": "r1"}})),
            "nodes.a.in",
            "none of the levels",
        ),
        (
            json!({"levels": ["rack"], "nodes": {"a": node}}),
            "nodes.a.in",
            "does not say which rack",
        ),
        (json!({"levels": ["rack", "rack"]}), "levels", "twice"),
        (
            json!({"levels": ["a", "b", "c", "d", "e"]}),
            "levels",
            "4 are possible",
        ),
        (json!({"drained": ["locl"]}), "drained", "did you mean 'local'?"),
    ];
    for (value, field, says) in wrong {
        let error = settings(value.clone()).check(&machine()).unwrap_err();
        assert_eq!(error.field().as_deref(), Some(field), "{value}");
        assert!(error.to_string().contains(says), "{value}: {error}");
    }
    settings(with(json!({"accelerators": [0]})))
        .check(&machine())
        .unwrap();
    settings(json!({})).check(&machine()).unwrap();
}

#[test]
fn drained_nodes_stay_so_until_others_are_named() {
    let before = settings(json!({"nodes": {"a": {"cpu_milli": 0, "memory_bytes": 0}}, "drained": ["a"]}));
    let same = settings(json!({"nodes": {"a": {"cpu_milli": 1, "memory_bytes": 0}}}));
    assert_eq!(same.keeping(&before).drained, before.drained);
    assert!(settings(json!({})).keeping(&before).drained.is_empty());
}

#[test]
fn what_is_asked_for_has_to_be_there() {
    let floor = Floor::of(
        &machine(),
        &settings(json!({"levels": ["rack"], "nodes": {
            "a": {"cpu_milli": 1, "memory_bytes": 1, "accelerators": [0, 1], "in": {"rack": "r1"}},
            "b": {"cpu_milli": 1, "memory_bytes": 1, "accelerators": [2], "in": {"rack": "r1"}},
        }})),
    );
    let told = |placing: Placing| floor.check(&placing).map_err(|error| error.to_string());
    let model = |name: &str| Placing {
        accelerator_models: vec![name.to_owned()],
        ..Placing::default()
    };
    assert_eq!(told(model("a10")), Ok(()));
    let error = told(model("H100")).unwrap_err();
    assert!(
        error.contains("'H100' here; there are 'T A10' and 'T A100 80GB'"),
        "{error}"
    );
    let large = Placing {
        accelerator_memory_bytes: Some(4 << 30),
        ..Placing::default()
    };
    assert!(told(large).unwrap_err().contains("more memory than 3 GiB"));
    let near = |level: &str| Placing {
        near: Some(Nearness::Near(level.to_owned())),
        ..Placing::default()
    };
    assert_eq!(told(near("rack")), Ok(()));
    assert!(
        told(near("row"))
            .unwrap_err()
            .contains("no level 'row'; nodes stand in rack")
    );
}

#[test]
fn places_from_before_there_were_nodes_are_on_the_machine() {
    let places: Vec<Place> = serde_json::from_str(r#"[[0, 1], {"node": "a", "accelerators": []}]"#).unwrap();
    let told: Vec<(&str, usize)> = places
        .iter()
        .map(|place| (place.node.as_str(), place.accelerators.len()))
        .collect();
    assert_eq!(told, [(LOCAL_NODE, 2), ("a", 0)]);
}

#[test]
fn of_a_node_of_several_models_none_is_promised() {
    let named = |name: &str| Placing {
        accelerator_models: vec![name.to_owned()],
        ..Placing::default()
    };
    let whole = Floor::of(&machine(), &NodeSettings::default());
    let error = whole.check(&named("A100")).unwrap_err();
    assert_eq!(error.field().as_deref(), Some("accelerator_model"));
    assert!(
        error.to_string().contains("declare nodes of one model each"),
        "{error}"
    );
    let either = Placing {
        accelerator_models: vec!["A10".to_owned(), "A100".to_owned()],
        ..Placing::default()
    };
    assert!(whole.check(&either).is_ok());
    let apart = settings(json!({"nodes": {
        "a": {"cpu_milli": 1, "memory_bytes": 1, "accelerators": [0, 1]},
        "b": {"cpu_milli": 1, "memory_bytes": 1, "accelerators": [2]},
    }}));
    let floor = Floor::of(&machine(), &apart);
    assert!(floor.check(&named("A100")).is_ok());
    let gang = floor.gang(&crate::store::Asked {
        job: "job_00000000000000000000000000".parse().unwrap(),
        created: corliss_types::Timestamp::from_millis(0),
        workers: 1,
        each: Resources {
            accelerators: 1,
            ..Resources::default()
        },
        terms: crate::Terms {
            placing: named("A100"),
            ..crate::Terms::default()
        },
        run_ms: None,
    });
    let right: Vec<bool> = floor
        .seats()
        .iter()
        .map(|seat| seat.node.is_of(&gang.wanted.ask))
        .collect();
    assert_eq!(right, [false, true]);
}
