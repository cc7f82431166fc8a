//! What the executor's tests share: specifications, waiting, and the real shim.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use corliss_clock::{Sources, SystemClock};
use corliss_executor::{Executor, LocalConfig, LocalExecutor, TaskExit, TaskRef, TaskSpec, TaskState};
use corliss_types::TaskId;

/// Generous: these machines are busy.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The example program beside the test binaries; cargo builds examples before it runs tests.
pub fn shim_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/shim")
}

pub fn local() -> Arc<LocalExecutor> {
    let config = LocalConfig {
        shim_command: vec![shim_program().display().to_string()],
        start_timeout: DEADLINE,
        use_cgroups: false,
    };
    Arc::new(LocalExecutor::new(config, Arc::new(SystemClock::new())))
}

pub fn spec(root: &Path, script: &str) -> TaskSpec {
    let id = TaskId::new(Sources::system().id_seed());
    TaskSpec {
        dir: root.join(id.as_str()),
        id,
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]),
        cwd: root.to_owned(),
        memory_limit_bytes: None,
        cpu_milli: None,
        timeout_ms: None,
        grace_ms: 20_000,
        log_limit_bytes: 1 << 20,
    }
}

pub async fn ended(executor: &dyn Executor, task: &TaskRef) -> TaskExit {
    let begun = Instant::now();
    let mut changes = executor.changes();
    loop {
        if let TaskState::Exited(exit) = executor.inspect(task).await.unwrap() {
            return exit;
        }
        assert!(begun.elapsed() < DEADLINE, "{} did not end", task.id);
        let _ = tokio::time::timeout(Duration::from_millis(100), changes.changed()).await;
    }
}

pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every living process whose environment carries this task's mark.
pub fn marked(task: &TaskRef) -> Vec<i32> {
    let mark = format!("CORLISS_TASK_ID={}", task.id);
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let zombie = stat.rsplit_once(')')?.1.trim_start().starts_with(['Z', 'X']);
        let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let ours = environ
            .split(|byte| *byte == 0)
            .any(|entry| entry == mark.as_bytes());
        (ours && !zombie).then_some(pid)
    });
    pids.collect()
}

pub fn log_texts(task: &TaskRef) -> Vec<String> {
    use corliss_executor::logs::{LogQuery, LogStart, read};
    let query = LogQuery {
        start: LogStart::Offset(0),
        stream: None,
        max_lines: 10_000,
    };
    read(&task.dir, &query)
        .unwrap()
        .lines
        .into_iter()
        .map(|line| line.text)
        .collect()
}

/// The shim's pid, from its record.
pub fn shim_pid(task: &TaskRef) -> i32 {
    let text = std::fs::read_to_string(task.dir.join("status.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    i32::try_from(record["shim"]["pid"].as_i64().unwrap()).unwrap()
}

pub fn kill(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}
