//! Correct servers: every message is answered once and in order, whatever the transport.

use std::net::TcpListener;
use std::process::Stdio;
use std::thread;

use serde_json::Value;

use crate::support::{Proxy, Run, command, echo, faithful, load, read, self_signed};

/// Fails unless every message was answered once and in order, and there were at least `least`.
#[track_caller]
fn assert_clean(run: &Run, least: u64) -> Value {
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
    let figures = run.json();
    for key in ["lost", "duplicated", "reordered", "strange", "failed", "disconnected"] {
        assert_eq!(figures[key], 0, "{key} of {figures:#}");
    }
    assert_eq!(figures["errors"], serde_json::json!({}));
    assert_eq!(figures["messages"], figures["answered"]);
    assert!(figures["messages"].as_u64().unwrap() >= least, "{figures:#}");
    figures
}

#[test]
fn each_transport_is_answered_by_the_demo() {
    let proxy = Proxy::demo();
    for (transport, requests) in [("polling", 0.5..3.0), ("websocket", 0.0..0.01), ("upgrade", 0.0..1.5)] {
        let args =
            ["--socketio", "-n", "4", "--rate", "20", "-d", "1s", "--json", "-", "--transport", transport];
        let run = load(&[&[proxy.url().as_str()], &args[..]].concat());
        let figures = assert_clean(&run, 60);
        assert_eq!((&figures["sessions"], &figures["connected"]), (&4.into(), &4.into()), "{transport}");
        let each = figures["requests_per_message"].as_f64().unwrap();
        assert!(requests.contains(&each), "{transport}: {each} requests for each message");
    }
}

#[test]
fn sockjs_and_longpoll_are_answered_on_each_transport() {
    let proxy = Proxy::feed();
    for (dialect, transport, requests) in [
        ("sockjs", "polling", 0.5..3.0),
        ("sockjs", "streaming", 0.5..1.5),
        ("sockjs", "websocket", 0.0..0.01),
        ("longpoll", "polling", 0.5..3.0),
        ("longpoll", "streaming", 0.5..1.5),
    ] {
        let url = format!("{}/{dialect}/", proxy.url());
        let args = ["--dialect", dialect, "--transport", transport];
        let args = [&args[..], &["-n", "4", "--rate", "20", "-d", "1s", "--json", "-"]].concat();
        let figures = assert_clean(&load(&[&[url.as_str()], &args[..]].concat()), 60);
        assert_eq!((&figures["dialect"], &figures["connected"]), (&dialect.into(), &4.into()), "{transport}");
        let each = figures["requests_per_message"].as_f64().unwrap();
        assert!(requests.contains(&each), "{dialect} {transport}: {each} requests for each message");
    }
}

#[test]
fn a_mixture_has_each_transport_in_its_share() {
    let proxy = Proxy::demo();
    let mix = "polling=50,websocket=25,upgrade=25";
    let args = ["--socketio", "-n", "8", "-d", "2s", "--json", "-", "--transport", mix];
    let figures = assert_clean(&load(&[&[proxy.url().as_str()], &args[..]].concat()), 8);
    for (kind, count) in [("polling", 4), ("websocket", 2), ("upgrade", 2)] {
        assert_eq!(figures["transports"][kind]["connected"], count, "{kind}");
    }
    let cost = |kind: &str| figures["transports"][kind]["bytes_per_message"].as_f64().unwrap();
    assert!(cost("polling") > 5.0 * cost("websocket"), "{} and {}", cost("polling"), cost("websocket"));
}

#[test]
fn a_drain_under_load_loses_nothing() {
    for transport in ["polling", "websocket", "upgrade"] {
        let mut proxy = Proxy::demo_with("drain_timeout = '8s'");
        let url = proxy.url();
        let args =
            ["--socketio", "-n", "20", "--rate", "5", "-d", "60s", "--json", "-", "--transport", transport];
        let running = command(&[&[url.as_str()], &args[..]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Every session has begun, has moved where it will, and is answered when the proxy drains.
        proxy.wait_for("polliwog_sessions{", "", 20.0);
        if transport == "upgrade" {
            proxy.wait_for("polliwog_upgrades_total", "outcome=\"done\"", 20.0);
        }
        proxy.wait_for("polliwog_messages_total", "direction=\"to_client\"", 60.0);
        let code = proxy.terminate();
        let figures = read(&running.wait_with_output().unwrap()).json();
        // A message that a client sends while the Close is on its way to it has no echo. At this rate that is at most one
        // message for each WebSocket. A POST that comes too late is refused, so polling loses none.
        let lost_max = if transport == "polling" { 0 } else { 20 };
        let lost = figures["lost"].as_u64().unwrap();
        assert!(lost <= lost_max, "{transport}: expected at most {lost_max} lost, got {figures:#}");
        // The proxy's exit code admits a message that it read too late to pass on, and nothing else.
        let is_true = code == Some(0) || (code == Some(1) && lost > 0);
        assert!(is_true, "{transport}: expected exit code 0, or 1 with a loss, got {code:?} {figures:#}");
        assert!(figures["answered"].as_u64().unwrap() > 0, "{figures:#}");
    }
}

#[test]
fn bursts_share_their_requests() {
    let proxy = Proxy::demo();
    let args = ["--socketio", "-n", "2", "-d", "2s", "--burst", "64", "--size", "100", "--json", "-"];
    let figures = assert_clean(&load(&[&[proxy.url().as_str()], &args[..]].concat()), 128);
    assert!(figures["requests_per_message"].as_f64().unwrap() < 0.5, "{figures:#}");
    let posts = figures["posts"].as_array().unwrap();
    let full = |post: &Value| post["messages"].as_u64() == post["requests"].as_u64().map(|count| count * 64);
    assert!(posts.iter().any(full), "{posts:?}");
}

#[test]
fn both_versions_of_engine_io_are_spoken_on_every_transport() {
    let proxy = Proxy::before(echo(faithful));
    for eio in ["3", "4"] {
        for transport in ["polling", "websocket", "upgrade"] {
            let args = [
                "--events",
                "echo",
                "-n",
                "2",
                "--rate",
                "20",
                "-d",
                "1s",
                "--json",
                "-",
                "--eio",
                eio,
                "--transport",
                transport,
            ];
            assert_clean(&load(&[&[proxy.url().as_str()], &args[..]].concat()), 20);
        }
    }
}

#[test]
fn plain_websockets_are_spoken_without_engine_io() {
    let url = format!("ws://{}/", echo(faithful));
    let figures = assert_clean(&load(&[&url, "--plain", "-n", "3", "-d", "2s", "--json", "-"]), 3);
    assert_eq!(figures["eio"], Value::Null);
}

#[test]
fn an_idle_session_sends_nothing_and_stays() {
    let proxy = Proxy::demo();
    let args = ["--socketio", "-n", "3", "--rate", "0", "-d", "2s", "--json", "-"];
    let figures = assert_clean(&load(&[&[proxy.url().as_str()], &args[..]].concat()), 0);
    assert_eq!((&figures["connected"], &figures["messages"]), (&3.into(), &0.into()));
    assert_eq!(figures["latency_us"]["p50"], Value::Null, "nothing was measured");
}

#[test]
fn connections_come_from_the_addresses_that_are_given() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let peers =
        thread::spawn(move || (0..4).map(|_| listener.accept().unwrap().1.ip().to_string()).collect());
    load(&[&url, "--plain", "-n", "4", "-d", "200ms", "--source", "127.0.0.2-127.0.0.3"]);
    let mut peers: Vec<String> = peers.join().unwrap();
    peers.sort();
    assert_eq!(peers, ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]);
}

#[test]
fn several_threads_count_together() {
    let proxy = Proxy::demo();
    let args = ["--socketio", "-n", "8", "--rate", "10", "-d", "2s", "--threads", "2", "--json", "-"];
    assert_clean(&load(&[&[proxy.url().as_str()], &args[..]].concat()), 30);
}

#[test]
fn a_run_over_tls_needs_trust_in_the_certificate() {
    let (tls, certificate) = self_signed();
    let proxy = Proxy::demo_with(&tls);
    let url = format!("https://{}", proxy.address);
    let args = ["--socketio", "-n", "4", "-d", "2s", "--json", "-", "--transport", "polling=50,websocket=50"];
    let trust = ["--ca", certificate.to_str().unwrap()];
    assert_clean(&load(&[&[url.as_str()], &args[..], &trust[..]].concat()), 4);
    let run = load(&[&[url.as_str()], &args[..]].concat());
    assert_eq!((run.code, &run.json()["errors"]["TLS"]["count"]), (1, &4.into()), "{run:?}");
}
