//! A proxy that is succeeded by others, each started by the one before.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use super::setup::Setup;
use super::target::Target;
use super::world::World;
use super::{SOON, eventually, is_so_within};

/// One process after the other, in front of one application.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) world: World,
    /// Where they find each other.
    pub(crate) folder: PathBuf,
}

impl Processes {
    /// Starts the first. A drained process has half a minute, if `linger` says so.
    pub(crate) fn start(linger: &str) -> Self {
        Self::start_in(linger, |_| {})
    }

    /// Does the same in a special environment.
    pub(crate) fn start_in(linger: &str, surround: impl Fn(&mut Command)) -> Self {
        Self::start_with(&Setup::new(), linger, surround)
    }

    /// Does the same with more settings.
    pub(crate) fn start_with(setup: &Setup, linger: &str, surround: impl Fn(&mut Command)) -> Self {
        Self::start_all(setup, "exec ./binary \"$@\";", linger, surround)
    }

    /// Does the same by a line of the shell that becomes `./binary`.
    pub(crate) fn start_by(line: &str, linger: &str, surround: impl Fn(&mut Command)) -> Self {
        Self::start_all(&Setup::new(), line, linger, surround)
    }

    fn start_all(setup: &Setup, line: &str, linger: &str, surround: impl Fn(&mut Command)) -> Self {
        let name = format!("polliwog-{}-{:?}", std::process::id(), std::thread::current().id());
        let name: String = name.chars().filter(|sign| sign.is_alphanumeric() || *sign == '-').collect();
        // Not in the target's folder, whose path may be too long for sockets.
        let folder = std::env::temp_dir().join(name);
        let _absent = fs::remove_dir_all(&folder);
        let sections = format!(
            "{}\n[succession]\ndirectory = {:?}\nlinger = \"{linger}\"\n",
            setup.sections,
            folder.to_str().unwrap()
        );
        let setup = Setup { sections, ..setup.clone() }.server("drain_timeout = \"4s\"");
        let world = World::start_with(&setup, |setup, backend| {
            // A path that a test can lead to another program.
            let before = format!("ln -s \"$0\" binary; {line}");
            Target::proxy_in(&surround, &before, |public, admin| setup.toml(public, admin, backend))
        });
        let this = Self { world, folder };
        this.await_log("listening", 1);
        this
    }

    /// Has the youngest process start a successor, and waits until it serves. Returns its number.
    pub(crate) fn succeed(&self) -> u32 {
        let before = self.count("took over from the process before");
        self.signal("USR2");
        self.await_log("took over from the process before", before + 1);
        self.youngest()
    }

    /// Sends the youngest process a signal.
    pub(crate) fn signal(&self, name: &str) {
        kill(name, self.youngest());
    }

    /// Returns the number of the youngest process that was started.
    pub(crate) fn youngest(&self) -> u32 {
        self.started().last().copied().unwrap_or_else(|| self.world.target.id())
    }

    /// Returns the socket of the first process that is there.
    pub(crate) fn socket(&self) -> UnixStream {
        let sockets = self.sockets();
        UnixStream::connect(self.folder.join(&sockets[0])).unwrap()
    }

    /// Returns the names of the sockets.
    pub(crate) fn sockets(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.strip_suffix(".sock").is_some()).collect()
    }

    /// Waits until so many log lines have this text.
    #[track_caller]
    pub(crate) fn await_log(&self, text: &str, count: usize) {
        let log = || format!("{count} times {text:?} in\n{}", self.world.target.log());
        assert!(is_so_within(2 * SOON, || self.count(text) >= count), "{}", log());
    }

    /// Returns how many log lines have this text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.world.target.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until a process has ended.
    #[track_caller]
    pub(crate) fn await_end(&self, process: u32) {
        eventually(
            || !self.is_ours(process),
            || format!("the end of {process}:\n{}", self.world.target.log()),
        );
    }

    /// Returns the numbers of the successors, oldest first.
    fn started(&self) -> Vec<u32> {
        let log = self.world.target.log();
        let numbers =
            log.lines().filter_map(|line| line.split_once("a successor was started pid=")?.1.parse().ok());
        numbers.collect()
    }

    /// Returns whether it is one of these processes, and runs.
    fn is_ours(&self, process: u32) -> bool {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let folder = self.world.target.folder().to_str().unwrap();
        String::from_utf8_lossy(&line).contains(folder)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in self.started() {
            if self.is_ours(process) {
                kill("KILL", process);
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Sends a process a signal.
pub(crate) fn kill(name: &str, process: u32) {
    let kill = format!("kill -{name} {process}");
    // It may have ended by itself.
    let _ = Command::new("sh").args(["-c", &kill]).status().unwrap();
}
