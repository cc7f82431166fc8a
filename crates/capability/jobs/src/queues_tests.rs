//! What can be the queues, what is refused, and by which words.

use corliss_diagnostics::Diagnose;
use serde_json::json;

use super::*;

fn settings(value: serde_json::Value) -> QueueSettings {
    serde_json::from_value(value).unwrap()
}

#[test]
fn what_cannot_be_is_refused_by_the_field() {
    let refused = |value: serde_json::Value| {
        let error = settings(value).check().unwrap_err();
        (error.field().unwrap(), error.to_string())
    };
    let (field, why) = refused(json!({"queues": {"a b": {}}}));
    assert_eq!(field, "queues.a b");
    assert!(why.contains("letters, digits"), "{why}");
    let (field, why) = refused(json!({"queues": {"research": {}, "night": {"parent": "reserch"}}}));
    assert_eq!(field, "queues.night.parent");
    assert!(why.contains("did you mean 'research'?"), "{why}");
    let (field, why) = refused(json!({"queues": {"a": {"parent": "b"}, "b": {"parent": "a"}}}));
    assert_eq!(field, "queues.a.parent");
    assert!(why.contains("'b' is 'a' itself or a part of it"), "{why}");
    let (field, _) = refused(json!({"queues": {"a": {"parent": "a"}}}));
    assert_eq!(field, "queues.a.parent");
    let (field, why) = refused(json!({"queues": {"a": {"borrow": {"accelerators": 1}}}}));
    assert_eq!(field, "queues.a.borrow.accelerators");
    assert!(why.contains("quota.accelerators"), "{why}");
    let (field, _) = refused(json!({"queues": {"a": {"quota": {"cpu_milli": 1}, "lend": {"cpu_milli": 2}}}}));
    assert_eq!(field, "queues.a.lend.cpu_milli");
    let (field, _) = refused(json!({"queues": {"a": {"weight": 0}}}));
    assert_eq!(field, "queues.a.weight");
    let (field, _) = refused(json!({"half_life_s": 0}));
    assert_eq!(field, "half_life_s");
}

#[test]
fn unknown_words_are_told_with_those_that_are_known() {
    let error = |value: serde_json::Value| {
        serde_json::from_value::<QueueSettings>(value)
            .unwrap_err()
            .to_string()
    };
    let order = error(json!({"queues": {"a": {"order": "lifo"}}}));
    assert!(
        order.contains("'lifo' is none of fifo, sjf, srtf, srsf, las"),
        "{order}"
    );
    assert!(error(json!({"queues": {"a": {"overtaking": "x"}}})).contains("never, backfill, free"));
    assert!(error(json!({"queues": {"a": {"quotas": {}}}})).contains("quotas"));
}

#[test]
fn settings_reach_the_policy_and_read_back_as_they_were() {
    let told = settings(json!({
        "queues": {
            "research": {"weight": 3, "fair": true, "order": "srtf", "overtaking": "backfill",
                "quota": {"accelerators": 8}, "borrow": {"accelerators": 2}, "preempt": ["lower", "borrowers"]},
            "night": {"parent": "research", "per_user": {"cpu_milli": 500}},
        },
        "half_life_s": 60, "least_run_s": 5,
    }));
    told.check().unwrap();
    let again: QueueSettings = serde_json::from_value(serde_json::to_value(&told).unwrap()).unwrap();
    assert_eq!(again, told);
    let queues = told.queues();
    let names: Vec<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(names, ["night", "research", "default"]);
    let research = &queues[1];
    assert_eq!(research.quotas[0].nominal, 8_000);
    assert_eq!(
        (research.quotas[0].borrows, research.quotas[0].lends),
        (Some(2_000), None)
    );
    assert!(research.preempts.lower && research.preempts.borrowers && !research.preempts.favoured);
    assert_eq!(queues[0].per_user[0].most, 500);
    assert_eq!(told.rules().half_life_ms, Some(60_000));
}
