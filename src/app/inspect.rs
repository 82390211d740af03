//! `check --cluster`: asks the other nodes, and prints what a balancer may know.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::hints::hints;
use super::peers::hash;
use crate::cluster::survey;
use crate::config::Config;

/// Prints a line for each node, and the hints for the balancer in front. It fails if the nodes cannot work together.
pub fn inspect(config: &Config) -> ExitCode {
    let Some(settings) = &config.cluster else {
        return fail(&"--cluster: the configuration has no [cluster]");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let surveyed = runtime.and_then(|runtime| runtime.block_on(survey(settings, &hash(&config.routes))));
    let findings = match surveyed {
        Ok(findings) => findings,
        Err(error) => return fail(&format_args!("the nodes are not known: {error}")),
    };
    let mut text = String::new();
    for finding in &findings {
        text.push_str(&finding.text);
        text.push('\n');
    }
    if let Some(hints) = hints(config, settings) {
        text.push('\n');
        text.push_str(&hints);
    }
    let mut out = io::stdout();
    let is_printed = out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok();
    if is_printed && findings.iter().all(|finding| !finding.is_fault) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn fail(why: &dyn std::fmt::Display) -> ExitCode {
    // If nobody reads standard error, the exit code says enough.
    let _unread = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}
