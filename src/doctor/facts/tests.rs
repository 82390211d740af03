//! Facts that tests make up, and how facts are shown.

use super::*;

/// Makes a response.
pub(in crate::doctor) fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let headers =
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        packing: Packing::Right,
        head_took: Duration::from_millis(3),
    }
}

/// Makes an exchange that is complete.
pub(in crate::doctor) fn exchange(answer: Answer) -> Exchange {
    Exchange {
        asked: "GET /socket.io/".to_owned(),
        took: Duration::from_millis(4),
        answer: Some(answer),
        failure: None,
    }
}

/// Makes an exchange that failed before anything came.
pub(in crate::doctor) fn failed(failure: Failure) -> Exchange {
    let took = Duration::from_secs(5);
    Exchange { asked: "GET /socket.io/".to_owned(), took, answer: None, failure: Some(failure) }
}

#[test]
fn what_came_is_one_line_without_an_id() {
    let open = r#"0{"sid":"secret","upgrades":[]}"#;
    let came = exchange(answer(200, &[], open)).came();
    assert_eq!(came, r#"200 OK 0{"sid":"...","upgrades":[]}, after 4 ms"#);
    let begun = exchange(answer(201, &[], r#"{"session":"secret","url":"/feed/secret","after":0}"#)).came();
    assert_eq!(begun, r#"201 Created {"session":"...","url":"...","after":0}, after 4 ms"#);
    let page = exchange(answer(504, &[], &format!("<html>\r\n\x1b[31m{}", "x".repeat(200)))).came();
    assert!(page.starts_with("504 Gateway Timeout <html> u{1b}[31mxxx"), "{page}");
    assert!(page.len() < 150 && !page.contains('\x1b'), "{page}");
    let late = failed(Failure::Late(Duration::from_secs(5))).came();
    assert_eq!(late, "no complete response within 5s");
}

#[test]
fn an_unknown_session_is_told_from_other_refusals() {
    let is_unknown = |status, body| exchange(answer(status, &[], body)).is_unknown_session();
    assert!(is_unknown(400, r#"{"code":1,"message":"Session ID unknown"}"#));
    assert!(is_unknown(400, "Session ID unknown"));
    assert!(is_unknown(400, "\"Invalid session abc\""));
    assert!(is_unknown(404, r#"{"error":"no such session"}"#));
    assert!(!is_unknown(404, "404 page not found"));
    assert!(!is_unknown(400, r#"{"code":3,"message":"Bad request"}"#));
    assert!(!is_unknown(200, "4Session ID unknown"));
}

#[test]
fn an_open_packet_is_read_in_the_version_that_came() {
    let json = r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    let version = |body: &str| answer(200, &[], body).open().map(|(revision, _)| revision);
    assert_eq!(version(json), Some(Revision::V4));
    assert_eq!(version(&format!("{}:{json}2:40", json.len())), Some(Revision::V3));
    for body in ["", "ok", "0{}", "1:6", "<html>", &json.replace("\"a\"", "\"a b\"")] {
        assert_eq!(version(body), None, "{body}");
    }
}

#[test]
fn a_session_of_longpoll_is_read_from_its_first_response_and_a_number_from_a_poll() {
    let begun = |status, body: &str| answer(status, &[], body).session();
    assert_eq!(begun(201, r#"{"session":"a","url":"/feed/a","after":0}"#).as_deref(), Some("a"));
    for (status, body) in [
        (200, r#"{"session":"a","after":0}"#),
        (201, r#"{"session":"a/b","after":0}"#),
        (201, r#"{"session":"a"}"#),
        (201, "created"),
    ] {
        assert_eq!(begun(status, body), None, "{body}");
    }
    let after = |status, body: &str| answer(status, &[], body).after();
    assert_eq!(after(200, r#"{"after":7,"messages":[]}"#), Some(7));
    for (status, body) in [(410, r#"{"after":7,"messages":[]}"#), (200, r#"{"after":7}"#), (200, "ok")] {
        assert_eq!(after(status, body), None, "{body}");
    }
}
