//! Frames that are larger than they need to be.

use serde_json::{Value, json};

use super::*;

/// Reads a frame in the JSON profile.
fn read(frame: &Value) -> Result<Frame, Malformed> {
    Profile::Json.decode(Message::text(frame.to_string()))
}

/// Reads what stands behind a verb and a session's number in the binary profile.
fn read_binary(verb: u8, rest: &Value) -> Result<Frame, Malformed> {
    let frame = [&[verb, 1][..], rest.to_string().as_bytes()].concat();
    Profile::Binary.decode(Message::Binary(frame.into()))
}

/// Returns an `open`, an `ok` and a `deny`, without their verbs, with these headers.
fn asked_and_answered(headers: &Value) -> [(&'static str, u8, Value); 3] {
    let open = json!({"path": "/", "dialect": "websocket", "transport": "websocket", "client": "", "headers": headers,
        "protocols": []});
    [
        ("open", 2, json!([open])),
        ("ok", 3, json!([{"headers": headers}])),
        ("deny", 4, json!([403, "no", {"headers": headers}])),
    ]
}

/// Reads a frame in both profiles, which must agree.
fn in_both((verb, code, rest): &(&'static str, u8, Value)) -> Result<Frame, Malformed> {
    let elements = [vec![json!(verb), json!("s1")], rest.as_array().unwrap().clone()].concat();
    let frame = read(&Value::Array(elements));
    assert_eq!(frame, read_binary(*code, rest), "{verb}");
    frame
}

#[test]
fn headers_without_number_are_refused() {
    for (count, is_read) in [(1000, true), (1001, false), (24_575, false), (25_000, false), (40_000, false)] {
        let same = vec![json!(["a", ""]); count];
        let others: Vec<_> = (0..count).map(|number| json!([format!("a{number}"), ""])).collect();
        for headers in [same, others] {
            for frame in asked_and_answered(&Value::Array(headers)) {
                assert_eq!(in_both(&frame).is_ok(), is_read, "{count} of {}", frame.0);
            }
        }
    }
}

#[test]
fn what_clients_may_be_slow_to_take_is_short() {
    let long = json!([["a", "x".repeat(70_000)]]);
    let [open, ok, deny] = asked_and_answered(&long);
    assert!(in_both(&open).is_ok());
    assert!(in_both(&ok).is_err() && in_both(&deny).is_err());
    let denied = in_both(&("deny", 4, json!([403, "é".repeat(70_000)])));
    let Ok(Frame::Deny(_, denied)) = denied else { panic!("{denied:?}") };
    assert_eq!(denied.reason, "é".repeat(32 << 10));
    let closed = read(&json!(["x", "s1", 0, 1000, "é".repeat(70_000)]));
    let Ok(Frame::Close(_, _, closing)) = closed else { panic!("{closed:?}") };
    assert_eq!(closing.reason.as_str(), "é".repeat(61));
}

#[test]
fn a_frame_is_not_parsed_that_is_longer_or_has_more_values_than_it_needs() {
    let many = vec![json!({"": 0}); 20_000];
    for (verb, code, rest) in asked_and_answered(&json!([])) {
        let elements = [rest.as_array().unwrap().clone(), many.clone()].concat();
        assert!(in_both(&(verb, code, Value::Array(elements))).is_err());
    }
    assert!(read(&json!(["hello", {"v": 1, "credit": 1}, many])).is_err());
    assert!(read(&json!(["t", "s1", 1, "x", many])).is_err());
    let long = "x".repeat(1 << 20);
    assert!(read(&json!(["x", "s1", 0, 1000, long])).is_err());
    assert!(read(&json!(["deny", "s1", 403, long])).is_err());
    assert!(read(&json!(["t", "s1", 1, long.repeat(3)])).is_ok());
    assert!(read_binary(8, &json!(long)).is_err());
    let entries = vec![json!(["s1", 1, 1]); 100_000];
    assert!(read(&json!(["a", entries])).is_err());
    assert!(read(&json!(["a", entries[..4096]])).is_ok());
    for verb in ["a", "sync"] {
        assert!(read(&json!([verb, [], vec![json!({"": 0}); 30_000]])).is_err());
    }
}

#[test]
fn acknowledgements_of_many_sessions_go_in_several_frames() {
    let (mut proxy, mut backend) = pair(100);
    let ids: Vec<_> = (0..5000).map(|_| session(&mut proxy, &mut backend)).collect();
    for &id in &ids {
        backend.send(id, text("x"));
    }
    while let Some(frame) = backend.poll() {
        proxy.handle(frame).unwrap();
    }
    let counts: Vec<_> = std::iter::from_fn(|| proxy.acks())
        .map(|frame| {
            assert!(Profile::Json.decode(Profile::Json.encode(&frame)).is_ok());
            let Frame::Acks(acks) = frame else { panic!("{frame:?}") };
            acks.len()
        })
        .collect();
    assert_eq!(counts, [4096, 904]);
}
