//! The embedded WebSocket server, through the ordinary link.

use bytes::Bytes;

use super::*;
use crate::upstream::{Embedding, Protocol};

fn feed() -> Front {
    Front::new(&Settings { kind: Kind::Demo(Embedding::WebSocket), ..Settings::default() })
}

#[tokio::test]
async fn any_message_comes_back_unchanged() {
    let front = feed();
    assert_eq!(
        (front.upstream.protocol(), front.upstream.introduction().is_some()),
        (Protocol::WebSocket, false)
    );
    let (opened, mut link) = front.open(request()).await.unwrap();
    assert_eq!((opened.sid, opened.heartbeat, opened.max_payload), (None, None, None));
    for said in [Message::text("hello"), Message::text(""), Message::Binary(Bytes::from_static(b"\x01\xff"))]
    {
        send(&mut *link, said.clone()).await;
        assert_eq!(next_message(&mut *link).await, said);
    }
}

#[tokio::test]
async fn a_chat_reaches_everyone_the_sender_included() {
    let front = feed();
    let ((_, mut one), (_, mut two)) =
        (front.open(request()).await.unwrap(), front.open(request()).await.unwrap());
    // A client that got an echo also receives the chat.
    for link in [&mut one, &mut two] {
        send(&mut **link, Message::text("here")).await;
        assert_eq!(next_message(&mut **link).await, Message::text("here"));
    }
    send(&mut *one, Message::text("chat: hello")).await;
    for link in [&mut one, &mut two] {
        assert_eq!(next_message(&mut **link).await, Message::text("chat: hello"));
    }
}

#[tokio::test]
async fn a_restart_ends_the_askers_connection_without_a_goodbye_and_no_other() {
    let front = feed();
    let ((_, mut one), (_, mut two)) =
        (front.open(request()).await.unwrap(), front.open(request()).await.unwrap());
    send(&mut *one, Message::text("restart:[]")).await;
    assert_eq!(within(next_closing(&mut *one)).await.code, Some(1006));
    send(&mut *two, Message::text("cursor:[0.5]")).await;
    assert_eq!(next_message(&mut *two).await, Message::text("cursor:[0.5]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_echoes_stay_in_order() {
    let front = feed();
    let (_, mut link) = front.open(request()).await.unwrap();
    for number in 0..1000 {
        poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
        link.start_send(Message::text(format!("{number}"))).unwrap();
    }
    poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
    for number in 0..1000 {
        assert_eq!(next_message(&mut *link).await, Message::text(format!("{number}")));
    }
}

#[tokio::test]
async fn a_close_is_answered_and_leaves_no_task_behind() {
    let front = feed();
    let (_, mut link) = front.open(request()).await.unwrap();
    within(close(&mut *link, &Closing::new(1001, "bye"))).await;
    front.tracker.close();
    within(front.tracker.wait()).await;
}
