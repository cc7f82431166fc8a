//! Other processes, as /proc tells of them: who they are, whose children they are, what they hold.
//!
//! Processes come and go while this reads; one that vanished in between is simply not there.

use std::collections::{BTreeMap, BTreeSet};

use corliss_types::TaskId;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::{Process, Stat, all_processes};

use crate::files::{ProcessIdentity, StatusRecord};

/// The variable that marks every process of a task, so that strays are found after their shim died.
pub(crate) const TASK_MARK: &str = "CORLISS_TASK_ID";

/// This boot of the machine: another value after each restart of it, empty if the kernel does not tell.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The identity of a living process.
pub(crate) fn identity(pid: i32) -> Option<ProcessIdentity> {
    let stat = Process::new(pid).ok()?.stat().ok()?;
    Some(ProcessIdentity {
        pid,
        start_ticks: stat.starttime,
    })
}

/// Whether this very process (not another with its pid) still lives; a zombie does not.
pub(crate) fn is_alive(identity: &ProcessIdentity) -> bool {
    let Ok(stat) = Process::new(identity.pid).and_then(|process| process.stat()) else {
        return false;
    };
    stat.starttime == identity.start_ticks && !is_dead(&stat)
}

fn is_dead(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x')
}

/// Every process descending from `root`, `root` itself left out, with its memory in bytes.
pub(crate) fn descendants(root: i32) -> BTreeMap<i32, u64> {
    let mut children: BTreeMap<i32, Vec<(i32, u64)>> = BTreeMap::new();
    let page = procfs::page_size();
    for stat in all_stats().filter(|stat| !is_dead(stat)) {
        children
            .entry(stat.ppid)
            .or_default()
            .push((stat.pid, stat.rss.saturating_mul(page)));
    }
    let mut found = BTreeMap::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for (pid, rss_bytes) in children.remove(&parent).unwrap_or_default() {
            found.insert(pid, rss_bytes);
            open.push(pid);
        }
    }
    found
}

fn all_stats() -> impl Iterator<Item = Stat> {
    all_processes()
        .into_iter()
        .flatten()
        .filter_map(|process| process.ok()?.stat().ok())
}

/// Proportional share of memory in bytes: pages that processes share are counted once among them. Costs a
/// walk of the page tables, so it is asked only when the cheap sum looks too large.
pub(crate) fn proportional_bytes(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// Sends a signal to each; one that is gone is no matter.
pub(crate) fn signal_all(pids: impl IntoIterator<Item = i32>, signal: Signal) {
    for pid in pids {
        if let Err(error) = kill(Pid::from_raw(pid), signal)
            && error != Errno::ESRCH
        {
            tracing::warn!(pid, %signal, %error, "cannot signal a process of a task");
        }
    }
}

/// What is left of a task whose shim died: processes that carry its mark, are in its session, or descend
/// from one of these. Nobody else's: marks are unique, and a session number is not given out again while
/// a member lives, so a member older than the shim cannot be ours.
pub(crate) fn strays(task: &TaskId, record: &StatusRecord) -> BTreeSet<i32> {
    if record.boot_id != boot_id() {
        return BTreeSet::new();
    }
    let shim = &record.shim;
    let session_is_ours = Process::new(shim.pid)
        .and_then(|process| process.stat())
        .map_or(true, |stat| stat.starttime == shim.start_ticks);
    let mark = format!("{TASK_MARK}={task}");
    let mut found = BTreeSet::new();
    for process in all_processes().into_iter().flatten().flatten() {
        let Ok(stat) = process.stat() else { continue };
        if is_dead(&stat) || stat.starttime < shim.start_ticks || stat.pid == shim.pid {
            continue;
        }
        if (session_is_ours && stat.session == shim.pid) || carries(stat.pid, &mark) {
            found.insert(stat.pid);
        }
    }
    let below: Vec<i32> = found
        .iter()
        .flat_map(|pid| descendants(*pid).into_keys())
        .collect();
    found.extend(below);
    found.remove(&nix::unistd::getpid().as_raw());
    found
}

fn carries(pid: i32, mark: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
        environ
            .split(|byte| *byte == 0)
            .any(|entry| entry == mark.as_bytes())
    })
}

/// How often the kernel killed for lack of memory since boot, on this machine or in any cgroup of it.
pub(crate) fn kernel_oom_kills() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/vmstat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_too() {
        let me = identity(nix::unistd::getpid().as_raw()).unwrap();
        assert!(is_alive(&me));
        assert!(!is_alive(&ProcessIdentity {
            start_ticks: me.start_ticks + 1,
            ..me
        }));
    }

    #[test]
    fn a_child_is_found_below_us_and_its_memory_told() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let below = descendants(nix::unistd::getpid().as_raw());
        assert!(below.contains_key(&pid));
        assert!(proportional_bytes(pid).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!descendants(nix::unistd::getpid().as_raw()).contains_key(&pid));
    }
}
