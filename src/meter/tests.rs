//! The rendered metrics after something was counted.

use std::time::Duration;

use super::*;
use crate::end::End as CloseReason;
use crate::packet::Transport;

#[test]
fn a_route_that_did_nothing_shows_zeros() {
    let metrics = Metrics::new();
    let _meter = metrics.route("/socket.io/", "chat");
    let text = metrics.render();
    assert_line(&text, r#"polliwog_sessions{route="/socket.io/",upstream="chat",transport="polling"} 0"#);
    assert_line(&text, r#"polliwog_handshakes_total{route="/socket.io/",upstream="chat",outcome="full"} 0"#);
    assert!(!text.contains("polliwog_requests_total"), "{text}");
}

#[test]
fn a_session_is_followed_from_its_handshake_over_its_move_to_its_end() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    meter.handshake(Outcome::Accepted);
    meter.session_opened(Transport::Polling);
    meter.session_opened(Transport::Polling);
    meter.upgrade(UpgradeOutcome::Tried);
    meter.session_moved();
    meter.upgrade(UpgradeOutcome::Done);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_sessions{route="/",upstream="chat",transport="polling"} 1"#);
    assert_line(&text, r#"polliwog_sessions{route="/",upstream="chat",transport="websocket"} 1"#);
    assert_line(&text, r#"polliwog_upgrades_total{route="/",upstream="chat",outcome="tried"} 1"#);

    meter.session_closed(Transport::WebSocket, CloseReason::PingTimeout, Duration::ZERO);
    meter.session_closed(Transport::Polling, CloseReason::Drained, Duration::ZERO);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_sessions{route="/",upstream="chat",transport="polling"} 0"#);
    assert_line(&text, r#"polliwog_sessions{route="/",upstream="chat",transport="websocket"} 0"#);
    assert_line(&text, r#"polliwog_sessions_opened_total{route="/",upstream="chat",transport="polling"} 2"#);
    assert_line(
        &text,
        r#"polliwog_sessions_closed_total{route="/",upstream="chat",transport="websocket",reason="ping_timeout"} 1"#,
    );
    assert_line(
        &text,
        r#"polliwog_sessions_closed_total{route="/",upstream="chat",transport="polling",reason="drained"} 1"#,
    );
}

#[test]
fn orders_of_certificates_are_counted_where_there_may_be_any() {
    let metrics = Metrics::new();
    assert!(!metrics.render().contains("polliwog_certificate_orders_total"));
    metrics.may_order();
    metrics.ordered(CertificateOrder::Failed);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_certificate_orders_total{outcome="done"} 0"#);
    assert_line(&text, r#"polliwog_certificate_orders_total{outcome="failed"} 1"#);
}

#[test]
fn lines_that_a_log_has_dropped_are_counted() {
    let metrics = Metrics::new();
    let dropped = metrics.log_lines_dropped(LogName::Access);
    dropped(3);
    dropped(1);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_log_lines_dropped_total{log="access"} 4"#);
    assert_line(&text, r#"polliwog_log_lines_dropped_total{log="log"} 0"#);
}

#[test]
fn messages_and_their_bytes_are_counted_for_each_direction_of_each_transport() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    meter.from_client(Transport::Polling, 1, 10);
    meter.to_client(Transport::WebSocket, 3, 500);
    meter.clone().to_client(Transport::WebSocket, 1, 1);
    let text = metrics.render();
    let line = |name, direction, transport, count| {
        let labels = format!(r#"route="/",upstream="chat",direction="{direction}",transport="{transport}""#);
        assert_line(&text, &format!("polliwog_{name}_total{{{labels}}} {count}"));
    };
    line("messages", "from_client", "polling", 1);
    line("messages", "from_client", "websocket", 0);
    line("messages", "to_client", "websocket", 4);
    line("message_bytes", "to_client", "websocket", 501);
}

#[test]
fn requests_are_counted_by_what_they_wanted_and_got() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    meter.request(Op::Poll, 200);
    meter.request(Op::Poll, 200);
    meter.request(Op::Push, 413);
    meter.request(Op::Handshake, 418);
    meter.request(Op::SocketHandshake, 101);
    meter.request(Op::Forward, 200);
    let text = metrics.render();
    let line = |op, transport, status, count| {
        let labels =
            format!(r#"route="/",upstream="chat",op="{op}",transport="{transport}",status="{status}""#);
        assert_line(&text, &format!("polliwog_requests_total{{{labels}}} {count}"));
    };
    line("poll", "polling", "200", 2);
    line("push", "polling", "413", 1);
    line("handshake", "polling", "4xx", 1);
    line("handshake", "websocket", "101", 1);
    line("forward", "none", "200", 1);
}

#[test]
fn a_batch_is_measured_in_packets_and_in_bytes() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    meter.poll_parked();
    meter.poll_parked();
    meter.poll_released();
    meter.batch(1, 40);
    meter.batch(10, 400);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_polls_parked{route="/",upstream="chat"} 1"#);
    assert_line(&text, r#"polliwog_batch_packets_bucket{le="1.0",route="/",upstream="chat"} 1"#);
    assert_line(&text, r#"polliwog_batch_packets_bucket{le="16.0",route="/",upstream="chat"} 2"#);
    assert_line(&text, r#"polliwog_batch_packets_bucket{le="+Inf",route="/",upstream="chat"} 2"#);
    assert_line(&text, r#"polliwog_batch_packets_count{route="/",upstream="chat"} 2"#);
    assert_line(&text, r#"polliwog_batch_bytes_sum{route="/",upstream="chat"} 440.0"#);
}

#[test]
fn what_crossed_the_wire_beyond_the_payload_is_counted_apart() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    meter.overhead(Direction::FromClient, Transport::Polling, 7);
    meter.frame(Direction::ToClient, 2, 5, 4);
    meter.head(Direction::FromClient, Transport::Polling, 600);
    meter.compressed(99);
    let text = metrics.render();
    let line = |name, direction, transport, count| {
        let labels = format!(r#"route="/",upstream="chat",direction="{direction}",transport="{transport}""#);
        assert_line(&text, &format!("polliwog_{name}_bytes_total{{{labels}}} {count}"));
    };
    line("overhead", "from_client", "polling", 7);
    line("overhead", "to_client", "websocket", 3);
    line("overhead", "to_client", "polling", 0);
    line("head", "from_client", "polling", 600);
    assert_line(&text, r#"polliwog_compression_saved_bytes_total{route="/",upstream="chat"} 99"#);
}

#[test]
fn a_delivery_is_timed_in_seconds() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    for micros in [0, 16, 17, 2_000_000] {
        meter.delivered_after(Transport::Polling, Duration::from_micros(micros));
    }
    let text = metrics.render();
    let line = |name, le, value| {
        let labels = format!(r#"{le}route="/",upstream="chat",transport="polling""#);
        assert_line(&text, &format!("polliwog_delivery_wait_seconds_{name}{{{labels}}} {value}"));
    };
    line("bucket", r#"le="0.000016","#, "2");
    line("bucket", r#"le="0.000064","#, "3");
    line("bucket", r#"le="4.194304","#, "4");
    line("count", "", "4");
    line("sum", "", "2.000033");
}

#[test]
fn what_is_told_of_traffic_has_these_names_types_and_helps() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    meter.request(Op::Poll, 200);
    let text = metrics.render();
    for (name, kind, help) in [
        ("requests", "counter", "Requests that got a response"),
        ("messages", "counter", "Application messages that passed through the proxy"),
        ("message_bytes", "counter", "Payload bytes of these messages"),
        (
            "overhead_bytes",
            "counter",
            "Bytes of poll and POST bodies and of WebSocket frames beyond that payload, before compression",
        ),
        (
            "head_bytes",
            "counter",
            "Header bytes of the requests of sessions and of their responses, as far as they are known",
        ),
        (
            "compression_saved_bytes",
            "counter",
            "Bytes that compression saved in responses to polls and on clients' WebSockets",
        ),
        ("polls_parked", "gauge", "Parked polls, which wait for a message"),
        ("batch_packets", "histogram", "Packets in the response to one poll"),
        ("batch_bytes", "histogram", "Size of the response to one poll"),
        ("upgrades", "counter", "Upgrades from polling to WebSocket, tried, done and failed"),
        (
            "delivery_wait_seconds",
            "histogram",
            "Time from a message's arrival from the upstream until it is handed to the client's connection; for the \
             response to a poll, that of its oldest message",
        ),
    ] {
        assert_line(&text, &format!("# HELP polliwog_{name} {help}."));
        assert_line(&text, &format!("# TYPE polliwog_{name} {kind}"));
    }
}

#[test]
fn connections_are_open_for_as_long_as_they_are_held() {
    let metrics = Metrics::new();
    let connections = metrics.connections("public");
    let first = connections.opened();
    let second = connections.opened();
    drop(first);
    connections.tls_failed();
    connections.began(Protocol::Http2);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_connections{listener="public"} 1"#);
    assert_line(&text, r#"polliwog_connections_accepted_total{listener="public"} 2"#);
    assert_line(&text, r#"polliwog_tls_failures_total{listener="public"} 1"#);
    assert_line(&text, r#"polliwog_http_connections_total{listener="public",protocol="http/2"} 1"#);
    assert_line(&text, r#"polliwog_http_connections_total{listener="public",protocol="http/1.1"} 0"#);
    drop(second);
    assert_line(&metrics.render(), r#"polliwog_connections{listener="public"} 0"#);
}

#[test]
fn the_process_shows_its_version_limit_and_state() {
    let metrics = Metrics::new();
    metrics.sessions_limit(10_000);
    assert_line(&metrics.render(), "polliwog_draining 0");
    metrics.draining();
    let text = metrics.render();
    assert_line(&text, "polliwog_draining 1");
    assert_line(&text, "polliwog_sessions_limit 10000");
    assert_line(&text, &format!(r#"polliwog_build_info{{version="{}"}} 1"#, env!("CARGO_PKG_VERSION")));
    #[cfg(target_os = "linux")]
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn a_route_asked_for_twice_is_one_route() {
    let metrics = Metrics::new();
    let (one, same) = (metrics.route("/", "chat"), metrics.route("/", "chat"));
    one.handshake(Outcome::Full);
    same.handshake(Outcome::Full);
    drop(one);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_handshakes_total{route="/",upstream="chat",outcome="full"} 2"#);
}

#[test]
fn a_route_that_is_gone_is_shown_no_more_until_it_comes_again() {
    let metrics = Metrics::new();
    let (stays, goes) = (metrics.route("/a/", "chat"), metrics.route("/b/", "chat"));
    goes.request(Op::Poll, 200);
    let held = goes.clone();
    drop(goes);
    assert!(metrics.render().contains(r#"route="/b/""#), "a session still counts");
    drop(held);
    let text = metrics.render();
    assert!(text.contains(r#"route="/a/""#) && !text.contains(r#"route="/b/""#), "{text}");
    let again = metrics.route("/b/", "chat");
    again.request(Op::Poll, 200);
    let line = r#"polliwog_requests_total{route="/b/",upstream="chat",op="poll",transport="polling",status="200"} 1"#;
    assert_line(&metrics.render(), line);
    drop((stays, again));
}

#[test]
fn a_route_cannot_break_out_of_its_label() {
    let metrics = Metrics::new();
    let meter = metrics.route("/\"} 1\n", "chat");
    meter.poll_parked();
    assert_line(&metrics.render(), r#"polliwog_polls_parked{route="/\"} 1\n",upstream="chat"} 1"#);
}

#[test]
fn every_metric_has_a_help_a_type_and_a_name_of_its_own() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    meter.request(Op::Other, 404);
    let text = metrics.render();
    let named = |prefix: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix(prefix))
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let (helped, mut typed) = (named("# HELP "), named("# TYPE "));
    assert_eq!(helped, typed);
    typed.sort();
    typed.dedup();
    assert_eq!(typed.len(), helped.len());
    assert!(
        helped.iter().all(|name| name.starts_with("polliwog_") || name.starts_with("process_")),
        "{helped:?}"
    );
}

#[test]
fn two_texts_list_their_series_in_one_order() {
    let render = || {
        let metrics = Metrics::new();
        for route in ["/c", "/a", "/b"] {
            metrics.route(route, "chat").request(Op::Poll, 200);
        }
        let text = metrics.render();
        text.lines().filter(|line| line.starts_with("polliwog_")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(render(), render());
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no line {line} in\n{text}");
}

// Within a runtime, whose tasks are one of the metrics.
#[tokio::test]
async fn a_metric_is_rendered_as_its_row_declares_it() {
    let metrics = Metrics::of(Budget::new(Some(1000)));
    let meter = metrics.route("/", "chat");
    meter.request(Op::Poll, 200);
    metrics.connections("public");
    metrics.dials("chat");
    metrics.cluster();
    metrics.directory();
    metrics.first_loaded();
    metrics.limits();
    metrics.log_lines_dropped(LogName::Log)(0);
    metrics.spans_dropped()(0);
    metrics.may_order();
    metrics.certificates_expire([("a.pem".to_owned(), "a.test".to_owned(), UNIX_EPOCH)].into_iter());
    metrics.succession().set(1, 2);
    let text = metrics.render();
    let mut at = 0;
    for row in table::rows() {
        let name = row.family();
        let declared = format!("# HELP {name} {}.\n# TYPE {name} {}\n", row.help, row.kind());
        let Some(found) = text[at..].find(&declared) else { panic!("no {declared} behind {}", &text[..at]) };
        at += found;
        let series = text[at..].lines().find(|line| !line.starts_with('#')).unwrap();
        assert!(series.starts_with(&row.queried()), "{series} is not {}", row.queried());
        let labels = row.labels.iter().map(|label| series.find(&format!("{label}=\""))).collect::<Vec<_>>();
        assert!(
            labels.iter().all(Option::is_some) && labels.is_sorted(),
            "{series} has not {:?}",
            row.labels
        );
    }
    assert_eq!(text.matches("# TYPE ").count(), table::rows().count(), "a metric has no row");
}
