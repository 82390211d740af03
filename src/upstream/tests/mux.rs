//! Kind `mux` against a backend that sends arbitrary frames (docs/mux.md).

use futures_util::FutureExt as _;
use http::HeaderValue;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::*;
use crate::end::End;
use crate::meter::AddressState;
use crate::upstream::{Balance, Limits};

/// Accepts a shared connection, reads P's hello, and answers with this one.
async fn accept_mux(listener: &TcpListener, hello: &Value) -> WebSocketStream<TcpStream> {
    let mut socket = accept_unheard(listener).await;
    assert_eq!(hear(&mut socket).await[0], "hello");
    say(&mut socket, &json!(["hello", hello])).await;
    socket
}

/// Accepts a shared connection.
async fn accept_unheard(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    loop {
        let stream = listener.accept().await.unwrap().0;
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let choose = |_: &Request, mut response: Response| {
            let protocol = HeaderValue::from_static("polliwog.mux.v1.json");
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        // The prober's connection is closed at once.
        let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, choose).await else { continue };
        return socket;
    }
}

async fn say(socket: &mut WebSocketStream<TcpStream>, frame: &Value) {
    send_frame(socket, frame.to_string()).await;
}

async fn hear(socket: &mut WebSocketStream<TcpStream>) -> Value {
    let Frame::Text(text) = next_frame(socket).await else { panic!("no text") };
    serde_json::from_str(&text).unwrap()
}

/// Accepts a client, and returns the session's id.
async fn let_in(socket: &mut WebSocketStream<TcpStream>) -> Value {
    let open = hear(socket).await;
    assert_eq!(open[0], "open");
    say(socket, &json!(["ok", open[1], {}])).await;
    open[1].clone()
}

#[tokio::test]
async fn a_backend_in_the_middle_of_too_much_hears_why_and_its_sessions_end_meanwhile() {
    let (listener, settings) = listen(Kind::Mux).await;
    let front = Front::new(&Settings { max_message: 1000, ..settings });
    let mut backend = within(accept_mux(&listener, &json!({"v": 1}))).await;
    let (_, mut link, _) = front.open_with(let_in(&mut backend)).await;
    let (told, hear_why) = tokio::sync::oneshot::channel();
    let backend = async {
        // More than the kernel buffers without a reader; nothing is read before the session has ended.
        send_frame(&mut backend, "x".repeat(16 << 20)).await;
        hear_why.await.unwrap();
        let Frame::Close(Some(why)) = next_frame(&mut backend).await else { panic!("no goodbye") };
        assert_eq!((u16::from(why.code), why.reason.as_str()), (1002, "a frame is too large"));
        drop(backend);
    };
    let front = async {
        assert_eq!(next_closing(&mut *link).await.code, Some(1002));
        told.send(()).unwrap();
    };
    within(async { tokio::join!(backend, front) }).await;
}

#[tokio::test]
async fn a_drain_that_is_the_last_word_leads_new_clients_to_another_connection() {
    let (listener, settings) = listen(Kind::Mux).await;
    let front = Front::new(&settings);
    let mut leaving = within(accept_mux(&listener, &json!({"v": 1, "credit": 1000, "resume": true}))).await;
    // In one piece, so that nothing happens in between.
    leaving.feed(Frame::text(r#"["drain",30]"#)).await.unwrap();
    within(leaving.close(None)).await.unwrap();
    let mut next = within(accept_mux(&listener, &json!({"v": 1}))).await;
    front.open_with(let_in(&mut next)).await;
}

#[tokio::test]
async fn a_backend_that_resumes_no_more_ends_the_sessions_and_is_asked_for_new_ones() {
    let (listener, settings) = listen(Kind::Mux).await;
    let front = Front::new(&settings);
    let mut first = within(accept_mux(&listener, &json!({"v": 1, "credit": 1000, "resume": true}))).await;
    let (_, mut link, _) = front.open_with(let_in(&mut first)).await;
    drop(first);
    let _forgetful = within(accept_mux(&listener, &json!({"v": 1}))).await;
    assert_eq!(next_closing(&mut *link).await.code, Some(1002));
    let mut last = within(accept_mux(&listener, &json!({"v": 1}))).await;
    front.open_with(let_in(&mut last)).await;
}

#[tokio::test]
async fn a_close_packet_crosses_a_shared_connection_both_ways() {
    for knows in [true, false] {
        let (listener, settings) = listen(Kind::Mux).await;
        let front = Front::new(&settings);
        let mut backend = within(accept_mux(&listener, &json!({"v": 1, "close_packets": knows}))).await;
        let (_, mut link, id) = front.open_with(let_in(&mut backend)).await;
        say(&mut backend, &json!(["x", id, 0, 1005, "", true])).await;
        assert_eq!(next_closing(&mut *link).await, Closing { by_packet: true, ..Closing::default() });
        drop(link);
        assert_eq!(hear(&mut backend).await[0], "x", "it is answered");
        let (_, mut link, id) = front.open_with(let_in(&mut backend)).await;
        let goodbye = End::ClientClosed.closing();
        within(poll_fn(|cx| link.poll_close(cx, &goodbye))).await;
        let told = if knows { json!(["x", id, 0, 1000, "", true]) } else { json!(["x", id, 0, 1000, ""]) };
        assert_eq!(hear(&mut backend).await, told);
    }
}

#[tokio::test]
async fn a_shared_connection_takes_as_many_sessions_as_its_address_may_have() {
    let (listener, settings) = listen(Kind::Mux).await;
    let limits = Limits {
        max_sessions: Some(1),
        queue: 1,
        queue_timeout: Duration::from_secs(20),
        ..Limits::default()
    };
    let front = Front::new(&Settings { limits, ..settings });
    let mut backend = within(accept_mux(&listener, &json!({"v": 1}))).await;
    let (_, link, _) = front.open_with(let_in(&mut backend)).await;
    let mut waits = Box::pin(front.open(request()));
    assert!(waits.as_mut().now_or_never().is_none());
    let error = front.open(request()).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Full), "{error}");
    drop(link);
    let next = async {
        assert_eq!(hear(&mut backend).await[0], "x", "the first has left");
        let_in(&mut backend).await
    };
    let (opened, _) = tokio::join!(waits, within(next));
    assert_eq!(front.upstream.sight().addresses[0].sessions, 1);
    drop(opened.unwrap());
    assert_eq!(front.upstream.sight().addresses[0].sessions, 0);
}

#[tokio::test]
async fn a_session_waits_for_a_backend_that_restarts_whether_or_not_that_is_known_already() {
    for limits in [Limits::default(), Limits { max_sessions: Some(5), ..Limits::default() }] {
        let (listener, settings) = listen(Kind::Mux).await;
        let address = listener.local_addr().unwrap();
        drop(listener);
        let front = Front::new(&Settings { hold: Duration::from_mins(1), limits, ..settings });
        let back = async || {
            // The time without a backend.
            sleep(Duration::from_millis(400)).await;
            let listener = TcpListener::bind(address).await.unwrap();
            let mut socket = accept_mux(&listener, &json!({"v": 1})).await;
            let_in(&mut socket).await;
            (listener, socket)
        };
        // Nobody has tried to connect yet.
        let (_, mut link, (listener, socket)) = front.open_with(back()).await;
        // Its connection breaks, and nobody has tried to connect again.
        drop((listener, socket));
        assert_eq!(next_closing(&mut *link).await.code, Some(1006));
        let (_, _link, (listener, socket)) = front.open_with(back()).await;
        drop((listener, socket));
        // This one comes when that is known.
        while !front.upstream.is_down() {
            // The pace of the looks.
            sleep(Duration::from_millis(10)).await;
        }
        front.open_with(back()).await;
    }
}

#[tokio::test]
async fn a_backend_that_drains_gets_no_new_connection_while_another_works() {
    let (preferred, other, settings) = two(Kind::Mux).await;
    let front = Front::new(&Settings { balance: Balance::First, ..settings });
    let mut leaving = within(accept_mux(&preferred, &json!({"v": 1}))).await;
    let (_, _link, _) = front.open_with(let_in(&mut leaving)).await;
    say(&mut leaving, &json!(["drain", 30])).await;
    let mut next = within(accept_mux(&other, &json!({"v": 1}))).await;
    front.open_with(let_in(&mut next)).await;
    assert!(preferred.accept().now_or_never().is_none(), "it is not even asked");
    let addresses = front.upstream.sight().addresses;
    let shown = (addresses[0].state, addresses[0].reason, addresses[0].connections);
    assert_eq!(shown, (AddressState::Draining, Some("is about to stop"), 1));
    // The other one stops as well: the first may be back by now.
    say(&mut next, &json!(["drain", 30])).await;
    let refused = answer(&other, b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n");
    let hello = json!({"v": 1});
    let (_, mut back) = within(async { tokio::join!(refused, accept_mux(&preferred, &hello)) }).await;
    front.open_with(let_in(&mut back)).await;
    assert_eq!(front.upstream.sight().addresses[0].state, AddressState::Up);
}

#[tokio::test]
async fn a_backend_that_gives_no_shared_connection_leaves_it_to_the_next_at_once() {
    let (stopping, other, settings) = two(Kind::Mux).await;
    let front = Front::new(&Settings { balance: Balance::First, ..settings });
    within(answer(&stopping, b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")).await;
    let mut socket = within(accept_mux(&other, &json!({"v": 1}))).await;
    front.open_with(let_in(&mut socket)).await;
    assert!(stopping.accept().now_or_never().is_none(), "it is asked once");
    assert!(!front.upstream.is_down());
}

/// Denies a client, as a backend without room.
async fn turn_away(socket: &mut WebSocketStream<TcpStream>) {
    let open = hear(socket).await;
    say(socket, &json!(["deny", open[1], 503, "no room"])).await;
}

#[tokio::test]
async fn a_session_that_crosses_with_a_drain_begins_on_the_next_connection() {
    let (listener, settings) = listen(Kind::Mux).await;
    let front = Front::new(&settings);
    let mut backend = within(accept_mux(&listener, &json!({"v": 1}))).await;
    // One that stays means it.
    let (error, ()) = front.fail_with(turn_away(&mut backend)).await;
    assert!(matches!(error, OpenError::Refused(_)), "{error}");
    let next = async {
        let open = hear(&mut backend).await;
        say(&mut backend, &json!(["drain", 30])).await;
        say(&mut backend, &json!(["deny", open[1], 503, "stopping"])).await;
        let mut next = accept_mux(&listener, &json!({"v": 1})).await;
        let_in(&mut next).await;
        next
    };
    front.open_with(next).await;
}

#[tokio::test]
async fn a_backend_that_drains_on_each_connection_is_passed_on_in_the_end() {
    let (listener, settings) = listen(Kind::Mux).await;
    let front = Front::new(&Settings { connect_timeout: Duration::from_millis(300), ..settings });
    let drains = async {
        loop {
            let mut socket = accept_mux(&listener, &json!({"v": 1})).await;
            let open = hear(&mut socket).await;
            say(&mut socket, &json!(["drain", 30])).await;
            say(&mut socket, &json!(["deny", open[1], 503, "stopping"])).await;
        }
    };
    let error = tokio::select! {
        opened = front.open(request()) => opened.map(|_| ()).unwrap_err(),
        () = drains => unreachable!(),
    };
    assert!(matches!(error, OpenError::Refused(_)), "{error}");
}

/// Accepts a shared connection that breaks once a session is asked for.
async fn break_at_open(listener: &TcpListener) {
    let mut backend = accept_mux(listener, &json!({"v": 1})).await;
    assert_eq!(hear(&mut backend).await[0], "open");
}

#[tokio::test]
async fn a_session_whose_connection_breaks_before_its_answer_begins_on_the_next_within_the_hold() {
    let (listener, settings) = listen(Kind::Mux).await;
    let hold = Duration::from_mins(1);
    let front = Front::new(&Settings { hold, ..settings.clone() });
    let breaks = async {
        // Before its hello, and then before its answer.
        drop(accept_unheard(&listener).await);
        break_at_open(&listener).await;
        let mut backend = accept_mux(&listener, &json!({"v": 1})).await;
        let_in(&mut backend).await;
        backend
    };
    front.open_with(breaks).await;
    drop(front);
    for (hold, retry) in [(Duration::ZERO, true), (hold, false)] {
        let (listener, settings) = listen(Kind::Mux).await;
        let front = Front::new(&Settings { retry, hold, ..settings });
        let (error, ()) = front.fail_with(break_at_open(&listener)).await;
        assert!(matches!(error, OpenError::Down(_)), "{error}");
    }
}
