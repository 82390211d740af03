//! What requests mean, and their responses to the byte.

use bytes::Bytes;
use http::Request as HttpRequest;
use http::request::Parts;

use super::*;
use crate::dialect::{Environment, Framing, Greeting, Known, PushForm, Refusal, RequestKind};
use crate::packet::{Closing, Heartbeat, Message, Text};
use crate::reply::Reply;
use crate::session::{CursorRefused, Ending};

#[derive(Debug)]
struct FixedEnvironment;

impl Environment for FixedEnvironment {
    fn unix_time(&self) -> u64 {
        0
    }

    fn random(&self) -> u32 {
        0
    }

    fn allows_origin(&self, _headers: &http::HeaderMap) -> bool {
        true
    }

    fn is_restricted(&self) -> bool {
        false
    }

    fn handshakes_take(&self) -> Duration {
        Duration::ZERO
    }
}

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let request =
        headers.iter().fold(HttpRequest::builder().method(method).uri(target), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(()).unwrap().into_parts().0
}

fn request(head: &Parts) -> Request<'_> {
    let path = head.uri.path().strip_prefix("/feed").unwrap();
    Request { head, path, kind: RequestKind::Http, environment: &FixedEnvironment }
}

fn dialect() -> LongPoll {
    LongPoll::new(Settings::default())
}

/// Returns what a request means on a session that is here.
fn act(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Act, Box<Answered>> {
    let framing: Arc<dyn Framing> = Arc::new(plain(Query::default()));
    let known = Known { transport: Transport::Polling, framing: &framing, is_relayed: false };
    at(&Place::Here(known), method, target, headers)
}

fn at(place: &Place<'_>, method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Act, Box<Answered>> {
    let head = head(method, target, headers);
    let dialect = dialect();
    match dialect.read(&request(&head))? {
        Ask::Session(sid, intent) => {
            assert_eq!(sid, "SID");
            dialect.judge(intent, place, &request(&head))
        }
        other @ (Ask::Begin(_) | Ask::TurnAway(_)) => panic!("expected a session's request: {other:?}"),
    }
}

fn plain(query: Query) -> LongPollFraming {
    LongPollFraming { form: Form::Json, query, base: String::new() }
}

fn shown(reply: &Reply) -> (u16, &str) {
    assert_eq!(reply.headers["cache-control"], "no-store");
    (reply.status.as_u16(), std::str::from_utf8(&reply.body).unwrap())
}

fn refused(done: Result<Act, Box<Answered>>) -> (u16, String) {
    let reply = done.unwrap_err().reply;
    let (status, body) = shown(&reply);
    (status, body.to_owned())
}

fn text(text: &str) -> Packet {
    Packet::Message(Message::text(text))
}

#[test]
fn a_post_to_the_routes_path_begins_a_session_with_its_query() {
    for target in ["/feed/?room=1&after=2", "/feed?room=1&after=2"] {
        let head = head("POST", target, &[("content-length", "0")]);
        let Ok(Ask::Begin(beginning)) = dialect().read(&request(&head)) else { panic!("{target} begins") };
        assert_eq!(beginning.query, "room=1&after=2");
        let pace = Heartbeat { interval: Duration::ZERO, timeout: Duration::ZERO };
        let greeting = Greeting { sid: "SID", upgrades: false, pace, max_payload: 1, announced: false };
        let reply = beginning.framing.begun(&greeting).unwrap();
        assert_eq!(shown(&reply), (201, r#"{"session":"SID","url":"/feed/SID","after":0}"#));
        assert_eq!(reply.headers["location"], "/feed/SID");
        assert_eq!(reply.headers["content-type"], "application/json");
        assert_eq!(beginning.framing.greet(&greeting), None);
        let seconds = Duration::from_secs;
        let liveness = Liveness { beat: seconds(15), absence: seconds(60), is_heard: true };
        assert_eq!(beginning.policy.pinger, Pinger::Nobody(liveness));
        assert_eq!(beginning.policy.remembered, seconds(60));
    }
}

#[test]
fn a_body_that_would_be_lost_begins_no_session() {
    // Only the body itself shows whether it is empty.
    for header in [("content-length", "1"), ("transfer-encoding", "chunked")] {
        let head = head("POST", "/feed/", &[header]);
        let Ok(Ask::Begin(beginning)) = dialect().read(&request(&head)) else { panic!("it begins") };
        let refusal = beginning.framing.refuse_body().unwrap();
        assert_eq!(shown(&refusal), (400, r#"{"error":"a session begins without a body"}"#));
    }
}

#[test]
fn a_method_that_a_path_does_not_have_is_405_with_those_that_it_has() {
    for (target, allowed, refused) in [
        ("/feed/", "POST", &["GET", "HEAD", "PUT", "DELETE"][..]),
        ("/feed/SID", "GET, POST, DELETE", &["HEAD", "PUT", "PATCH"]),
    ] {
        for method in refused {
            let head = head(method, target, &[]);
            let answered = dialect().read(&request(&head)).unwrap_err();
            assert_eq!(
                shown(&answered.reply),
                (405, r#"{"error":"method not allowed"}"#),
                "{method} {target}"
            );
            assert_eq!(answered.reply.headers["allow"], allowed);
        }
    }
}

#[test]
fn what_stands_nowhere_is_404() {
    for target in ["/feed/SID/", "/feed/SID/x", "/feed//"] {
        let head = head("GET", target, &[]);
        let answered = dialect().read(&request(&head)).unwrap_err();
        assert_eq!(shown(&answered.reply), (404, r#"{"error":"no such session"}"#), "{target}");
    }
    for place in [Place::Nowhere, Place::Opening] {
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(refused(at(&place, method, "/feed/SID?after=x", &[])).0, 404);
        }
    }
}

#[test]
fn no_form_makes_more_of_a_packet_than_its_framing_says() {
    for (accept, form) in
        [("*/*", "Json"), ("application/x-ndjson", "Lines"), ("text/event-stream", "Events")]
    {
        let Ok(Act::Poll(framing, _) | Act::Stream(framing, _)) =
            act("GET", "/feed/SID", &[("accept", accept)])
        else {
            panic!("it receives")
        };
        for text in ["\0", "\n", "\r", "\n\r", "\"", "a", "😀"] {
            let packet = Packet::Message(Message::text(text.repeat(1000)));
            let most = usize::from(framing.growth()) * json::encoded_len(&packet) + 100;
            let bytes = framing.encode_part(&[packet], 1).bytes;
            assert!(bytes.len() <= most, "{text:?}: {} of {most} as {form}", bytes.len());
        }
    }
}

#[test]
fn a_get_says_what_it_takes() {
    let terms = |target, headers: &[(&str, &str)]| match act("GET", target, headers) {
        Ok(Act::Poll(_, terms)) => (false, terms),
        Ok(Act::Stream(_, terms)) => (true, terms),
        other => panic!("{target}: {other:?}"),
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let most = Terms { wait: seconds(25), beats: false, ..Terms::default() };
    assert_eq!(terms("/feed/SID", &[]), (false, most));
    assert_eq!(
        terms("/feed/SID?after=7&wait=0", &[]),
        (false, Terms { after: Some(7), wait: seconds(0), ..most })
    );
    assert_eq!(terms("/feed/SID?wait=3600", &[]), (false, most), "no longer than the route lets it");
    let limited = Terms { messages: 5, bytes: 1000, ..most };
    assert_eq!(terms("/feed/SID?max=5&bytes=1000", &[]), (false, limited));
    let lines = ("accept", "application/x-ndjson");
    assert_eq!(terms("/feed/SID", &[lines]), (true, most));
    let events = ("accept", "text/event-stream");
    let endless = Terms { wait: None, beats: true, ..most };
    assert_eq!(terms("/feed/SID", &[events]), (true, endless));
    let resumed = Terms { after: Some(9), wait: seconds(5), ..endless };
    assert_eq!(terms("/feed/SID?after=1&wait=5", &[events, ("last-event-id", "9")]), (true, resumed));
}

#[test]
fn a_request_that_makes_no_sense_says_why_it_does_not() {
    assert_eq!(
        refused(act("GET", "/feed/SID?after=x", &[])),
        (400, r#"{"error":"after is not a number"}"#.to_owned())
    );
    assert_eq!(
        refused(act("POST", "/feed/SID?id=0", &[])),
        (400, r#"{"error":"id is not a number from 1"}"#.to_owned())
    );
    assert!(matches!(act("DELETE", "/feed/SID", &[]), Ok(Act::Leave(_))));
    assert!(
        matches!(act("POST", "/feed/SID?id=1", &[]), Ok(Act::Push(framing)) if framing.push_number() == Some(1))
    );
}

#[test]
fn a_session_that_has_ended_says_why_and_how_far_its_client_came() {
    let ending =
        Ending { closing: Closing::new(4001, "enough"), acknowledged: 7, sent: 9, unacknowledged: 0 };
    let body = |after| format!(r#"{{"closed":{{"code":4001,"reason":"enough"}},"after":{after}}}"#);
    let place = Place::Gone(&ending);
    assert_eq!(refused(at(&place, "GET", "/feed/SID?after=9", &[])), (410, body(9)));
    let number = (400, r#"{"error":"after is not a number"}"#.to_owned());
    assert_eq!(refused(at(&place, "GET", "/feed/SID?after=x", &[])), number);
    let bounds = r#"{"acknowledged":7,"sent":9}"#.to_owned();
    assert_eq!(refused(at(&place, "GET", "/feed/SID?after=10", &[])), (400, bounds.clone()));
    assert_eq!(refused(at(&place, "GET", "/feed/SID?after=6", &[])), (409, bounds));
    assert_eq!(refused(at(&place, "GET", "/feed/SID", &[])), (410, body(7)));
    // Only a GET acknowledges anything.
    assert_eq!(refused(at(&place, "POST", "/feed/SID?after=10", &[])), (410, body(7)));
    assert_eq!(refused(at(&place, "POST", "/feed/SID", &[])), (410, body(7)));
    assert_eq!(refused(at(&place, "DELETE", "/feed/SID", &[])), (410, body(7)));
    let dropped = Ending { unacknowledged: 2, ..ending.clone() };
    let told = r#"{"closed":{"code":4001,"reason":"enough"},"after":7,"unacknowledged":2}"#;
    assert_eq!(refused(at(&Place::Gone(&dropped), "GET", "/feed/SID?after=7", &[])), (410, told.to_owned()));
    let told = r#"{"closed":{"code":4001,"reason":"enough"},"after":8,"unacknowledged":1}"#;
    let place = Place::Gone(&dropped);
    assert_eq!(refused(at(&place, "GET", "/feed/SID?after=8", &[])), (410, told.to_owned()), "the rest");
    let framing = plain(Query { after: Some(3), ..Query::default() });
    assert_eq!(shown(&framing.refuse_ended(&ending)), (410, &body(3)[..]));
    let last = framing.encode_numbered(&[Packet::Close(Some(Box::new(ending.closing.clone())))], 7);
    assert_eq!((last.status.as_u16(), last.bytes), (410, body(3).into()), "it says what it knows");
}

#[test]
fn a_cursor_behind_what_was_acknowledged_is_a_conflict_and_one_ahead_is_nonsense() {
    let refused = CursorRefused { acknowledged: 5, sent: 8 };
    let reply = |after| plain(Query { after: Some(after), ..Query::default() }).refuse_cursor(refused);
    assert_eq!(shown(&reply(4)), (409, r#"{"acknowledged":5,"sent":8}"#));
    assert_eq!(shown(&reply(9)), (400, r#"{"acknowledged":5,"sent":8}"#));
    assert_eq!(shown(&plain(Query::default()).refuse_gap(3)), (409, r#"{"expected":3}"#));
}

#[test]
fn an_answer_without_messages_says_the_number_that_it_was_asked_with() {
    let answer = |after, batch: &[Packet], last| {
        let answer = plain(Query { after, ..Query::default() }).encode_numbered(batch, last);
        assert_eq!(
            (answer.status.as_u16(), answer.content_type.to_str().unwrap()),
            (200, "application/json")
        );
        answer.bytes
    };
    assert_eq!(answer(Some(3), &[], 4), r#"{"after":3,"messages":[]}"#);
    assert_eq!(answer(None, &[], 4), r#"{"after":4,"messages":[]}"#);
    assert_eq!(answer(Some(3), &[Packet::Noop], 4), r#"{"after":3,"messages":[]}"#);
    assert_eq!(answer(Some(3), &[text("a")], 4), r#"{"after":4,"messages":[{"id":4,"text":"a"}]}"#);
}

#[test]
fn a_stream_is_lines_or_events() {
    let framing = |form| LongPollFraming { form, query: Query::default(), base: String::new() };
    let why = Packet::Close(Some(Box::new(Closing::new(1000, ""))));
    let batch = [text("a"), text("b"), why];
    let lines = framing(Form::Lines);
    assert_eq!(lines.begin_stream().prelude, "");
    assert_eq!(lines.begin_stream().content_type, "application/x-ndjson");
    assert_eq!(
        lines.encode_part(&batch, 2).bytes,
        "{\"id\":1,\"text\":\"a\"}\n{\"id\":2,\"text\":\"b\"}\n\
         {\"closed\":{\"code\":1000,\"reason\":\"\"},\"after\":2}\n"
    );
    let ping = [Packet::Ping(Text::default())];
    assert_eq!(lines.encode_part(&ping, 2).bytes, "", "nothing is written of what is not for its client");
    let events = framing(Form::Events);
    assert_eq!(events.begin_stream().prelude, "retry: 0\n\n");
    assert_eq!(events.begin_stream().content_type, "text/event-stream");
    assert_eq!(events.encode_part(&ping, 2).bytes, ":\n\n");
    let mut headers = http::HeaderMap::new();
    events.add_headers(false, &mut headers);
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
}

#[test]
fn a_body_is_one_message_and_text_must_be_utf_8() {
    let decode = |form, body: &'static [u8]| {
        let packets = plain(Query::default()).decode_push(form, Bytes::from_static(body));
        packets.map(|packets| packets.map(Result::unwrap).collect::<Vec<_>>())
    };
    assert_eq!(decode(PushForm::Text, b"").unwrap(), [text("")]);
    assert_eq!(decode(PushForm::Text, "é\n".as_bytes()).unwrap(), [text("é\n")]);
    assert_eq!(
        shown(&decode(PushForm::Text, b"\xff").unwrap_err()),
        (400, r#"{"error":"text is not UTF-8"}"#)
    );
    let binary = Packet::Message(Message::Binary(Bytes::from_static(b"\xff")));
    assert_eq!(decode(PushForm::Binary, b"\xff").unwrap(), [binary]);
    assert_eq!(plain(Query::default()).refuse(Refusal::TooLarge, RequestKind::Http).status, 413);
    assert_eq!(plain(Query::default()).refuse(Refusal::Unreadable, RequestKind::Http).status, 415);
    let taken = plain(Query::default()).encode_taken();
    assert_eq!(
        (taken.status.as_u16(), taken.content_type.to_str().unwrap(), &taken.bytes[..]),
        (204, "", &b""[..])
    );
}
