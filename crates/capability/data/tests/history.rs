//! Commits, branches, merges and what is read of them, on every metadata store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_blobstore::BlobId;
use corliss_data::{
    ChangeKind, ConflictPolicy, DataError, DataService, Edit, MIGRATIONS, RefKind, Reference, Target,
};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::{DurationMs, VersionId};
use support::{branch, by, commit, entry, name, on, send, send_tree, service};

async fn resolve(service: &DataService, text: &str) -> VersionId {
    let reference: Reference = text.parse().unwrap();
    service.resolve(&reference).await.unwrap().version
}

fn at(text: &str) -> Reference {
    text.parse().unwrap()
}

/// The paths and texts at a reference, where texts are one letter.
async fn files(service: &DataService, text: &str) -> Vec<String> {
    let version = resolve(service, text).await;
    let entries = service.files(&version, "", 1000).await.unwrap();
    let letter = |blob: BlobId| ('a'..='z').find(|c| BlobId::of(c.to_string().as_bytes()) == blob);
    entries
        .iter()
        .map(|entry| format!("{}={}", entry.path, letter(entry.blob).unwrap()))
        .collect()
}

#[tokio::test]
async fn names_move_and_versions_stay() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, clock) = service(store).await;
        let first = commit(&service, "digits", &[("a", "1"), ("b/c", "22")], "start").await;
        assert_eq!((first.created, first.files, first.size_bytes), (true, 2, 3));
        assert_eq!(first.branch, Some(branch("main")));
        let again = commit(&service, "digits", &[("a", "1"), ("b/c", "22")], "again").await;
        assert_eq!((again.created, &again.commit), (false, &first.commit));
        clock.advance(DurationMs(5));
        let second = commit(&service, "digits", &[("a", "1")], "less").await;
        clock.advance(DurationMs(5));
        let third = commit(&service, "digits", &[("a", "1"), ("b/c", "22")], "back").await;
        assert_eq!((third.created, &third.version), (true, &first.version));

        let detail = service.dataset(&name("digits")).await.unwrap();
        let moves: Vec<(&str, i64, u64)> = detail
            .history
            .iter()
            .map(|info| {
                (
                    info.what.message.as_str(),
                    info.what.created_ms.as_millis(),
                    info.generation,
                )
            })
            .collect();
        assert_eq!(moves, [("back", 1010, 3), ("less", 1005, 2), ("start", 1000, 1)]);
        assert_eq!(
            (
                detail.summary.latest,
                detail.summary.files,
                detail.summary.versions
            ),
            (first.version.clone(), 2, 3)
        );
        let summary = service.version(&first.version).await.unwrap();
        assert_eq!(
            (summary.created_ms.as_millis(), summary.names),
            (1000, vec![name("digits")])
        );
        let short = second.commit.as_ref().unwrap().short();
        for (text, expected) in [
            ("digits".to_owned(), &first.version),
            ("digits@latest".to_owned(), &first.version),
            ("digits@main~1".to_owned(), &second.version),
            (format!("digits@v_{}", second.version.short()), &second.version),
            (format!("digits@c_{short}"), &second.version),
            (format!("digits@c_{short}~"), &first.version),
            (second.commit.clone().unwrap().to_string(), &second.version),
            (second.version.to_string(), &second.version),
        ] {
            assert_eq!(resolve(&service, &text).await, *expected, "{text}");
        }
        for text in [
            "letters",
            "digits@other",
            "digits~3",
            "digits@v_000000000000",
            "digits@c_000000000000",
            &format!("v_{}", "0".repeat(64)),
            &format!("c_{}", "0".repeat(64)),
        ] {
            assert!(service.resolve(&at(text)).await.is_err(), "{text}");
        }
        service
            .commit(&on("apples"), &second.version, by(""))
            .await
            .unwrap();
        let page = service.datasets("", 10).await.unwrap();
        let names: Vec<_> = page.iter().map(|dataset| dataset.name.as_str()).collect();
        assert_eq!(names, ["apples", "digits"]);
        assert_eq!(
            service.datasets("apples", 1).await.unwrap()[0].name,
            name("digits")
        );
        let absent = service.dataset(&name("none")).await;
        assert_eq!(absent, Err(DataError::DatasetNotFound { name: name("none") }));
        service.delete_dataset(&name("digits")).await.unwrap();
        assert!(service.dataset(&name("digits")).await.is_err());
        assert!(
            service.version(&third.version).await.is_ok(),
            "it stays until it is collected"
        );
        assert!(service.delete_dataset(&name("digits")).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_version_is_refused_until_its_bytes_are_stored() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service(store).await;
        let late = entry("late", "later");
        let early = send_tree(&service, std::slice::from_ref(&late)).await;
        assert!(matches!(early, Err(DataError::Blob(_))), "{early:?}");
        assert_eq!(service.missing_blobs(vec![late.blob]).await.unwrap(), [late.blob]);
        let version = send(&service, &[("late", "later")]).await;
        assert!(service.version(&version).await.is_err(), "sent and not recorded");
        let mut lying = late.clone();
        lying.size_bytes = 6;
        let lies = send_tree(&service, &[lying]).await.unwrap();
        let refused = service.commit(&on("d"), &lies, by("")).await;
        assert_eq!(
            refused,
            Err(DataError::SizeMismatch {
                path: "late".into(),
                announced: 6,
                stored: 5
            })
        );
        assert!(
            service.dataset(&name("d")).await.is_err(),
            "nothing is left of a refused commit"
        );
        let absent: VersionId = format!("v_{}", "0".repeat(64)).parse().unwrap();
        let refused = service.commit(&on("d"), &absent, by("")).await;
        assert!(
            matches!(refused, Err(DataError::TreeMissing { .. })),
            "{refused:?}"
        );
        assert!(service.commit(&on("d"), &version, by("")).await.unwrap().created);
        let empty = send(&service, &[]).await;
        let empty = service.commit(&on("d"), &empty, by("")).await.unwrap();
        assert_eq!((empty.created, empty.files), (true, 0));
        let long = by(&"x".repeat(3000));
        let refused = service.commit(&on("d"), &version, long).await;
        assert!(
            matches!(refused, Err(DataError::MessageTooLong { .. })),
            "{refused:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn edits_change_what_they_name_and_nothing_else() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service(store).await;
        send(&service, &[("a", "a"), ("b", "b")]).await;
        let edit = |path: &str, text: Option<&str>| Edit {
            path: path.parse().unwrap(),
            blob: text.map(|text| BlobId::of(text.as_bytes())),
            executable: false,
            link: false,
        };
        let edits = vec![edit("y", Some("b")), edit("x", Some("a"))];
        service.commit_edits(&on("d"), edits, by("")).await.unwrap();
        assert_eq!(files(&service, "d").await, ["x=a", "y=b"]);
        let edits = vec![edit("x", None), edit("z/1", Some("a"))];
        let second = service.commit_edits(&on("d"), edits, by("")).await.unwrap();
        assert_eq!(files(&service, "d").await, ["y=b", "z/1=a"]);
        let same = vec![edit("y", Some("b"))];
        let same = service.commit_edits(&on("d"), same, by("")).await.unwrap();
        assert_eq!((same.created, &same.commit), (false, &second.commit));
        for (bad, why) in [
            (vec![edit("gone", None)], "there is no such file"),
            (vec![edit("y", Some("b")), edit("y", None)], "twice"),
            (vec![edit("y", Some("not stored"))], "not stored"),
            (vec![edit("z", Some("a"))], "a folder"),
            (vec![edit("y/1", Some("a"))], "below a file"),
        ] {
            assert!(
                service.commit_edits(&on("d"), bad, by("")).await.is_err(),
                "{why}"
            );
        }
        assert_eq!(service.dataset(&name("d")).await.unwrap().history.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn branches_and_tags_are_made_moved_protected_and_removed() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service(store).await;
        let first = commit(&service, "d", &[("x", "a")], "1").await;
        let second = commit(&service, "d", &[("x", "b")], "2").await;
        let d = name("d");
        let (fix, v1) = (branch("fix/1"), branch("v1"));
        let made = service
            .create_ref(&d, RefKind::Branch, &fix, &at("d~1"), "ada")
            .await
            .unwrap();
        assert_eq!(Some(made.commit), first.commit);
        let tag = RefKind::Tag;
        service
            .create_ref(&d, tag, &v1, &at("d@fix/1"), "ada")
            .await
            .unwrap();
        for kind in [RefKind::Branch, RefKind::Tag] {
            for taken in [&fix, &v1] {
                let again = service.create_ref(&d, kind, taken, &at("d"), "ada").await;
                assert!(matches!(again, Err(DataError::RefExists { .. })), "{again:?}");
            }
        }
        let on_fix = Target {
            branch: Some(fix.clone()),
            ..on("d")
        };
        let version = send(&service, &[("x", "c")]).await;
        service.commit(&on_fix, &version, by("")).await.unwrap();
        assert_eq!(files(&service, "d@fix/1").await, ["x=c"]);
        assert_eq!(files(&service, "d@v1").await, ["x=a"], "a tag stays");
        assert_eq!(files(&service, "d").await, ["x=b"]);

        // Whoever believes it to be elsewhere changes nothing.
        let stale = Target {
            expected: first.commit.clone(),
            ..on("d")
        };
        let refused = service.commit(&stale, &version, by("")).await;
        let moved = |head| {
            Err(DataError::BranchMoved {
                branch: branch("main"),
                head,
            })
        };
        assert_eq!(refused, moved(second.commit.clone()));
        let main = branch("main");
        let refused = service
            .move_branch(&d, &main, &at("d@v1"), first.commit.as_ref(), "ada")
            .await;
        assert!(
            matches!(refused, Err(DataError::BranchMoved { .. })),
            "{refused:?}"
        );
        service
            .move_branch(&d, &main, &at("d@v1"), second.commit.as_ref(), "ada")
            .await
            .unwrap();
        assert_eq!(files(&service, "d").await, ["x=a"]);

        service.protect_branch(&d, &main, true).await.unwrap();
        let protected = DataError::BranchProtected { branch: main.clone() };
        let refused = service.commit(&on("d"), &version, by("")).await;
        assert_eq!(refused, Err(protected.clone()));
        let back = at("d@v1");
        assert_eq!(
            service.move_branch(&d, &main, &back, None, "ada").await,
            Err(protected.clone())
        );
        assert_eq!(service.delete_dataset(&d).await, Err(protected));
        let merged = service
            .merge(&on("d"), &at("d@fix/1"), ConflictPolicy::Fail, false, by(""))
            .await
            .unwrap();
        assert!(merged.fast_forward, "merges move a protected branch");
        service.protect_branch(&d, &main, false).await.unwrap();

        let gone = service.delete_ref(&d, RefKind::Branch, &main, None, "ada").await;
        assert!(matches!(gone, Err(DataError::DefaultBranch { .. })), "{gone:?}");
        service
            .delete_ref(&d, RefKind::Branch, &fix, None, "ada")
            .await
            .unwrap();
        service.delete_ref(&d, tag, &v1, None, "ada").await.unwrap();
        let gone = service.delete_ref(&d, tag, &v1, None, "ada").await;
        assert!(matches!(gone, Err(DataError::RefNotFound { .. })), "{gone:?}");
        assert!(service.refs(&d, tag, "", 10).await.unwrap().is_empty());
        let other = commit(&service, "other", &[("x", "z")], "").await;
        let foreign = service
            .create_ref(&d, tag, &v1, &Reference::Commit(other.commit.unwrap()), "ada")
            .await;
        assert!(
            matches!(foreign, Err(DataError::VersionNotFound { .. })),
            "{foreign:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_merge_brings_both_sides_together_or_says_where_it_cannot() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, clock) = service(store).await;
        let start = [
            ("keep", "a"),
            ("mine", "a"),
            ("theirs", "a"),
            ("both", "a"),
            ("gone", "a"),
        ];
        commit(&service, "d", &start, "start").await;
        let d = name("d");
        let side = branch("side");
        service
            .create_ref(&d, RefKind::Branch, &side, &at("d"), "ada")
            .await
            .unwrap();
        let on_side = Target {
            branch: Some(side),
            ..on("d")
        };
        clock.advance(DurationMs(1));
        let theirs = [
            ("keep", "a"),
            ("mine", "a"),
            ("theirs", "t"),
            ("both", "t"),
            ("new", "t"),
        ];
        let theirs = send(&service, &theirs).await;
        let theirs = service.commit(&on_side, &theirs, by("side")).await.unwrap();
        let ours = [
            ("keep", "a"),
            ("mine", "m"),
            ("theirs", "a"),
            ("both", "m"),
            ("gone", "a"),
        ];
        let ours = commit(&service, "d", &ours, "main").await;
        let merge = async |policy| {
            let (to, from) = (on("d"), at("d@side"));
            service.merge(&to, &from, policy, false, by("merge")).await
        };
        let conflicts = merge(ConflictPolicy::Fail).await;
        assert_eq!(
            conflicts,
            Err(DataError::Conflicts {
                count: 1,
                paths: vec!["both".parse().unwrap()]
            })
        );
        assert_eq!(
            files(&service, "d").await,
            ["both=m", "gone=a", "keep=a", "mine=m", "theirs=a"],
            "nothing was merged"
        );
        for (policy, both) in [(ConflictPolicy::Ours, "m"), (ConflictPolicy::Theirs, "t")] {
            let merged = merge(policy).await.unwrap();
            assert_eq!((merged.fast_forward, merged.settled), (false, 1));
            let both = format!("both={both}");
            let expected = [both.as_str(), "keep=a", "mine=m", "new=t", "theirs=t"];
            assert_eq!(files(&service, "d").await, expected);
            let commit = merged.committed.commit.unwrap();
            let info = service.commit_info(&commit).await.unwrap();
            assert_eq!(
                info.what.parents,
                [ours.commit.clone().unwrap(), theirs.commit.clone().unwrap()]
            );
            let again = merge(policy).await.unwrap();
            assert_eq!((again.committed.created, again.fast_forward), (false, true));
            // Back to before the merge, for the other policy.
            let main = branch("main");
            let to = Reference::Commit(ours.commit.clone().unwrap());
            service.move_branch(&d, &main, &to, None, "ada").await.unwrap();
        }
        let merged = merge(ConflictPolicy::Ours).await.unwrap();
        let log = service
            .log(merged.committed.commit.as_ref().unwrap(), 0, 10)
            .await
            .unwrap();
        let messages: Vec<&str> = log.iter().map(|info| info.what.message.as_str()).collect();
        assert_eq!(messages.len(), 4);
        assert_eq!((messages[0], messages[3]), ("merge", "start"));
        let unrelated = commit(&service, "other", &[("x", "z")], "").await;
        let from = Reference::Commit(unrelated.commit.unwrap());
        assert!(
            service
                .merge(&on("d"), &from, ConflictPolicy::Ours, false, by(""))
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn a_commit_is_taken_back_or_taken_over() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service(store).await;
        commit(&service, "d", &[("x", "a"), ("y", "a")], "1").await;
        let second = commit(&service, "d", &[("x", "b"), ("y", "a"), ("z", "b")], "2").await;
        commit(&service, "d", &[("x", "b"), ("y", "c"), ("z", "b")], "3").await;
        let of = Reference::Commit(second.commit.unwrap());
        let fail = ConflictPolicy::Fail;
        service.revert(&on("d"), &of, fail, by("")).await.unwrap();
        assert_eq!(files(&service, "d").await, ["x=a", "y=c"]);
        service.cherry_pick(&on("d"), &of, fail, by("")).await.unwrap();
        assert_eq!(files(&service, "d").await, ["x=b", "y=c", "z=b"]);
        commit(&service, "d", &[("x", "q"), ("y", "c"), ("z", "b")], "5").await;
        let conflict = service.revert(&on("d"), &of, fail, by("")).await;
        assert!(
            matches!(conflict, Err(DataError::Conflicts { count: 1, .. })),
            "{conflict:?}"
        );
        let theirs = ConflictPolicy::Theirs;
        service.revert(&on("d"), &of, theirs, by("")).await.unwrap();
        assert_eq!(files(&service, "d").await, ["x=a", "y=c"]);
        let first = service.revert(&on("d"), &at("d~6"), fail, by("")).await;
        assert!(first.is_err(), "{first:?}");
    })
    .await;
}

#[tokio::test]
async fn differences_and_folders_are_read_a_page_at_a_time() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service(store).await;
        let old = commit(
            &service,
            "d",
            &[
                ("a/1", "a"),
                ("a/2", "a"),
                ("a-b", "a"),
                ("b", "a"),
                ("c/d/e", "ab"),
            ],
            "",
        )
        .await;
        let new = commit(
            &service,
            "d",
            &[
                ("a/1", "b"),
                ("a/3", "a"),
                ("a-b", "a"),
                ("b", "a"),
                ("c/d/e", "ab"),
            ],
            "",
        )
        .await;
        let diff = service.diff(&old.version, &new.version, "", 10).await.unwrap();
        let kinds: Vec<(&str, ChangeKind)> = diff
            .iter()
            .map(|change| (change.path.as_str(), change.change))
            .collect();
        let expected = [
            ("a/1", ChangeKind::Changed),
            ("a/2", ChangeKind::Removed),
            ("a/3", ChangeKind::Added),
        ];
        assert_eq!(kinds, expected);
        let rest = service.diff(&old.version, &new.version, "a/1", 1).await.unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].path.as_str(), "a/2");
        let sum = service.diff_summary(&old.version, &new.version).await.unwrap();
        assert_eq!(
            (sum.added, sum.removed, sum.changed, sum.bytes_old, sum.bytes_new),
            (1, 1, 1, 2, 2)
        );

        let listed = async |folder: &str, after: &str, limit| {
            let items = service.folder(&old.version, folder, after, limit).await.unwrap();
            let each = items.iter().map(|item| {
                let slash = if item.file.is_none() { "/" } else { "" };
                format!("{}{slash} {} {}", item.name, item.files, item.size_bytes)
            });
            each.collect::<Vec<_>>()
        };
        let all = ["a-b 1 1", "a/ 2 2", "b 1 1", "c/ 1 2"];
        assert_eq!(listed("", "", 10).await, all);
        assert_eq!(listed("", "a-b", 2).await, all[1..3]);
        assert_eq!(listed("", "a/", 10).await, all[2..]);
        assert_eq!(listed("/c/", "", 10).await, ["d/ 1 2"]);
        assert_eq!(listed("a", "1", 10).await, ["2 1 1"]);
        let absent = service.folder(&old.version, "nothing", "", 10).await;
        assert!(
            matches!(absent, Err(DataError::FileNotFound { .. })),
            "{absent:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_writers_on_one_branch_lose_nothing() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service(store).await;
        send(&service, &[("x", "a")]).await;
        commit(&service, "d", &[("start", "s")], "").await;
        let tasks: Vec<_> = (0..6)
            .map(|writer| {
                let service = service.clone();
                tokio::spawn(async move {
                    for number in 0..4 {
                        let edit = Edit {
                            path: format!("{writer}/{number}").parse().unwrap(),
                            blob: Some(BlobId::of(b"a")),
                            executable: false,
                            link: false,
                        };
                        // Who lost every race is told so and tries again.
                        loop {
                            match service.commit_edits(&on("d"), vec![edit.clone()], by("")).await {
                                Ok(_) => break,
                                Err(DataError::BranchMoved { .. }) => {}
                                Err(error) => panic!("{error:?}"),
                            }
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let detail = service.dataset(&name("d")).await.unwrap();
        assert_eq!((detail.summary.files, detail.history.len()), (25, 25));
    })
    .await;
}
