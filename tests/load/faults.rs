//! Faults of a server or a command line are reported so that the user can mend them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;

use crate::support::{Proxy, command, echo, faithful, free_port, load, read};

#[test]
fn a_dead_server_is_reported_and_the_code_is_1() {
    let url = format!("http://{}/socket.io/", free_port());
    for transport in ["polling", "websocket", "upgrade"] {
        let run = load(&[&url, "--socketio", "-n", "3", "-d", "100ms", "--transport", transport]);
        assert_eq!(run.code, 1);
        assert!(run.err.starts_with(&format!("polliwog: nothing could connect to {url}: cannot connect: ")));
        assert!(run.err.contains("refused"), "{}", run.err);
        assert!(run.out.contains("3  cannot connect: Connection refused"), "{}", run.out);
    }
}

#[test]
fn an_unknown_host_is_reported() {
    let run = load(&["http://nowhere.test/", "-d", "100ms"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.starts_with("polliwog: cannot resolve nowhere.test: "), "{}", run.err);
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    for args in [
        &[][..],
        &["localhost"],
        &["http://127.0.0.1", "--transport", "carrier-pigeon"],
        &["http://127.0.0.1", "--rate", "fast"],
        &["ws://127.0.0.1", "--plain", "--transport", "polling"],
        &["http://127.0.0.1:1", "--source", "::1"],
        &["http://127.0.0.1:1", "--config", "config.toml"],
    ] {
        let run = load(args);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}");
        assert!(!run.err.is_empty());
    }
}

#[test]
fn a_wrong_path_gets_a_hint() {
    let proxy = Proxy::demo();
    let run = load(&[&format!("{}/wrong/", proxy.url()), "--socketio", "-n", "2", "-d", "100ms"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("2  GET /wrong/?EIO=4"), "{}", run.out);
    assert!(run.out.contains(": the handshake was answered 404 Not Found"), "{}", run.out);
    assert!(run.out.contains("check the path"), "{}", run.out);
}

#[test]
fn a_full_proxy_refuses_some_and_serves_the_others() {
    let proxy = Proxy::demo_with("max_sessions = 2");
    let run = load(&[&proxy.url(), "--socketio", "-n", "4", "--rate", "10", "-d", "2s", "--json", "-"]);
    assert_eq!(run.code, 0, "{run:?}");
    let figures = run.json();
    assert_eq!(
        (&figures["connected"], &figures["failed"], &figures["lost"]),
        (&2.into(), &2.into(), &0.into())
    );
    assert_eq!(figures["errors"]["the handshake answered 503"]["count"], 2);
}

#[test]
fn a_server_that_dies_breaks_its_sessions() {
    let mut proxy = Proxy::demo();
    let args = ["--socketio", "-n", "4", "--rate", "5", "-d", "20s", "--json", "-"];
    let child = command(&[&[proxy.url().as_str()], &args[..]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The run is in full swing when the proxy dies.
    proxy.wait_for("polliwog_messages_total", "direction=\"to_client\"", 12.0);
    proxy.wait_for("polliwog_sessions{", "", 4.0);
    proxy.kill();
    // All its sessions are over, so there is nothing to go on for.
    let run = read(&child.wait_with_output().unwrap());
    let figures = run.json();
    assert_eq!((&figures["connected"], &figures["disconnected"]), (&4.into(), &4.into()), "{figures:#}");
    assert!(figures["seconds"].as_f64().unwrap() < 15.0);
}

#[test]
fn sessions_that_were_disconnected_without_a_loss_make_the_code_1() {
    for (transport, signal) in [("polling", "-KILL"), ("websocket", "-KILL"), ("upgrade", "-TERM")] {
        let proxy = Proxy::demo_with("drain_timeout = '2s'");
        // Idle sessions have nothing to lose.
        let args = ["--socketio", "-n", "4", "--rate", "0", "-d", "30s", "--transport", transport];
        let child = command(&[&[proxy.url().as_str()], &args[..]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // All sessions are connected when the signal comes. Each has been sent a Socket.IO CONNECT.
        proxy.wait_for("polliwog_sessions{", "", 4.0);
        if transport == "upgrade" {
            proxy.wait_for("polliwog_upgrades_total", "outcome=\"done\"", 4.0);
        }
        proxy.wait_for("polliwog_messages_total", "direction=\"to_client\"", 4.0);
        proxy.signal(signal);
        let run = read(&child.wait_with_output().unwrap());
        assert_eq!(run.code, 1, "{transport}: {run:?}");
        assert_eq!(run.err, "polliwog: 4 of 4 sessions were disconnected\n", "{transport}: {}", run.out);
        let rows: Vec<_> = run.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert!(
            rows.contains(&vec!["disconnected", "4"]) && rows.contains(&vec!["lost", "0"]),
            "{}",
            run.out
        );
    }
}

#[test]
fn a_servers_response_is_escaped_once() {
    let url = answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno \"way\"\n");
    for transport in ["polling", "websocket", "upgrade"] {
        let run = load(&[&url, "-n", "1", "-d", "1s", "--transport", transport]);
        assert_eq!(run.code, 1);
        assert!(run.err.contains(r#"was answered 403 Forbidden "no \"way\"\n""#), "{}", run.err);
    }
}

#[test]
fn a_server_that_speaks_something_else_is_named() {
    let url = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>");
    let run = load(&[&url, "--events", "echo", "-n", "1", "-d", "2s"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("not Engine.IO: <html></html>"), "{}", run.err);
}

#[test]
fn a_failed_first_request_is_named_once_with_what_came_and_what_to_do() {
    const ENGINE_IO: &[&str] = &["--events", "echo"];
    const PLAIN: &[&str] = &["--dialect", "websocket"];
    const SOCKJS: &[&str] = &["--dialect", "sockjs"];
    const STREAM: &[&str] = &["--dialect", "sockjs", "--transport", "streaming"];
    const LONGPOLL: &[&str] = &["--dialect", "longpoll"];
    let html = &b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\n<html></html>"[..];
    for (answer, found, advice) in [
        (&b""[..], "the server closed the connection before it responded", "one with TLS needs https"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the response is not HTTP", "one with TLS needs https"),
        (
            b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n",
            "405 Method Not Allowed",
            "--dialect",
        ),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "401 Unauthorized", "--header"),
        (b"HTTP/1.1 301 Moved Permanently\r\nContent-Length: 0\r\n\r\n", "301 Moved", "not followed"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "502 Bad Gateway", "backend is down"),
        (html, "<html></html>", "--dialect"),
    ] {
        let url = answering(answer);
        for (client, request) in [
            (ENGINE_IO, "GET /x/?EIO=4"),
            (PLAIN, "GET /x/:"),
            (SOCKJS, if answer == html { "/xhr?" } else { "GET /x/info" }),
            (STREAM, if answer == html { "/xhr_streaming?" } else { "GET /x/info" }),
            (LONGPOLL, "POST /x/:"),
        ] {
            let run = load(&[&[url.as_str(), "-n", "1", "-d", "2s"], client].concat());
            assert_eq!(run.code, 1, "{client:?}");
            assert_eq!(run.err.lines().count(), 1, "{client:?}: {}", run.err);
            for part in [&format!("nothing could connect to {url}: "), request, found, advice] {
                assert_eq!(run.err.matches(part).count(), 1, "{client:?}, {part}: {}", run.err);
            }
        }
    }
}

#[test]
fn a_port_without_tls_is_told_apart_from_a_certificate() {
    let url = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").replace("http:", "https:");
    let run = load(&[&url, "-n", "1", "-d", "1s"]);
    assert!(
        run.err.contains("TLS failed: ") && run.err.contains("; the port may not speak TLS"),
        "{}",
        run.err
    );
}

#[test]
fn a_socket_io_server_without_its_option_gets_a_hint() {
    let proxy = Proxy::demo();
    let url = format!("{}/socket.io/", proxy.url());
    let run = load(&[&url, "--events", "echo", "-n", "1", "--rate", "5", "-d", "2s", "--drain", "100ms"]);
    assert!(run.out.contains("--socketio"), "{}", run.out);
}

#[test]
fn too_few_descriptors_get_a_hint() {
    let url = format!("ws://{}/", echo(faithful));
    let script =
        format!("ulimit -n 24; exec {} load {url} --plain -n 40 -d 300ms", env!("CARGO_BIN_EXE_polliwog"));
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let run = read(&output);
    assert!(run.out.contains("no more files") && run.out.contains("ulimit -n"), "{run:?}");
}

#[test]
fn a_report_that_cannot_be_written_is_a_fault_before_the_run() {
    let run = load(&["http://127.0.0.1:1/", "--html", "/nowhere/x.html", "-d", "1h"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("/nowhere/x.html"), "{}", run.err);
}

#[test]
fn an_interrupt_ends_the_run_with_its_table() {
    let proxy = Proxy::demo();
    let args = ["--socketio", "-n", "2", "--rate", "10", "-d", "1h"];
    let child = command(&[&[proxy.url().as_str()], &args[..]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The run is in full swing when the signal comes.
    proxy.wait_for("polliwog_messages_total", "direction=\"to_client\"", 8.0);
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let run = read(&child.wait_with_output().unwrap());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.contains("latency p50"), "{}", run.out);
}

/// Returns the URL of a server that gives each request this answer, and closes.
fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    format!("http://{address}/x/")
}
