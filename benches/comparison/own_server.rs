//! The servers that are part of this program, by their names.

use anyhow::bail;

use crate::words::Answering;
use crate::{engineioxide, hyper as bare};

/// Serves until it is killed: a server's name, its address, that of its commands, and `echo` if it answers.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    let &[name, address, control, answering] = words else {
        bail!("expected a name, two addresses, and echo or silent")
    };
    let answering = if answering == "echo" { Answering::Echo } else { Answering::Silent };
    let (address, control) = (address.parse()?, control.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match name {
            "hyper" => bare::run(address, control).await,
            "engineioxide" => engineioxide::run(address, control, answering).await,
            _ => bail!("there is no server {name}"),
        }
    })
}
