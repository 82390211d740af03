//! The successor that a process starts by itself.

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::sleep;

/// A successor, started with this process's own path and arguments.
#[derive(Debug)]
pub struct Started(Child);

impl Started {
    /// Starts it.
    ///
    /// # Errors
    /// There is no such program any more, or it can't be run.
    pub fn start() -> io::Result<Self> {
        let mut args = std::env::args_os();
        // By its path: the file there may be a newer one than that which runs.
        let program = args.next().ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        // It is the watchdog's next process.
        command.args(args).stdin(Stdio::null()).env_remove("WATCHDOG_PID");
        let child = command.spawn()?;
        Ok(Self(child))
    }

    /// Returns its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end, which is noticed a little later.
    ///
    /// # Errors
    /// Nobody knows.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        loop {
            match self.0.try_wait()? {
                Some(status) => return Ok(status),
                None => sleep(LOOK).await,
            }
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
    }
}

/// Its end is waited for by nobody.
const LOOK: Duration = Duration::from_millis(50);
