//! The servers that are part of this program, by their names.

use anyhow::bail;

use crate::words::Manner;
use crate::{engineioxide, hyper as bare};

/// Serves until it is killed: a server's name, its address, that of its commands, and its manner.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    let &[name, address, control, manner] = words else {
        bail!("a name, two addresses and a manner are wanted")
    };
    let manner = if manner == "echo" { Manner::Echo } else { Manner::Silent };
    let (address, control) = (address.parse()?, control.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match name {
            "hyper" => bare::run(address, control).await,
            "engineioxide" => engineioxide::run(address, control, manner).await,
            _ => bail!("there is no server {name}"),
        }
    })
}
