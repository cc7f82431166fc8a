//! The promises of a remote, held over a server, a folder, a bucket and memory: what is pushed is what is cloned,
//! only what is lacking is sent, and names lose nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;
#[path = "support/remotes.rs"]
mod two;

use std::path::Path;
use std::sync::Arc;

use corliss_blobstore::{BucketCredentials, BucketSettings, Kind, Secret};
use corliss_data::remote::{RefChange, RefsUpdate, Remote, RemoteTrouble, ServerRemote};
use corliss_data::{
    Commit, DataError, DataService, RefKind, RefOutcome, Reference, RemoteSettings, Remotes, Target,
    Transfer, TransferReport, transfer,
};
use corliss_testkit::noise::noise;
use corliss_testkit::s3;
use corliss_types::{CommitId, Timestamp};
use support::{branch, by, commit, entry, name, on, send, send_tree};
use two::{clone, installation, pull, push};

/// A way for two installations to meet: the remotes of both.
struct Meeting {
    what: &'static str,
    remotes: [Remotes; 2],
    /// The third installation, if there is one between them.
    server: Option<DataService>,
}

async fn for_each_remote<F, Fut>(suite: F)
where
    F: Fn(Meeting) -> Fut,
    Fut: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    for what in ["server", "folder", "memory", "bucket"] {
        eprintln!("remote: {what}");
        let at = folder.path().join(what);
        std::fs::create_dir(&at).unwrap();
        suite(meeting(what, &at).await).await;
    }
}

async fn meeting(what: &'static str, at: &Path) -> Meeting {
    let mut server = None;
    let settings = match what {
        "server" => {
            let between = installation(Remotes::default()).await;
            let (settings, _) = two::serve(&between, at).await;
            server = Some(between);
            RemoteSettings::Server(settings)
        }
        "folder" => RemoteSettings::Folder {
            path: at.join("objects"),
            key: two::key(),
        },
        "bucket" => {
            let bucket = s3::fresh_bucket().await;
            let settings = BucketSettings {
                endpoint: Some(bucket.endpoint),
                region: Some("us-east-1".to_owned()),
                credentials: BucketCredentials::AccessKey {
                    id: "an-id".to_owned(),
                    secret: Secret::new("a secret"),
                    session_token: None,
                },
                ..BucketSettings::of(format!("s3://{}/some/prefix", bucket.name))
            };
            RemoteSettings::Bucket {
                bucket: Box::new(settings),
                key: two::key(),
            }
        }
        _ => RemoteSettings::Opened(two::in_memory(at).await),
    };
    let remotes = ["left", "right"].map(|side| {
        let work = Remotes::new(at.join(side));
        work.with("origin", settings.clone()).unwrap()
    });
    Meeting {
        what,
        remotes,
        server,
    }
}

fn outcome(report: &TransferReport, name: &str) -> RefOutcome {
    let found = report.refs.iter().find(|one| one.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no {name} in {report:?}")).outcome
}

async fn head(service: &DataService, reference: &str) -> CommitId {
    let reference: Reference = reference.parse().unwrap();
    service.resolve(&reference).await.unwrap().commit.unwrap()
}

async fn files(service: &DataService, reference: &str) -> Vec<corliss_data::Entry> {
    let reference: Reference = reference.parse().unwrap();
    let version = service.resolve(&reference).await.unwrap().version;
    service.files(&version, "", 100_000).await.unwrap()
}

/// A dataset with a large file, many small ones, two branches, a merge and a tag.
async fn work(service: &DataService) -> Vec<u8> {
    let large = noise(20 << 20, 7);
    let stored = service.put_blob(&mut large.as_slice()).await.unwrap();
    let mut body = Vec::new();
    let mut entries = Vec::new();
    for number in 0..1500 {
        let text = format!("file {number}");
        transfer::append(Kind::Chunk, text.as_bytes(), &mut body);
        entries.push(entry(&format!("many/{number:05}"), &text));
    }
    service.put_pieces(body.into()).await.unwrap();
    let mut big = entry("big", "");
    (big.blob, big.size_bytes) = (stored.blob.id, stored.blob.size_bytes);
    entries.push(big);
    entries.sort();
    let version = send_tree(service, &entries).await.unwrap();
    service.commit(&on("d"), &version, by("first")).await.unwrap();
    let (d, side) = (name("d"), branch("side"));
    let at = Reference::latest(d.clone());
    service
        .create_ref(&d, RefKind::Tag, &branch("v1"), &at, "ada")
        .await
        .unwrap();
    service
        .create_ref(&d, RefKind::Branch, &side, &at, "ada")
        .await
        .unwrap();
    send(service, &[("x", "of the side")]).await;
    let on_side = Target {
        branch: Some(side),
        ..on("d")
    };
    let edit = serde_json::json!([{"path": "x", "blob": corliss_blobstore::BlobId::of(b"of the side")}]);
    let edits = serde_json::from_value(edit).unwrap();
    service.commit_edits(&on_side, edits, by("side")).await.unwrap();
    let from: Reference = "d@side".parse().unwrap();
    let policy = corliss_data::ConflictPolicy::Fail;
    service
        .merge(&on("d"), &from, policy, true, by("merge"))
        .await
        .unwrap();
    large
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_is_what_is_cloned_and_only_what_is_lacking_is_sent() {
    for_each_remote(|meeting| async move {
        let [left, right] = meeting.remotes;
        let (left, right) = (installation(left).await, installation(right).await);
        let large = work(&left).await;
        let (report, sent) = push(&left, "d").await.unwrap();
        assert_eq!((report.commits, sent.commits, sent.commits_total), (3, 3, 3));
        assert!(sent.bytes > large.len() as u64 && sent.pieces > 1500, "{sent:?}");
        for one in ["main", "side", "v1"] {
            assert_eq!(outcome(&report, one), RefOutcome::Created, "{}", meeting.what);
        }
        let (again, nothing) = push(&left, "d").await.unwrap();
        assert_eq!((again.commits, nothing.pieces), (0, 0));
        assert_eq!(outcome(&again, "main"), RefOutcome::UpToDate);

        let (report, fetched) = clone(&right, "d").await.unwrap();
        assert_eq!((report.commits, fetched.pieces), (3, sent.pieces), "{fetched:?}");
        assert_eq!(right.dataset(&name("d")).await.unwrap().summary.versions, 3);
        for reference in ["d", "d@side", "d@v1"] {
            assert_eq!(head(&right, reference).await, head(&left, reference).await);
            assert_eq!(files(&right, reference).await, files(&left, reference).await);
        }
        let version = right.resolve(&"d".parse().unwrap()).await.unwrap().version;
        let (_, mut reader) = right.open_file(&version, "big").await.unwrap();
        let mut read = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut reader.bytes, &mut read)
            .await
            .unwrap();
        assert!(read == large);
        let twice = clone(&right, "d").await;
        assert!(matches!(twice, Err(DataError::DatasetExists { .. })), "{twice:?}");

        // A change of one file sends that file and the records on its way to the root.
        let new = commit(&left, "other", &[("y", "new")], "").await;
        assert!(new.created);
        let edit = serde_json::json!([{"path": "many/00700", "blob": corliss_blobstore::BlobId::of(b"new")}]);
        let edits = serde_json::from_value(edit).unwrap();
        left.commit_edits(&on("d"), edits, by("second")).await.unwrap();
        let (_, sent) = push(&left, "d").await.unwrap();
        assert!(sent.pieces <= 6 && sent.commits == 1, "{sent:?}");
        let (report, fetched) = pull(&right, "d").await.unwrap();
        assert_eq!(outcome(&report, "main"), RefOutcome::Moved);
        assert_eq!(outcome(&report, "side"), RefOutcome::UpToDate);
        assert!(fetched.pieces <= 6, "{fetched:?}");
        assert_eq!(files(&right, "d").await, files(&left, "d").await);
        if let Some(server) = meeting.server {
            assert_eq!(files(&server, "d").await, files(&left, "d").await);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_of_both_sides_is_never_lost() {
    for_each_remote(|meeting| async move {
        let [left, right] = meeting.remotes;
        let (left, right) = (installation(left).await, installation(right).await);
        commit(&left, "d", &[("a", "1")], "start").await;
        push(&left, "d").await.unwrap();
        clone(&right, "d").await.unwrap();
        let ours = commit(&left, "d", &[("a", "1"), ("b", "left")], "left").await;
        let theirs = commit(&right, "d", &[("a", "1"), ("c", "right")], "right").await;
        push(&left, "d").await.unwrap();

        let refused = push(&right, "d").await.unwrap_err();
        let is_told = DataError::NotFastForward {
            branch: branch("main"),
            head: ours.commit.clone().unwrap(),
        };
        assert_eq!(refused, is_told);
        let (report, _) = pull(&right, "d").await.unwrap();
        let told = &report.refs[0];
        assert_eq!(told.outcome, RefOutcome::Diverged);
        assert_eq!(
            (&told.old, Some(&told.new)),
            (&theirs.commit, ours.commit.as_ref())
        );
        assert_eq!(told.kept_as, Some(branch("origin/main")));
        assert_eq!(Some(head(&right, "d").await), theirs.commit, "left alone");
        assert_eq!(Some(head(&right, "d@origin/main").await), ours.commit);

        let from: Reference = "d@origin/main".parse().unwrap();
        let policy = corliss_data::ConflictPolicy::Fail;
        right
            .merge(&on("d"), &from, policy, false, by("merge"))
            .await
            .unwrap();
        let (report, _) = push(&right, "d").await.unwrap();
        assert_eq!(outcome(&report, "main"), RefOutcome::Moved);
        assert_eq!(
            report.refs.len(),
            1,
            "what was kept of a remote is not pushed to it"
        );
        let (report, _) = pull(&left, "d").await.unwrap();
        assert_eq!(outcome(&report, "main"), RefOutcome::Moved);
        assert_eq!(files(&left, "d").await, files(&right, "d").await);
        commit(&left, "d", &[("z", "ahead")], "").await;
        let (report, _) = pull(&left, "d").await.unwrap();
        assert_eq!(outcome(&report, "main"), RefOutcome::Ahead);

        // By force, work is lost, and that is told.
        push(&left, "d").await.unwrap();
        commit(&right, "d", &[("q", "other")], "").await;
        assert!(push(&right, "d").await.is_err());
        let force = Transfer {
            force: true,
            ..Transfer::all(name("d"))
        };
        let report = right.push("origin", &force, &Default::default()).await.unwrap();
        assert_eq!(outcome(&report, "main"), RefOutcome::Forced);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_stay_and_what_is_named_is_all_that_moves() {
    for_each_remote(|meeting| async move {
        let [left, right] = meeting.remotes;
        let (left, right) = (installation(left).await, installation(right).await);
        let (d, v1) = (name("d"), branch("v1"));
        commit(&left, "d", &[("a", "1")], "start").await;
        let at = Reference::latest(d.clone());
        left.create_ref(&d, RefKind::Branch, &branch("fix"), &at, "ada")
            .await
            .unwrap();
        left.create_ref(&d, RefKind::Tag, &v1, &at, "ada").await.unwrap();
        let only = Transfer {
            branches: Some(vec![branch("fix")]),
            ..Transfer::all(d.clone())
        };
        let report = left.push("origin", &only, &Default::default()).await.unwrap();
        assert_eq!(report.refs.len(), 1);
        let absent = Transfer {
            tags: Some(vec![branch("none")]),
            ..Transfer::all(d.clone())
        };
        let error = left
            .push("origin", &absent, &Default::default())
            .await
            .unwrap_err();
        assert!(matches!(error, DataError::RefNotFound { .. }), "{error:?}");
        clone(&right, "d").await.unwrap();
        let detail = right.dataset(&d).await.unwrap();
        assert_eq!(
            detail.summary.default_branch,
            branch("fix"),
            "the only one there is"
        );

        commit(&right, "d", &[("b", "2")], "").await;
        let here = Reference::latest(d.clone());
        right
            .create_ref(&d, RefKind::Tag, &v1, &here, "ada")
            .await
            .unwrap();
        let tagged = head(&right, "d@v1").await;
        push(&left, "d").await.unwrap();
        let (report, _) = pull(&right, "d").await.unwrap();
        assert_eq!(outcome(&report, "v1"), RefOutcome::Kept);
        assert_eq!(head(&right, "d@v1").await, tagged);
        let error = push(&right, "d").await.unwrap_err();
        assert!(matches!(error, DataError::RefExists { .. }), "{error:?}");
        let forced = Transfer {
            tags: Some(vec![v1]),
            force: true,
            ..Transfer::all(d)
        };
        right.push("origin", &forced, &Default::default()).await.unwrap();
        let none = pull(&right, "none").await.unwrap_err();
        assert!(matches!(none, DataError::DatasetNotFound { .. }), "{none:?}");
        let none = clone(&right, "none").await.unwrap_err();
        let is_told = matches!(
            none,
            DataError::Remote {
                trouble: RemoteTrouble::NotFound,
                ..
            }
        );
        assert!(is_told, "{none:?}");
    })
    .await;
}

/// The port itself, where the service is careful before it asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_move_only_from_where_they_are_to_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let between = installation(Remotes::default()).await;
    let (settings, _) = two::serve(&between, folder.path()).await;
    let server = ServerRemote::open("origin", &settings).unwrap();
    let remotes: [Arc<dyn Remote>; 2] = [Arc::new(server), two::in_memory(folder.path()).await];
    for remote in remotes {
        let left = installation(two::with(Arc::clone(&remote))).await;
        let d = name("d");
        assert_eq!(remote.refs(&d).await.unwrap(), None);
        let first = commit(&left, "d", &[("a", "1")], "1").await.commit.unwrap();
        push(&left, "d").await.unwrap();
        let second = commit(&left, "d", &[("a", "2")], "2").await.commit.unwrap();
        let change = |old: Option<&CommitId>, new: &CommitId| RefsUpdate {
            changes: vec![RefChange {
                kind: RefKind::Branch,
                name: branch("main"),
                old: old.cloned(),
                new: new.clone(),
            }],
            default_branch: branch("main"),
            force: false,
        };
        // A commit that is not there; one whose tree or parent is not there.
        let absent = remote.update_refs(&d, &change(Some(&first), &second)).await;
        assert_trouble(absent.unwrap_err(), RemoteTrouble::Lost);
        let whole = left.commit_info(&second).await.unwrap().what;
        let no_tree = remote.put_commits(&d, vec![whole.clone()]).await;
        assert_trouble(no_tree.unwrap_err(), RemoteTrouble::Lost);
        let orphan = Commit {
            version: left.commit_info(&first).await.unwrap().what.version,
            parents: vec![second.clone()],
            author: "ada".to_owned(),
            created_ms: Timestamp::from_millis(1),
            message: String::new(),
        };
        let no_parent = remote.put_commits(&d, vec![orphan]).await;
        assert_trouble(no_parent.unwrap_err(), RemoteTrouble::Lost);
        let missing = remote
            .missing_commits(&d, &[(first.clone(), 1), (second.clone(), 2)])
            .await;
        assert_eq!(missing.unwrap(), std::slice::from_ref(&second));
        assert_eq!(remote.refs(&d).await.unwrap().unwrap().refs[0].commit, first);

        push(&left, "d").await.unwrap();
        let stale = remote.update_refs(&d, &change(Some(&first), &first)).await;
        assert_trouble(stale.unwrap_err(), RemoteTrouble::Moved);
        // Asked for twice is the same as once.
        remote
            .update_refs(&d, &change(Some(&first), &second))
            .await
            .unwrap();
        assert_eq!(remote.refs(&d).await.unwrap().unwrap().refs[0].commit, second);
        assert_eq!(remote.datasets("", 10).await.unwrap(), std::slice::from_ref(&d));
        assert!(remote.datasets("d", 10).await.unwrap().is_empty());
        let history = remote
            .history(&d, std::slice::from_ref(&second), 10)
            .await
            .unwrap();
        let ids: Vec<CommitId> = history.iter().map(Commit::id).collect();
        assert_eq!(ids, [second.clone(), first.clone()]);
    }
}

fn assert_trouble(error: DataError, expected: RemoteTrouble) {
    match &error {
        DataError::Remote { trouble, .. } => assert_eq!(*trouble, expected, "{error:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_push_to_one_branch_one_wins_and_the_other_is_told() {
    for_each_remote(|meeting| async move {
        let [left, right] = meeting.remotes;
        let (left, right) = (installation(left).await, installation(right).await);
        commit(&left, "d", &[("a", "1")], "start").await;
        push(&left, "d").await.unwrap();
        clone(&right, "d").await.unwrap();
        for round in 0..4 {
            let of = |side: &str| format!("{side} {round}");
            let (ours, theirs) = (of("left"), of("right"));
            commit(&left, "d", &[("a", &ours)], &ours).await;
            commit(&right, "d", &[("a", &theirs)], &theirs).await;
            // A folder is for one server at a time, so there they come one after the other.
            let (one, two) = match meeting.what {
                "folder" => (push(&left, "d").await, push(&right, "d").await),
                _ => tokio::join!(push(&left, "d"), push(&right, "d")),
            };
            assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
            let told = one.as_ref().err().or(two.as_ref().err()).unwrap();
            let is_told = matches!(
                told,
                DataError::NotFastForward { .. }
                    | DataError::Remote {
                        trouble: RemoteTrouble::Moved,
                        ..
                    }
            );
            assert!(is_told, "{told:?}");
            let (winner, loser) = if one.is_ok() {
                (&left, &right)
            } else {
                (&right, &left)
            };
            pull(loser, "d").await.unwrap();
            let to = Reference::Commit(head(winner, "d").await);
            let main = branch("main");
            loser
                .move_branch(&name("d"), &main, &to, None, "ada")
                .await
                .unwrap();
        }
        assert_eq!(head(&left, "d").await, head(&right, "d").await);
    })
    .await;
}

#[tokio::test]
async fn protected_branches_of_a_server_are_respected() {
    let folder = tempfile::tempdir().unwrap();
    let between = installation(Remotes::default()).await;
    let (settings, _) = two::serve(&between, folder.path()).await;
    let remotes = Remotes::default();
    let server = RemoteSettings::Server(settings.clone());
    let remotes = remotes.with("origin", server).unwrap();
    let left = installation(remotes).await;
    commit(&left, "d", &[("a", "1")], "").await;
    push(&left, "d").await.unwrap();
    let (d, main) = (name("d"), branch("main"));
    between.protect_branch(&d, &main, true).await.unwrap();
    commit(&left, "d", &[("a", "2")], "").await;
    for force in [false, true] {
        let all = Transfer {
            force,
            ..Transfer::all(d.clone())
        };
        let refused = left.push("origin", &all, &Default::default()).await.unwrap_err();
        assert!(
            matches!(refused, DataError::BranchProtected { .. }),
            "{refused:?}"
        );
    }
    // Whoever does not look before it asks is refused all the same.
    let new = head(&left, "d").await;
    let change = RefChange {
        kind: RefKind::Branch,
        name: main.clone(),
        old: Some(head(&between, "d").await),
        new: new.clone(),
    };
    let update = RefsUpdate {
        changes: vec![change],
        default_branch: main.clone(),
        force: true,
    };
    let remote = ServerRemote::open("origin", &settings).unwrap();
    let refused = remote.update_refs(&d, &update).await.unwrap_err();
    assert_trouble(refused, RemoteTrouble::Refused);
    assert_ne!(head(&between, "d").await, new);
    between.protect_branch(&d, &main, false).await.unwrap();
    push(&left, "d").await.unwrap();
    assert_eq!(head(&between, "d").await, head(&left, "d").await);
}
