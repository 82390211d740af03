//! `check --cluster`: asks the directory and the other nodes, and prints what a balancer may know.

use std::io::{self, Write as _};
use std::process::ExitCode;

use tokio::time::{Duration, timeout};

use super::hints::hints;
use super::peers::{hash, starting};
use crate::chain::Chain;
use crate::cluster::{self, Finding, Nodes, survey};
use crate::config::Config;
use crate::directory::{self, engine};

/// Prints a line for each node, and the hints for the balancer in front. It fails if the nodes cannot work together.
pub fn inspect(config: &Config) -> ExitCode {
    let Some(settings) = &config.cluster else {
        return fail(&"--cluster: the configuration has no [cluster]");
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let (mut findings, met) = match &config.directory {
        Some(directory) => runtime.block_on(look(directory, settings)),
        None => (Vec::new(), Nodes::new()),
    };
    match runtime.block_on(survey(settings, &hash(&config.routes), met)) {
        Ok(found) => findings.extend(found),
        Err(error) => return fail(&format_args!("the nodes are not known: {error}")),
    }
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

/// Asks the directory for its nodes.
async fn look(settings: &directory::Settings, cluster: &cluster::Settings) -> (Vec<Finding>, Nodes) {
    let (address, said) = match starting(cluster.node).map(|me| engine(settings, me, &cluster.advertise)) {
        Err(error) => (String::new(), Err(error.to_string())),
        Ok(Err(error)) => (String::new(), Err(Chain(&error).to_string())),
        Ok(Ok(engine)) => {
            let looked = timeout(LOOK_MAX, engine.look()).await;
            let members = looked.map_err(|_| "it does not answer".to_owned());
            let members = members.and_then(|members| members.map_err(|error| error.to_string()));
            (format!(" at {}", engine.address()), members)
        }
    };
    let mut nodes = Nodes::new();
    let is_fault = said.is_err();
    let said = said.map_or_else(std::convert::identity, |members| {
        let count = members.len();
        for member in members {
            nodes.entry(member.node.tag).or_default().push(member.address);
        }
        format!("ok, nodes that are there: {count}")
    });
    (vec![Finding { text: format!("directory{address}: {said}"), is_fault }], nodes)
}

fn fail(why: &dyn std::fmt::Display) -> ExitCode {
    // If nobody reads standard error, the exit code says enough.
    let _unread = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}

/// How long the directory may take.
const LOOK_MAX: Duration = Duration::from_secs(3);
