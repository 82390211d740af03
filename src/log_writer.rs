//! Writes a log's lines, so that nobody waits for a slow pipe: what cannot be written at once is queued for a thread.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::throttle::Throttle;

/// Where a log is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
    /// The end of this file, which is created if it is not there.
    File(PathBuf),
}

/// Writes lines to one target. Its thread ends, with everything written, once the last handle is dropped.
#[derive(Clone, Debug)]
pub struct LogWriter(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Shared>);

struct Shared {
    name: &'static str,
    target: Target,
    queue: Mutex<Queue>,
    /// Notified whenever the queue changes.
    changed: Condvar,
    told: Throttle,
    /// Counts lines that were dropped.
    counts: OnceLock<Box<dyn Fn(u64) + Send + Sync>>,
}

struct Queue {
    file: Arc<File>,
    /// Whole lines that wait for the thread.
    lines: Vec<u8>,
    /// Whether the thread writes at the moment.
    is_writing: bool,
    is_reopened: bool,
    is_over: bool,
    /// Lines that were dropped, and not counted yet.
    dropped: u64,
}

impl LogWriter {
    /// Opens the target and starts the thread. The log is called `name` where its dropped lines are reported.
    ///
    /// # Errors
    /// The file cannot be opened, or the thread not started.
    pub fn start(name: &'static str, target: Target) -> io::Result<Self> {
        let file = Arc::new(target.open()?);
        let queue = Queue {
            file,
            lines: Vec::new(),
            is_writing: false,
            is_reopened: false,
            is_over: false,
            dropped: 0,
        };
        let shared = Arc::new(Shared {
            name,
            target,
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            told: Throttle::default(),
            counts: OnceLock::new(),
        });
        let writing = Arc::clone(&shared);
        thread::Builder::new().name(format!("log {name}")).spawn(move || writing.run())?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Returns where it writes.
    pub fn target(&self) -> &Target {
        &self.0.0.target
    }

    /// Has dropped lines counted, those before this call too.
    pub fn count_dropped(&self, count: impl Fn(u64) + Send + Sync + 'static) {
        let _ = self.0.0.counts.set(Box::new(count));
        self.0.0.report();
    }

    /// Queues a line, which ends with a line feed. It is dropped if too much waits already.
    pub fn queue(&self, line: &[u8]) {
        self.0.0.lock().push(line);
        self.0.0.changed.notify_all();
    }

    /// Writes a line at once if nothing waits and the target takes it without delay, so that it is there even if the
    /// process ends in the next moment; otherwise it is queued.
    pub fn write(&self, line: &[u8]) {
        let mut queue = self.0.0.lock();
        let is_idle = queue.lines.is_empty() && !queue.is_writing && !queue.is_reopened;
        let written = if is_idle && line.len() <= ATOMIC && is_ready(&queue.file, Duration::ZERO) {
            (&*queue.file).write(line).unwrap_or(0)
        } else {
            0
        };
        if written < line.len() {
            queue.push(&line[written..]);
            drop(queue);
            self.0.0.changed.notify_all();
        }
    }

    /// Opens the file again, which may have been renamed since. What is queued goes to the old one.
    pub fn reopen(&self) {
        self.0.0.lock().is_reopened = true;
        self.0.0.changed.notify_all();
    }

    /// Waits until everything is written, but no longer than `patience`.
    pub fn finish(&self, patience: Duration) {
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        let waited = self.0.0.changed.wait_timeout_while(self.0.0.lock(), patience, is_busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Target {
    fn open(&self) -> io::Result<File> {
        match self {
            Self::Stdout => Ok(io::stdout().as_fd().try_clone_to_owned()?.into()),
            Self::Stderr => Ok(io::stderr().as_fd().try_clone_to_owned()?.into()),
            Self::File(path) => open(path),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Addresses of clients are in it.
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

impl Queue {
    fn push(&mut self, line: &[u8]) {
        if self.lines.len() + line.len() > QUEUED_MAX {
            self.dropped += 1;
        } else {
            self.lines.extend_from_slice(line);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is queued until the last handle is gone.
    fn run(&self) {
        let mut queue = self.lock();
        loop {
            if !queue.lines.is_empty() {
                let (lines, file) = (std::mem::take(&mut queue.lines), Arc::clone(&queue.file));
                queue.is_writing = true;
                drop(queue);
                let lost = write_all(&file, &lines);
                queue = self.lock();
                queue.is_writing = false;
                queue.dropped += lost;
                self.changed.notify_all();
            } else if std::mem::take(&mut queue.is_reopened) {
                drop(queue);
                self.reopen();
                queue = self.lock();
            } else if queue.is_over {
                return;
            } else if queue.dropped > 0 && self.counts.get().is_some() {
                drop(queue);
                self.report();
                queue = self.lock();
            } else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Counts the lines that were dropped, and tells of them.
    fn report(&self) {
        let Some(count) = self.counts.get() else { return };
        let dropped = std::mem::take(&mut self.lock().dropped);
        if dropped > 0 {
            count(dropped);
            if self.told.count().is_some() {
                tracing::warn!(
                    log = self.name,
                    dropped,
                    "lines of a log were dropped: its reader is too slow, or gone"
                );
            }
        }
    }

    fn reopen(&self) {
        let Target::File(path) = &self.target else { return };
        match open(path) {
            Ok(file) => {
                self.lock().file = Arc::new(file);
                tracing::info!(log = self.name, file = %path.display(), "the file of a log was opened again");
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(log = self.name, file = %path.display(), error, "the file of a log was not opened again; the old one stays in use");
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({}, {:?})", self.name, self.target)
    }
}

/// Writes whole lines, in pieces that no other writer of the same pipe interrupts. Returns how many could not be written.
fn write_all(mut file: &File, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        let len = piece(lines);
        match file.write(&lines[..len]) {
            Ok(written) => lines = &lines[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Somebody else who has the pipe wants it so.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                is_ready(file, Duration::from_secs(1));
            }
            Err(_) => return lines.split_inclusive(|byte| *byte == b'\n').count() as u64,
        }
    }
    0
}

/// Returns the length of as many lines as a pipe takes at once, or of one that is longer.
fn piece(lines: &[u8]) -> usize {
    let is_end = |byte: &u8| *byte == b'\n';
    let whole = lines.iter().take(ATOMIC).rposition(is_end);
    whole.or_else(|| lines.iter().position(is_end)).map_or(lines.len(), |end| end + 1)
}

/// Returns whether the next [`ATOMIC`] bytes can be written without delay, within `patience`.
fn is_ready(file: &File, patience: Duration) -> bool {
    let mut polled = [PollFd::new(file, PollFlags::OUT)];
    let patience = Timespec::try_from(patience).ok();
    poll(&mut polled, patience.as_ref()).is_ok_and(|ready| ready > 0)
}

/// What is written to a pipe at once, and never between the bytes of another (`PIPE_BUF`).
const ATOMIC: usize = 4096;
/// The most bytes that wait.
const QUEUED_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests;
