//! Headers about the client, from clients and from proxies.

use std::sync::Arc;

use super::*;
use crate::address::RemoteAddress;

fn client() -> Client {
    Client { peer: "192.0.2.7:4711".parse().unwrap(), secure: true, subject: None }
}

fn sent(pairs: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder();
    for (name, value) in pairs {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(()).unwrap().into_parts().0
}

fn kept(head: &Parts, client: &Client, trusted: &[&str]) -> HeaderMap {
    let trusted: Vec<_> = trusted.iter().map(|net| net.parse().unwrap()).collect();
    let rules = HeaderRules::default();
    for_upstream(
        head,
        &Subprotocol::Clients,
        &Onward { client, trusted: &trusted, via: None, identity: &[], rules: &rules },
    )
}

#[test]
fn what_is_about_the_hop_the_body_or_the_handshake_stays_here() {
    let sent = sent(&[
        ("host", "chat.example.org"),
        ("cookie", "a=b"),
        ("authorization", "Bearer x"),
        ("origin", "https://example.org"),
        ("user-agent", "test"),
        ("accept-language", "de"),
        ("x-tenant", "7"),
        ("sec-websocket-protocol", "chat"),
        ("connection", "keep-alive, X-Hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "websocket"),
        ("te", "trailers"),
        ("content-length", "2"),
        ("accept-encoding", "gzip"),
        ("sec-websocket-key", "k"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ]);
    let got = kept(&sent, &client(), &[]);
    let mut names: Vec<&str> = got.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept-language",
            "authorization",
            "cookie",
            "forwarded",
            "host",
            "origin",
            "sec-websocket-protocol",
            "user-agent",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-real-ip",
            "x-tenant"
        ]
    );
}

#[test]
fn nobody_but_this_proxy_says_whose_certificate_a_client_has_shown() {
    let lies = sent(&[
        ("x-client-cert-subject", "CN=root"),
        ("x_client_cert_subject", "CN=root"),
        ("connection", "x-client-cert-subject"),
    ]);
    let shown = Client { subject: Some(Arc::new(HeaderValue::from_static("CN=alice"))), ..client() };
    // A trusted proxy that does not know the header passes its client's.
    for trusted in [&[][..], &["192.0.2.0/24"]] {
        for (client, subject) in [(client(), None), (shown.clone(), Some("CN=alice"))] {
            let got = kept(&lies, &client, trusted);
            let told: Vec<_> = got.iter().filter(|(name, _)| hop::is_client_certificate(name)).collect();
            assert_eq!(told.len(), usize::from(subject.is_some()), "{got:?}");
            assert!(told.iter().all(|(_, value)| Some(value.as_bytes()) == subject.map(str::as_bytes)));
        }
    }
}

#[test]
fn a_stranger_cannot_say_who_the_client_is() {
    let sent = sent(&[
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-forwarded-proto", "http"),
    ]);
    let got = kept(&sent, &client(), &[]);
    assert_eq!(got["x-forwarded-for"], "192.0.2.7");
    assert_eq!(got["x-forwarded-proto"], "https");
    assert_eq!(got["forwarded"], "for=192.0.2.7;proto=https");
}

#[test]
fn a_trusted_proxys_forwarding_headers_are_continued() {
    let sent =
        sent(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "http"), ("host", "a.example")]);
    let got = kept(&sent, &client(), &["192.0.2.0/24"]);
    assert_eq!(got["x-forwarded-for"], "203.0.113.9, 192.0.2.7");
    assert_eq!(got["x-forwarded-proto"], "http");
    assert_eq!(got["forwarded"], "for=192.0.2.7;host=\"a.example\";proto=https");
}

#[test]
fn no_header_about_the_client_is_taken_from_the_client_itself() {
    let names = [
        "X-Real-IP",
        "X-Forwarded-Port",
        "X-Forwarded-Ssl",
        "X-Forwarded-Scheme",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "True-Client-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X_Forwarded_For",
        "x_real_ip",
        "any_name",
        "Client-IP",
        "X-Client-IP",
        "Forwarded",
    ];
    for name in names {
        let head = sent(&[(name, "evil"), ("connection", "close"), ("x-own", "1")]);
        let from_client = kept(&head, &client(), &[]);
        let says = |headers: &HeaderMap| {
            headers.get(name).is_some_and(|value| value.as_bytes().starts_with(b"evil"))
        };
        assert!(!says(&from_client), "{name}");
        assert_eq!(from_client["x-real-ip"], "192.0.2.7");
        assert_eq!(from_client["x-own"], "1");
        let from_proxy = kept(&head, &client(), &["192.0.2.7/32"]);
        // No proxy writes these so; but an application may have a name of its own.
        let is_disguised = ["X_Forwarded_For", "x_real_ip"].contains(&name);
        assert_eq!(says(&from_proxy), !is_disguised, "{name}");
        assert_eq!(from_proxy.contains_key("x-real-ip"), name == "X-Real-IP");
    }
}

#[test]
fn connection_and_odd_bytes_do_not_change_whom_a_backend_trusts() {
    for connection in
        ["x-forwarded-for, x-real-ip, forwarded", "\u{e4}, x-forwarded-for", "x-hop\u{ff}, close"]
    {
        let head = sent(&[
            ("connection", connection),
            ("connection", "X-Hop"),
            ("x-hop", "1"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "\u{e4}"),
            ("x-forwarded-for", "203.0.113.10"),
            ("x-real-ip", "203.0.113.9"),
        ]);
        let from_client = kept(&head, &client(), &[]);
        assert_eq!(
            (&from_client["x-forwarded-for"], &from_client["x-real-ip"]),
            (&"192.0.2.7".parse().unwrap(), &"192.0.2.7".parse().unwrap())
        );
        assert!(!from_client.contains_key("x-hop"));
        let from_proxy = kept(&head, &client(), &["192.0.2.0/24"]);
        let list = "203.0.113.9, \u{e4}, 203.0.113.10, 192.0.2.7";
        assert_eq!(from_proxy["x-forwarded-for"].as_bytes(), list.as_bytes());
        assert_eq!(from_proxy["x-real-ip"], "203.0.113.9");
    }
}

#[test]
fn a_process_of_this_host_has_no_address_of_its_own() {
    let client = Client { peer: RemoteAddress::Unix, secure: false, subject: None };
    let head = sent(&[("x-forwarded-for", "203.0.113.9"), ("x-real-ip", "203.0.113.9")]);
    let address = |trusted: &[&str]| {
        let trusted: Vec<_> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        address_of(&head.headers, &client, &trusted).map(|address| address.to_string())
    };
    let unknown = kept(&head, &client, &["0.0.0.0/0"]);
    assert!(!unknown.contains_key("x-forwarded-for") && !unknown.contains_key("x-real-ip"));
    assert_eq!(unknown["forwarded"], "for=unknown;proto=http");
    assert_eq!(address(&["0.0.0.0/0"]), None);
    let told = kept(&head, &client, &["unix"]);
    assert_eq!((&told["x-forwarded-for"], &told["x-real-ip"]), (&told["x-real-ip"], &told["x-real-ip"]));
    assert_eq!(address(&["unix"]).as_deref(), Some("203.0.113.9"));
}

#[test]
fn what_a_trusted_proxy_says_of_a_client_is_never_the_proxys_own_address() {
    let client = client();
    let trusted = ["192.0.2.7".parse().unwrap()];
    for (said, address) in [
        ("203.0.113.9", Some("203.0.113.9")),
        ("203.0.113.9:4444", Some("203.0.113.9")),
        ("2001:db8::1", Some("2001:db8::1")),
        ("[2001:db8::1]", Some("2001:db8::1")),
        ("[2001:db8::1]:4444", Some("2001:db8::1")),
        ("::ffff:203.0.113.9", Some("203.0.113.9")),
        ("203.0.113.9, 192.0.2.7:80", Some("203.0.113.9")),
        ("unknown", None),
        ("203.0.113.9, unknown", None),
        ("203.0.113.9:x", None),
        ("[203.0.113.9", None),
    ] {
        let head = sent(&[("x-forwarded-for", said)]);
        let found = address_of(&head.headers, &client, &trusted).map(|address| address.to_string());
        assert_eq!(found.as_deref(), address, "{said}");
    }
}

#[test]
fn an_ipv6_client_is_written_as_its_rfc_asks() {
    let client = Client { peer: "[2001:db8::1]:1".parse().unwrap(), secure: false, subject: None };
    assert_eq!(kept(&sent(&[]), &client, &[])["forwarded"], "for=\"[2001:db8::1]\";proto=http");
    let mapped = Client { peer: "[::ffff:192.0.2.1]:1".parse().unwrap(), secure: false, subject: None };
    assert_eq!(kept(&sent(&[]), &mapped, &[])["x-forwarded-for"], "192.0.2.1");
}

#[test]
fn what_was_granted_reaches_the_backend_whatever_a_client_says_of_its_name() {
    let names = [HeaderName::from_static("x-user")];
    let rules = HeaderRules::default();
    let client = client();
    // A trusted proxy in front may not know the name: what it passes on is no better.
    let trusted = ["192.0.2.7".parse().unwrap()];
    let onward = Onward { client: &client, trusted: &trusted, via: None, identity: &names, rules: &rules };
    let lies = [
        ("host", "a"),
        ("connection", "x-user, te"),
        ("x-user", "root"),
        ("x_user", "root"),
        ("te", "trailers"),
        ("trailer", "x-user, x-sum, X_User"),
    ];
    let granted =
        Granted::of(&names, &HeaderMap::from_iter([(names[0].clone(), HeaderValue::from_static("ada"))]));
    for (granted, expected) in [(Some(granted), vec!["ada"]), (None, vec![])] {
        let mut head = sent(&lies);
        granted.map(|granted| head.extensions.insert(granted));
        for headers in [
            for_upstream(&head, &Subprotocol::Clients, &onward),
            for_relay(&head, &onward),
            for_forward(&head, false, &onward),
        ] {
            let said: Vec<_> = headers.get_all("x-user").iter().collect();
            assert_eq!(said, expected);
            assert!(!headers.contains_key("x_user"));
            assert!(headers.get("trailer").is_none_or(|names| names == "x-sum"), "{headers:?}");
        }
    }
}

#[test]
fn a_question_has_the_clients_headers_but_for_its_body_its_hop_and_what_it_knows_of_the_answer() {
    let head = sent(&[
        ("host", "a.test"),
        ("cookie", "a=b"),
        ("authorization", "Bearer x"),
        ("x-user", "root"),
        ("content-type", "text/plain"),
        ("content-length", "2"),
        ("range", "bytes=0-1"),
        ("if-none-match", "\"a\""),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "k"),
        ("sec-websocket-protocol", "chat, token"),
    ]);
    let (client, rules) = (client(), HeaderRules::default());
    let onward = Onward { client: &client, trusted: &[], via: None, identity: &[], rules: &rules };
    let headers = for_auth(&head, &onward);
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "authorization",
            "cookie",
            "forwarded",
            "host",
            "sec-websocket-protocol",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-real-ip",
            "x-user"
        ]
    );
}
