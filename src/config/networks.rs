//! `allow` and `deny`, of listeners and routes: which addresses may come in.

use std::net::IpAddr;

use ipnet::IpNet;

use super::table::Table;
use super::tree::{Node, show_text};
use super::values::{Wrong, text};
use crate::networks::Networks;

/// Reads one of the lists.
pub(super) fn read(table: &Table<'_>, key: &'static str, list: &mut Vec<IpNet>) {
    if let Some(networks) = table.list(key, network) {
        *list = networks.into_iter().map(|(_, network)| network).collect();
    }
}

/// Reports, of the lists that stand in this table, what is decided by the other list already.
pub(super) fn judge(table: &Table<'_>, networks: &Networks) {
    let Networks { allow, deny } = networks;
    let report = |key, found: Option<&IpNet>, expected: &str| {
        if let Some(network) = found.filter(|_| table.get(key).is_some()) {
            table.report(key, show_text(&network.to_string()), expected);
        }
    };
    let is_denied = |network: &&IpNet| deny.iter().any(|denied| denied.contains(*network));
    report("allow", allow.iter().find(is_denied), "networks that deny does not contain");
    let is_outside = |network: &&IpNet| {
        let meets = |allowed: &IpNet| allowed.contains(*network) || network.contains(allowed);
        !allow.is_empty() && !allow.iter().any(meets)
    };
    report("deny", deny.iter().find(is_outside), "networks within those of allow, no other is allowed");
}

/// Returns a network, or a single address as a network of one.
fn network(node: &Node) -> Result<IpNet, Wrong> {
    let wrong = || Wrong::expected("a network such as \"10.0.0.0/8\", or an address");
    let text = text(node).map_err(|_| wrong())?;
    let network = text.parse::<IpNet>().map(|network| network.trunc());
    network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| wrong())
}
