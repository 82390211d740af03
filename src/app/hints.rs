//! What a balancer in front of a cluster may know to send requests home, as `check --cluster` prints it. Nothing depends on it: a
//! request that comes elsewhere takes one hop.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::address::ListenAddress;
use crate::cluster::{Peers, Settings};
use crate::config::Config;
use crate::dialect::sockjs::SockJs;
use crate::sid::Tag;

/// Returns the lines for nginx and `HAProxy`; `None` if the nodes have no names that a balancer could know.
pub(super) fn hints(config: &Config, settings: &Settings) -> Option<String> {
    let Peers::Named(peers) = &settings.peers else { return None };
    let own = config.server.listeners.iter().flat_map(|one| &one.listen).find_map(ListenAddress::ip);
    let port = own.map_or(PORT, |address| address.port());
    let host = |address: &String| {
        address.rsplit_once(':').map_or_else(|| address.clone(), |(host, _)| host.to_owned())
    };
    let server = |address: &String| format!("{}:{port}", host(address));
    let hosts: BTreeSet<String> = peers.values().map(host).collect();
    let note = note(own.is_some(), port, hosts.len() < peers.len());
    let nodes: Vec<(Tag, String)> = peers.iter().map(|(tag, address)| (*tag, server(address))).collect();
    let sockjs: Vec<&str> = config
        .routes
        .iter()
        .filter(|route| route.dialect == SockJs::NAME)
        .map(|route| route.path.trim_end_matches('/'))
        .collect();
    Some(format!("{note}\n{}\n{}", nginx(&nodes, &sockjs), haproxy(&nodes, &sockjs)))
}

/// Returns what to look at before the lines are used: a node knows where others ask each other, not where their clients come in.
fn note(is_own: bool, port: u16, share_hosts: bool) -> String {
    let whose = if is_own {
        format!("# Port {port} is this node's")
    } else {
        format!("# This node's clients have no port, only Unix sockets; {port} stands for it")
    };
    let where_to = if share_hosts {
        "nodes on one host have a port each: write each node's own"
    } else {
        "change it where another node has its own"
    };
    format!("{whose}; {where_to}.\n")
}

fn nginx(nodes: &[(Tag, String)], sockjs: &[&str]) -> String {
    let mut text = String::from(
        "# nginx, in http { }: an id stands in the query (Socket.IO) or at the end of the path (longpoll).\n\
         map $arg_sid$uri $home {\n",
    );
    for (tag, _) in nodes {
        let _written = writeln!(text, "    \"~(^|/)2{}[A-Za-z0-9_-]{{22}}(/|$)\" node_{tag};", filled(*tag));
    }
    text.push_str("    default any_node;\n}\n");
    let servers = |home: Option<Tag>| {
        let server = |(tag, server): &(Tag, String)| {
            let backup = if home.is_some_and(|home| home != *tag) { " backup" } else { "" };
            format!(" server {server}{backup};")
        };
        nodes.iter().map(server).collect::<String>()
    };
    let _written = writeln!(text, "upstream any_node {{{} }}", servers(None));
    for (tag, _) in nodes {
        let _written = writeln!(text, "upstream node_{tag} {{{} }}", servers(Some(*tag)));
    }
    text.push_str("# in server { }: location / { proxy_pass http://$home; } with the headers for WebSocket, and proxy_buffering off\n");
    if !sockjs.is_empty() {
        text.push_str("# SockJS: the id is the client's, so all requests with it go to the same node.\nmap $uri $by_session {\n");
        for path in sockjs {
            let _written = writeln!(text, "    \"~^{path}/[^/.]+/(?<session>[^/.]+)/\" $session;");
        }
        let _written = writeln!(
            text,
            "    default $request_id;\n}}\nupstream by_session {{ hash $by_session consistent;{} }}",
            servers(None)
        );
        for path in sockjs {
            let _written = writeln!(
                text,
                "# in server {{ }}: location {path}/ {{ proxy_pass http://by_session; }} likewise"
            );
        }
    }
    text
}

fn haproxy(nodes: &[(Tag, String)], sockjs: &[&str]) -> String {
    let mut text = String::from(
        "# HAProxy\n\
         backend polliwog\n\
         \x20   balance roundrobin\n\
         \x20   option redispatch 1                     # without it, a node that is down is a 503 after 3 s\n\
         \x20   retries 2\n\
         \x20   retry-on conn-failure empty-response    # a poll whose node died is asked again at another one\n\
         \x20   http-request disable-l7-retry if METH_POST\n",
    );
    for (tag, _) in nodes {
        let id = format!("2{}", filled(*tag));
        let _written = writeln!(
            text,
            "    use-server {tag} if {{ urlp(sid) -m beg {id} }} or {{ path -m reg /{id}[A-Za-z0-9_-]{{22}}(/|$) }}"
        );
    }
    let mut servers = String::new();
    for (tag, server) in nodes {
        let _written = writeln!(servers, "    server {tag} {server} check");
    }
    text.push_str(&servers);
    for (index, path) in sockjs.iter().enumerate() {
        let field = path.matches('/').count() + 3;
        let _written = write!(
            text,
            "backend sockjs{}    # for {path}/\n    balance hash path,field({field},/)    # 2.6 and later\n    \
             hash-type consistent\n{servers}",
            index + 1
        );
    }
    text
}

/// Returns a node's name as it stands in ids.
fn filled(tag: Tag) -> String {
    format!("{:-<4}", tag.to_string())
}

/// Of a node whose port is not known.
const PORT: u16 = 8080;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hints_name_each_node_and_each_kind_of_id() {
        let text = "[cluster]\nlisten = '10.0.0.1:7400'\npeers = { a = '10.0.0.1:7400', b2 = '10.0.0.2:7400' }\n\
                    token = '0123456789abcdef'\n[server]\nlisten = '0.0.0.0:8080'\n\
                    [[routes]]\npath = '/live/echo/'\ndialect = 'sockjs'\nupstream = 'u'\n\
                    [upstreams.u]\nkind = 'websocket'\nurl = 'ws://127.0.0.1:1/'\n";
        let config = Config::parse(text, "config.toml", std::iter::empty()).unwrap();
        let hints = hints(&config, config.cluster.as_ref().unwrap()).unwrap();
        for line in [
            "# Port 8080 is this node's; change it where another node has its own.",
            "    \"~(^|/)2a---[A-Za-z0-9_-]{22}(/|$)\" node_a;",
            "upstream any_node { server 10.0.0.1:8080; server 10.0.0.2:8080; }",
            "upstream node_b2 { server 10.0.0.1:8080 backup; server 10.0.0.2:8080; }",
            "    \"~^/live/echo/[^/.]+/(?<session>[^/.]+)/\" $session;",
            "    use-server b2 if { urlp(sid) -m beg 2b2-- } or { path -m reg /2b2--[A-Za-z0-9_-]{22}(/|$) }",
            "    server a 10.0.0.1:8080 check",
            "    balance hash path,field(5,/)    # 2.6 and later",
        ] {
            assert!(hints.lines().any(|shown| shown == line), "{line} is not in\n{hints}");
        }
    }

    #[test]
    fn the_hints_tell_whose_port_they_have() {
        let first = |peers: &str, listen: &str| {
            let text = format!(
                "[cluster]\nlisten = '127.0.0.1:7401'\npeers = {{ {peers} }}\ntoken = '0123456789abcdef'\n\
                 [server]\nlisten = '{listen}'\n[[routes]]\npath = '/'\ndialect = 'longpoll'\nupstream = 'u'\n\
                 [upstreams.u]\nkind = 'websocket'\nurl = 'ws://127.0.0.1:1/'\n"
            );
            let config = Config::parse(&text, "config.toml", std::iter::empty()).unwrap();
            let hints = hints(&config, config.cluster.as_ref().unwrap()).unwrap();
            hints.lines().next().unwrap().to_owned()
        };
        let (one_host, two) =
            ("a = '127.0.0.1:7401', b = '127.0.0.1:7402'", "a = '127.0.0.1:7401', b = 'host:7402'");
        for (peers, listen, said) in [
            (
                one_host,
                "127.0.0.1:8101",
                "# Port 8101 is this node's; nodes on one host have a port each: write each node's own.",
            ),
            (
                two,
                "unix:/run/polliwog.sock",
                "# This node's clients have no port, only Unix sockets; 8080 stands for it; \
                 change it where another node has its own.",
            ),
        ] {
            assert_eq!(first(peers, listen), said);
        }
    }
}
