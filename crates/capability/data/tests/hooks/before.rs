//! Hooks that are asked before something moves.

use corliss_data::{
    ConflictPolicy, DataError, DataService, HookEvent, NewHook, RefKind, Reference, Target, When,
};
use corliss_diagnostics::Diagnose;
use serde_json::json;

use crate::receiver::Receiver;
use crate::support::{branch, by, commit, name, on, send};
use crate::{deliver, deliveries, hook, in_memory};

fn asking(receiver: &Receiver) -> NewHook {
    NewHook {
        when: When::Before,
        timeout_ms: 1_000,
        events: HookEvent::ALL.to_vec(),
        ..NewHook::to(receiver.url())
    }
}

fn at(text: &str) -> Reference {
    text.parse().unwrap()
}

async fn head(service: &DataService) -> String {
    let main = service.branch(&name("images"), &branch("main")).await.unwrap();
    main.commit.to_string()
}

#[tokio::test]
async fn a_receiver_that_says_no_stops_a_commit() {
    let (service, _) = in_memory().await;
    let receiver = Receiver::start().await;
    commit(&service, "images", &[("a", "0")], "").await;
    let hook = hook(&service, "images", asking(&receiver)).await;
    let before = head(&service).await;
    let version = send(&service, &[("a", "1")]).await;
    receiver.says(&[(422, "cats/1.txt has no label\n\nfix it"), (302, ""), (410, "")]);
    for expected in [
        "it answered 422: cats/1.txt has no label; fix it",
        "it answered 302",
        "it answered 410",
    ] {
        let refused = service
            .commit(&on("images"), &version, by("why"))
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("hook {} refused this: {expected}", hook.hook.id)
        );
        assert_eq!(
            (refused.code(), refused.meaning().http_status()),
            ("data_hook_refused", 409)
        );
        assert!(!refused.retryable());
    }
    assert_eq!(head(&service).await, before);
    // Whoever is asked can read what it is asked about.
    service.version(&version).await.unwrap();
    let made = service.commit(&on("images"), &version, by("why")).await.unwrap();
    let asked = receiver.take();
    assert_eq!(asked.len(), 4);
    let last = &asked[3];
    assert!(last.is_signed_with(hook.secret.as_ref().unwrap()));
    assert_eq!(
        (last.kind(), last.data("when")),
        ("dataset.commit", &json!("before"))
    );
    assert_eq!(*last.data("new_commit"), json!(made.commit));
    assert_eq!(*last.data("old_commit"), json!(before));
    assert_eq!(*last.data("version"), json!(version));
    assert_eq!(*last.data("message"), json!("why"));
    assert_ne!(asked[2].id, last.id);
    // The same again changes nothing, so nobody is asked; and nobody is told after.
    service
        .commit(&on("images"), &version, by("again"))
        .await
        .unwrap();
    deliver(&service).await;
    assert_eq!(
        (receiver.seen().len(), deliveries(&service, &hook).await.len()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_receiver_that_cannot_answer_stops_a_commit_for_now() {
    let (service, _) = in_memory().await;
    let receiver = Receiver::start().await;
    commit(&service, "images", &[("a", "0")], "").await;
    hook(&service, "images", asking(&receiver)).await;
    let before = head(&service).await;
    let version = send(&service, &[("a", "1")]).await;
    let refused = || async {
        let refused = service.commit(&on("images"), &version, by("")).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.retryable()),
            ("data_hook_unanswered", true)
        );
        assert_eq!(refused.meaning().http_status(), 503);
        refused.to_string()
    };
    receiver.says(&[(503, "busy")]);
    assert!(refused().await.ends_with("it answered 503: busy"));
    receiver.falls_silent();
    assert!(refused().await.ends_with("it has not answered in time"));
    receiver.stop().await;
    assert!(refused().await.contains("not reachable"));
    assert_eq!(head(&service).await, before);
}

#[tokio::test]
async fn every_way_to_move_a_name_asks() {
    let (service, _) = in_memory().await;
    let receiver = Receiver::start().await;
    let images = name("images");
    commit(&service, "images", &[("a", "0")], "").await;
    let side = branch("side");
    service
        .create_ref(&images, RefKind::Branch, &side, &at("images"), "ada")
        .await
        .unwrap();
    let onto_side = Target {
        branch: Some(side.clone()),
        ..on("images")
    };
    let version = send(&service, &[("a", "0"), ("b", "1")]).await;
    service.commit(&onto_side, &version, by("")).await.unwrap();
    let policy = ConflictPolicy::Ours;
    hook(&service, "images", asking(&receiver)).await;
    let before = head(&service).await;
    let no = || receiver.says(&[(403, "no")]);
    let is_refused = |result: Result<(), DataError>| {
        assert!(matches!(result, Err(DataError::HookRefused { .. })), "{result:?}");
    };
    let kind = || receiver.take().pop().unwrap().kind().to_owned();

    no();
    is_refused(
        service
            .merge(&on("images"), &at("images@side"), policy, false, by(""))
            .await
            .map(drop),
    );
    assert_eq!(kind(), "dataset.merge");
    no();
    is_refused(
        service
            .merge(&on("images"), &at("images@side"), policy, true, by(""))
            .await
            .map(drop),
    );
    assert_eq!(kind(), "dataset.merge");
    no();
    is_refused(
        service
            .cherry_pick(&on("images"), &at("images@side"), policy, by(""))
            .await
            .map(drop),
    );
    assert_eq!(kind(), "dataset.commit");
    no();
    let to = at("images@side");
    is_refused(
        service
            .move_branch(&images, &branch("main"), &to, None, "ada")
            .await
            .map(drop),
    );
    assert_eq!(kind(), "dataset.branch.moved");
    no();
    let new = branch("new");
    is_refused(
        service
            .create_ref(&images, RefKind::Tag, &new, &at("images"), "ada")
            .await
            .map(drop),
    );
    assert_eq!(kind(), "dataset.tag.created");
    no();
    is_refused(
        service
            .create_ref(&images, RefKind::Branch, &new, &at("images"), "ada")
            .await
            .map(drop),
    );
    assert_eq!(kind(), "dataset.branch.created");
    no();
    is_refused(
        service
            .delete_ref(&images, RefKind::Branch, &side, None, "ada")
            .await
            .map(drop),
    );
    assert_eq!(kind(), "dataset.branch.deleted");
    assert_eq!(head(&service).await, before);
    // Where they agree, all of it happens.
    service
        .merge(&on("images"), &at("images@side"), policy, false, by(""))
        .await
        .unwrap();
    service
        .delete_ref(&images, RefKind::Branch, &side, None, "ada")
        .await
        .unwrap();
    assert_eq!(receiver.take().len(), 2);
}

#[tokio::test]
async fn only_hooks_of_that_branch_are_asked_and_one_no_is_enough() {
    let (service, _) = in_memory().await;
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    commit(&service, "images", &[("a", "0")], "").await;
    let elsewhere = NewHook {
        branches: vec!["release/**".parse().unwrap()],
        ..asking(&first)
    };
    hook(&service, "images", elsewhere).await;
    let version = send(&service, &[("a", "1")]).await;
    service.commit(&on("images"), &version, by("")).await.unwrap();
    assert_eq!(first.seen().len(), 0);
    hook(&service, "images", asking(&first)).await;
    hook(&service, "images", asking(&second)).await;
    first.says(&[(400, "")]);
    let version = send(&service, &[("a", "2")]).await;
    service.commit(&on("images"), &version, by("")).await.unwrap_err();
    assert_eq!((first.take().len(), second.take().len()), (1, 0));
    second.says(&[(400, "")]);
    service.commit(&on("images"), &version, by("")).await.unwrap_err();
    assert_eq!((first.take().len(), second.take().len()), (1, 1));
}

/// The receiver holds a commit up while the branch is moved by a way that this hook is not asked about.
#[tokio::test]
async fn what_was_agreed_to_is_what_happens_or_nothing() {
    let (service, _) = in_memory().await;
    let receiver = Receiver::start().await;
    commit(&service, "images", &[("a", "0")], "").await;
    let patient = NewHook {
        timeout_ms: 30_000,
        events: vec![HookEvent::Commit],
        branches: vec!["main".parse().unwrap()],
        ..asking(&receiver)
    };
    hook(&service, "images", patient).await;
    let held = send(&service, &[("a", "1")]).await;
    receiver.falls_silent();
    let task = tokio::spawn({
        let service = service.clone();
        async move { service.commit(&on("images"), &held, by("")).await }
    });
    receiver.has_seen(1).await;
    // No transaction is open meanwhile.
    let (images, other) = (name("images"), branch("other"));
    let (kind, here) = (RefKind::Branch, at("images"));
    service
        .create_ref(&images, kind, &other, &here, "ada")
        .await
        .unwrap();
    let onto_other = Target {
        branch: Some(other),
        ..on("images")
    };
    let version = send(&service, &[("a", "2")]).await;
    service.commit(&onto_other, &version, by("")).await.unwrap();
    let (target, from) = (on("images"), at("images@other"));
    let merged = service
        .merge(&target, &from, ConflictPolicy::Fail, false, by(""))
        .await;
    let merged = merged.unwrap().committed.commit.unwrap();
    receiver.speaks_again();
    let held = task.await.unwrap();
    assert!(matches!(held, Err(DataError::BranchMoved { .. })), "{held:?}");
    assert_eq!(head(&service).await, merged.to_string());
    assert_eq!(receiver.seen().len(), 1);
}
