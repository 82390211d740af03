//! Memory, descriptors and tasks of this process, read from the operating system and the runtime whenever the metrics are rendered.

use std::fs;

use super::readings::{Reading, row};
use super::row::Measure;

/// Each metric with the function that reads it, most from `/proc/self`. Without that, they are left out.
pub(super) static READINGS: &[Reading<()>] = &[
    (
        row(
            "process_resident_memory",
            Measure::Bytes,
            "Physical memory in use",
            "If it rises while sessions do not, memory leaks.",
        ),
        |()| resident_memory_bytes(),
    ),
    (
        row(
            "process_open_fds",
            Measure::Count,
            "Open file descriptors",
            "Near `process_max_fds`, connections are refused: raise `ulimit -Hn`.",
        ),
        |()| open_fds(),
    ),
    (row("process_max_fds", Measure::Count, "Maximum number of open file descriptors", ""), |()| max_fds()),
    (
        row(
            "process_start_time",
            Measure::Seconds,
            "When the process began, in seconds since 1970",
            "If it changes and nobody has restarted it, it ended by itself: the log or the service manager has the exit code.",
        ),
        |()| start_time(),
    ),
    (
        row(
            "polliwog_tasks",
            Measure::Count,
            "Tasks that are alive in the runtime",
            "If it rises while connections and sessions do not, tasks leak.",
        ),
        |()| tasks(),
    ),
];

fn resident_memory_bytes() -> Option<u64> {
    let kib: u64 = word_after(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")?.parse().ok()?;
    Some(kib * 1024)
}

fn open_fds() -> Option<u64> {
    // One entry is the descriptor of the folder being read.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

fn max_fds() -> Option<u64> {
    word_after(&fs::read_to_string("/proc/self/limits").ok()?, "Max open files")?.parse().ok()
}

fn start_time() -> Option<u64> {
    let process = fs::read_to_string("/proc/self/stat").ok()?;
    started_after(&process)?
        .checked_add(word_after(&fs::read_to_string("/proc/stat").ok()?, "btime ")?.parse().ok()?)
}

/// Returns how many seconds after the system a process began, as its `stat` says.
fn started_after(stat: &str) -> Option<u64> {
    // The program's name may contain anything, so counted from behind it: the 22nd value of proc(5) is the 20th there.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    Some(ticks / USER_HZ)
}

fn tasks() -> Option<u64> {
    Some(tokio::runtime::Handle::try_current().ok()?.metrics().num_alive_tasks() as u64)
}

/// Returns the word after `name` on the line that begins with it.
fn word_after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()
}

/// What the kernel shows times in, whatever it counts in.
const USER_HZ: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_behind_its_name() {
        assert_eq!(word_after("Name:\tx\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some("1234"));
        assert_eq!(
            word_after("Max open files            1024                 4096   files", "Max open files"),
            Some("1024")
        );
        assert_eq!(word_after("", "VmRSS:"), None);
    }

    #[tokio::test]
    async fn a_task_counts_until_it_has_ended() {
        assert_eq!(tasks(), Some(0), "the test itself is none");
        let task = tokio_util::task::TaskTracker::new().spawn(std::future::pending::<()>());
        assert_eq!(tasks(), Some(1));
        task.abort();
        let _ = task.await;
        assert_eq!(tasks(), Some(0));
    }

    #[test]
    fn a_process_may_be_named_like_the_values_behind_its_name() {
        let before = "S 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 4 0";
        assert_eq!(started_after(&format!("7 (a) b 3) {before} 12399 1 1")), Some(123));
        assert_eq!(started_after("7 (a) S 1"), None);
        assert_eq!(started_after(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_descriptors() {
        // It began after this was written.
        assert!(start_time() > Some(1_764_000_000));
        assert!(resident_memory_bytes() > Some(100_000));
        assert!(open_fds() > Some(0));
        assert!(max_fds() > open_fds());
    }
}
