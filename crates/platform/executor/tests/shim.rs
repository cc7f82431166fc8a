//! The real shim under faults: what it must survive, end, tell apart and keep.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

mod common;

use std::time::Duration;

use common::{ended, kill, local, log_texts, marked, shim_pid, spec, until};
use corliss_executor::logs::{LogQuery, LogStart, LogStream, read};
use corliss_executor::{Executor, ExitKind, LimitEnforcement, TaskState};
use nix::sys::signal::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_shim_takes_its_task_along_and_is_told_as_lost() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    // A child in the background, and one that leaves session and group behind.
    let spec = spec(root.path(), "sleep 600 & setsid sleep 600 & sleep 600; true");
    executor.start(&spec).await.unwrap();
    let task = spec.task();
    until("all processes of the task are there", || marked(&task).len() >= 4).await;
    kill(shim_pid(&task), Signal::SIGKILL);
    let exit = ended(executor.as_ref(), &task).await;
    assert_eq!(exit.kind, ExitKind::Lost);
    assert_eq!(marked(&task), Vec::<i32>::new(), "no process of it is left");
    // It is over: starting it again does not run it again.
    assert!(matches!(executor.start(&spec).await.unwrap(), TaskState::Exited(again) if again == exit));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_told_by_its_signal() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    let mut spec = spec(root.path(), "");
    spec.argv = vec!["sleep".to_owned(), "600".to_owned()];
    let TaskState::Running { pid, .. } = executor.start(&spec).await.unwrap() else {
        panic!("not running")
    };
    kill(pid, Signal::SIGKILL);
    let exit = ended(executor.as_ref(), &spec.task()).await;
    assert_eq!(
        (exit.kind, exit.signal, exit.code),
        (ExitKind::Signaled, Some(9), None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_leaves_behind_is_ended_before_its_exit_is_told() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    let mut spec = spec(
        root.path(),
        "(setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' >/dev/null 2>&1 &); sleep 0.2; exit 7",
    );
    spec.grace_ms = 300;
    executor.start(&spec).await.unwrap();
    let exit = ended(executor.as_ref(), &spec.task()).await;
    assert_eq!((exit.kind, exit.code), (ExitKind::Exited, Some(7)));
    assert_eq!(marked(&spec.task()), Vec::<i32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_gives_a_task_time_to_clean_up() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    let spec = spec(
        root.path(),
        "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    );
    executor.start(&spec).await.unwrap();
    until("it is ready", || log_texts(&spec.task()) == ["ready"]).await;
    executor.stop(&spec.task(), 20_000).await.unwrap();
    let exit = ended(executor.as_ref(), &spec.task()).await;
    assert_eq!((exit.kind, exit.code), (ExitKind::Cancelled, Some(0)));
    // The shell may remark on its own child, before or after.
    let texts = log_texts(&spec.task());
    assert!(texts.contains(&"saved".to_owned()), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_a_shell_hears_sigterm() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    let mut spec = spec(root.path(), "");
    spec.argv = vec!["sleep".to_owned(), "600".to_owned()];
    let TaskState::Running { pid, .. } = executor.start(&spec).await.unwrap() else {
        panic!("not running")
    };
    until("it is the program", || {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
    })
    .await;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let blocked = status
        .lines()
        .find_map(|line| line.strip_prefix("SigBlk:"))
        .unwrap();
    assert_eq!(blocked.trim().trim_start_matches('0'), "", "no signal is blocked");
    executor.stop(&spec.task(), 60_000).await.unwrap();
    let exit = ended(executor.as_ref(), &spec.task()).await;
    assert_eq!((exit.kind, exit.signal), (ExitKind::Cancelled, Some(15)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_hog_is_ended_and_told_as_one() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    // `tail` keeps the last line of endless zeroes in memory. In the background, so that the hog is not
    // the main process.
    let mut spec = spec(root.path(), "tail /dev/zero & wait");
    spec.memory_limit_bytes = Some(64 << 20);
    executor.start(&spec).await.unwrap();
    let exit = ended(executor.as_ref(), &spec.task()).await;
    assert_eq!(
        (exit.kind, exit.enforced_by),
        (ExitKind::OutOfMemory, Some(LimitEnforcement::Watched))
    );
    assert!(exit.peak_memory_bytes.unwrap() > 64 << 20);
    assert!(exit.message.unwrap().contains("its limit is 67108864"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_bounded_and_keeps_its_end() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    let mut spec = spec(root.path(), "seq 1 400000; echo error >&2; printf 'no newline'");
    spec.log_limit_bytes = 256 * 1024;
    executor.start(&spec).await.unwrap();
    let task = spec.task();
    assert!(ended(executor.as_ref(), &task).await.succeeded());
    let kept: u64 = std::fs::read_dir(&task.dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with("output."))
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(kept <= spec.log_limit_bytes, "{kept} bytes kept");
    let query = LogQuery {
        start: LogStart::Tail(3),
        stream: None,
        max_lines: 3,
    };
    let page = read(&task.dir, &query).unwrap();
    let mut texts: Vec<&str> = page.lines.iter().map(|line| line.text.as_str()).collect();
    // The two pipes are read one after the other, so their order at the very end is not the task's.
    texts.sort_unstable();
    assert_eq!(texts, ["400000", "error", "no newline"]);
    assert!(page.lines.iter().any(|line| line.stream == LogStream::Stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_named() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    let mut spec = spec(root.path(), "");
    spec.argv = vec!["no-such-program".to_owned()];
    executor.start(&spec).await.unwrap();
    let exit = ended(executor.as_ref(), &spec.task()).await;
    assert_eq!((exit.kind, exit.code), (ExitKind::Exited, Some(127)));
    assert_eq!(
        exit.message.as_deref(),
        Some("cannot run 'no-such-program': no such program in the task's PATH")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_sees_its_own_environment_and_nothing_of_ours() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    let mut spec = spec(root.path(), "env | sort | cut -d= -f1 | tr '\\n' ' '; pwd");
    spec.env.insert("MINE".to_owned(), "1".to_owned());
    executor.start(&spec).await.unwrap();
    assert!(ended(executor.as_ref(), &spec.task()).await.succeeded());
    let expected = format!("CORLISS_TASK_ID MINE PATH PWD {}", root.path().display());
    assert_eq!(log_texts(&spec.task()), [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_executor_over_the_same_folders_adopts_what_runs() {
    let root = tempfile::tempdir().unwrap();
    let spec = spec(root.path(), "while [ ! -e go ]; do sleep 0.05; done; exit 5");
    let first = local();
    let TaskState::Running { pid, .. } = first.start(&spec).await.unwrap() else {
        panic!("not running")
    };
    drop(first);
    let second = local();
    let mut changes = second.changes();
    assert!(
        matches!(second.inspect(&spec.task()).await.unwrap(), TaskState::Running { pid: same, .. } if same == pid)
    );
    std::fs::write(root.path().join("go"), "").unwrap();
    // The end of an adopted task is noticed without asking for it.
    tokio::time::timeout(common::DEADLINE, changes.changed())
        .await
        .unwrap()
        .unwrap();
    let exit = ended(second.as_ref(), &spec.task()).await;
    assert_eq!((exit.kind, exit.code), (ExitKind::Exited, Some(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_told_to_end_by_somebody_else_did_not_cancel_its_task() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    let spec = spec(root.path(), "sleep 600");
    executor.start(&spec).await.unwrap();
    kill(shim_pid(&spec.task()), Signal::SIGTERM);
    let exit = ended(executor.as_ref(), &spec.task()).await;
    assert_eq!(exit.kind, ExitKind::Lost);
    assert!(exit.message.unwrap().contains("shutdown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_shim_at_any_moment_never_runs_a_task_twice() {
    let root = tempfile::tempdir().unwrap();
    let executor = local();
    for pause_us in (0..20_000).step_by(1_000) {
        let spec = spec(root.path(), "echo $$ >> ran; sleep 600");
        let mut shim = std::process::Command::new(common::shim_program());
        std::fs::create_dir_all(&spec.dir).unwrap();
        let record = serde_json::json!({"version": 1, "spec": spec});
        std::fs::write(spec.dir.join("spec.json"), record.to_string()).unwrap();
        let mut shim = shim
            .arg("--dir")
            .arg(&spec.dir)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_micros(pause_us)).await;
        shim.kill().unwrap();
        shim.wait().unwrap();
        let state = executor.start(&spec).await.unwrap();
        let task = spec.task();
        if matches!(state, TaskState::Running { .. }) {
            executor.stop(&task, 0).await.unwrap();
        }
        let exit = ended(executor.as_ref(), &task).await;
        let ran = std::fs::read_to_string(root.path().join("ran")).unwrap_or_default();
        assert!(ran.lines().count() <= 1, "after {pause_us} µs: {ran}");
        assert!(
            matches!(exit.kind, ExitKind::Lost | ExitKind::Cancelled),
            "{exit:?}"
        );
        assert_eq!(marked(&task), Vec::<i32>::new());
        let _ = std::fs::remove_file(root.path().join("ran"));
    }
}
