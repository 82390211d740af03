//! How much memory there is for this process: the least that its control groups and the machine have.

use std::fs;
use std::path::Path;

/// Returns the memory in bytes, if the system tells.
pub(super) fn available() -> Option<usize> {
    available_in(Path::new("/"))
}

/// Reads it below `root`, in the files that Linux has.
fn available_in(root: &Path) -> Option<usize> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| group_limit(root, line));
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok().as_deref().and_then(machine);
    limits.chain(machine).min()
}

/// Returns the limit of one of the process's control groups and of those above it.
fn group_limit(root: &Path, line: &str) -> Option<usize> {
    // A number, the controllers, and a path: without controllers it is the one group of version 2.
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    // In a container, the path may be the host's, of which only the mount's own group is seen.
    let path = Path::new(path.trim_start_matches('/'));
    let limits = path.ancestors().filter_map(|group| {
        // Version 2 says `max` where there is no limit; version 1 a number that is larger than any memory.
        fs::read_to_string(root.join(mount).join(group).join(file)).ok()?.trim().parse().ok()
    });
    limits.min()
}

/// Returns what `/proc/meminfo` says of the machine.
fn machine(meminfo: &str) -> Option<usize> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = total.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static ROOTS: AtomicUsize = AtomicUsize::new(0);
    const GB: usize = 1 << 30;
    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:       8388608 kB\nMemFree:  12 kB\n");

    /// Returns what is read where there are these files.
    fn read(files: &[(&str, &str)]) -> Option<usize> {
        let count = ROOTS.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("polliwog-memory-{}-{count}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let read = available_in(&root);
        let _none = fs::remove_dir_all(&root);
        read
    }

    #[test]
    fn without_a_group_it_is_the_machines() {
        assert_eq!(read(&[MEMINFO]), Some(8 * GB));
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("proc/meminfo", "MemTotal: much\n")]), None);
    }

    #[test]
    fn the_lowest_of_a_group_and_those_above_it_counts() {
        let groups = ("proc/self/cgroup", "0::/system.slice/polliwog.service\n");
        let own = ("sys/fs/cgroup/system.slice/polliwog.service/memory.max", "max\n");
        assert_eq!(read(&[MEMINFO, groups, own]), Some(8 * GB));
        let above = ("sys/fs/cgroup/system.slice/memory.max", "1073741824\n");
        assert_eq!(read(&[MEMINFO, groups, own, above]), Some(GB));
        let own = (own.0, "536870912\n");
        assert_eq!(read(&[MEMINFO, groups, own, above]), Some(GB / 2));
    }

    #[test]
    fn groups_of_version_1_count() {
        let groups = ("proc/self/cgroup", "12:cpu,cpuacct:/a\n5:memory:/docker/abc\n0::/\n");
        let unlimited = ("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(read(&[MEMINFO, groups, unlimited]), Some(8 * GB));
        // The path is the host's.
        let mounted = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n");
        assert_eq!(read(&[MEMINFO, groups, mounted]), Some(GB / 4));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_some() {
        assert!(available() > Some(64 << 20));
    }
}
