//! What an operator reads after something was counted.

use super::*;

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

    meter.session_closed(Transport::WebSocket, CloseReason::PingTimeout);
    meter.session_closed(Transport::Polling, CloseReason::Drained);
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
fn messages_and_their_bytes_are_counted_for_each_direction() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    meter.from_client(1, 10);
    meter.to_client(3, 500);
    meter.clone().to_client(1, 1);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_messages_total{route="/",upstream="chat",direction="from_client"} 1"#);
    assert_line(&text, r#"polliwog_messages_total{route="/",upstream="chat",direction="to_client"} 4"#);
    assert_line(
        &text,
        r#"polliwog_message_bytes_total{route="/",upstream="chat",direction="to_client"} 501"#,
    );
}

#[test]
fn requests_are_counted_by_what_they_wanted_and_got() {
    let metrics = Metrics::new();
    let meter = metrics.route("/", "chat");
    meter.request(Op::Poll, 200);
    meter.request(Op::Poll, 200);
    meter.request(Op::Push, 413);
    meter.request(Op::Handshake, 418);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_requests_total{route="/",upstream="chat",op="poll",status="200"} 2"#);
    assert_line(&text, r#"polliwog_requests_total{route="/",upstream="chat",op="push",status="413"} 1"#);
    assert_line(&text, r#"polliwog_requests_total{route="/",upstream="chat",op="handshake",status="4xx"} 1"#);
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
fn connections_are_open_for_as_long_as_they_are_held() {
    let metrics = Metrics::new();
    let connections = metrics.connections(Listener::Public);
    let first = connections.opened();
    let second = connections.opened();
    drop(first);
    connections.tls_failed();
    let text = metrics.render();
    assert_line(&text, r#"polliwog_connections{listener="public"} 1"#);
    assert_line(&text, r#"polliwog_connections_accepted_total{listener="public"} 2"#);
    assert_line(&text, r#"polliwog_tls_failures_total{listener="public"} 1"#);
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
    metrics.route("/", "chat").from_client(1, 1);
    metrics.route("/", "chat").from_client(1, 1);
    let text = metrics.render();
    assert_line(&text, r#"polliwog_messages_total{route="/",upstream="chat",direction="from_client"} 2"#);
}

#[test]
fn a_route_cannot_break_out_of_its_label() {
    let metrics = Metrics::new();
    metrics.route("/\"} 1\n", "chat").poll_parked();
    assert_line(&metrics.render(), r#"polliwog_polls_parked{route="/\"} 1\n",upstream="chat"} 1"#);
}

#[test]
fn every_metric_has_a_help_a_type_and_a_name_of_its_own() {
    let metrics = Metrics::new();
    metrics.route("/", "chat").request(Op::Other, 404);
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
