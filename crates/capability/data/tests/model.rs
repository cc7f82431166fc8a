//! Random histories: whatever is done to datasets, their branches and tags, in whatever order, the service answers
//! what a model in memory does, refuses what it does, and can be read back as it says, whole and in pages.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod repository;

use corliss_data::{Commit, DataError};
use corliss_types::{Timestamp, VersionId};
use proptest::prelude::*;
use proptest::sample::Index;

use repository::call::{Call, On, Step, agree};
use repository::content::{Files, tree};
use repository::home::Home;
use repository::model::Model;
use repository::pick::{Aim, Timed, aims, history_of};

/// Contents of a few bytes: what matters here is which is which.
const CONTENTS: u16 = 4;
/// How many ops pass between two looks at everything.
const LOOK: usize = 12;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

/// What is read after some ops.
#[derive(Debug, Clone)]
struct Reading {
    aims: Vec<Aim>,
    versions: [Index; 4],
    page: usize,
    skip: usize,
}

fn reading() -> impl Strategy<Value = Reading> {
    (aims(), any::<[Index; 4]>(), 1..6_usize, 0..8_usize).prop_map(|(aims, versions, page, skip)| Reading {
        aims,
        versions,
        page,
        skip,
    })
}

async fn look(home: &Home, model: &Model, reading: &Reading) {
    assert_eq!(home.differs(model).await, None);
    for aim in &reading.aims {
        home.resolves(model, aim).await;
    }
    for dataset in model.datasets.values() {
        for name in dataset.names.values() {
            home.reads_log(model, &name.commit, reading.skip, reading.page)
                .await;
        }
    }
    let whole = model.versions.iter().filter(|(_, version)| version.is_whole);
    let versions: Vec<&VersionId> = whole.map(|(id, _)| id).collect();
    if !versions.is_empty() {
        let [a, b, c, d] = reading.versions.map(|at| *at.get(&versions));
        home.reads(model, [a, b], reading.page).await;
        home.reads(model, [c, d], reading.page).await;
    }
}

async fn history(ops: Vec<Timed>, readings: Vec<Reading>) {
    let mut home = Home::in_memory().await;
    let mut model = Model::default();
    let mut now_ms = 0;
    for (done, op) in ops.iter().enumerate() {
        let step = op.aimed(&model, &mut now_ms);
        let before = model.clone();
        let expected = model.apply(&step);
        if expected.is_err() {
            assert_eq!(model, before, "the model is at fault");
        }
        let answer = home.perform(&step).await;
        assert!(
            agree(&expected, &answer),
            "{step:?}\nanswered {answer:?}\nexpected {expected:?}"
        );
        if done % LOOK == LOOK - 1 {
            look(&home, &model, &readings[done / LOOK % readings.len()]).await;
        }
    }
    home = home.again();
    look(&home, &model, &readings[0]).await;
    home.is_whole(&model, false).await;
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    config.failure_persistence = None;
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_is_done_the_service_does_what_the_model_does(
        ops in history_of(CONTENTS, 1..90),
        readings in prop::collection::vec(reading(), 3),
    ) {
        run(history(ops, readings));
    }
}

/// The first two numbers, of those that a text is made of, whose texts begin alike.
fn twins(text: impl Fn(u32) -> String) -> (u32, u32) {
    let mut seen = std::collections::BTreeMap::new();
    for number in 0.. {
        if let Some(other) = seen.insert(text(number)[..8].to_owned(), number) {
            return (other, number);
        }
    }
    panic!("numbers do not end")
}

#[tokio::test]
async fn six_digits_that_begin_two_ids_are_refused() {
    let home = Home::in_memory().await;
    let on = On {
        dataset: "d".to_owned(),
        branch: None,
        expected: None,
    };
    let files = |n: u32| Files::from([(format!("file {n}"), (1, false))]);
    let id = |n| tree(&files(n)).0.version().to_string();
    let (one, two) = twins(id);
    let step = |message: String, files| Step {
        now_ms: 5,
        message,
        call: Call::Commit {
            on: on.clone(),
            files,
        },
    };
    home.perform(&step(String::new(), files(one))).await.unwrap();
    home.perform(&step(String::new(), files(two))).await.unwrap();
    let version = &id(one)[..8];
    for text in [
        version.to_owned(),
        format!("d@{version}"),
        format!("d@{}", &version[2..]),
    ] {
        let found = home.service.resolve(&text.parse().unwrap()).await;
        assert!(
            matches!(found, Err(DataError::Ambiguous { .. })),
            "{text}: {found:?}"
        );
    }
    let longer = (9..)
        .map(|len| id(one)[..len] != id(two)[..len])
        .position(|differs| differs);
    let longer = id(one)[..9 + longer.unwrap()].to_owned();
    let found = home.service.resolve(&longer.parse().unwrap()).await.unwrap();
    assert_eq!(found.version.to_string(), id(one));

    // Two roots of histories with one version.
    let commit = |n: u32| Commit {
        version: tree(&files(0)).0.version(),
        parents: Vec::new(),
        author: repository::AUTHOR.to_owned(),
        created_ms: Timestamp::from_millis(5),
        message: n.to_string(),
    };
    let (one, two) = twins(|n| commit(n).id().to_string());
    for (dataset, n) in [("e", one), ("f", two)] {
        let on = On {
            dataset: dataset.to_owned(),
            ..on.clone()
        };
        let call = Call::Commit { on, files: files(0) };
        let message = n.to_string();
        home.perform(&Step {
            now_ms: 5,
            message,
            call,
        })
        .await
        .unwrap();
    }
    let id = commit(one).id().to_string();
    let found = home.service.resolve(&id[..8].parse().unwrap()).await;
    assert!(matches!(found, Err(DataError::Ambiguous { .. })), "{found:?}");
    let text = format!("e@{}", &id[..8]);
    let found = home.service.resolve(&text.parse().unwrap()).await.unwrap();
    assert_eq!(
        found.commit,
        Some(id.parse().unwrap()),
        "of this dataset there is one"
    );
}
