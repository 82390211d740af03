//! How a link closes, from either side.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::*;
use crate::packet::Text;

fn close_frame(code: u16, reason: &str) -> Frame {
    Frame::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
}

/// Opens a link, closes it, and returns the Close frame that the backend got. The backend sees the connection's end as
/// well.
async fn closed_by_us(kind: Kind, closing: Closing) -> Frame {
    let (listener, settings) = listen(kind).await;
    let backend = async {
        match kind {
            Kind::WebSocket => accept(&listener).await,
            Kind::EngineIo | Kind::Demo(_) | Kind::Http | Kind::Mux => accept_engine(&listener).await,
        }
    };
    let (_, mut link, mut backend) = Front::new(&settings).open_with(backend).await;
    // Earlier messages of the backend do not delay the close.
    send_frame(&mut backend, "4late").await;
    let end = async {
        let frame = next_frame(&mut backend).await;
        assert!(backend.next().await.is_none());
        drop(backend);
        frame
    };
    let (frame, crossed) = within(async { tokio::join!(end, close(&mut *link, &closing)) }).await;
    assert_eq!(crossed, 1, "it came behind the goodbye");
    frame
}

#[tokio::test]
async fn a_clients_code_and_reason_reach_a_plain_backend() {
    let closing = Closing { code: Some(4001), reason: Text::from("bye é"), by_packet: false };
    assert_eq!(closed_by_us(Kind::WebSocket, closing).await, close_frame(4001, "bye é"));
    assert_eq!(closed_by_us(Kind::WebSocket, Closing::new(1006, "lost")).await, Frame::Close(None));
    assert_eq!(closed_by_us(Kind::WebSocket, Closing::default()).await, Frame::Close(None));
}

#[tokio::test]
async fn an_engine_io_backend_is_left_without_a_code() {
    assert_eq!(closed_by_us(Kind::EngineIo, Closing::new(1001, "away")).await, Frame::Close(None));
}

#[tokio::test]
async fn what_was_sent_before_the_end_arrives() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let (_, mut link, mut backend) = Front::new(&settings).open_with(accept(&listener)).await;
    poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
    link.start_send(Message::text("last")).unwrap();
    let reader = async {
        assert_eq!(next_frame(&mut backend).await, Frame::text("last"));
        assert_eq!(next_frame(&mut backend).await, close_frame(1000, ""));
        while backend.next().await.is_some() {}
    };
    let closing = Closing::new(1000, "");
    within(async { tokio::join!(reader, close(&mut *link, &closing)) }).await;
}

#[tokio::test]
async fn a_backends_code_and_reason_come_out_and_are_answered() {
    for kind in [Kind::WebSocket, Kind::EngineIo] {
        let (listener, settings) = listen(kind).await;
        let front = Front::new(&settings);
        for (sent, code, reason) in
            [(close_frame(4321, "enough"), Some(4321), "enough"), (Frame::Close(None), None, "")]
        {
            let (_, mut link, mut backend) = front.open_with(accept_engine(&listener)).await;
            if kind == Kind::WebSocket {
                next_message(&mut *link).await;
            }
            send_frame(&mut backend, "4last").await;
            send_frame(&mut backend, sent.clone()).await;
            next_message(&mut *link).await;
            let closing = next_closing(&mut *link).await;
            assert_eq!((closing.code, closing.reason.as_str()), (code, reason));
            assert_eq!(next_frame(&mut backend).await, sent);
            within(close(&mut *link, &closing)).await;
        }
    }
}

#[tokio::test]
async fn a_close_packet_ends_the_link() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let (_, mut link, mut backend) = Front::new(&settings).open_with(accept_engine(&listener)).await;
    send_frame(&mut backend, "1").await;
    assert_eq!(next_closing(&mut *link).await, Closing { by_packet: true, ..Closing::default() });
    assert_eq!(next_frame(&mut backend).await, Frame::Close(None));
}

#[tokio::test]
async fn a_connection_that_breaks_is_1006() {
    for kind in [Kind::WebSocket, Kind::EngineIo] {
        let (listener, settings) = listen(kind).await;
        let (_, mut link, mut backend) = Front::new(&settings).open_with(accept_engine(&listener)).await;
        if kind == Kind::WebSocket {
            next_message(&mut *link).await;
        }
        // In the middle of a frame.
        backend.get_mut().write_all(b"\x81\x05he").await.unwrap();
        drop(backend);
        let closing = next_closing(&mut *link).await;
        assert_eq!(closing.code, Some(1006));
        within(close(&mut *link, &closing)).await;
    }
}

#[tokio::test]
async fn a_plain_backend_that_breaks_the_rules_is_told_so() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let front = Front::new(&Settings { max_message: 1000, ..settings });
    let torn = RawFrame::message(Bytes::from_static(b"\xff"), OpCode::Data(Data::Text), true);
    for (frame, code) in [
        (Frame::Frame(torn), 1007),
        (Frame::binary(vec![0; 1001]), 1009),
        (Frame::Frame(RawFrame::message(Bytes::new(), OpCode::Data(Data::Continue), true)), 1002),
    ] {
        let (_, mut link, mut backend) = front.open_with(accept(&listener)).await;
        send_frame(&mut backend, frame).await;
        let closing = next_closing(&mut *link).await;
        assert_eq!(closing.code, Some(code));
        let Frame::Close(Some(told)) = next_frame(&mut backend).await else { panic!() };
        assert_eq!(u16::from(told.code), code);
    }
}

#[tokio::test]
async fn a_backend_in_the_middle_of_too_much_hears_why_it_must_end() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let front = Front::new(&Settings { max_message: 1000, ..settings });
    let (_, mut link, mut backend) = front.open_with(accept(&listener)).await;
    let backend = async {
        // Hanging up would be an error here, not a close.
        send_frame(&mut backend, Frame::binary(vec![0; TOO_MUCH])).await;
        assert_eq!(next_frame(&mut backend).await, close_frame(1009, "upstream message too big"));
        drop(backend);
    };
    let front = async {
        let closing = next_closing(&mut *link).await;
        within(close(&mut *link, &closing)).await;
        drop(link);
    };
    tokio::join!(backend, front);
}

#[tokio::test]
async fn a_backend_that_reads_last_hears_why_it_must_end_behind_all_that_it_was_sent() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let front = Front::new(&Settings { max_message: 1000, ..settings });
    let (_, mut link, mut backend) = front.open_with(accept(&listener)).await;
    poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
    link.start_send(Message::Binary(vec![1; TOO_MUCH].into())).unwrap();
    let backend = async {
        send_frame(&mut backend, Frame::binary(vec![0; TOO_MUCH])).await;
        assert_eq!(next_frame(&mut backend).await.len(), TOO_MUCH);
        assert_eq!(next_frame(&mut backend).await, close_frame(1009, "upstream message too big"));
        drop(backend);
    };
    let front = async {
        let closing = next_closing(&mut *link).await;
        within(close(&mut *link, &closing)).await;
    };
    tokio::join!(backend, front);
}

#[tokio::test]
async fn a_goodbye_is_not_lost_on_a_backend_that_still_breaks_the_rules() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let front = Front::new(&Settings { max_message: 1000, ..settings });
    let (_, mut link, mut backend) = front.open_with(accept(&listener)).await;
    let backend = async {
        send_frame(&mut backend, Frame::binary(vec![0; TOO_MUCH])).await;
        assert_eq!(next_frame(&mut backend).await, close_frame(1000, "bye"));
        drop(backend);
    };
    let closing = Closing::new(1000, "bye");
    within(async { tokio::join!(backend, close(&mut *link, &closing)) }).await;
}

#[tokio::test]
async fn a_backend_that_reads_nothing_is_left_waiting_to_the_driver() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let (_, mut link, backend) = Front::new(&settings).open_with(accept(&listener)).await;
    let closing = Closing::new(1000, "");
    // It does not read, so it does not answer: the close is pending until the driver's deadline.
    timeout(Duration::from_millis(50), close(&mut *link, &closing)).await.unwrap_err();
    drop(backend);
    within(close(&mut *link, &closing)).await;
}

/// More than the kernel buffers without a reader.
const TOO_MUCH: usize = 16 << 20;
