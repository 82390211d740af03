//! The embedded backend, through the ordinary link.

use bytes::Bytes;

use super::*;
use crate::upstream::Embedding;

async fn connect(front: &Front) -> Box<dyn Link> {
    let (opened, mut link) = front.open(request()).await.unwrap();
    assert!(opened.sid.is_some());
    let heartbeat = opened.heartbeat.unwrap();
    assert_eq!((heartbeat.interval.as_secs(), heartbeat.timeout.as_secs()), (25, 20));
    assert_eq!(opened.max_payload, Some(1_000_000));
    send(&mut *link, Message::text("0")).await;
    let connected = next_text(&mut *link).await;
    assert!(connected.starts_with(r#"0{"sid":""#), "{connected}");
    link
}

async fn next_text(link: &mut dyn Link) -> String {
    match next_message(link).await {
        Message::Text(text) => text.as_str().to_owned(),
        Message::Binary(bytes) => panic!("{} bytes", bytes.len()),
    }
}

fn demo() -> Front {
    Front::new(&Settings { kind: Kind::Demo(Embedding::SocketIo), ..Settings::default() })
}

#[tokio::test]
async fn an_echo_is_acknowledged_with_its_arguments_or_sent_back() {
    let front = demo();
    let mut link = connect(&front).await;
    for (said, answer) in [
        (r#"20["echo","x"]"#, r#"30["x"]"#),
        (r#"27["echo",1,-2.5,null,{"b":[true],"a":"é"}]"#, r#"37[1,-2.5,null,{"b":[true],"a":"é"}]"#),
        (r#"21["echo"]"#, "31[]"),
        (r#"2["echo","x",2]"#, r#"2["echo","x",2]"#),
        (r#"2["echo"]"#, r#"2["echo"]"#),
    ] {
        send(&mut *link, Message::text(said)).await;
        assert_eq!(next_text(&mut *link).await, answer);
    }
}

#[tokio::test]
async fn binary_arguments_are_echoed_as_such() {
    let front = demo();
    let mut link = connect(&front).await;
    send(&mut *link, Message::text(r#"51-0["echo",{"_placeholder":true,"num":0},"x"]"#)).await;
    send(&mut *link, Message::Binary(Bytes::from_static(b"\x01\xff"))).await;
    assert_eq!(next_text(&mut *link).await, r#"61-0[{"_placeholder":true,"num":0},"x"]"#);
    assert_eq!(next_message(&mut *link).await, Message::Binary(Bytes::from_static(b"\x01\xff")));
}

#[tokio::test]
async fn a_chat_reaches_everyone_the_sender_included() {
    let front = demo();
    let (mut one, mut two) = (connect(&front).await, connect(&front).await);
    send(&mut *one, Message::text(r#"2["chat","hello",1]"#)).await;
    for link in [&mut one, &mut two] {
        assert_eq!(next_text(&mut **link).await, r#"2["chat","hello",1]"#);
    }
}

#[tokio::test]
async fn a_restart_ends_the_askers_connection_without_a_goodbye_and_no_other() {
    let front = demo();
    let (mut one, mut two) = (connect(&front).await, connect(&front).await);
    send(&mut *one, Message::text(r#"2["restart"]"#)).await;
    assert_eq!(within(next_closing(&mut *one)).await.code, Some(1006));
    send(&mut *two, Message::text(r#"2["cursor",0.5]"#)).await;
    assert_eq!(next_text(&mut *two).await, r#"2["cursor",0.5]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_echoes_stay_in_order() {
    let front = demo();
    let mut link = connect(&front).await;
    for number in 0..1000 {
        poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
        link.start_send(Message::text(format!(r#"2["echo",{number}]"#))).unwrap();
    }
    poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
    for number in 0..1000 {
        assert_eq!(next_text(&mut *link).await, format!(r#"2["echo",{number}]"#));
    }
}

/// A server that connects a client before it has registered its handlers loses such an event if the connecting thread
/// is preempted right after the response: hence more threads than cores.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn an_event_right_behind_the_connect_answer_is_never_lost() {
    let front = Arc::new(demo());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let front = Arc::clone(&front);
        clients.spawn(async move {
            for said in [r#"2["echo",1]"#, r#"21["echo",1]"#].repeat(EARLY_TRIES) {
                let mut link = connect(&front).await;
                send(&mut *link, Message::text(said)).await;
                within(next_text(&mut *link)).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

const EARLY_TRIES: usize = 50;

#[tokio::test]
async fn a_demo_is_always_up_and_leaves_no_task_behind() {
    let front = demo();
    let mut link = connect(&front).await;
    within(close(&mut *link, &Closing::default())).await;
    assert!(!front.upstream.is_down());
    front.tracker.close();
    within(front.tracker.wait()).await;
}
