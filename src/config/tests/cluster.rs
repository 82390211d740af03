//! `[cluster]`: what it takes, and what is said of a cluster that cannot work.

use super::*;
use crate::cluster::Peers;
use crate::sid::Tag;

const BARE: &str = "[[routes]]\npath = '/'\ndialect = 'http'\nupstream = 'u'\n\
                    [upstreams.u]\nkind = 'http'\nurl = 'http://127.0.0.1:1/'\n";

fn cluster(lines: &str) -> Result<crate::cluster::Settings, String> {
    let text = format!("{BARE}[cluster]\n{lines}\n");
    match Config::parse(&text, "config.toml", std::iter::empty()) {
        Ok(config) => Ok(config.cluster.unwrap()),
        Err(faults) => Err(faults.to_string()),
    }
}

const TWO: &str = "peers = { a = '10.0.0.1:7400', b = '10.0.0.2:7400' }\ntoken = '0123456789abcdef'";

#[test]
fn a_node_finds_its_name_by_its_address_or_is_told() {
    for (lines, name) in [
        ("listen = '10.0.0.2:7400'", "b"),
        ("listen = '0.0.0.0:7400'\nadvertise = '10.0.0.1:7400'", "a"),
        ("listen = '127.0.0.1:7400'\nnode = 'b'", "b"),
        ("listen = '10.0.0.1:7400'\nnode = 'a'", "a"),
    ] {
        let settings = cluster(&format!("{lines}\n{TWO}")).unwrap();
        assert_eq!(Some(settings.node), Tag::of_name(name), "{lines}");
        assert!(matches!(settings.peers, Peers::Named(peers) if peers.len() == 2), "{lines}");
    }
}

#[test]
fn a_cluster_that_cannot_work_is_a_fault() {
    for (lines, said) in [
        ("listen = '10.0.0.3:7400'", "cluster.peers: found addresses without \"10.0.0.3:7400\""),
        ("listen = '10.0.0.1:7400'\nnode = 'b'", "cluster.node: found \"b\" beside \"10.0.0.1:7400\""),
        ("listen = '10.0.0.3:7400'\nnode = 'c'", "cluster.peers: found names without \"c\""),
        ("listen = '8.8.8.8:7400'\nnode = 'a'", "expected a loopback or private address"),
        (
            "listen = '0.0.0.0:7400'\nadvertise = '8.8.8.8:7400'\nnode = 'a'",
            "cluster.advertise: found \"8.8.8.8:7400\", expected a loopback",
        ),
        ("listen = '0.0.0.0:7400'", "cluster.advertise: missing"),
        ("listen = '10.0.0.1:7400'\ntls = { certificate = 'a', key = 'b' }", "cluster.tls.ca: missing"),
        ("listen = '10.0.0.1:7400'\nadvertise = '0.0.0.0:7400'", "expected a host and a port"),
        ("listen = '127.0.0.1:8080'\nnode = 'a'", "expected an address of its own, server.listen has"),
        ("listen = '10.0.0.1:7400'\nnode = 'abcde'", "expected a name of 1 to 4 letters or digits"),
    ] {
        let faults = cluster(&format!("{lines}\n{TWO}")).unwrap_err();
        assert!(faults.contains(said), "{lines}: {faults}");
        assert_eq!(faults.matches("config.toml:").count(), 1, "{faults}");
    }
    for (lines, said) in [
        ("token = '0123456789abcdef'", "cluster.peers: missing"),
        ("peers = { a = '10.0.0.1:7400' }", "cluster.token: missing"),
        (
            "peers = { a = '10.0.0.1:7400' }\ntoken = 'short'",
            "found a shorter text, expected a token of at least 16",
        ),
        ("peers = { a = '10.0.0.1' }\ntoken = '0123456789abcdef'", "found \"10.0.0.1\" for \"a\""),
        (
            "peers = { a = '10.0.0.1:7400', b = '[2a00::1]:7400' }\ntoken = '0123456789abcdef'",
            "cluster.peers: found \"[2a00::1]:7400\", expected a loopback or private address, or tls",
        ),
        ("peers = { a = 'h:1', b = 'h:1' }\ntoken = '0123456789abcdef'", "found \"h:1\" twice"),
        ("peers = { a-b = 'h:1' }\ntoken = '0123456789abcdef'", "found the name \"a-b\""),
    ] {
        let faults = cluster(&format!("listen = '10.0.0.1:7400'\n{lines}")).unwrap_err();
        assert!(faults.contains(said), "{lines}: {faults}");
    }
}

#[test]
fn with_tls_nodes_may_ask_at_a_public_address() {
    // Nor is a provider's own network public.
    assert!(cluster(&format!("listen = '100.64.0.1:7400'\nnode = 'a'\n{TWO}")).is_ok());
    let lines = "listen = '8.8.8.8:7400'\nadvertise = '8.8.4.4:7400'\nnode = 'a'\n\
                 tls = { certificate = 'n.pem', key = 'n.key', ca = 'ca.pem', name = 'node' }";
    let tls = cluster(&format!("{lines}\n{TWO}")).unwrap().tls.unwrap();
    assert_eq!((tls.ca.to_str(), tls.identity.key.to_str()), (Some("ca.pem"), Some("n.key")));
    assert!(tls.name.is_some());
}

#[test]
fn nodes_behind_a_name_are_named_by_their_addresses() {
    for (lines, name) in [
        ("listen = '10.0.0.1:7400'", "10.0.0.1:7400"),
        ("listen = '0.0.0.0:7400'\nadvertise = '10.0.0.2:7400'", "10.0.0.2:7400"),
        ("listen = '[::]:7400'\nadvertise = '[fd00:0::1]:7400'", "[fd00::1]:7400"),
    ] {
        let settings = cluster(&format!("{lines}\n{BY_NAME}")).unwrap();
        assert_eq!(settings.node, Tag::of_address(name), "{lines}");
        assert_eq!(settings.peers, Peers::Dns { host: "polliwog-peers".to_owned(), port: 7400 });
    }
    for (lines, said) in [
        ("listen = '10.0.0.1:7400'\nnode = 'a'", "cluster.node: means nothing beside peers by DNS"),
        ("listen = '10.0.0.1:7401'", "cluster.listen: found \"10.0.0.1:7401\", expected this node's address"),
        ("listen = '10.0.0.1:7400'\nadvertise = 'host:7400'", "cluster.advertise: found \"host:7400\""),
        ("listen = '0.0.0.0:7400'", "cluster.advertise: missing"),
    ] {
        let faults = cluster(&format!("{lines}\n{BY_NAME}")).unwrap_err();
        assert!(faults.contains(said), "{lines}: {faults}");
        assert_eq!(faults.matches("config.toml:").count(), 1, "{faults}");
    }
    for peers in ["dns:", "dns:a", "dns::7400", "dns:a:0", "dns:a@b:1", "a:7400", "directory:a:1"] {
        let faults =
            cluster(&format!("listen = '10.0.0.1:7400'\npeers = '{peers}'\ntoken = '0123456789abcdef'"));
        let faults = faults.unwrap_err();
        assert!(
            faults.contains("cluster.peers: found") && faults.contains("dns:NAME:PORT"),
            "{peers}: {faults}"
        );
    }
}

const BY_NAME: &str = "peers = 'dns:polliwog-peers:7400'\ntoken = '0123456789abcdef'";

#[test]
#[cfg(all(feature = "nats", feature = "redis"))]
fn nodes_of_a_directory_need_no_list_and_its_password_is_not_shown() {
    let directory = |lines: &str| {
        let text =
            format!("[cluster]\nlisten = '10.0.0.1:7400'\ntoken = '0123456789abcdef'\n{lines}\n{BARE}");
        Config::parse(&text, "config.toml", std::iter::empty()).map_err(|faults| faults.to_string())
    };
    let config = directory("peers = 'directory'\ndirectory = 'rediss://:hunter22@redis:6379/0'").unwrap();
    let (cluster, directory_settings) = (config.cluster.unwrap(), config.directory.unwrap());
    assert_eq!((cluster.peers, cluster.node), (Peers::Directory, Tag::of_address("10.0.0.1:7400")));
    assert_eq!(directory_settings.name, "default");
    assert!(!format!("{directory_settings:?}").contains("hunter22"));
    for (lines, said) in [
        ("peers = 'directory'", "cluster.directory: missing"),
        (
            "peers = { a = '10.0.0.1:7400' }\ndirectory_name = 'x'",
            "cluster.directory_name: means nothing without directory",
        ),
        (
            "peers = { a = '10.0.0.1:7400' }\ndirectory_ttl = '1m'",
            "cluster.directory_ttl: means nothing without directory",
        ),
        (
            "peers = { a = '10.0.0.1:7400' }\ndirectory_ca = 'x'",
            "cluster.directory_ca: means nothing without directory",
        ),
        (
            "peers = 'directory'\ndirectory = 'http://hunter22@redis'",
            "cluster.directory: found a text that is none",
        ),
        (
            "peers = 'directory'\ndirectory = 'redis://hunter22@'",
            "cluster.directory: found a text that is none",
        ),
        (
            "peers = 'directory'\ndirectory = 'redis://a:1'\ndirectory_ca = 'x'",
            "cluster.directory_ca: means nothing",
        ),
        (
            "peers = 'directory'\ndirectory = 'nats://a:1'\ndirectory_ca = 'x'",
            "cluster.directory_ca: means nothing",
        ),
        (
            "peers = 'directory'\ndirectory = 'tls://a:1'\ndirectory_ttl = '1m'",
            "cluster.directory_ttl: means nothing",
        ),
        (
            "peers = 'directory'\ndirectory = 'nats://a:1'\ndirectory_key = 'x'",
            "cluster.directory_key: means nothing",
        ),
        (
            "peers = 'directory'\ndirectory = 'tls://a:1'\ndirectory_key = 'x'",
            "cluster.directory_certificate: missing",
        ),
        (
            "peers = 'directory'\ndirectory = 'rediss://a:1'\ndirectory_certificate = 'x'",
            "cluster.directory_key: missing",
        ),
        ("peers = 'directory'\ndirectory = 'tls://'", "cluster.directory: found a text that is none"),
        (
            "peers = 'directory'\ndirectory = 'redis://a:1'\ndirectory_name = 'a b'",
            "cluster.directory_name: found",
        ),
        (
            "peers = 'directory'\ndirectory = 'redis://a:1'\ndirectory_ttl = '1s'",
            "cluster.directory_ttl: found",
        ),
    ] {
        let faults = directory(lines).unwrap_err();
        assert!(faults.contains(said) && !faults.contains("hunter22"), "{lines}: {faults}");
    }
}

#[test]
fn many_nodes_without_a_directory_are_warned_of_if_ids_name_no_node() {
    let warning = |count: usize, lines: &str, dialect: &str, backend: &str| {
        let peers: Vec<_> =
            (0..count).map(|number| format!("n{number} = '10.0.0.1:{}'", 7400 + number)).collect();
        let text = format!(
            "[cluster]\nlisten = '10.0.0.1:7400'\ntoken = '0123456789abcdef'\npeers = {{ {} }}\n{lines}\n\
             [[routes]]\npath = '/live/'\ndialect = '{dialect}'\nupstream = 'u'\n[upstreams.u]\n{backend}\n",
            peers.join(", ")
        );
        Config::parse(&text, "config.toml", std::iter::empty()).unwrap().asks_too_many()
    };
    let new = "kind = 'engine.io'\nurl = 'ws://127.0.0.1:1/engine.io/'";
    let old = &*format!("{new}\nversions = [3, 4]");
    let socket = "kind = 'websocket'\nurl = 'ws://127.0.0.1:1/'";
    let told = warning(17, "", "sockjs", socket).unwrap();
    assert!(told.starts_with("route \"/live/\": a request with an unknown id asks 17 nodes"), "{told}");
    assert!(warning(17, "", "engine.io", old).is_some());
    for (count, dialect, backend) in
        [(16, "sockjs", socket), (16, "engine.io", old), (17, "engine.io", new), (17, "longpoll", socket)]
    {
        assert_eq!(warning(count, "", dialect, backend), None, "{count} {dialect} {backend}");
    }
    #[cfg(feature = "redis")]
    assert_eq!(warning(17, "directory = 'redis://a:1'", "sockjs", socket), None);
}
