//! What is said about the keys of an upstream.

use super::*;
use crate::upstream::{Balance, HashBy, ProxyVersion};

#[test]
fn what_means_nothing_beside_other_keys_of_an_upstream_is_a_fault() {
    let upstream = |lines: &str| GOOD.replace("kind = 'engine.io'", &format!("kind = 'engine.io'\n{lines}"));
    let limits = |lines: &str| parse(&upstream(lines), &[]).unwrap().upstreams["chat"].limits;
    let all = limits("max_sessions = 7\nqueue = 0\nqueue_timeout = '1m'");
    assert_eq!((all.max_sessions, all.queue, all.queue_timeout), (Some(7), 0, Duration::from_mins(1)));
    assert_eq!(limits("").max_sessions, None);
    for (lines, said) in [
        ("queue = 7", "queue: means nothing without max_sessions or max_requests"),
        ("queue_timeout = '7s'", "queue_timeout: means nothing without max_sessions or max_requests"),
        ("max_sessions = 0", "a number from 1 to 10000000"),
        ("max_sessions = 7\nqueue = -1", "a number from 0 to 1000000"),
        ("max_sessions = 7\nqueue_timeout = '0s'", "from 1ms to 1h"),
        ("slow_start = 30", "\"30s\""),
        ("slow_start = '30s'\nbalance = 'first'", "slow_start: means nothing with balance"),
    ] {
        let faults = faults(&upstream(lines), &[]);
        assert!(faults.len() == 1 && faults[0].contains(said), "{lines}: {faults:#?}");
    }
}

#[test]
fn what_decides_an_address_is_part_of_the_policy() {
    let upstream = |kind: &str, balance: &str| {
        GOOD.replace("kind = 'engine.io'", &format!("kind = '{kind}'\nbalance = '{balance}'"))
    };
    let hash = |balance: &str| {
        let config = parse(&upstream("engine.io", balance), &[]).unwrap();
        let settings = &config.upstreams["chat"];
        assert_eq!(settings.hash.is_some(), settings.balance == Balance::Hash);
        settings.hash.clone()
    };
    assert_eq!(hash("hash:cookie:user"), Some(HashBy::Cookie("user".to_owned())));
    assert_eq!(
        [hash("hash"), hash("hash:address"), hash("first")],
        [Some(HashBy::Address), Some(HashBy::Address), None]
    );
    for (kind, balance, said) in [
        ("engine.io", "hash:sid", "header:NAME, cookie:NAME, query:NAME"),
        ("engine.io", "hashed", "cookie:NAME"),
        ("engine.io", "fewest", "least, round-robin, first, hash"),
        ("mux", "hash", "least, round-robin or first with kind \"mux\""),
    ] {
        let faults = faults(&upstream(kind, balance), &[]);
        assert!(faults.len() == 1 && faults[0].contains(said), "{balance}: {faults:#?}");
    }
}

#[test]
fn a_socket_stands_beside_one_url_and_is_no_listener_of_ours() {
    let text = |upstream: &str| {
        format!(
            "[server]\nlisten = 'unix:/run/own.sock'\n[[routes]]\npath = '/'\ndialect = 'websocket'\n\
             upstream = 'u'\n[upstreams.u]\nkind = 'websocket'\n{upstream}\n"
        )
    };
    let good = "url = 'ws://127.0.0.1/'\nsocket = ['/run/a.sock', '/run/b.sock']";
    assert_eq!(parse(&text(good), &[]).unwrap().upstreams["u"].sockets.len(), 2);
    for (upstream, said) in [
        ("socket = '/run/a.sock'", "url: missing"),
        ("url = 'ws://a/'\nsocket = []", "at least one path"),
        ("url = 'ws://a/'\nsocket = 'a.sock'", "an absolute path of at most 107 bytes"),
        ("url = 'ws://a/'\nsocket = 'unix:/a.sock'", "did you mean \"/a.sock\""),
        ("url = ['ws://a/', 'ws://b/']\nsocket = '/a.sock'", "one url beside it"),
        ("url = 'ws://a/'\nsocket = '/run/own.sock'", "whose server.listen has unix:/run/own.sock"),
    ] {
        let faults = faults(&text(upstream), &[]);
        assert!(faults.len() == 1 && faults[0].contains(said), "{upstream}: {faults:#?}");
    }
}

#[test]
fn what_stands_twice_is_a_fault() {
    let upstream = |lines: &str| GOOD.replace("url = 'ws://127.0.0.1:3000/socket.io/'", lines);
    for (lines, said) in [
        ("url = ['ws://a/', 'ws://b/', 'ws://a/']", "url[2]: found \"ws://a/\", expected each URL once"),
        ("url = 'ws://a/'\nsocket = ['/a', '/a']", "socket[1]: found \"/a\", expected each path once"),
    ] {
        let faults = faults(&upstream(lines), &[]);
        assert!(faults.len() == 1 && faults[0].contains(said), "{lines}: {faults:#?}");
    }
    assert!(parse(&upstream("url = ['ws://a/', 'ws://a/b', 'ws://a:81/']"), &[]).is_ok());
}

#[test]
fn behind_a_socket_no_name_is_resolved() {
    let lines = "url = 'ws://a/'\nsocket = '/a'\nresolve_interval = '1m'";
    let faults = faults(&GOOD.replace("url = 'ws://127.0.0.1:3000/socket.io/'", lines), &[]);
    let said = "resolve_interval: means nothing beside socket, for which no name is resolved; remove it";
    assert!(faults.len() == 1 && faults[0].contains(said), "{faults:#?}");
}

#[test]
fn a_proxy_header_is_for_connections_of_one_client() {
    let upstream = |kind: &str, version: &str| {
        GOOD.replace("kind = 'engine.io'", &format!("kind = '{kind}'\nproxy_protocol = '{version}'"))
    };
    let good = parse(&upstream("engine.io", "v2"), &[]).unwrap();
    assert_eq!(good.upstreams["chat"].proxy_protocol, Some(ProxyVersion::V2));
    for (kind, version, said) in
        [("mux", "v2", "whose connections clients share"), ("engine.io", "v3", "one of v1, v2")]
    {
        let faults = faults(&upstream(kind, version), &[]);
        assert!(faults.len() == 1 && faults[0].contains(said), "{kind}: {faults:#?}");
    }
}
