//! When and on which machine was measured, and how to read the tables.

use std::process::Command;

use anyhow::Context as _;

use crate::measure::Effort;
use crate::peer::{Peer, said};

/// What is known before the measurement.
pub(crate) struct About {
    date: String,
    commit: String,
    load: String,
}

impl About {
    pub(crate) fn begin() -> anyhow::Result<Self> {
        let date = answer(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
        let mut describe = Command::new("git");
        describe.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--exclude=*"]);
        Ok(Self { date, commit: answer(&mut describe)?, load: load()? })
    }

    /// Returns the head of the page.
    pub(crate) fn end(&self, rounds: u32, effort: Effort) -> anyhow::Result<String> {
        let Self { date, commit, load: before } = self;
        let profile = std::env::var("PROFILE").unwrap_or_else(|_| "unknown".into());
        let cores = std::fs::read_to_string("/proc/cpuinfo")?.matches("processor\t").count();
        let (system, rust, after) = (said("uname", "-sr")?, said("rustc", "--version")?, load()?);
        let (seconds, sessions) = (effort.time.as_secs_f64(), effort.waiting);
        let mut versions = Vec::new();
        for peer in Peer::ALL {
            // The table shows which peers are missing.
            let Ok(version) = peer.version() else { continue };
            if !version.is_empty() && !versions.contains(&version) {
                versions.push(version);
            }
        }
        let versions = versions.join(", ");
        Ok(format!(
            "# Results\n\n\
             Written by `benches/compare`, which says in [README.md](README.md) how it measures. {date}, {cores} cores, {system}, {rust}.\n\
             Polliwog is that of commit {commit}, built with the profile `{profile}`. Versions: {versions}.\n\n\
             Rounds of {seconds} s for each figure of CPU and latency, in turns: {rounds}; of {sessions} sessions for each figure of memory: 3 at\n\
             most; of instructions: 2 at most. A figure is the median, with the least and the most in brackets; a ratio is the median of the\n\
             ratios within each round. Times differ from machine to machine and from hour to hour: only the ratios mean something. The\n\
             machine's load average, the run's own processes included, was {before} before and {after} after; above 3, others were at work\n\
             and the figures are noisy.\n\n"
        ))
    }
}

/// Returns the output of a program.
fn answer(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn load() -> anyhow::Result<String> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}
