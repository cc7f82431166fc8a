//! Enforced limits where cgroup v2 is delegated to us: a parent group that we may divide, and one leaf per
//! task in it.
//!
//! A group with processes in it cannot hand controllers to its children, so the server moves itself into
//! a leaf first. Where any of this is not permitted, tasks run without a cgroup: memory is then watched by
//! the shim, and the CPU share is not enforced.

use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/cgroup";
/// One CPU is this many microseconds per period.
const CPU_PERIOD_US: u64 = 100_000;

/// Finds or makes the group under which tasks get theirs; says why if there is none.
pub(crate) fn prepare_parent() -> Result<PathBuf, String> {
    let membership = std::fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    let own = membership
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .ok_or("this process is in no cgroup v2 group")?;
    let own = Path::new(MOUNT).join(own);
    // After a restart of the server inside the leaf that an earlier one made.
    let own = if own.ends_with(SERVER_LEAF) {
        own.parent().map(Path::to_owned).unwrap_or(own)
    } else {
        own
    };
    divide(&own, std::process::id())
}

const SERVER_LEAF: &str = "corliss-server";
const TASKS: &str = "corliss-tasks";

fn divide(own: &Path, pid: u32) -> Result<PathBuf, String> {
    let offered = read(&own.join("cgroup.controllers"))?;
    if !["memory", "cpu"]
        .iter()
        .all(|wanted| offered.split_whitespace().any(|name| name == *wanted))
    {
        return Err(format!("{} offers no memory and cpu controllers", own.display()));
    }
    let leaf = own.join(SERVER_LEAF);
    make(&leaf)?;
    write(&leaf.join("cgroup.procs"), &pid.to_string())?;
    let enabled = write(&own.join("cgroup.subtree_control"), "+memory +cpu").and_then(|()| {
        let tasks = own.join(TASKS);
        make(&tasks)?;
        write(&tasks.join("cgroup.subtree_control"), "+memory +cpu")?;
        Ok(tasks)
    });
    if enabled.is_err() {
        // Not ours alone: go back, so that nothing is left changed.
        let _ = write(&own.join("cgroup.procs"), &pid.to_string());
        let _ = std::fs::remove_dir(&leaf);
    }
    enabled
}

/// The leaf of one task.
#[derive(Debug)]
pub(crate) struct TaskGroup {
    path: PathBuf,
}

impl TaskGroup {
    /// Makes the group `name` with its limits.
    pub(crate) fn create(
        parent: &Path,
        name: &str,
        memory_limit_bytes: Option<u64>,
        cpu_milli: Option<u64>,
    ) -> Result<Self, String> {
        let path = parent.join(name);
        make(&path)?;
        let group = Self { path };
        if let Some(limit) = memory_limit_bytes {
            group.set("memory.max", &limit.to_string())?;
            // The whole tree ends together, and swap is no way around the limit.
            group.set("memory.oom.group", "1")?;
            let _ = group.set("memory.swap.max", "0");
        }
        if let Some(milli) = cpu_milli.filter(|milli| *milli > 0) {
            let quota_us = (milli * CPU_PERIOD_US / 1000).max(1000);
            group.set("cpu.max", &format!("{quota_us} {CPU_PERIOD_US}"))?;
        }
        Ok(group)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn set(&self, file: &str, value: &str) -> Result<(), String> {
        write(&self.path.join(file), value)
    }

    /// How many processes the kernel killed in this group for passing its limit.
    pub(crate) fn oom_kills(&self) -> u64 {
        let events = read(&self.path.join("memory.events")).unwrap_or_default();
        events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Most memory the group held, in bytes, where the kernel tells it.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        read(&self.path.join("memory.peak")).ok()?.trim().parse().ok()
    }

    /// Ends every process in the group at once (kernels since 5.14).
    pub(crate) fn kill(&self) {
        let _ = self.set("cgroup.kill", "1");
    }

    /// Deletes the empty group.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Moves the calling process into a group; what it execs stays in it.
pub(crate) fn enter(group: &Path) -> Result<(), String> {
    write(&group.join("cgroup.procs"), "0")
}

fn make(path: &Path) -> Result<(), String> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(format!("cannot make {}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn write(path: &Path, value: &str) -> Result<(), String> {
    std::fs::write(path, value).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plain folder has no kernel behind it; this holds only which files get which values.
    #[test]
    fn limits_are_written_in_the_kernels_units() {
        let dir = tempfile::tempdir().unwrap();
        let group = TaskGroup::create(dir.path(), "task_1", Some(1 << 20), Some(1500)).unwrap();
        let value = |file: &str| std::fs::read_to_string(group.path().join(file)).unwrap();
        assert_eq!(value("memory.max"), "1048576");
        assert_eq!(value("cpu.max"), "150000 100000");
        std::fs::write(group.path().join("memory.events"), "low 0\noom 2\noom_kill 1\n").unwrap();
        assert_eq!(group.oom_kills(), 1);
    }

    #[test]
    fn without_controllers_the_reason_is_told_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cgroup.controllers"), "hugetlb\n").unwrap();
        let reason = divide(dir.path(), 1).unwrap_err();
        assert!(
            reason.ends_with("offers no memory and cpu controllers"),
            "{reason}"
        );
        assert!(!dir.path().join(SERVER_LEAF).exists());
    }
}
