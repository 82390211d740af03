//! A line in each of its forms.

use std::time::UNIX_EPOCH;

use super::*;

fn line(format: Format, dialect: &str) -> String {
    let tally = Tally::of(Some("2001:db8::7".parse().unwrap()));
    tally.count(Direction::FromClient, 1, 3);
    tally.count(Direction::ToClient, 2, 70);
    let session = SessionLine {
        session: "0123456789ab".into(),
        route: "/socket.io/".into(),
        dialect,
        transport: Transport::WebSocket,
        upstream: "app",
        tally: &tally,
        end: End::ClientClosed,
    };
    let mut line = Vec::new();
    session.write(format, UNIX_EPOCH + Duration::from_millis(1_500), &mut line);
    String::from_utf8(line).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_session_has_the_same_fields_in_each_form() {
    assert_eq!(
        line(Format::Text, "engine.io"),
        "1970-01-01T00:00:01.500Z session client=2001:db8::7 session=0123456789ab route=/socket.io/ dialect=engine.io transport=websocket \
         upstream=app seconds=0.000 messages_from_client=1 bytes_from_client=3 messages_to_client=2 \
         bytes_to_client=70 reason=client_closed\n"
    );
    let json: serde_json::Value = serde_json::from_str(&line(Format::Json, "engine.io")).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "time": "1970-01-01T00:00:01.500Z", "kind": "session", "client": "2001:db8::7",
            "session": "0123456789ab", "route": "/socket.io/",
            "dialect": "engine.io", "transport": "websocket", "upstream": "app", "seconds": 0.0,
            "messages_from_client": 1, "bytes_from_client": 3, "messages_to_client": 2, "bytes_to_client": 70,
            "reason": "client_closed",
        })
    );
    assert_eq!(
        line(Format::Combined, "engine.io"),
        "2001:db8::7 - - [01/Jan/1970:00:00:01 +0000] \"SESSION /socket.io/ engine.io/websocket\" - 70 \"-\" \
         \"client_closed after 0.000s\"\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_line_stays_one_line() {
    for format in [Format::Text, Format::Json, Format::Combined] {
        let line = line(format, "a\"\n192.0.2.9 - - forged=\"1\"");
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(!line.contains("a\"") && line.contains("a\\\""), "{line}");
    }
}
