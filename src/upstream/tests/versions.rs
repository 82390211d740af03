//! Backends of Engine.IO 3, and backends of another version than their clients.

use bytes::Bytes;
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::duplex::{Buffers, Duplex};
use crate::revision::{Revision, Versions};
use crate::sid::Sid;
use crate::upstream::engineio::begin;
use crate::upstream::handshake::Accepted;
use crate::upstream::socket::Socket;

const V3: Versions = Versions { v3: true, v4: false };
const V4: Versions = Versions { v3: false, v4: true };

fn client(revision: Revision) -> OpenRequest {
    OpenRequest { revision: Some(revision), ..request() }
}

/// Returns a backend of these versions; `socket_io` says whether it is known to speak Socket.IO.
async fn backend(versions: Versions, socket_io: bool) -> (TcpListener, Front) {
    let (listener, settings) = listen(Kind::EngineIo).await;
    (listener, Front::new(&Settings { versions, socket_io, ..settings }))
}

fn binary(bytes: &'static [u8]) -> Message {
    Message::Binary(Bytes::from_static(bytes))
}

#[tokio::test]
async fn a_backend_is_asked_in_the_clients_version_where_it_speaks_it() {
    let refusal = b"HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n";
    for (versions, revision, asked) in [
        (Versions::ALL, Some(Revision::V3), "EIO=3"),
        (Versions::ALL, Some(Revision::V4), "EIO=4"),
        (Versions::ALL, None, "EIO=4"),
        (V3, None, "EIO=3"),
    ] {
        let (listener, front) = backend(versions, true).await;
        let asking = front.open(OpenRequest { revision, ..request() });
        let (_, (head, _stream)) = tokio::join!(asking, answer(&listener, refusal));
        assert!(head.contains(asked), "{versions:?} {revision:?}: {head}");
    }
}

#[tokio::test]
async fn where_nobody_translates_the_other_version_is_refused_as_the_backend_would() {
    for (versions, revision) in [(V4, Revision::V3), (V3, Revision::V4)] {
        let (_listener, front) = backend(versions, false).await;
        let Err(OpenError::Refused(refused)) = front.open(client(revision)).await else { panic!() };
        assert_eq!(
            (refused.reply.status.as_u16(), &refused.reply.body[..]),
            (400, &b"Unsupported protocol version"[..])
        );
    }
}

#[tokio::test]
async fn before_a_binary_message_stands_its_type() {
    let (listener, front) = backend(V3, false).await;
    let (link, mut backend) = tokio::join!(front.open(client(Revision::V3)), accept_engine(&listener));
    let (opened, mut link) = link.unwrap();
    assert_eq!(opened.sid, Sid::parse("abc"));
    send_frame(&mut backend, Frame::binary(&b"\x04\x01\x02"[..])).await;
    send_frame(&mut backend, "b4AQI=").await;
    assert_eq!(next_message(&mut *link).await, binary(b"\x01\x02"));
    assert_eq!(next_message(&mut *link).await, binary(b"\x01\x02"));
    send(&mut *link, binary(b"\x03")).await;
    assert_eq!(next_frame(&mut backend).await, Frame::binary(&b"\x04\x03"[..]));
    send_frame(&mut backend, Frame::binary(&b"\x09"[..])).await;
    assert_eq!(next_closing(&mut *link).await.code, Some(1002));
}

/// Returns a link in version 3 over a pipe, so that the clock can be paused, to a backend whose heartbeat is 25 s and
/// 20 s.
async fn pipe() -> (Box<dyn Link>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut backend = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    send_frame(&mut backend, OPEN).await;
    let socket = Duplex::from(ours).into_web_socket(Bytes::new(), Role::Client, 1 << 20, Buffers::Small);
    let accepted = Accepted { socket: Socket::new(socket), headers: HeaderMap::new(), subprotocol: None };
    let (_, link) = begin(accepted, Revision::V3, 1 << 20).await.unwrap();
    (link, backend)
}

#[tokio::test(start_paused = true)]
async fn we_ping_on_our_own_clock_and_a_backend_that_does_not_answer_is_dead() {
    let (mut link, mut backend) = pipe().await;
    for _ in 0..4 {
        reading(&mut *link, tokio::time::sleep(Duration::from_millis(25_001))).await;
        assert_eq!(next_frame(&mut backend).await, Frame::text("2"));
        send_frame(&mut backend, "3").await;
    }
    let started = tokio::time::Instant::now();
    let closing = poll_fn(|cx| link.poll_next(cx)).await;
    assert!(
        matches!(closing, LinkEvent::Closed(closing) if closing.reason.as_str() == "upstream ping timeout")
    );
    assert_eq!(started.elapsed().as_secs(), 45);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_not_read_is_still_pinged() {
    let (mut link, mut backend) = pipe().await;
    link.keep_alive();
    poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
    assert_eq!(next_frame(&mut backend).await, Frame::text("2"));
}

#[tokio::test]
async fn an_old_clients_session_has_the_id_of_its_socket_on_a_new_backend() {
    let (listener, front) = backend(V4, true).await;
    let serve = async {
        let mut backend = accept_engine(&listener).await;
        assert_eq!(next_frame(&mut backend).await, Frame::text("40"));
        send_frame(&mut backend, r#"40{"sid":"root-id"}"#).await;
        send_frame(&mut backend, r#"42["hello"]"#).await;
        backend
    };
    let (link, mut backend) = tokio::join!(front.open(client(Revision::V3)), within(serve));
    let (opened, mut link) = link.unwrap();
    assert_eq!(opened.sid, Sid::parse("root-id"));
    assert_eq!(next_message(&mut *link).await, Message::text("0"));
    assert_eq!(next_message(&mut *link).await, Message::text(r#"2["hello"]"#));
    send(&mut *link, Message::text(r#"2["hi"]"#)).await;
    assert_eq!(next_frame(&mut backend).await, Frame::text(r#"42["hi"]"#));
}

#[tokio::test]
async fn an_old_client_whose_root_is_refused_hears_it_in_its_own_words() {
    let (listener, front) = backend(V4, true).await;
    let serve = async {
        let mut backend = accept_engine(&listener).await;
        next_frame(&mut backend).await;
        send_frame(&mut backend, r#"44{"message":"no"}"#).await;
        backend
    };
    let (link, _backend) = tokio::join!(front.open(client(Revision::V3)), within(serve));
    let (opened, mut link) = link.unwrap();
    assert_eq!(opened.sid, None);
    assert_eq!(next_message(&mut *link).await, Message::text(r#"4"no""#));
}

#[tokio::test]
async fn a_backend_that_says_nothing_of_the_root_is_slow_or_gone() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let handshake_timeout = Duration::from_millis(300);
    let front = Front::new(&Settings { versions: V4, socket_io: true, handshake_timeout, ..settings });
    let (link, _backend) = tokio::join!(front.open(client(Revision::V3)), accept_engine(&listener));
    assert!(matches!(link.map(|_| ()), Err(OpenError::Slow(_))));
    let gone = async { drop(accept_engine(&listener).await) };
    let (link, ()) = tokio::join!(front.open(client(Revision::V3)), gone);
    assert!(matches!(link.map(|_| ()), Err(OpenError::Down(_))));
}

#[tokio::test]
async fn a_new_client_is_answered_with_the_id_of_the_old_backends_session() {
    let (listener, front) = backend(V3, true).await;
    let (link, mut backend) = tokio::join!(front.open(client(Revision::V4)), accept_engine(&listener));
    let mut link = link.unwrap().1;
    send_frame(&mut backend, "40").await;
    send_frame(&mut backend, r#"42["early"]"#).await;
    send(&mut *link, Message::text("0")).await;
    assert_eq!(next_message(&mut *link).await, Message::text(r#"0{"sid":"abc"}"#));
    assert_eq!(next_message(&mut *link).await, Message::text(r#"2["early"]"#));
    send(&mut *link, Message::text("0/nsp,")).await;
    assert_eq!(next_frame(&mut backend).await, Frame::text("40/nsp,"));
    assert!(timeout(Duration::from_millis(50), backend.next()).await.is_err(), "the root is not asked for");
}

#[tokio::test]
async fn what_is_no_socketio_ends_both_sides() {
    let (listener, front) = backend(V4, true).await;
    let serve = async {
        let mut backend = accept_engine(&listener).await;
        next_frame(&mut backend).await;
        send_frame(&mut backend, r#"40{"sid":"root-id"}"#).await;
        backend
    };
    let (link, mut backend) = tokio::join!(front.open(client(Revision::V3)), within(serve));
    let mut link = link.unwrap().1;
    assert_eq!(next_message(&mut *link).await, Message::text("0"));
    send(&mut *link, binary(b"\x93")).await;
    let closing = next_closing(&mut *link).await;
    assert!(closing.reason.as_str().contains("a parser other"), "{closing:?}");
    let (_, frame) = tokio::join!(close(&mut *link, &closing), async {
        let frame = next_frame(&mut backend).await;
        drop(backend);
        frame
    });
    assert_eq!(frame, Frame::Close(None));
}
