//! CPUs and memory as this process may use them: the machine's, less what its affinity and its control
//! groups (version 1 or 2) take away.

use std::path::{Path, PathBuf};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

const MOUNT: &str = "/sys/fs/cgroup";

/// Thousandths of a CPU.
pub(super) fn cpu_milli(notes: &mut Vec<String>) -> u64 {
    let allowed = allowed_cpus();
    match quota_milli(Path::new(MOUNT), &memberships()) {
        Some(quota) if quota < allowed => {
            notes.push(format!(
                "a control group limits CPU time to {quota} thousandths of a CPU"
            ));
            quota
        }
        _ => allowed,
    }
}

/// Bytes.
pub(super) fn memory_bytes(notes: &mut Vec<String>) -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<u64>()
                .ok()
        })
        .map_or(0, |kib| kib.saturating_mul(1024));
    match memory_limit(Path::new(MOUNT), &memberships()) {
        Some(limit) if limit < total => {
            notes.push(format!("a control group limits memory to {limit} bytes"));
            limit
        }
        _ => total,
    }
}

fn allowed_cpus() -> u64 {
    let count = sched_getaffinity(Pid::from_raw(0))
        .map(|set| {
            (0..CpuSet::count())
                .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
                .count()
        })
        .unwrap_or_else(|_| std::thread::available_parallelism().map_or(1, usize::from));
    u64::try_from(count).unwrap_or(1).max(1) * 1000
}

/// One line of /proc/self/cgroup: the controllers (none means version 2) and the path.
type Membership = (Vec<String>, String);

fn memberships() -> Vec<Membership> {
    parse_memberships(&std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
}

fn parse_memberships(text: &str) -> Vec<Membership> {
    text.lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let names = controllers
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned);
            Some((names.collect(), path.to_owned()))
        })
        .collect()
}

/// The directories whose limits count: the group and all above it. Inside a container the path may name a
/// group of the host that is not mounted here; then the mount's own root is the nearest that counts.
fn folders(mount: &Path, memberships: &[Membership], controller: &str) -> Vec<(bool, PathBuf)> {
    let mut found = Vec::new();
    for (controllers, path) in memberships {
        let unified = controllers.is_empty();
        if !unified && !controllers.iter().any(|name| name == controller) {
            continue;
        }
        let root = if unified {
            mount.to_owned()
        } else {
            mount.join(controller)
        };
        let mut folder = root.join(path.trim_start_matches('/'));
        while folder.starts_with(&root) {
            found.push((unified, folder.clone()));
            if !folder.pop() {
                break;
            }
        }
    }
    found
}

fn quota_milli(mount: &Path, memberships: &[Membership]) -> Option<u64> {
    let quotas = folders(mount, memberships, "cpu")
        .into_iter()
        .filter_map(|(unified, folder)| {
            if unified {
                let text = std::fs::read_to_string(folder.join("cpu.max")).ok()?;
                let (quota, period) = text.trim().split_once(' ')?;
                share(quota.parse().ok()?, period.parse().ok()?)
            } else {
                let quota: i64 = number(&folder.join("cpu.cfs_quota_us"))?;
                share(
                    u64::try_from(quota).ok()?,
                    number(&folder.join("cpu.cfs_period_us"))?,
                )
            }
        });
    quotas.min()
}

fn share(quota_us: u64, period_us: u64) -> Option<u64> {
    quota_us.saturating_mul(1000).checked_div(period_us)
}

fn memory_limit(mount: &Path, memberships: &[Membership]) -> Option<u64> {
    let limits = folders(mount, memberships, "memory")
        .into_iter()
        .filter_map(|(unified, folder)| {
            number(&folder.join(if unified {
                "memory.max"
            } else {
                "memory.limit_in_bytes"
            }))
        });
    limits.min()
}

fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_tightest_group_counts_in_version_2() {
        let root = tempfile::tempdir().unwrap();
        let own = parse_memberships("0::/a/b\n");
        file(root.path(), "a/b/cpu.max", "max 100000\n");
        file(root.path(), "a/cpu.max", "150000 100000\n");
        file(root.path(), "a/b/memory.max", "4096\n");
        file(root.path(), "a/memory.max", "max\n");
        assert_eq!(quota_milli(root.path(), &own), Some(1500));
        assert_eq!(memory_limit(root.path(), &own), Some(4096));
    }

    #[test]
    fn version_1_is_read_in_its_own_words() {
        let root = tempfile::tempdir().unwrap();
        let own = parse_memberships("4:memory:/x\n2:cpu,cpuacct:/x\n0::/\n");
        file(root.path(), "cpu/x/cpu.cfs_quota_us", "-1\n");
        file(root.path(), "cpu/cpu.cfs_quota_us", "50000\n");
        file(root.path(), "cpu/cpu.cfs_period_us", "100000\n");
        file(
            root.path(),
            "memory/x/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(quota_milli(root.path(), &own), Some(500));
        assert_eq!(memory_limit(root.path(), &own), Some(9_223_372_036_854_771_712));
    }

    #[test]
    fn without_groups_there_is_no_limit() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(quota_milli(root.path(), &parse_memberships("0::/\n")), None);
    }
}
