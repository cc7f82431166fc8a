//! Jobs on the real executor under faults: killed workers and shims, restarts of the server at any point,
//! time-outs, and what each of them is told as.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

mod common;

use std::time::Duration;

use common::{Room, local, spec};
use corliss_executor::ExitKind;
use corliss_executor::logs::LogStart;
use corliss_jobs::{CheckpointSpec, Command, ExitClass, JobState, Launcher, LogRequest, MIGRATIONS};
use corliss_metastore::{Metastore, MetastoreConfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

async fn store() -> Metastore {
    Metastore::in_memory(&[MIGRATIONS]).await.unwrap()
}

fn all_lines(rank: u32) -> LogRequest {
    LogRequest {
        rank,
        stream: None,
        attempt: None,
        start: LogStart::Offset(0),
        limit: 1000,
    }
}

async fn texts(room: &Room, id: &corliss_types::JobId, rank: u32) -> Vec<String> {
    let slice = room.jobs.logs(id, all_lines(rank)).await.unwrap();
    slice.lines.into_iter().map(|line| line.text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_ends_its_gang_as_infrastructure() {
    let (store, root) = (store().await, tempfile::tempdir().unwrap());
    let room = Room::over(&store, &local(), root.path()).running();
    let mut gang = spec(root.path(), "sleep 600");
    gang.command = Command::Argv(vec!["sleep".to_owned(), "600".to_owned()]);
    gang.workers = 2;
    let id = room.jobs.submit("k", gang).await.unwrap();
    let job = room
        .until(&id, "both run", |job| {
            job.tasks.iter().filter(|task| task.pid.is_some()).count() == 2
        })
        .await;
    kill(Pid::from_raw(job.tasks[1].pid.unwrap()), Signal::SIGKILL).unwrap();
    let job = room.ended(&id).await;
    assert_eq!(
        (job.state, job.class),
        (JobState::Failed, Some(ExitClass::Infrastructure))
    );
    let reason = job.reason.unwrap();
    assert_eq!(
        reason,
        "rank 1 was killed by signal 9 (SIGKILL), which Corliss did not send"
    );
    let exits: Vec<ExitKind> = job
        .tasks
        .iter()
        .map(|task| task.exit.as_ref().unwrap().kind)
        .collect();
    assert_eq!(exits, [ExitKind::Cancelled, ExitKind::Signaled]);
    assert_eq!(
        job.tasks[0].exit.as_ref().unwrap().signal,
        Some(15),
        "the other heard SIGTERM"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_shim_is_infrastructure_and_leaves_nothing_running() {
    let (store, root) = (store().await, tempfile::tempdir().unwrap());
    let room = Room::over(&store, &local(), root.path()).running();
    let id = room
        .jobs
        .submit("k", spec(root.path(), "sleep 600 & wait"))
        .await
        .unwrap();
    let job = room
        .until(&id, "it runs", |job| job.state == JobState::Running)
        .await;
    let pid = job.tasks[0].pid.unwrap();
    let status = root
        .path()
        .join("tasks")
        .join(job.tasks[0].id.as_str())
        .join("status.json");
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(status).unwrap()).unwrap();
    kill(
        Pid::from_raw(i32::try_from(record["shim"]["pid"].as_i64().unwrap()).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    let job = room.ended(&id).await;
    assert_eq!(
        (job.state, job.class),
        (JobState::Failed, Some(ExitClass::Infrastructure))
    );
    assert_eq!(job.tasks[0].exit.as_ref().unwrap().kind, ExitKind::Lost);
    assert!(
        !std::path::Path::new(&format!("/proc/{pid}/environ")).exists()
            || std::fs::read(format!("/proc/{pid}/environ"))
                .unwrap_or_default()
                .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_own_ends_are_the_users() {
    let (store, root) = (store().await, tempfile::tempdir().unwrap());
    let room = Room::over(&store, &local(), root.path()).running();
    let failing = room
        .jobs
        .submit("a", spec(root.path(), "echo sorry >&2; exit 3"))
        .await
        .unwrap();
    let mut slow = spec(root.path(), "exec sleep 600");
    slow.timeout_ms = Some(200);
    let slow = room.jobs.submit("b", slow).await.unwrap();
    let mut missing = spec(root.path(), "");
    missing.command = Command::Argv(vec!["no-such-program".to_owned()]);
    let missing = room.jobs.submit("c", missing).await.unwrap();
    let mut hog = spec(root.path(), "tail /dev/zero");
    hog.resources.memory_bytes = 64 << 20;
    let hog = room.jobs.submit("d", hog).await.unwrap();
    for (id, words) in [
        (&failing, "it ended with exit code 3"),
        (&slow, "it ran longer than its time-out"),
        (&missing, "cannot run 'no-such-program'"),
        (&hog, "it used more memory than its limit"),
    ] {
        let job = room.ended(id).await;
        assert_eq!((job.state, job.class), (JobState::Failed, Some(ExitClass::User)));
        assert!(job.reason.as_ref().unwrap().contains(words), "{:?}", job.reason);
    }
    assert_eq!(texts(&room, &failing, 0).await, ["sorry"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_takes_up_what_runs_and_what_ended_meanwhile() {
    let root = tempfile::tempdir().unwrap();
    let config = MetastoreConfig::Sqlite {
        path: root.path().join("meta.db"),
    };
    let (running, ended, waiting);
    {
        let store = Metastore::open(&config, &[MIGRATIONS]).await.unwrap();
        let room = Room::over(&store, &local(), root.path()).running();
        let mut holder = spec(
            root.path(),
            "echo $$ >> ran; while [ ! -e go ]; do sleep 0.05; done; echo done",
        );
        holder.resources.cpu_milli = 3000;
        running = room.jobs.submit("a", holder).await.unwrap();
        ended = room
            .jobs
            .submit(
                "b",
                spec(root.path(), "while [ ! -e stop ]; do sleep 0.05; done; exit 4"),
            )
            .await
            .unwrap();
        let mut second = spec(root.path(), "exit 0");
        second.resources.cpu_milli = 4000;
        waiting = room.jobs.submit("c", second).await.unwrap();
        for id in [&running, &ended] {
            room.until(id, "it runs", |job| job.state == JobState::Running)
                .await;
        }
    }
    std::fs::write(root.path().join("stop"), "").unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The store closes once the loops of the first room have let go of it.
    let store = loop {
        match Metastore::open(&config, &[MIGRATIONS]).await {
            Ok(store) => break store,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let room = Room::over(&store, &local(), root.path()).running();
    let job = room.ended(&ended).await;
    assert_eq!((job.state, job.class), (JobState::Failed, Some(ExitClass::User)));
    assert_eq!(room.jobs.get(&running).await.unwrap().state, JobState::Running);
    std::fs::write(root.path().join("go"), "").unwrap();
    assert_eq!(room.ended(&running).await.state, JobState::Succeeded);
    assert_eq!(texts(&room, &running, 0).await, ["done"]);
    assert_eq!(room.ended(&waiting).await.state, JobState::Succeeded);
    assert_eq!(
        std::fs::read_to_string(root.path().join("ran"))
            .unwrap()
            .lines()
            .count(),
        1,
        "it ran once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_around_the_start_starts_each_task_once() {
    let root = tempfile::tempdir().unwrap();
    let store = store().await;
    let executor = local();
    let mut ids = Vec::new();
    // Rooms that come and go while jobs are admitted and started.
    for round in 0..6_u64 {
        let room = Room::over(&store, &executor, root.path()).running();
        for worker in 0..4 {
            let key = format!("{round}/{worker}");
            let script = format!("echo x >> ran-{round}-{worker}; sleep 0.05");
            ids.push((
                key.clone(),
                room.jobs.submit(&key, spec(root.path(), &script)).await.unwrap(),
            ));
        }
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        drop(room);
    }
    let room = Room::over(&store, &executor, root.path()).running();
    for (key, id) in &ids {
        assert_eq!(room.ended(id).await.state, JobState::Succeeded);
        let ran =
            std::fs::read_to_string(root.path().join(format!("ran-{}", key.replace('/', "-")))).unwrap();
        assert_eq!(ran.lines().count(), 1, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gang_meets_under_torchruns_variables() {
    let (store, root) = (store().await, tempfile::tempdir().unwrap());
    let room = Room::over(&store, &local(), root.path()).running();
    let mut gang = spec(root.path(), "");
    let line = "echo $RANK $LOCAL_RANK $WORLD_SIZE $GROUP_RANK $MASTER_ADDR $OMP_NUM_THREADS \
                $TORCHELASTIC_RESTART_COUNT; echo $MASTER_PORT; echo \"[$CUDA_VISIBLE_DEVICES]\"";
    gang.command = Command::Shell(line.to_owned());
    gang.launcher = Launcher::Torchrun;
    gang.workers = 2;
    gang.resources.accelerators = 1;
    let id = room.jobs.submit("k", gang).await.unwrap();
    assert_eq!(room.ended(&id).await.state, JobState::Succeeded);
    let (first, second) = (texts(&room, &id, 0).await, texts(&room, &id, 1).await);
    assert_eq!(first[0], "0 0 2 0 127.0.0.1 1 0");
    assert_eq!(second[0], "1 1 2 0 127.0.0.1 1 0");
    assert_eq!(first[1], second[1]);
    // A script takes the accelerator of its local rank.
    assert_eq!((first[2].as_str(), second[2].as_str()), ("[0,1]", "[0,1]"));
    assert!(matches!(
        room.jobs.logs(&id, all_lines(2)).await,
        Err(corliss_jobs::JobsError::NoSuchRank { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_attempt_resumes_from_the_last_complete_checkpoint() {
    let (store, root) = (store().await, tempfile::tempdir().unwrap());
    let room = Room::over(&store, &local(), root.path()).running();
    let dir = root.path().join("checkpoints");
    let script = "echo \"from [${CORLISS_RESUME_FROM##*/}]\"; cd $CORLISS_CHECKPOINT_DIR; \
                  for step in 1 2; do echo $CORLISS_ATTEMPT > step-$CORLISS_ATTEMPT$step.tmp; \
                  mv step-$CORLISS_ATTEMPT$step.tmp step-$CORLISS_ATTEMPT$step; done; \
                  echo half > step-99.tmp; kill -KILL $$";
    let mut attempt = spec(root.path(), script);
    attempt.checkpoint = Some(CheckpointSpec {
        dir: dir.clone(),
        every_s: Some(20),
        keep: 2,
    });
    attempt.run_id = Some("run_00000000000000000000000000".parse().unwrap());
    attempt.step = Some("train".to_owned());
    let first = room.jobs.submit("1", attempt.clone()).await.unwrap();
    assert_eq!(room.ended(&first).await.class, Some(ExitClass::Infrastructure));
    attempt.attempt = 2;
    let second = room.jobs.submit("2", attempt).await.unwrap();
    let job = room.ended(&second).await;
    assert_eq!(
        job.launch.unwrap().resume_from.unwrap().file_name().unwrap(),
        "step-12"
    );
    assert_eq!(texts(&room, &first, 0).await, ["from []"]);
    assert_eq!(texts(&room, &second, 0).await, ["from [step-12]"]);
    // The log of the first attempt is found from the second.
    let request = LogRequest {
        attempt: Some(1),
        ..all_lines(0)
    };
    let slice = room.jobs.logs(&second, request).await.unwrap();
    assert_eq!(slice.lines[0].text, "from []");
    assert!(slice.ended);
}
