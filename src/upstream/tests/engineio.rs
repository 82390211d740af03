//! What an Engine.IO link sends and receives.

use bytes::Bytes;
use tokio::io::DuplexStream;
use tokio::time::{Instant, advance};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::duplex::{Buffers, Duplex};
use crate::revision::Revision;
use crate::sid::Sid;
use crate::upstream::engineio::begin;
use crate::upstream::handshake::Accepted;
use crate::upstream::socket::Socket;

#[tokio::test]
async fn the_open_packet_is_told() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let (opened, ..) = Front::new(&settings).open_with(accept_engine(&listener)).await;
    assert_eq!(opened.sid, Sid::parse("abc"));
    assert_eq!(opened.max_payload, Some(1_000_000));
    let heartbeat = opened.heartbeat.unwrap();
    assert_eq!((heartbeat.interval, heartbeat.timeout), (Duration::from_secs(25), Duration::from_secs(20)));
}

#[tokio::test]
async fn the_query_asks_for_the_protocol_behind_what_the_application_said() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let backend = answer(&listener, b"HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n");
    let (_, (head, _stream)) = Front::new(&settings).fail_with(backend).await;
    assert!(head.starts_with("GET /socket.io/?room=7&EIO=4&transport=websocket HTTP/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn a_backend_that_accepts_and_talks_nonsense_does_not_speak_the_protocol() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let front = Front::new(&settings);
    let frames: [&[u8]; 5] = [b"\x81\x0240", b"\x81\x03{}x", b"\x81\x00", b"\x82\x02\x01\x02", b"\x88\x00"];
    for bytes in frames {
        let backend = async {
            let mut socket = accept(&listener).await;
            socket.get_mut().write_all(bytes).await.unwrap();
            socket
        };
        let (error, _) = front.fail_with(backend).await;
        assert!(matches!(error, OpenError::Protocol(_)), "{bytes:?}: {error}");
    }
    let (error, ()) = front.fail_with(async { drop(accept(&listener).await) }).await;
    assert!(matches!(error, OpenError::Down(_)), "{error}");
}

#[tokio::test]
async fn messages_cross_both_ways_in_order() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let (_, mut link, mut backend) = Front::new(&settings).open_with(accept_engine(&listener)).await;
    for frame in ["4one", "6", "4", "bAQID"] {
        send_frame(&mut backend, frame).await;
    }
    send_frame(&mut backend, Frame::binary(&b"\x04raw"[..])).await;
    let binary = |bytes| Message::Binary(Bytes::from_static(bytes));
    for message in [Message::text("one"), Message::text(""), binary(b"\x01\x02\x03"), binary(b"\x04raw")] {
        assert_eq!(next_message(&mut *link).await, message);
    }
    for message in [Message::text("é"), binary(b""), Message::text("2")] {
        send(&mut *link, message).await;
    }
    for frame in [Frame::text("4é"), Frame::binary(&b""[..]), Frame::text("42")] {
        assert_eq!(next_frame(&mut backend).await, frame);
    }
}

#[tokio::test]
async fn a_ping_is_answered_though_nobody_flushes() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let (_, mut link, mut backend) = Front::new(&settings).open_with(accept_engine(&listener)).await;
    send_frame(&mut backend, "2").await;
    assert_eq!(reading(&mut *link, next_frame(&mut backend)).await, Frame::text("3"));
    send_frame(&mut backend, "2probe").await;
    assert_eq!(reading(&mut *link, next_frame(&mut backend)).await, Frame::text("3probe"));
    // A WebSocket ping.
    send_frame(&mut backend, Frame::Ping(Bytes::from_static(b"x"))).await;
    assert_eq!(reading(&mut *link, next_frame(&mut backend)).await, Frame::Pong(Bytes::from_static(b"x")));
}

#[tokio::test]
async fn a_sign_of_life_is_an_unsolicited_pong() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let (_, mut link, mut backend) = Front::new(&settings).open_with(accept_engine(&listener)).await;
    link.keep_alive();
    poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
    assert_eq!(next_frame(&mut backend).await, Frame::text("3"));
}

#[tokio::test]
async fn what_is_no_packet_closes_with_1002() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let front = Front::new(&settings);
    for frame in ["", "9", "hello", "0{}"] {
        let (_, mut link, mut backend) = front.open_with(accept_engine(&listener)).await;
        send_frame(&mut backend, frame).await;
        assert_eq!(next_closing(&mut *link).await.code, Some(1002), "{frame}");
        let Frame::Close(Some(close)) = next_frame(&mut backend).await else { panic!() };
        assert_eq!(u16::from(close.code), 1002);
    }
}

#[tokio::test]
async fn a_message_of_the_largest_size_passes_and_a_larger_one_closes_with_1009() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let front = Front::new(&Settings { max_message: 10_000, ..settings });
    for over in [
        Frame::text("4".repeat(10_002)),
        Frame::text("4".repeat(500_000)),
        Frame::binary(vec![0; 10_001]),
        Frame::text(format!("b{}", "A".repeat(14_000))),
    ] {
        let (_, mut link, mut backend) = front.open_with(accept_engine(&listener)).await;
        send_frame(&mut backend, "4".repeat(10_001)).await;
        assert_eq!(next_message(&mut *link).await.len(), 10_000);
        let (closing, ()) = tokio::join!(next_closing(&mut *link), send_frame(&mut backend, over));
        assert_eq!(closing.code, Some(1009));
        let told = async {
            let Frame::Close(Some(close)) = next_frame(&mut backend).await else { panic!() };
            assert_eq!(u16::from(close.code), 1009);
            drop(backend);
        };
        tokio::join!(close(&mut *link, &closing), told);
    }
}

/// Returns a link over a pipe, so that the clock can be paused, to a backend whose heartbeat is 25 s and 20 s.
async fn pipe() -> (Box<dyn Link>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut backend = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    send_frame(&mut backend, OPEN).await;
    let socket = Duplex::from(ours).into_web_socket(Bytes::new(), Role::Client, 1 << 20, Buffers::Small);
    let accepted = Accepted { socket: Socket::new(socket), headers: HeaderMap::new(), subprotocol: None };
    let (_, link) = begin(accepted, Revision::V4, 1 << 20).await.unwrap();
    (link, backend)
}

#[tokio::test(start_paused = true)]
async fn a_backend_whose_pings_cease_is_dead() {
    let (mut link, mut backend) = pipe().await;
    let started = Instant::now();
    reading(&mut *link, tokio::time::sleep(Duration::from_secs(40))).await;
    send_frame(&mut backend, "2").await;
    reading(&mut *link, tokio::time::sleep(Duration::from_secs(44))).await;
    let closing = poll_fn(|cx| link.poll_next(cx)).await;
    let LinkEvent::Closed(closing) = closing else { panic!("{closing:?}") };
    assert_eq!(closing, Closing::new(1006, "upstream ping timeout"));
    assert_eq!(started.elapsed().as_secs(), 40 + 45);
    // There is nothing to wait for.
    timeout(Duration::from_secs(1), close(&mut *link, &closing)).await.unwrap();
    // The pong, and then the end.
    assert_eq!(next_frame(&mut backend).await, Frame::text("3"));
    assert_eq!(next_frame(&mut backend).await, Frame::Close(None));
}

#[tokio::test(start_paused = true)]
async fn a_pause_in_reading_does_not_kill_the_backend() {
    let (mut link, mut backend) = pipe().await;
    reading(&mut *link, tokio::time::sleep(Duration::from_secs(1))).await;
    advance(Duration::from_secs(100)).await;
    // It is read again, and its deadline starts anew.
    reading(&mut *link, tokio::time::sleep(Duration::from_secs(44))).await;
    send_frame(&mut backend, "4alive").await;
    assert_eq!(next_message(&mut *link).await, Message::text("alive"));
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_puts_off_the_end_of_the_backends_time() {
    let (mut link, _backend) = pipe().await;
    advance(Duration::from_secs(30)).await;
    link.keep_alive();
    // The first deadline passes during the pause, by less than the tolerance.
    advance(Duration::from_millis(15_500)).await;
    reading(&mut *link, tokio::time::sleep(Duration::from_secs(29))).await;
}
