//! What a plain WebSocket link sends and receives.

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::*;
use crate::upstream::LinkError;

#[tokio::test]
async fn text_stays_text_and_binary_stays_binary() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let (opened, mut link, mut backend) = Front::new(&settings).open_with(accept(&listener)).await;
    assert!(opened.sid.is_none() && opened.heartbeat.is_none() && opened.max_payload.is_none());
    let pairs = [
        (Frame::text("4é"), Message::text("4é")),
        (Frame::text(""), Message::text("")),
        (Frame::binary(&b"\xff"[..]), Message::Binary(Bytes::from_static(b"\xff"))),
    ];
    for (frame, message) in pairs {
        send_frame(&mut backend, frame.clone()).await;
        assert_eq!(next_message(&mut *link).await, message);
        send(&mut *link, message).await;
        assert_eq!(next_frame(&mut backend).await, frame);
    }
}

#[tokio::test]
async fn a_ping_is_answered_though_nobody_flushes() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let (_, mut link, mut backend) = Front::new(&settings).open_with(accept(&listener)).await;
    send_frame(&mut backend, Frame::Ping(Bytes::from_static(b"x"))).await;
    assert_eq!(reading(&mut *link, next_frame(&mut backend)).await, Frame::Pong(Bytes::from_static(b"x")));
}

#[tokio::test]
async fn a_sign_of_life_is_an_unsolicited_pong() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let (_, mut link, mut backend) = Front::new(&settings).open_with(accept(&listener)).await;
    link.keep_alive();
    poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
    assert_eq!(next_frame(&mut backend).await, Frame::Pong(Bytes::new()));
}

#[tokio::test]
async fn a_backend_that_does_not_read_makes_the_link_unready_and_loses_nothing() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    // The read limit is far below what is sent.
    let front = Front::new(&Settings { max_message: 1000, ..settings });
    let (_, mut link, mut backend) = front.open_with(accept(&listener)).await;
    let message = Message::Binary(vec![7; 1 << 20].into());
    let mut sent = 0;
    while poll_fn(|cx| link.poll_ready(cx)).now_or_never().is_some() {
        link.start_send(message.clone()).unwrap();
        sent += 1;
        assert!(sent < 100, "it takes without end");
    }
    // A pending keep-alive pong does not add to what waits.
    link.keep_alive();
    assert!(poll_fn(|cx| link.poll_flush(cx)).now_or_never().is_none());
    let reader = async {
        for _ in 0..sent {
            assert_eq!(next_frame(&mut backend).await.len(), 1 << 20);
        }
        assert_eq!(next_frame(&mut backend).await, Frame::Pong(Bytes::new()));
    };
    let ((), flushed) = tokio::join!(reader, within(poll_fn(|cx| link.poll_flush(cx))));
    flushed.unwrap();
}

#[tokio::test]
async fn a_turns_small_messages_are_written_together() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let (_, mut link, mut backend) = Front::new(&settings).open_with(accept(&listener)).await;
    for _ in 0..10 {
        poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
        link.start_send(Message::text("small")).unwrap();
    }
    // Nothing must be written for a while.
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(backend.get_mut().try_read(&mut [0; 1]).is_err(), "written before the flush");
    poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
    for _ in 0..10 {
        assert_eq!(next_frame(&mut backend).await, Frame::text("small"));
    }
}

#[tokio::test]
async fn a_broken_link_takes_nothing_and_says_why() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let (_, mut link, backend) = Front::new(&settings).open_with(accept(&listener)).await;
    drop(backend);
    let broken = async {
        loop {
            poll_fn(|cx| link.poll_ready(cx)).await?;
            link.start_send(Message::text("x"))?;
            poll_fn(|cx| link.poll_flush(cx)).await?;
            tokio::task::yield_now().await;
        }
        #[expect(unreachable_code, reason = "it gives the block its type")]
        Ok::<(), LinkError>(())
    };
    within(broken).await.unwrap_err();
    assert_eq!(next_closing(&mut *link).await.code, Some(1006));
}
